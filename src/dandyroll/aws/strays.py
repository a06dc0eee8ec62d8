"""Objects under `uploaded/` that have no row: put straight into the bucket, and their event lost.

A bucket may hold millions, so a walk over the keys goes on from run to run, and asks the table
only about what is new since the last time round. Ids of our own carry their second, and their rows
come first: those of more than two days ago are jumped over.
"""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from dandyroll.aws.objects import Entry
from dandyroll.aws.table import KEY, Table
from dandyroll.aws.tickets import unread_row
from dandyroll.aws.upkeep import Upkeep
from dandyroll.errors import Conflict, NotFound
from dandyroll.keys import ORIGINALS, first_of, image_id_of, is_minted, original_key
from dandyroll.models import Row

_LOOK = 20_000  # keys a run: 20 questions to S3
_TOGETHER = 1000  # of which so many are looked up at once
_MINTED_FOR = timedelta(days=2)  # an upload may come under an id that was minted a day ago
_IN_PARTS_S = 2 * 24 * 60 * 60  # what comes in parts is dated by its first, a day ago at most
_WALK = "sweep#strays"


@dataclass(frozen=True)
class Walk:
    """How far the walk has come: `after` which key, in the round that `began` then.

    All that changed before `looked_until` was looked at in earlier rounds. In epoch seconds.
    """

    after: str
    began: int
    looked_until: int


def adopt_strays(upkeep: Upkeep, now: int, most: int) -> list[Row]:
    """Go on with the walk, and give up to `most` objects without a row one that is `uploaded`.

    An object that changed in the last `sweep_min_age_s` is left for the next round: its event may
    be under way.
    """
    min_age_s = upkeep.home.settings.sweep_min_age_s
    item = upkeep.table.find(_WALK)
    walk = Walk(item["after"], item["began"], item["looked-until"]) if item else Walk("", now, 0)
    if not walk.after:
        walk = Walk("", now, walk.looked_until)
    adopted: list[Row] = []
    last, seen = walk.after, 0
    for batch in _batches(islice(_entries(upkeep, now, walk.after), _LOOK)):
        new = [e for e in batch if _is_news(e, walk.looked_until, now - min_age_s)]
        adopted += islice(adopt(upkeep, new), most - len(adopted))
        seen += len(batch)
        last = batch[-1].key
        if len(adopted) == most:
            last = original_key(adopted[-1].image_id)
            break
    else:
        if seen < _LOOK:
            last, walk = "", Walk("", now, walk.began - min_age_s)
    _keep(upkeep.table, Walk(last, walk.began, walk.looked_until), item)
    return adopted


def adopt_all_strays(upkeep: Upkeep, now: int) -> Iterator[Row]:
    """The same with every key there is, whatever its age; takes a while in a large bucket."""
    before = now - upkeep.home.settings.sweep_min_age_s
    for batch in _batches(upkeep.objects.entries(ORIGINALS)):
        yield from adopt(upkeep, [entry for entry in batch if entry.changed_at < before])


def _entries(upkeep: Upkeep, now: int, after: str) -> Iterator[Entry]:
    """All from there on, but for minted ids that are old."""
    recent = original_key(first_of(datetime.fromtimestamp(now, UTC) - _MINTED_FOR))
    for entry in upkeep.objects.entries(ORIGINALS, after):
        if entry.key < recent and is_minted(entry.key.removeprefix(ORIGINALS)):
            yield from upkeep.objects.entries(ORIGINALS, recent)
            return
        yield entry


def _is_news(entry: Entry, looked_until: int, before: int) -> bool:
    minted = is_minted(entry.key.removeprefix(ORIGINALS))  # and then it came in one piece
    since = looked_until if minted else looked_until - _IN_PARTS_S
    return since <= entry.changed_at < before


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    walk = iter(entries)
    while batch := list(islice(walk, _TOGETHER)):
        yield batch


def adopt(upkeep: Upkeep, entries: list[Entry]) -> Iterator[Row]:
    """Rows, `uploaded`, for those of the originals that have none; they are still to be started."""
    entered = {image_id: entry for entry in entries if (image_id := named(entry.key))}
    there = upkeep.catalogue.find_all(list(entered))
    for image_id, entry in entered.items():
        if image_id in there:
            continue
        unread = unread_row(upkeep.home, image_id, entry.size_bytes, secrets.token_hex(16))
        row = replace(unread, status="uploaded")
        try:
            upkeep.catalogue.create(row)
        except Conflict:  # its event has come after all
            continue
        yield row


def named(key: str) -> str:
    """The image that the key is the original of; empty for a name that no image can have."""
    try:
        return image_id_of(key)
    except NotFound:
        return ""


def _keep(table: Table, walk: Walk, seen: dict[str, object] | None) -> None:
    """Where two run at once, one of them says how far the walk has come."""
    item = {"after": walk.after, "began": walk.began, "looked-until": walk.looked_until}
    table.put({KEY: _WALK, **item}, seen)
