"""Whether every row has its objects, with the right bytes, and every object its row.

Beside a running server too: what looks wrong is looked at again before it is told, and files
younger than `sweep_min_age_s` are passed over.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import apsw

from dandyroll.errors import DandyrollError
from dandyroll.findings import Finding, Kind
from dandyroll.keys import ORIGINALS, RENDITIONS, original_key
from dandyroll.local.home import CATALOGUE, check_catalogue, open_upkeep
from dandyroll.local.objects import Entry
from dandyroll.local.queue import remove_job
from dandyroll.local.upkeep import (
    Upkeep,
    adopt_original,
    is_ownerless,
    original_state,
    process_anew,
)
from dandyroll.models import SETTLED, Row
from dandyroll.settings import Settings

_CHUNK = 1 << 20
_BATCH = 500
_SETTLE_S = 1.0


def verify_folder(settings: Settings, repair: bool) -> Iterator[Finding]:
    """`verify` for the settings' data folder, which no server need have open.

    Raises `BadSetting` where there is no such folder.
    """
    check_catalogue(settings.data_dir)
    try:
        with open_upkeep(settings) as upkeep:
            yield from verify(upkeep, repair)
    except apsw.Error as error:
        yield Finding("catalogue-damaged", CATALOGUE, f"{error}; restore a backup")


def verify(upkeep: Upkeep, repair: bool) -> Iterator[Finding]:
    """Look at everything, every byte of it; yield what is wrong, and with `repair` put it right.

    Not to be put right are originals that are lost or changed, and rows that cannot be read.
    """
    damage = list(_catalogue(upkeep))
    yield from damage
    if damage:  # what it says of the objects is worth nothing now
        return
    suspects = [image_id for image_id in _image_ids(upkeep) if any(_row(upkeep, image_id, False))]
    if suspects:
        time.sleep(_SETTLE_S)  # an image half deleted by the server is gone by now
    for image_id in suspects:
        yield from _row(upkeep, image_id, repair)
    yield from _jobs(upkeep, repair)
    before = time.time() - upkeep.home.settings.sweep_min_age_s
    for entry in upkeep.objects.entries(ORIGINALS):
        if entry.changed_at <= before:
            yield from _original(upkeep, entry, repair)
    for entry in upkeep.objects.entries(RENDITIONS):
        if entry.changed_at <= before and is_ownerless(upkeep, entry.key):
            done = _delete(entry, repair)
            yield Finding("rendition-ownerless", entry.key, "no row names it", done)
    for entry in upkeep.objects.temporary_files():
        if entry.changed_at <= before:
            done = _delete(entry, repair)
            yield Finding("temporary-file", entry.key, "a write broke off", done)


def read_digest(path: Path) -> tuple[int, str] | None:
    """A file's size and SHA-256; None if there is none."""
    digest, size_bytes = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size_bytes += len(chunk)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    except OSError as error:
        return 0, f"unreadable: {error.strerror}"
    return size_bytes, digest.hexdigest()


def _catalogue(upkeep: Upkeep) -> Iterator[Finding]:
    try:
        for (says,) in upkeep.database.read().execute("PRAGMA integrity_check(20)"):
            if says != "ok":
                yield Finding("catalogue-damaged", CATALOGUE, f"{says}; restore a backup")
    except apsw.Error as error:
        yield Finding("catalogue-damaged", CATALOGUE, f"{error}; restore a backup")


def _image_ids(upkeep: Upkeep) -> Iterator[str]:
    sql = 'SELECT "image-id" FROM "image-metadata" WHERE "image-id" > ? ORDER BY 1 LIMIT ?'
    last = ""
    while batch := upkeep.database.read().execute(sql, (last, _BATCH)).fetchall():
        yield from (str(image_id) for (image_id,) in batch)
        last = str(batch[-1][0])


