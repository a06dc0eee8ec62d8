"""Newest first on DynamoDB: an index on day and shard, walked back from day to day.

A row is in the index under its day and one of ten shards, which its id decides, so that a busy
day's writes do not all meet in one partition. The index also holds a calendar: an item for each
day on which images came, anybody's and each owner's. So a walk meets no stretch of empty days,
and ends with the first day there was.

A place in the index is a row's `created_date` and id: text whose order is that of time. A day
alone is a place too, before all rows of that day.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from dandyroll.aws.table import KEY, PARTITION, PLACE, Table
from dandyroll.cursor import decode_cursor, encode_cursor
from dandyroll.models import Row, Status

SHARDS = 10
_ROUNDS = 30  # a page costs at most as many questions to every shard, and one to the calendar
_LOOK = 1000  # items of a shard to look at in a round, where not every one is wanted
_SEPARATOR = "#"  # no id or date has one

Ask = Callable[[str, str], tuple[list[str], str]]


def index_key(row: Row) -> dict[str, str]:
    """The attributes by which a row is in the index. They never change."""
    return {
        PARTITION: _partition(_day(row), shard_of(row)),
        PLACE: _place(row.created_date, row.image_id),
    }


def shard_of(row: Row) -> int:
    return zlib.crc32(row.image_id.encode()) % SHARDS


class Calendar:
    """The days on which images came, anybody's and each owner's. Nothing is ever struck out."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._noted: set[tuple[str, str]] = set()

    def note(self, row: Row) -> None:
        """Enter the row's day; to be done before the row is written, so that it is found."""
        for name in (_calendar(None), _calendar(row.owner)):
            entry = (name, _day(row))
            if entry not in self._noted:
                key = _SEPARATOR.join(entry)
                self._table.put({KEY: key, PARTITION: name, PLACE: _day(row)}, seen=None)
                self._noted.add(entry)

    def days(self, owner: str | None, place: str) -> tuple[list[str], bool]:
        """The last days before the place, newest first, and whether there are earlier ones."""
        items, came_to = self._table.older(_calendar(owner), place, _ROUNDS, {})
        return [item[PLACE] for item in items], came_to != ""


def list_ids(
    table: Table,
    calendar: Calendar,
    owner: str | None,
    status: Status | None,
    limit: int,
    cursor: str,
) -> tuple[list[str], str | None]:
    """Ids of up to `limit` rows, newest first, and the cursor of what is left.

    There may be fewer before the end, or none: a page costs so many questions and no more.
    Raises `BadParameter`.
    """
    reached = start = _place(*decode_cursor(cursor)) if cursor else ""
    wanted = {name: v for name, v in (("owner", owner), ("status", status)) if v is not None}
    most = _LOOK if wanted else limit + 1
    days, is_more = calendar.days(owner, start)
    found: list[str] = []
    with ThreadPoolExecutor(SHARDS) as threads:

        def ask(day: str, place: str) -> tuple[list[str], str]:
            """Every shard at once. One that stopped early hides what is older: that has to wait."""
            shards = (_partition(day, shard) for shard in range(SHARDS))
            answers = list(threads.map(lambda s: table.older(s, place, most, wanted), shards))
            came_to = max(came_to for _, came_to in answers)
            places = (item[PLACE] for items, _ in answers for item in items)
            return sorted((p for p in places if p >= came_to), reverse=True), came_to

        for places, came_to in islice(_rounds(ask, days, start), _ROUNDS):
            found, reached = found + places, came_to
            if len(found) > limit:
                return [_image_id(p) for p in found[:limit]], _cursor(found[limit - 1])
    is_done = not days or (reached == days[-1] and not is_more)
    return [_image_id(p) for p in found], None if is_done else _cursor(reached)


def _rounds(ask: Ask, days: Sequence[str], place: str) -> Iterator[tuple[list[str], str]]:
    """Back from day to day: the places that each round has found, and the one it came to."""
    for day in days:
        is_done = False
        while not is_done:
            places, came_to = ask(day, place)
            is_done, place = came_to == "", came_to or day
            yield places, place


def _day(row: Row) -> str:
    return row.created_date[:10]


def _partition(day: str, shard: int) -> str:
    return f"{day}{_SEPARATOR}{shard}"


def _calendar(owner: str | None) -> str:
    return "days" if owner is None else f"days{_SEPARATOR}{owner}"


def _place(created_date: str, image_id: str) -> str:
    return f"{created_date}{_SEPARATOR}{image_id}" if image_id else created_date


def _image_id(place: str) -> str:
    return place.partition(_SEPARATOR)[2]


def _cursor(place: str) -> str:
    created_date, _, image_id = place.partition(_SEPARATOR)
    return encode_cursor(created_date, image_id)
