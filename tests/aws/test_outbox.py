"""The outbox on AWS: which records of the table's stream are events, and how they are handed on."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from dandyroll.aws.attributes import to_item
from dandyroll.aws.catalogue import _claim_item
from dandyroll.aws.outbox import deliver, event_of
from dandyroll.events import EVENT_TYPES, Event, NotDelivered
from dandyroll.models import SETTLED, STATUSES, Changes, Claim, Status
from tests.aws.templates import template
from tests.contract.test_catalogue import new_row

TEMPLATE = template()
RESOURCES = TEMPLATE["Resources"]
SOURCES = ("PublishEventsSource", "MailEventsSource")

Item = Mapping[str, Any]


def record(before: Item | None, after: Item | None, number: int = 1) -> dict[str, Any]:
    """A record of the stream, as Lambda brings it."""
    change: dict[str, Any] = {
        "ApproximateCreationDateTime": 1795435200.0,
        "SequenceNumber": str(number),
    }
    if before is not None:
        change["OldImage"] = to_item(before)
    if after is not None:
        change["NewImage"] = to_item(after)
    name = "INSERT" if before is None else "REMOVE" if after is None else "MODIFY"
    return {"eventID": f"{number:032x}", "eventName": name, "dynamodb": change}


def row(status: Status, **more: Any) -> dict[str, Any]:
    return replace(new_row(status), **more).to_json()


def settled(number: int) -> dict[str, Any]:
    before = new_row("resized")
    after = before.advanced("processed", Changes())
    assert after is not None
    return record(before.to_json(), after.to_json(), number)


# --- which records are events


def test_a_settled_row_is_told_whole() -> None:
    before = new_row("resized")
    after = before.advanced("failed", Changes(error={"code": "internal", "message": "m"}))
    assert after is not None
    index = {"listed-under": "2025-09-29#3", "listed-at": "2025-09-29T22:29:31.045Z#x"}
    found = record({**before.to_json(), **index}, {**after.to_json(), **index})
    told = event_of(found)
    assert told is not None
    assert (told.type, told.data) == ("image.failed", after.to_json())
    assert told.created_at == "2026-11-23T12:00:00.000Z"
    assert told.body() == Event(told.id, "image.failed", told.created_at, after.to_json()).body()


def test_what_cannot_be_read_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """An item that somebody changed by hand: tried again and again, it would stop all others."""
    spoilt = row("processed")
    del spoilt["bucket"]
    told, listener = [record(spoilt, None, 1), settled(2)], Listener(10)
    published, answer = deliver(told, listener, at_once=10)
    assert [event.data["status"] for event in published] == ["processed"]
    assert answer == {"batchItemFailures": []}
    assert "Unreadable" in caplog.text


def test_an_id_is_the_records() -> None:
    first, again, other = (event_of(settled(number)) for number in (1, 1, 2))
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.id == again.id != other.id
    assert len(first.id) == len("evt_3f1d0a5e9c4b47d2a1f06b7c8d9e0f12")


def test_moves_are_told_as_the_rule_of_rows_has_it() -> None:
    """Forward to where an image is settled; a retry, which is the one step back, is not."""
    for old in STATUSES:
        for new in STATUSES:
            before = new_row(old)
            moved = before.advanced(new, Changes())
            after = moved or replace(before, status=new)
            told = event_of(record(before.to_json(), after.to_json()))
            assert (told is not None) == (moved is not None and new in SETTLED), (old, new)


def test_what_is_created_is_no_event() -> None:
    for status in STATUSES:
        assert event_of(record(None, row(status))) is None


def test_a_deletion_is_told_as_the_row_last_stood() -> None:
    for status in STATUSES:
        last = row(status, sha256=None)
        told = event_of(record(last, None))
        assert told is not None
        assert (told.type, told.data) == ("image.deleted", last)


def test_an_upload_that_was_not_accepted_goes_quietly() -> None:
    assert event_of(record(row("awaiting"), None)) is None
    assert event_of(record(row("uploaded"), None)) is not None


CLAIM = _claim_item(Claim("shop", "k", "h", "f", "upload-1.jpg", 1, 2))
DAY = {"image-id": "days#2025-09-29", "listed-under": "days", "listed-at": "2025-09-29"}


@pytest.mark.parametrize("item", [CLAIM, DAY], ids=["claim", "day"])
def test_what_is_no_row_is_no_event(item: Item) -> None:
    for before, after in ((None, item), (item, {**item, "lease-until": 5}), (item, None)):
        assert event_of(record(before, after)) is None


# --- the filter, which keeps calls from being made for nothing


def passes(pattern: Any, found: Any) -> bool:
    """Lambda's rule, as far as the template uses it."""
    if isinstance(pattern, list):
        return found in pattern
    return isinstance(found, dict) and all(passes(p, found.get(n)) for n, p in pattern.items())


