"""`dandyroll backup`: a whole, consistent copy of a data folder, beside a running server.

The catalogue is copied first, as it stood at one moment; then exactly the objects that its rows
name. Whatever was accepted before that moment has its row in it, and each row's objects were
there before the row. What can still change under us is an image deleted or processed anew
before its objects were copied: its row in the copy is then brought up to date, and its objects
copied as that row says.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw

from dandyroll import __version__
from dandyroll.errors import StoreUnavailable
from dandyroll.keys import original_key
from dandyroll.local.archive import Archive, FolderArchive, TarArchive
from dandyroll.local.config import FILE_NAME
from dandyroll.local.home import CATALOGUE, check_catalogue, objects_root
from dandyroll.local.objects import FileObjectStore, sync_folder
from dandyroll.local.partial import partial_folder
from dandyroll.models import Row, isoformat
from dandyroll.settings import BadSetting

NOTE = "backup.json"
FORMAT = 1

_TRIES = 5
_SETTLE_S = 0.5


@dataclass(frozen=True)
class Backup:
    """A finished backup. `damaged` are images whose objects were lost or changed before it."""

    path: Path
    images: int
    objects: int
    size_bytes: int
    damaged: tuple[str, ...]


def backup(data_dir: Path, to: Path, previous: Path | None = None) -> Backup:
    """Write a backup of the data folder at `to`: a tar file if so named, else a new folder.

    It has its name only once it is whole and on disk. What is unchanged since `previous`, a
    backup folder on the same disk, is linked from there instead of copied. Raises `BadSetting`
    where it is asked wrongly, `StoreUnavailable` where it cannot be written.
    """
    check_catalogue(data_dir)
    if to.exists():
        raise BadSetting(f"--to {to}: expected a name that is free; it is there already.")
    if previous is not None and not (previous / NOTE).is_file():
        raise BadSetting(f"--previous {previous}: expected a backup folder of ours.")
    if previous is not None and _is_tar(to):
        raise BadSetting(
            f"--previous {previous}: expected a folder to write to; {to} is a tar file."
        )
    if objects_root(data_dir).resolve() in to.resolve().parents:
        raise BadSetting(f"--to {to}: expected a place outside {objects_root(data_dir)}.")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with partial_folder(to) as scratch:
            done = _write(data_dir, to, scratch, previous)
            (scratch / "whole").rename(to)
            sync_folder(to.parent)
        return done
    except OSError as error:
        raise StoreUnavailable(f"The backup could not be written: {error}.") from error
    except apsw.Error as error:
        raise StoreUnavailable(f"The catalogue could not be copied: {error}.") from error


def _write(data_dir: Path, to: Path, scratch: Path, previous: Path | None) -> Backup:
    whole = scratch / "whole"
    if not _is_tar(to):
        return _fill(FolderArchive(whole, previous), data_dir, to, scratch)
    with os.fdopen(os.open(whole, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b") as file:
        return _fill(TarArchive(file), data_dir, to, scratch)


def _fill(archive: Archive, data_dir: Path, to: Path, scratch: Path) -> Backup:
    copy = scratch / CATALOGUE
    live = _copy_catalogue(data_dir / CATALOGUE, copy)
    snapshot = apsw.Connection(str(copy))
    try:
        objects = FileObjectStore(objects_root(data_dir))
        damaged = _add_images(snapshot, live, objects, archive)
        images = int(str(snapshot.execute('SELECT count(*) FROM "image-metadata"').get))
        snapshot.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    finally:
        snapshot.close()
        live.close()
    archive.add_file(CATALOGUE, copy)
    if (data_dir / FILE_NAME).is_file():
        archive.add_file(FILE_NAME, data_dir / FILE_NAME)
    done = Backup(to, images, archive.objects, archive.size_bytes, tuple(damaged))
    note = scratch / NOTE
    note.write_text(json.dumps(_note(done), indent=2) + "\n", "utf-8")
    archive.add_file(NOTE, note)
    archive.finish()
    return done


def _copy_catalogue(source: Path, target: Path) -> apsw.Connection:
    """Copy it as of one moment, without keeping its writer waiting; the source, still open."""
    live = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READWRITE)
    live.set_busy_timeout(10_000)
    copy = apsw.Connection(str(target))
    try:
        with copy.backup("main", live, "main") as copying:
            while not copying.done:
                copying.step(-1)  # all in one read transaction: writers go on in the log
    finally:
        copy.close()
    return live


def _add_images(
    snapshot: apsw.Connection, live: apsw.Connection, objects: FileObjectStore, archive: Archive
) -> list[str]:
    """Add what the rows of the copy name; the images of which something is not to be had."""
    pending: dict[str, set[str]] = {}  # images to look at again, and what of them is added
    for image_id in _image_ids(snapshot):
        added: set[str] = set()
        if not _add_image(image_id, snapshot, objects, archive, added):
            pending[image_id] = added
    for _ in range(_TRIES):
        if not pending:
            break
        time.sleep(_SETTLE_S)  # of an image being deleted, the objects go before the row
        for image_id, added in list(pending.items()):
            _bring_up_to_date(image_id, snapshot, live)
            if _add_image(image_id, snapshot, objects, archive, added):
                del pending[image_id]
    return sorted(pending)


def _add_image(
    image_id: str,
    snapshot: apsw.Connection,
    objects: FileObjectStore,
    archive: Archive,
    added: set[str],
) -> bool:
    """Add what the image's row names and is not `added` yet; whether that is all now."""
    row = _row(snapshot, image_id)
    complete = True
    for key, size_bytes, sha256, optional in _named(row) if row else ():
        if key + sha256 in added:
            continue
        if archive.add_object(key, objects.path(key), size_bytes, sha256):
            added.add(key + sha256)
        elif not optional:
            complete = False
    return complete


