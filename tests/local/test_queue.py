"""The line of jobs: each to one taker, none lost, none held up by clocks or other versions."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dandyroll.local.catalogue import SqliteCatalogue
from dandyroll.local.database import Database
from dandyroll.local.queue import Queue, UnreadableJob
from dandyroll.pipeline import RETRY
from tests.local.images import uploaded


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "catalogue.db")
    yield database
    database.close()


def test_a_job_in_hand_is_not_put_in_line_again(database: Database) -> None:
    uploaded(SqliteCatalogue(database))
    queue = Queue(database)
    task = queue.take()
    assert task is not None
    assert (queue.take_up(), len(queue)) == (0, 0)
    queue.let_go(task.job.image_id)  # and its row is still there: another try is due
    assert (queue.take_up(), len(queue)) == (1, 1)


def test_a_clock_set_back_holds_no_job_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = uploaded(SqliteCatalogue(database))
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 86_400)
    queue = Queue(database)
    assert -queue._line[0][0] + time.monotonic() >= -RETRY.max_wait_s
    queue.put(image_id)
    task = queue.take()
    assert task is not None
    assert task.job.image_id == image_id


def test_a_job_of_another_version_is_said(database: Database) -> None:
    image_id = uploaded(SqliteCatalogue(database))
    sql = "UPDATE job SET job = json_set(job, '$.unheard_of', 1)"
    database.write(lambda connection: connection.execute(sql))
    with pytest.raises(UnreadableJob, match=image_id):
        Queue(database).take()