def _row(upkeep: Upkeep, image_id: str, repair: bool) -> Iterator[Finding]:
    """What is wrong with one image: looked at again where the row changed while we looked."""
    while True:
        try:
            row = _read_row(upkeep, image_id)
        except (ValueError, KeyError, TypeError) as error:
            yield Finding("row-unreadable", image_id, repr(error))
            return
        if row is None:
            return
        found = list(_examine(upkeep, row))
        if not found or _read_row(upkeep, image_id) == row:
            break
    sound = row.original_deleted_at is None and not any(
        finding.kind in ("original-missing", "original-changed", "row-unreadable")
        for finding in found
    )
    for finding in found:
        anew = repair and sound and process_anew(upkeep, row)
        yield replace(finding, repaired="to be processed anew" if anew else None)


def _read_row(upkeep: Upkeep, image_id: str) -> Row | None:
    sql = 'SELECT row FROM "image-metadata" WHERE "image-id" = ?'
    found = upkeep.database.read().execute(sql, (image_id,)).get
    return None if found is None else Row.from_json(json.loads(found))


def _examine(upkeep: Upkeep, row: Row) -> Iterator[Finding]:
    if row.status == "awaiting":  # its bytes may never come
        return
    if row.original_deleted_at is None and row.sha256:
        key = original_key(row.image_id)
        expected = (row.size_bytes, row.sha256)
        yield from _compare(upkeep, row.image_id, key, expected, "original")
    if row.status == "processed":
        if row.processed is None:
            yield Finding("row-unreadable", row.image_id, "processed, but without `processed`")
            return
        expected = (row.processed.size_bytes, row.processed.etag)
        yield from _compare(upkeep, row.image_id, row.processed.key, expected, "rendition")
    elif row.status not in SETTLED:
        sql = "SELECT 1 FROM job WHERE image_id = ?"
        if upkeep.database.read().execute(sql, (row.image_id,)).get is None:
            yield Finding("job-missing", row.image_id, f"{row.status}, but there is no job")


def _compare(
    upkeep: Upkeep,
    image_id: str,
    key: str,
    expected: tuple[int, str],
    name: Literal["original", "rendition"],
) -> Iterator[Finding]:
    found = read_digest(upkeep.objects.path(key))
    if found is None:
        kind: Kind = "original-missing" if name == "original" else "rendition-missing"
        yield Finding(kind, image_id, f"expected {expected[0]} bytes at {key}")
    elif found != expected:
        kind = "original-changed" if name == "original" else "rendition-changed"
        says = f"expected {expected[0]} bytes, SHA-256 {expected[1]}, at {key}; "
        yield Finding(kind, image_id, f"{says}got {found[0]} bytes, {found[1]}")


def _jobs(upkeep: Upkeep, repair: bool) -> Iterator[Finding]:
    sql = """
        SELECT image_id FROM job WHERE NOT EXISTS
            (SELECT 1 FROM "image-metadata" WHERE "image-id" = job.image_id)
    """
    for (image_id,) in upkeep.database.read().execute(sql).fetchall():
        if repair:
            upkeep.database.write(partial(remove_job, image_id=str(image_id)))
        yield Finding("job-ownerless", str(image_id), "no row", "removed" if repair else None)


def _original(upkeep: Upkeep, entry: Entry, repair: bool) -> Iterator[Finding]:
    state = original_state(upkeep, entry.key)
    if state == "misnamed":
        yield Finding("original-misnamed", entry.key, "no image can have that name")
    elif state == "deleted":
        done = _delete(entry, repair)
        yield Finding("original-left", entry.key, "its row says it was deleted", done)
    elif state == "ownerless":
        says, done = "no row", None
        if repair:
            try:
                adopt_original(upkeep, entry)
                done = "adopted: it has a row and a job"
            except DandyrollError as error:
                says = f"no row, and not adopted: {error.code}: {error.message}"
        yield Finding("original-ownerless", entry.key, says, done)


def _delete(entry: Entry, repair: bool) -> str | None:
    if not repair:
        return None
    entry.path.unlink(missing_ok=True)
    return "removed"
