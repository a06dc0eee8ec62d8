"""The outbox on AWS is the table's own stream: each write of a row is a record in it.

So what settles or deletes an image tells of it in the same step, as a transaction does at home.
Lambda reads the stream and calls a function with the records, as often as it takes; an event's id
is made from its record's, so that it is the same each time.
"""

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dandyroll.aws.attributes import from_item
from dandyroll.aws.cloud import Cloud
from dandyroll.aws.stream import GIVEN_UP, given_up_records
from dandyroll.events import (
    EVENT_TYPES,
    SETTLED_EVENTS,
    Event,
    EventType,
    NotDelivered,
    image_event,
)
from dandyroll.models import SETTLED, Row, rank
from dandyroll.ports import Notifier

log = logging.getLogger("dandyroll.notify")

Record = Mapping[str, Any]
"""One record of a table's stream with its old and new images, as Lambda hands it on."""

Answer = dict[str, list[dict[str, str]]]
"""What Lambda is to be told of a batch: the first record that it is to bring again, if any."""


def event_of(record: Record) -> Event | None:
    """What the record tells the outside of; None for nothing.

    The template's filter lets few others through: claims, days and moves on the way cost no call.
    What cannot be read never will be, so the log is told of it, and what comes after goes on.
    """
    change = record["dynamodb"]
    try:
        before, after = _row(change.get("OldImage")), _row(change.get("NewImage"))
    except (ValueError, KeyError, TypeError):
        log.exception("Unreadable, so nobody is told of it: %s", change.get("Keys"))
        return None
    told = _told(before, after)
    if told is None:
        return None
    kind, row = told
    digest = hashlib.sha256(record["eventID"].encode()).hexdigest()
    now = float(change["ApproximateCreationDateTime"])
    return image_event(kind, row, now, f"evt_{digest[:32]}")


def _row(image: Mapping[str, Any] | None) -> Row | None:
    """The row, where the item is one: a claim and a day have no status."""
    return Row.from_json(from_item(image)) if image and "status" in image else None


def _told(before: Row | None, after: Row | None) -> tuple[EventType, Row] | None:
    if before is None:  # what is created was not moved: a copy of a row is no event
        return None
    if after is None:
        # An upload that was never accepted is withdrawn; a ticket nobody used may be deleted.
        withdrawn = before.status == "awaiting" and before.sha256 is not None
        return None if withdrawn else ("image.deleted", before)
    moved_on = rank(after.status) > rank(before.status)
    return (SETTLED_EVENTS[after.status], after) if moved_on and after.status in SETTLED else None


def work_through(
    call: Mapping[str, Any],
    cloud: Cloud,
    notifier: Notifier,
    at_once: int,
    types: Collection[str] = EVENT_TYPES,
) -> tuple[list[Event], Answer]:
    """Deliver what a function was called with: records that Lambda has brought, or a message.

    A message, of the queue of records that were given up, is brought by an operator once what was
    wrong is right again; nobody reads the answer to that, so where not all could be delivered
    `NotDelivered` is raised. Raises `RecordsGone` where the stream has them no more.
    """
    if GIVEN_UP not in call:
        return deliver(call["Records"], notifier, at_once, types)
    published, answer = deliver(list(given_up_records(call, cloud)), notifier, at_once, types)
    if answer["batchItemFailures"]:
        raise NotDelivered(f"Only {len(published)} events have gone out.", reachable=True)
    return published, answer


def deliver(
    records: Sequence[Record],
    notifier: Notifier,
    at_once: int,
    types: Collection[str] = EVENT_TYPES,
) -> tuple[list[Event], Answer]:
    """Publish the records' events of those types in order, so many at once.

    Returns the events that have gone out and what Lambda is to be told. Where none has, raises
    `NotDelivered`: then the call counts as failed, and Lambda tries with half of the records, so
    that one that cannot be told at all ends up alone.
    """
    found = ((record["dynamodb"]["SequenceNumber"], event_of(record)) for record in records)
    waiting = [(number, event) for number, event in found if event and event.type in types]
    published: list[Event] = []
    for start in range(0, len(waiting), at_once):
        parcel = [event for _, event in waiting[start : start + at_once]]
        try:
            answer = notifier.publish(parcel)
        except NotDelivered as error:
            log.warning("Not delivered: %s", error.message, extra={"events": len(parcel)})
            if not published:
                raise
            return published, {"batchItemFailures": [{"itemIdentifier": waiting[start][0]}]}
        for event in parcel:
            log.info("Delivered: %s", answer, extra=_labels(event))
        published += parcel
    return published, {"batchItemFailures": []}


def _labels(event: Event) -> dict[str, Any]:
    """What a log line about an event carries beside its words."""
    row = event.data
    trace_id = row.get("ledger", {}).get("trace_id", "")
    facts = {"event_id": event.id, "type": event.type, "image_id": row["image-id"]}
    return {**facts, "trace_id": trace_id}
