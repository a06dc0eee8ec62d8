"""The database behind the local home: commits shared, failures alone, nothing left open."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest

from dandyroll.errors import Conflict, StoreUnavailable
from dandyroll.local.database import Database


@pytest.fixture
def database(tmp_path: Path) -> "Database":
    return Database(tmp_path / "catalogue.db")


def insert(database: Database, number: int) -> None:
    sql = "INSERT INTO claim VALUES ('owner', ?, 0, '{}')"
    database.write(lambda connection: connection.execute(sql, (str(number),)))


def count(database: Database) -> int:
    found: int = database.read().execute("SELECT count(*) FROM claim").get
    return found


def test_what_was_written_is_there_when_the_call_returns(database: Database) -> None:
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda number: insert(database, number), range(200)))
    assert count(database) == 200
    database.close()


def test_a_failed_operation_is_undone_alone(database: Database) -> None:
    begun = threading.Event()

    def fails(connection: apsw.Connection) -> None:
        connection.execute("INSERT INTO claim VALUES ('owner', 'half', 0, '{}')")
        begun.wait()
        raise Conflict("on purpose")

    with ThreadPoolExecutor(4) as threads:
        failing = threads.submit(database.write, fails)
        others = [threads.submit(insert, database, number) for number in range(3)]
        begun.set()
        with pytest.raises(Conflict):
            failing.result()
        for other in others:
            other.result()
    assert count(database) == 3
    database.close()


def test_a_statement_sqlite_refuses_is_said_and_the_writer_lives(database: Database) -> None:
    with pytest.raises(StoreUnavailable):
        database.write(lambda connection: connection.execute("INSERT INTO nowhere VALUES (1)"))
    insert(database, 1)
    assert count(database) == 1
    database.close()


def test_threads_that_have_ended_keep_nothing_open(database: Database) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names alone
    for _ in range(30):
        thread = threading.Thread(target=count, args=(database,))
        thread.start()
        thread.join()
    assert len(os.listdir("/proc/self/fd")) <= before + 4  # noqa: PTH208 - names alone
    database.close()
