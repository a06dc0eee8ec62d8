"""A data folder without a server, to break things in: its pipeline is run by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dandyroll.imaging.header import read_header
from dandyroll.intake import new_row
from dandyroll.local.home import open_upkeep
from dandyroll.local.upkeep import Upkeep
from dandyroll.local.verify import Finding, verify
from dandyroll.models import Limits, Row
from dandyroll.pipeline import record, run
from dandyroll.settings import Settings


@contextmanager
def open_kept_home(data_dir: Path, **settings: int) -> Iterator[Upkeep]:
    """Nothing in it counts as too young to be touched, unless `sweep_min_age_s` says so."""
    given: dict[str, Any] = {"sweep_min_age_s": 0, **settings}
    with open_upkeep(Settings(data_dir=data_dir, **given)) as upkeep:
        yield upkeep


def accept(upkeep: Upkeep, image_id: str, data: bytes, owner: str = "shop") -> Row:
    header = read_header(data, Limits())
    row = new_row(upkeep.home, image_id, header, data, owner, "trace")
    return upkeep.home.accept(row, data)


def process_all(upkeep: Upkeep) -> None:
    """Run every job in the table, as the workers would."""
    waiting = upkeep.database.read().execute("SELECT count(*) FROM job").get
    for _ in range(int(str(waiting))):
        task = upkeep.queue.take()
        assert task is not None
        record(run(task.job, upkeep.objects, Limits()), upkeep.catalogue, upkeep.objects)


def findings(upkeep: Upkeep, repair: bool = False) -> list[Finding]:
    return list(verify(upkeep, repair))


def kinds(upkeep: Upkeep, repair: bool = False) -> list[str]:
    return [finding.kind for finding in verify(upkeep, repair)]


def put_file(upkeep: Upkeep, key: str, data: bytes) -> Path:
    """A file put into the store by another hand than ours."""
    path = upkeep.objects.path(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
