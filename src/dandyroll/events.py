"""What the outside is told of: an image was processed, has failed, was deleted.

An event is JSON of a few kilobytes. Its id is the same however often it is delivered, so that a
receiver can tell a second delivery from a second event. No order of delivery is promised; what
an image has come to is what its newest row says.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self, get_args

from dandyroll.models import Row, Status, isoformat

EventType = Literal["image.processed", "image.failed", "image.deleted"]

EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)

SETTLED_EVENTS: Mapping[Status, EventType] = {
    "processed": "image.processed",
    "failed": "image.failed",
}
"""What a move to each status is told as; a move to any other is told to nobody."""

VERSION = 1
"""Of the shape below. Attributes may be added under one version, none is changed or removed."""


@dataclass(frozen=True)
class Event:
    """One thing that happened: `created_at` is ISO 8601 in UTC, `data` the image's row."""

    id: str
    type: str
    created_at: str
    data: Mapping[str, Any]
    version: int = VERSION

    def body(self) -> bytes:
        """The event as it is sent and signed: the same bytes each time."""
        attributes = {
            "id": self.id,
            "type": self.type,
            "version": self.version,
            "created_at": self.created_at,
            "data": self.data,
        }
        return json.dumps(attributes, separators=(",", ":")).encode()

    @classmethod
    def from_body(cls, body: str | bytes) -> Self:
        return cls(**json.loads(body))


class NotDelivered(Exception):  # no caller of the API ever sees it, so it is not in errors.py
    """The other side may not have the events. The message, for the log, says what came of it.

    `reachable` is False where nothing else would get through either: no connection, no answer,
    or an answer that asks for patience. `retry_after_s` is what that answer asks for.
    """

    def __init__(self, message: str, *, reachable: bool, retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.reachable = reachable
        self.retry_after_s = retry_after_s


def new_event(kind: str, data: Mapping[str, Any], now: float, event_id: str = "") -> Event:
    """A new event; `now` in epoch seconds. Its id is a random one where none is given."""
    created_at = isoformat(datetime.fromtimestamp(now, UTC))
    return Event(event_id or f"evt_{secrets.token_hex(16)}", kind, created_at, data)


def image_event(kind: EventType, row: Row, now: float, event_id: str = "") -> Event:
    """What happened to this row, which is told as it stands (for a deletion: as it stood)."""
    return new_event(kind, row.to_json(), now, event_id)


def parse_event_types(text: str) -> tuple[EventType, ...]:
    """`image.failed,image.deleted`, in our order and without repetition; `ValueError` else."""
    given = {part.strip() for part in text.split(",") if part.strip()}
    if not given or not given.issubset(EVENT_TYPES):
        expected = ", ".join(EVENT_TYPES)
        raise ValueError(f"events: expected some of {expected}, with commas; got {text!r}.")
    return tuple(kind for kind in EVENT_TYPES if kind in given)
