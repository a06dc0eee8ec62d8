"""Rows back from a table that point-in-time recovery has made, beside the one in use.

DynamoDB restores into a new table; the bucket is not restored with it. So a row comes back only
where its image is still there: what was deleted on purpose stays deleted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dandyroll.aws.table import KEY, Table
from dandyroll.aws.upkeep import Upkeep
from dandyroll.errors import Conflict
from dandyroll.keys import original_key
from dandyroll.models import Row

_SEPARATOR = "#"  # no id of an image has one

Outcome = Literal["restored", "kept", "gone", "unreadable"]


@dataclass(frozen=True)
class Restored:
    """What became of one row: `kept` where the table in use has one, `gone` without objects."""

    image_id: str
    outcome: Outcome


def restore_rows(upkeep: Upkeep, source: Table) -> Iterator[Restored]:
    """Give the table in use each row of `source` that it lacks and whose image is still there.

    Nothing that is there is changed. Ended and begun again, it goes on.
    """
    for item in source.items():
        image_id = str(item[KEY])
        if _SEPARATOR in image_id:  # a claim or the like: those of the table in use count
            continue
        try:
            row = Row.from_json(item)
        except (ValueError, KeyError, TypeError):
            yield Restored(image_id, "unreadable")
            continue
        yield Restored(image_id, _restore(upkeep, row))


def _restore(upkeep: Upkeep, row: Row) -> Outcome:
    keys = [original_key(row.image_id)]
    if row.processed is not None:
        keys.append(row.processed.key)
    if upkeep.table.find(row.image_id) is not None:
        return "kept"
    if row.status != "awaiting" and not any(upkeep.objects.find(key) for key in keys):
        return "gone"
    try:
        upkeep.catalogue.move_in(row)
    except Conflict:
        return "kept"
    return "restored"
