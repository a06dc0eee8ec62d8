"""What is not settled yet: an index that a row leaves once it is processed or has failed.

So what was lost is found without a look at what was not, however large the table has grown. A row
is in the index under its kind and shard, sorted by the moment from which it has been waiting.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Literal

from dandyroll.aws.listing import SHARDS, shard_of
from dandyroll.aws.table import DUE, KEY, SINCE, STARTS, UNDER, Table
from dandyroll.models import SETTLED, Row

Kind = Literal["uploads", "tickets"]
"""`tickets` wait for bytes that nobody has seen; `uploads` are all others."""


@dataclass(frozen=True)
class Waiting:
    """An image that is not settled, `since` when, and how often it was `started` again.

    Before `due_at` it is not to be started once more. Times in epoch seconds.
    """

    image_id: str
    since: int
    started: int = 0
    due_at: int = 0


def entered(row: Row, since: int) -> dict[str, Any]:
    """The attributes by which a row is in the index; none where it is settled."""
    place = _place(row)
    return {UNDER: place, SINCE: since} if place else {}


def moved(before: Row, after: Row, now: int) -> tuple[Mapping[str, Any], Set[str]]:
    """What a row's move changes of its place in the index: new attributes, and those gone."""
    if _place(before) == _place(after):
        return {}, frozenset()
    new = entered(after, now)
    return new, {UNDER, SINCE, STARTS, DUE} - new.keys()


def oldest(table: Table, kind: Kind, before: int, most: int) -> list[Waiting]:
    """What has waited since before the moment, oldest first; up to `most` of each shard."""
    found = []
    for shard in range(SHARDS):
        for item in table.oldest(f"{kind}#{shard}", before, most):
            about = (item[KEY], item[SINCE], item.get(STARTS, 0), item.get(DUE, 0))
            found.append(Waiting(*about))
    return sorted(found, key=lambda waiting: waiting.since)


def claim(table: Table, waiting: Waiting, row: Row, due_at: int) -> bool:
    """Take it upon oneself to start the image again; False where it moved on, or another did."""
    seen = {"status": row.status, STARTS: waiting.started or None}
    return table.update(row.image_id, {STARTS: waiting.started + 1, DUE: due_at}, seen)


def give_back(table: Table, waiting: Waiting) -> None:
    """Undo a claim, where nothing could be started."""
    started = waiting.started
    before, gone = ({STARTS: started}, ()) if started else ({}, (STARTS,))
    table.update(waiting.image_id, {DUE: 0, **before}, {STARTS: started + 1}, gone)


def _place(row: Row) -> str:
    if row.status in SETTLED:
        return ""
    kind: Kind = "tickets" if row.status == "awaiting" and row.sha256 is None else "uploads"
    return f"{kind}#{shard_of(row)}"