def patterns(source: str) -> list[Any]:
    filters = RESOURCES[source]["Properties"]["FilterCriteria"]["Filters"]
    return [json.loads(one["Pattern"]) for one in filters]


@pytest.mark.parametrize("source", SOURCES)
def test_the_filter_lets_every_event_through_and_nearly_nothing_else(source: str) -> None:
    rows = [row(status, sha256=known) for status in STATUSES for known in ("0" * 64, None)]
    families: list[list[Item | None]] = [[None, *rows], [None, CLAIM], [None, DAY]]
    several = [record(a, b) for items in families for a in items for b in items if a or b]
    passing = [r for r in several if any(passes(p, r) for p in patterns(source))]
    events = [r for r in several if event_of(r) is not None]
    assert [r for r in events if r not in passing] == []
    assert len(events) > 20
    idle = [r for r in passing if r not in events]
    assert [(r["eventName"], r["dynamodb"]["OldImage"]["status"]["S"]) for r in idle] == [
        ("REMOVE", "awaiting")  # withdrawn: which it is, a filter cannot say
    ]


# --- handing them on


class Listener:
    """Takes so many events, then no more."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.heard: list[str] = []

    def publish(self, events: Sequence[Event]) -> str:
        for event in events:
            if len(self.heard) == self.takes:
                raise NotDelivered("no more", reachable=False)
            self.heard.append(event.id)
        return "heard"


def ids(records: Sequence[Mapping[str, Any]]) -> list[str]:
    return [event.id for event in map(event_of, records) if event]


def test_all_are_published_in_order() -> None:
    records = [settled(number) for number in range(25)]
    records.insert(3, record(None, DAY, 99))
    listener = Listener(100)
    published, answer = deliver(records, listener, 10)
    assert answer == {"batchItemFailures": []}
    assert listener.heard == [event.id for event in published] == ids(records)


def test_lambda_is_told_where_to_go_on() -> None:
    """Played through as Lambda does it: the batch again from the record named, until it is done."""
    records = [settled(number) for number in range(40)]
    listener = Listener(15)
    heard: set[str] = set()
    left, calls = records, 0
    while left:
        calls += 1
        published, answer = deliver(left, listener, 10)
        heard |= {event.id for event in published}
        failures = answer["batchItemFailures"]
        if not failures:
            break
        numbers = [r["dynamodb"]["SequenceNumber"] for r in left]
        left = left[numbers.index(failures[0]["itemIdentifier"]) :]
        listener.takes += 25
    assert calls == 3
    assert heard == set(ids(records)) == set(listener.heard)


def test_where_nothing_gets_through_the_call_has_failed() -> None:
    with pytest.raises(NotDelivered, match="no more"):
        deliver([settled(1)], Listener(0), 10)


def test_a_record_that_cannot_be_told_ends_up_alone() -> None:
    """Lambda halves a batch whose call has failed: all but the one get out."""

    class Refuses(Listener):
        def publish(self, events: Sequence[Event]) -> str:
            if bad in [event.id for event in events]:
                raise NotDelivered("too large", reachable=True)
            return super().publish(events)

    records = [settled(number) for number in range(32)]
    (bad,), listener = ids([records[13]]), Refuses(1000)
    given_up: list[Mapping[str, Any]] = []

    def bring(batch: list[dict[str, Any]]) -> None:
        try:
            _, answer = deliver(batch, listener, 10)
        except NotDelivered:
            if len(batch) == 1:
                given_up.extend(batch)
                return
            bring(batch[: len(batch) // 2])
            bring(batch[len(batch) // 2 :])
            return
        for failure in answer["batchItemFailures"]:
            numbers = [r["dynamodb"]["SequenceNumber"] for r in batch]
            bring(batch[numbers.index(failure["itemIdentifier"]) :])

    bring(records)
    assert given_up == [records[13]]
    assert set(listener.heard) == set(ids(records)) - {bad}


def test_only_the_wanted_types_are_told() -> None:
    before = new_row("uploaded")
    gone = record(before.to_json(), None, 7)
    listener = Listener(100)
    deliver([settled(1), gone], listener, 10, ["image.deleted"])
    assert listener.heard == ids([gone])


# --- the wiring


@pytest.mark.parametrize("function", ["PublishEvents", "MailEvents"])
def test_what_cannot_be_delivered_is_kept(function: str) -> None:
    about = RESOURCES[f"{function}Source"]["Properties"]
    assert about["EventSourceArn"] == {"Fn::GetAtt": ["Table", "StreamArn"]}
    assert about["FunctionName"] == {"Ref": function}
    before = function == "PublishEvents"  # mail is of what comes after it was asked for
    assert about["StartingPosition"] == ("TRIM_HORIZON" if before else "LATEST")
    assert about["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert about["BisectBatchOnFunctionError"] is True
    assert about["MaximumRecordAgeInSeconds"] < 24 * 3600  # the stream's own patience
    assert about["MaximumRetryAttempts"] > 0
    assert about["DestinationConfig"] == {
        "OnFailure": {"Destination": {"Fn::GetAtt": ["UndeliveredEvents", "Arn"]}}
    }
    queue = RESOURCES["UndeliveredEvents"]["Properties"]
    assert queue == {"MessageRetentionPeriod": 14 * 24 * 3600, "SqsManagedSseEnabled": True}


def test_the_stream_has_rows_before_and_after() -> None:
    stream = RESOURCES["Table"]["Properties"]["StreamSpecification"]
    assert stream == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


def test_the_topic_is_encrypted_and_for_tls_only() -> None:
    assert RESOURCES["Events"]["Properties"]["KmsMasterKeyId"] == "alias/aws/sns"
    (deny,) = RESOURCES["EventsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Action"]) == ("Deny", "sns:Publish")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_failures_are_mailed_to_who_asks_for_it() -> None:
    mailed = RESOURCES["EventsByEmail"]
    assert mailed["Condition"] == "HasEventsEmail"
    assert mailed["Properties"]["FilterPolicy"] == {"type": ["image.failed"]}
    assert set(mailed["Properties"]["FilterPolicy"]["type"]) <= set(EVENT_TYPES)


def test_mail_is_sent_only_where_there_are_addresses() -> None:
    for name in ("MailEvents", "MailEventsSource", "MailEventsLogs"):
        assert RESOURCES[name]["Condition"] == "SendsMail"
    assert RESOURCES["MailEventsSource"]["Properties"]["MaximumBatchingWindowInSeconds"] == 300


def test_mail_with_one_end_is_refused_at_deployment() -> None:
    ends = [{"Fn::Not": [{"Fn::Equals": [{"Ref": n}, ""]}]} for n in ("MailFrom", "MailTo")]
    rule = TEMPLATE["Rules"]["MailHasBothEnds"]
    assert rule["RuleCondition"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "MailFrom"}, {"Ref": "MailTo"}]}]
    }
    assert [one["Assert"] for one in rule["Assertions"]] == [{"Fn::And": ends}]


def test_the_sender_is_a_bare_address() -> None:
    """SES gives leave by it, and would not by `Shop <shop@example.com>`."""
    fits = re.compile(TEMPLATE["Parameters"]["MailFrom"]["AllowedPattern"]).fullmatch
    assert fits("")
    assert fits("shop@example.com")
    assert not fits("Shop <shop@example.com>")
