"""Rows back from a table that point-in-time recovery has made, beside the one in use.

DynamoDB restores into a new table; the bucket is not restored with it. So a row comes back only
where its image is still there: what was deleted on purpose stays deleted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from dandyroll.aws.cloud import Cloud
from dandyroll.aws.listing import index_key
from dandyroll.aws.stack import operators_errors
from dandyroll.aws.table import KEY, Table
from dandyroll.aws.upkeep import Upkeep
from dandyroll.errors import Conflict
from dandyroll.intake import ADOPTED_OWNER
from dandyroll.keys import original_key
from dandyroll.models import SETTLED, Row

_SEPARATOR = "#"  # no id of an image has one

Outcome = Literal["restored", "kept", "gone", "busy", "unreadable"]


@dataclass(frozen=True)
class Restored:
    """What became of one row: `kept` where the table in use has one, `gone` without objects.

    `busy` is one whose image was adopted and is being processed: to be tried again.
    """

    image_id: str
    outcome: Outcome


def open_source(name: str, cloud: Cloud) -> Table:
    """The table to restore from. Raises `CloudError`, `ValueError` for one of another kind."""
    with operators_errors():
        found = cloud.client("dynamodb").describe_table(TableName=name)["Table"]
    keys = [key["AttributeName"] for key in found["KeySchema"]]
    if keys != [KEY]:
        raise ValueError(f"--from {name}: expected a table with the key {KEY}; got {keys}.")
    return Table(name, cloud)


def restore_rows(upkeep: Upkeep, source: Table) -> Iterator[Restored]:
    """Give the table in use each row of `source` that it lacks and whose image is still there.

    Nothing that is there is changed, but for rows of images that were adopted when theirs was
    lost: they get their owner back. Ended and begun again, it goes on.
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
    standing = upkeep.table.find(row.image_id)
    if standing is not None:
        return _give_back(upkeep, standing, row)
    if not any(upkeep.objects.find(key) for key in keys):
        return "gone"
    try:
        upkeep.catalogue.move_in(row)
    except Conflict:
        return "kept"
    return "restored"


def _give_back(upkeep: Upkeep, standing: dict[str, Any], row: Row) -> Outcome:
    """Replace the row that the sweep gave an image whose own was lost: it has no owner."""
    if standing.get("owner") != ADOPTED_OWNER or row.owner == ADOPTED_OWNER:
        return "kept"
    if standing["status"] not in SETTLED or row.status not in SETTLED:
        return "busy"
    seen = {name: standing[name] for name in ("owner", "status", "created_date")}
    replaced = upkeep.table.put({**row.to_json(), **index_key(row)}, seen)
    return "restored" if replaced else "busy"
