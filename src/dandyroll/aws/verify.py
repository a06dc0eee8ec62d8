"""Whether every row has its objects and every object its row: what `local/verify.py` does at home.

Beside a stack at work: what looks wrong is looked at again before it is told, and objects younger
than `sweep_min_age_s` are passed over. Sizes cost a request an object; bytes are read only where
that is asked for.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal, TypeVar

from dandyroll.aws.listing import index_key
from dandyroll.aws.objects import Entry
from dandyroll.aws.strays import adopt, named
from dandyroll.aws.table import KEY
from dandyroll.aws.unsettled import entered
from dandyroll.aws.upkeep import Upkeep
from dandyroll.findings import Finding, Kind
from dandyroll.keys import ORIGINALS, RENDITIONS, original_key
from dandyroll.models import Row

_THREADS = 16
_TOGETHER = 200  # rows or objects that are looked at together
_SETTLE_S = 1.0
_LIFECYCLE_S = 2 * 24 * 60 * 60  # S3 acts once a day, on what was due the midnight before
_LOST: frozenset[Kind] = frozenset(
    ("image-gone", "original-missing", "original-changed", "row-unreadable")
)

T = TypeVar("T")


@dataclass(frozen=True)
class Care:
    """What `verify` is to do. `read`: compare checksums, not sizes alone. `repair`: put right what
    can be. `forget`: remove rows without any object, as a restored table has of deleted images.
    """

    read: bool = False
    repair: bool = False
    forget: bool = False


def verify(upkeep: Upkeep, care: Care) -> Iterator[Finding]:
    """Look at every row and every object; yield what is wrong, and do what `care` says of it.

    Not to be put right are originals that are lost or changed, and rows that cannot be read.
    """
    with ThreadPoolExecutor(_THREADS) as threads:
        for items in _batches(item for item in upkeep.table.items() if "#" not in item[KEY]):
            looks = threads.map(lambda item: _examine(upkeep, item, care.read), items)
            suspects = [item for item, found in zip(items, looks, strict=True) if found]
            if suspects:
                time.sleep(_SETTLE_S)  # an image that was being deleted is gone by now
            for item in suspects:
                yield from _row(upkeep, str(item[KEY]), care)
    for prefix, look in ((ORIGINALS, _originals), (RENDITIONS, _renditions)):
        before = time.time() - upkeep.home.settings.sweep_min_age_s
        old = (entry for entry in upkeep.objects.entries(prefix) if entry.changed_at <= before)
        for entries in _batches(old):
            yield from look(upkeep, entries, care.repair)


def _batches(things: Iterable[T]) -> Iterator[list[T]]:
    walk = iter(things)
    while batch := list(islice(walk, _TOGETHER)):
        yield batch


# --- rows and their objects


def _row(upkeep: Upkeep, image_id: str, care: Care) -> Iterator[Finding]:
    item = upkeep.table.find(image_id)
    if item is None:
        return
    found = _examine(upkeep, item, care.read)
    kinds = {finding.kind for finding in found}
    done = None
    if "image-gone" in kinds and care.forget:
        upkeep.catalogue.delete(image_id)
        done = "its row was removed"
    elif kinds and care.repair and not kinds & _LOST:
        done = _mend(upkeep, item, kinds)
    yield from (replace(finding, repaired=done) for finding in found)


def _examine(upkeep: Upkeep, item: dict[str, Any], read: bool) -> list[Finding]:
    try:
        row = upkeep.catalogue.row_from(item)
    except (ValueError, KeyError, TypeError) as error:
        return [Finding("row-unreadable", str(item[KEY]), repr(error))]
    found = []
    place = index_key(row)
    if {name: item.get(name) for name in place} != place:
        found.append(Finding("row-unlisted", row.image_id, "no listing of images finds it"))
    if row.status == "awaiting":  # its bytes may never come
        return found
    gone = []
    refused = row.status == "failed" and row.sha256 is None  # a ticket's bytes, then deleted
    if row.original_deleted_at is None and not refused:
        expected = (row.size_bytes, row.sha256 or "")
        gone += _compare(upkeep, row, original_key(row.image_id), expected, "original", read)
    if row.status == "processed":
        if row.processed is None:
            says = "processed, but without `processed`"
            return [*found, Finding("row-unreadable", row.image_id, says)]
        expected = (row.processed.size_bytes, row.processed.etag)
        gone += _compare(upkeep, row, row.processed.key, expected, "rendition", read)
    if {finding.kind for finding in gone} == {"original-missing", "rendition-missing"}:
        gone = [Finding("image-gone", row.image_id, "neither its original nor its rendition")]
    return found + gone


def _compare(
    upkeep: Upkeep,
    row: Row,
    key: str,
    expected: tuple[int, str],
    name: Literal["original", "rendition"],
    read: bool,
) -> list[Finding]:
    size_bytes, digest = expected
    entry = upkeep.objects.find(key)
    if entry is None:
        kind: Kind = "original-missing" if name == "original" else "rendition-missing"
        return [Finding(kind, row.image_id, f"expected {size_bytes} bytes at {key}")]
    got = f"{entry.size_bytes} bytes"
    if entry.size_bytes == size_bytes and read and digest:
        got = hashlib.sha256(upkeep.objects.get(key)).hexdigest()
        if got == digest:
            return []
    elif entry.size_bytes == size_bytes:
        return []
    kind = "original-changed" if name == "original" else "rendition-changed"
    says = f"expected {size_bytes} bytes, SHA-256 {digest}, at {key}; got {got}"
    return [Finding(kind, row.image_id, says)]


def _mend(upkeep: Upkeep, item: dict[str, Any], kinds: set[Kind]) -> str | None:
    """Put the row right, if it still is as it was seen; what was done."""
    row = upkeep.catalogue.row_from(item)
    seen = {"status": row.status}
    listed = "row-unlisted" in kinds and upkeep.catalogue.list_anew(row)
    if kinds == {"row-unlisted"}:
        return "listed again" if listed else None
    if row.original_deleted_at is not None:
        return None
    new = {"status": "uploaded", **entered(replace(row, status="uploaded"), int(time.time()))}
    if not upkeep.table.update(row.image_id, new, seen, gone={"processed"}):
        return None
    upkeep.executions.start(row)
    return "to be processed anew"


# --- objects and their rows


def _originals(upkeep: Upkeep, entries: list[Entry], repair: bool) -> Iterator[Finding]:
    now = time.time()
    ids = {entry.key: named(entry.key) for entry in entries}
    there = upkeep.table.find_all([image_id for image_id in ids.values() if image_id])
    for entry in entries:
        image_id = ids[entry.key]
        item = there.get(image_id)
        if not image_id:
            yield Finding("original-misnamed", entry.key, "no image can have that name")
        elif item is None and upkeep.objects.find(entry.key):
            done = _adopt(upkeep, entry) if repair else None
            yield Finding("original-ownerless", entry.key, "no row", done)
        elif item is not None and _deleted_at(upkeep, item, now) < now - _LIFECYCLE_S:
            done = _delete(upkeep, entry, repair)
            yield Finding("original-left", entry.key, "its row says it was deleted", done)


def _renditions(upkeep: Upkeep, entries: list[Entry], repair: bool) -> Iterator[Finding]:
    ids = [entry.key.rpartition("/")[2] for entry in entries]
    there = upkeep.table.find_all([*{image_id for image_id in ids if image_id}])
    for image_id, entry in zip(ids, entries, strict=True):
        if image_id not in there and upkeep.objects.find(entry.key):
            done = _delete(upkeep, entry, repair)
            yield Finding("rendition-ownerless", entry.key, "no row names it", done)


def _deleted_at(upkeep: Upkeep, item: dict[str, Any], now: float) -> float:
    """When the row says that the original went; `now` where it does not say so."""
    try:
        return upkeep.catalogue.row_from(item).original_deleted_at or now
    except (ValueError, KeyError, TypeError):  # told of the row already
        return now


def _adopt(upkeep: Upkeep, entry: Entry) -> str | None:
    for row in adopt(upkeep, [entry]):
        upkeep.executions.start(row)
        return "adopted: it has a row, and the pipeline was started"
    return None


def _delete(upkeep: Upkeep, entry: Entry, repair: bool) -> str | None:
    if not repair:
        return None
    upkeep.objects.delete(entry.key)
    return "removed"
