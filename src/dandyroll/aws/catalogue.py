"""The catalogue on DynamoDB.

Claims on idempotency keys live in the table too, under ids that no image can have:
`claim#<owner>#<SHA-256 of the key>`. Their `expires-at` is the table's TTL attribute, which
only cleans up: DynamoDB may take days over it, so what counts is compared here. The days of
`listing.Calendar` are there as well, under ids of that kind.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dandyroll.aws.listing import Calendar, index_key, list_ids
from dandyroll.aws.table import KEY, Table
from dandyroll.aws.unsettled import entered, moved
from dandyroll.errors import Conflict, NotFound, StoreUnavailable
from dandyroll.models import Changes, Claim, Page, Row, Status

_RACES = 20  # lost in a row before we think that something else is wrong
_HOLDING = ("holder", "lease-until", "expires-at")  # what no two claims have in common
_DAY_S = 24 * 60 * 60
_TOGETHER = 1000  # rows to ask the table for in one go


class DynamoCatalogue:
    """`ports.Catalogue` on one table.

    The bucket deletes originals after `keep_originals_days`, 0 for never, and writes no rows: an
    older row is read as saying so.
    """

    def __init__(self, table: Table, keep_originals_days: int = 0) -> None:
        self._table = table
        self._calendar = Calendar(table)
        self._keep_originals_s = keep_originals_days * _DAY_S

    def create(self, row: Row) -> None:
        self._calendar.note(row)
        item = {**row.to_json(), **index_key(row), **entered(row, row.uploaded_at)}
        if self._table.put(item, seen=None):
            return
        if not self.get(row.image_id).awaits(row):
            raise Conflict(f"There is an image {row.image_id} already.")

    def move_in(self, row: Row) -> None:
        self._calendar.note(row)
        if not self._table.put({**row.to_json(), **index_key(row)}, seen=None):
            raise Conflict(f"There is an image {row.image_id} already.")

    def get(self, image_id: str) -> Row:
        item = self._table.find(image_id)
        if item is None:
            raise NotFound("No image has that name.")
        return self.row_from(item)

    def advance(self, image_id: str, status: Status, changes: Changes) -> Row:
        return self._move(image_id, lambda row: row.advanced(status, changes))

    def restart(self, image_id: str) -> Row:
        return self._move(image_id, Row.restarted)

    def _move(self, image_id: str, rule: Callable[[Row], Row | None]) -> Row:
        # Read, decide by the row's own rule, write if the row is still the one decided on. A
        # rank in the condition would save the read, but say the rule a second time.
        for _ in range(_RACES):
            row = self.get(image_id)
            other = rule(row)
            if other is None:
                return row
            before, after = row.to_json(), other.to_json()
            new = {name: value for name, value in after.items() if before.get(name) != value}
            place, left = moved(row, other, int(time.time()))
            gone = (before.keys() - after.keys()) | left
            seen = {"status": row.status}
            if self._table.update(image_id, {**new, **place}, seen, gone):
                return other
        raise _too_many_races()

    def list(self, owner: str | None, status: Status | None, limit: int, cursor: str) -> Page:
        ids, left = list_ids(self._table, self._calendar, owner, status, limit, cursor)
        items = self._table.find_all(ids)  # the index is a moment behind, and has no whole rows
        rows = (self.row_from(items[image_id]) for image_id in ids if image_id in items)
        return Page(tuple(row for row in rows if status in (None, row.status)), left)

    def list_anew(self, row: Row) -> bool:
        """Put a row back where listings find it; False where it has moved on."""
        self._calendar.note(row)
        return self._table.update(row.image_id, index_key(row), seen={"status": row.status})

    def delete(self, image_id: str) -> None:
        self._table.delete(image_id)

    def withdraw(self, row: Row) -> bool:
        """Take back a row whose upload could not be stored.

        False, and nothing done, once the row has moved on, or where it is another upload's.
        """
        return self._table.delete(row.image_id, {"status": "awaiting", "sha256": row.sha256})

    def find_all(self, image_ids: Sequence[str]) -> dict[str, Row]:
        """The rows there are of those images, by their ids."""
        found: dict[str, Row] = {}
        for start in range(0, len(image_ids), _TOGETHER):
            items = self._table.find_all(image_ids[start : start + _TOGETHER])
            found |= {image_id: self.row_from(item) for image_id, item in items.items()}
        return found

    def row_from(self, item: Mapping[str, Any]) -> Row:
        """The item as the row it is; `KeyError` or the like for one that is none."""
        row = Row.from_json(item)
        ends_at = row.uploaded_at + self._keep_originals_s
        if not self._keep_originals_s or row.original_deleted_at or ends_at > time.time():
            return row
        return replace(row, original_deleted_at=ends_at)

    def claim(self, claim: Claim, now: int) -> Claim:
        for _ in range(_RACES):
            item = self._table.find(_claim_id(claim))
            standing = None if item is None else _claim_from(claim, item)
            holds = claim.against(standing, now)
            if holds is standing:
                return holds
            seen = None if item is None else {name: item[name] for name in _HOLDING}
            if self._table.put(_claim_item(holds), seen):
                return holds
        raise _too_many_races()

    def release(self, claim: Claim) -> None:
        self._table.update(_claim_id(claim), {"lease-until": 0}, seen={"holder": claim.holder})


def _claim_id(claim: Claim) -> str:
    return f"claim#{claim.owner}#{hashlib.sha256(claim.key.encode()).hexdigest()}"


def _claim_item(claim: Claim) -> dict[str, Any]:
    return {
        KEY: _claim_id(claim),
        "holder": claim.holder,
        "fingerprint": claim.fingerprint,
        "claimed-id": claim.image_id,
        "lease-until": claim.lease_until,
        "expires-at": claim.expires_at,
    }


def _claim_from(claim: Claim, item: Mapping[str, Any]) -> Claim:
    return replace(
        claim,
        holder=item["holder"],
        fingerprint=item["fingerprint"],
        image_id=item["claimed-id"],
        lease_until=item["lease-until"],
        expires_at=item["expires-at"],
    )


def _too_many_races() -> StoreUnavailable:
    return StoreUnavailable(f"{_RACES} writers were quicker.", retry_after_s=1)
