"""A database of every earlier version opens whole; one of a later version is refused."""

from pathlib import Path

import apsw
import pytest

from dandyroll.local.api_keys import is_valid_api_key, list_api_keys
from dandyroll.local.catalogue import SqliteCatalogue
from dandyroll.local.database import Database
from dandyroll.local.delivery_log import backlog
from dandyroll.local.queue import Queue
from dandyroll.local.quota import quota_of
from dandyroll.local.schema import MIGRATIONS, VERSION, migrate
from dandyroll.settings import BadSetting

VERSIONS = Path(__file__).parent / "schema"


def test_every_version_has_a_file() -> None:
    assert [path.stem for path in sorted(VERSIONS.glob("*.sql"))] == [
        f"version-{number}" for number in range(1, VERSION + 1)
    ]


@pytest.mark.parametrize("version", range(1, VERSION + 1))
def test_a_file_of_that_version_opens_whole(tmp_path: Path, version: int) -> None:
    path = tmp_path / "catalogue.db"
    old = apsw.Connection(str(path))
    old.execute((VERSIONS / f"version-{version}.sql").read_text("utf-8"))
    old.close()
    database = Database(path)
    try:
        assert database.read().pragma("user_version") == VERSION
        row = SqliteCatalogue(database).get("upload-20261123_120000-0a1b2c3d.jpg")
        assert (row.status, row.owner, row.width) == ("uploaded", "shop", 1920)
        task = Queue(database).take()
        assert task is not None
        assert (task.job.image_id, task.tries) == (row.image_id, 1)
        assert [key.owner for key in list_api_keys(database)] == ["shop"]
        assert is_valid_api_key(database, _KEY)
        assert quota_of(database, "shop").stored_bytes == row.size_bytes
        assert backlog(database).pending == (1 if version >= 3 else 0)
    finally:
        database.close()


def test_a_new_file_has_the_schema_of_a_migrated_one(tmp_path: Path) -> None:
    old, new = (apsw.Connection(str(tmp_path / name)) for name in ("old.db", "new.db"))
    old.execute((VERSIONS / "version-1.sql").read_text("utf-8"))
    migrate(old)
    migrate(new)
    assert _schema(old) == _schema(new)


def test_a_file_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    Database(path).close()
    later = apsw.Connection(str(path))
    later.pragma("user_version", VERSION + 1)
    later.close()
    with pytest.raises(BadSetting, match=f"has schema {VERSION + 1}"):
        Database(path)


def test_a_broken_step_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = (*MIGRATIONS, "CREATE TABLE extra (a) STRICT; CREATE TABLE job (a)")
    monkeypatch.setattr("dandyroll.local.schema.MIGRATIONS", broken)
    monkeypatch.setattr("dandyroll.local.schema.VERSION", len(broken))
    connection = apsw.Connection(str(tmp_path / "catalogue.db"))
    with pytest.raises(apsw.SQLError):
        migrate(connection)
    assert connection.pragma("user_version") == 0
    assert _schema(connection) == []


def _schema(connection: apsw.Connection) -> list[tuple[str, str]]:
    return list(connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name"))


_KEY = "dr1OshopSrwE4102444800Kabcdefghijklmnopqrstuvwxyz234567"