def _named(row: Row) -> Iterator[tuple[str, int, str, bool]]:
    """The objects a row names: key, size in bytes, SHA-256, and whether it may be absent yet."""
    if row.original_deleted_at is None and row.sha256 is not None:
        awaited = row.status == "awaiting"
        yield original_key(row.image_id), row.size_bytes, row.sha256, awaited
    if row.processed is not None:
        yield row.processed.key, row.processed.size_bytes, row.processed.etag, False


def _bring_up_to_date(image_id: str, snapshot: apsw.Connection, live: apsw.Connection) -> None:
    """Take over into the copy what became of the image since: its row and its job, or neither."""
    with live:  # both as of one moment
        for table, key in (("image-metadata", "image-id"), ("job", "image_id")):
            # Without the columns that SQLite computes, which cannot be written.
            found = live.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
            columns, marks = (
                ", ".join(f'"{name}"' for (name,) in found),
                ", ".join("?" * len(found)),
            )
            sql = f'SELECT {columns} FROM "{table}" WHERE "{key}" = ?'  # noqa: S608 - our schema
            now = live.execute(sql, (image_id,)).fetchone()
            if now is None:
                sql = f'DELETE FROM "{table}" WHERE "{key}" = ?'  # noqa: S608 - literals
                snapshot.execute(sql, (image_id,))
                continue
            # Updated rather than written anew: triggers count what is added and removed.
            changes = ", ".join(f'"{name}" = excluded."{name}"' for (name,) in found)
            sql = f"""INSERT INTO "{table}" ({columns}) VALUES ({marks})
                ON CONFLICT ("{key}") DO UPDATE SET {changes}"""  # noqa: S608 - our schema
            snapshot.execute(sql, now)


def _row(connection: apsw.Connection, image_id: str) -> Row | None:
    sql = 'SELECT row FROM "image-metadata" WHERE "image-id" = ?'
    found = connection.execute(sql, (image_id,)).get
    return None if found is None else Row.from_json(json.loads(str(found)))


def _image_ids(connection: apsw.Connection) -> Iterator[str]:
    sql = 'SELECT "image-id" FROM "image-metadata" WHERE "image-id" > ? ORDER BY 1 LIMIT 500'
    last = ""
    while batch := connection.execute(sql, (last,)).fetchall():
        yield from (str(image_id) for (image_id,) in batch)
        last = str(batch[-1][0])


def _is_tar(to: Path) -> bool:
    return to.suffix == ".tar"


def _note(done: Backup) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "dandyroll": __version__,
        "created_date": isoformat(datetime.now(UTC)),
        "images": done.images,
        "objects": done.objects,
        "size_bytes": done.size_bytes,
        "damaged": list(done.damaged),
    }
