"""Events on the emulator: from rows that settle, by stream, function and topic, to a subscriber."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dandyroll.aws.outbox import event_of
from dandyroll.aws.stream import RecordsGone, given_up_records
from dandyroll.events import Event
from dandyroll.keys import original_key
from dandyroll.local.catalogue import SqliteCatalogue
from dandyroll.local.database import Database
from dandyroll.models import Changes, Claim, Row
from dandyroll.ports import Catalogue
from tests import pictures
from tests.aws.emulator import STACK
from tests.aws.granted import granted
from tests.aws.subscriber import Message, Subscriber, subscribed
from tests.aws.test_chaos import assert_survives
from tests.aws.test_flow import settled, straight
from tests.contract.client import Client
from tests.contract.test_catalogue import RENDITION, new_row

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

REASON = {"code": "corrupt_image", "message": "Expected pixels."}


@pytest.fixture
def aws(emulated_home: "EmulatedHome") -> "EmulatedHome":
    return emulated_home


@pytest.fixture
def shop(aws: "EmulatedHome") -> Iterator[Subscriber]:
    """Who has subscribed to all events."""
    with subscribed(aws, "EventsTopicArn") as subscriber:
        yield subscriber


def about(image_id: str, kind: str) -> Any:
    """Whether a message is the image's event of that type."""

    def wanted(message: Message) -> bool:
        event = json.loads(message["Body"])
        return (event["type"], event["data"]["image-id"]) == (kind, image_id)

    return wanted


def told(subscriber: Subscriber, image_id: str) -> list[Event]:
    events = [Event.from_body(message["Body"]) for message in subscriber.messages]
    return [event for event in events if event.data["image-id"] == image_id]


# --- from upload to subscriber


def test_a_processed_image_is_told_of(aws: "EmulatedHome", shop: Subscriber) -> None:
    client = Client.new(aws)
    image_id = client.upload(pictures.png(), "image/png")
    message = shop.wait_for(about(image_id, "image.processed"))
    row = aws.home.catalogue.get(image_id)
    event = json.loads(message["Body"])
    assert list(event) == ["id", "type", "version", "created_at", "data"]
    assert event["data"] == row.to_json() == client.row(image_id)
    assert event["version"] == 1
    attributes = {name: part["StringValue"] for name, part in message["MessageAttributes"].items()}
    assert attributes == {"type": "image.processed", "owner": client.owner}


def test_a_failed_and_a_deleted_image_are_told_of(aws: "EmulatedHome", shop: Subscriber) -> None:
    image_id, admin = straight("png"), Client.new(aws, frozenset({"admin"}))
    aws.put_original(original_key(image_id), b"no picture")
    failed = shop.wait_for(about(image_id, "image.failed"))
    row = aws.home.catalogue.get(image_id).to_json()
    assert json.loads(failed["Body"])["data"] == row
    assert row["error"]["code"] == "unsupported_format"
    assert admin.send("DELETE", f"/images/{image_id}").status == 204
    deleted = shop.wait_for(about(image_id, "image.deleted"))
    assert json.loads(deleted["Body"])["data"] == row


def test_an_event_that_comes_twice_is_told_once(aws: "EmulatedHome", shop: Subscriber) -> None:
    """What starts the pipeline may come again; the image is settled once, and told of once."""
    image_id = Client.new(aws).upload(pictures.png(), "image/png")
    for _ in range(2):
        aws.deliver(image_id)
    shop.wait_for(about(image_id, "image.processed"))
    last = Client.new(aws).upload(pictures.png(), "image/png")
    shop.wait_for(about(last, "image.processed"))  # the stream is in order
    assert len({event.id for event in told(shop, image_id)}) == 1


def test_an_image_tried_again_has_a_new_event(aws: "EmulatedHome", shop: Subscriber) -> None:
    image_id, admin = straight("png"), Client.new(aws, frozenset({"admin"}))
    aws.put_original(original_key(image_id), b"no picture")
    first = shop.wait_for(about(image_id, "image.failed"))
    assert admin.send("POST", f"/images/{image_id}/retry").status == 202
    second = shop.wait_for(
        lambda m: about(image_id, "image.failed")(m) and m["Body"] != first["Body"]
    )
    bodies = [json.loads(message["Body"]) for message in (first, second)]
    assert bodies[0]["id"] != bodies[1]["id"]


def test_a_subscriber_gets_only_what_its_filter_asks_for(aws: "EmulatedHome") -> None:
    client = Client.new(aws)
    wants = {"type": ["image.deleted"], "owner": [client.owner]}
    with subscribed(aws, "EventsTopicArn", wants) as subscriber:
        image_id = client.upload(pictures.png(), "image/png")
        assert client.processed(image_id).status == 200
        other = Client.new(aws)
        others = other.upload(pictures.png(), "image/png")
        for who, name in ((other, others), (client, image_id)):
            assert who.send("DELETE", f"/images/{name}").status == 204
        subscriber.wait_for(about(image_id, "image.deleted"))
        assert [e.type for e in told(subscriber, image_id)] == ["image.deleted"]
        assert told(subscriber, others) == []


# --- the homes alike


def moves(catalogue: Catalogue) -> str:
    """The moves that an image can make, those told to nobody among them; its id."""
    row = replace(new_row("uploaded"), owner="shop", has_transparency=False, mode="RGB")
    catalogue.create(row)
    catalogue.advance(row.image_id, "resized", Changes(ledger={"load_ms": 2}))
    catalogue.advance(row.image_id, "failed", Changes(error=REASON))
    catalogue.advance(row.image_id, "failed", Changes(error=REASON))
    catalogue.restart(row.image_id)
    catalogue.advance(row.image_id, "failed", Changes(error=REASON))
    catalogue.advance(row.image_id, "processed", Changes(processed=RENDITION))
    catalogue.advance(row.image_id, "resized", Changes())
    claim = Claim("shop", row.image_id, "h", "f", row.image_id, 1, 2)
    catalogue.claim(claim, 0)
    catalogue.release(claim)
    catalogue.delete(row.image_id)
    catalogue.delete(row.image_id)
    copied = replace(new_row("processed"), processed=RENDITION)
    catalogue.create(copied)
    catalogue.delete(copied.image_id)
    ticket = replace(new_row("awaiting"), sha256=None)
    catalogue.create(ticket)
    catalogue.delete(ticket.image_id)
    return ticket.image_id


def alike(events: list[Event]) -> list[tuple[str, str]]:
    """What events say, but for which image's they are and when it was."""
    texts = []
    for event in events:
        body = replace(event, id="", created_at="").body().decode()
        texts.append((event.type, body.replace(event.data["image-id"], "ID")))
    return texts


def test_both_homes_tell_the_same(aws: "EmulatedHome", shop: Subscriber, tmp_path: Path) -> None:
    database = Database(tmp_path / "catalogue.db")
    moves(SqliteCatalogue(database))
    found = database.read().execute("SELECT body FROM event ORDER BY rowid")
    at_home = [Event.from_body(str(body)) for (body,) in found]
    database.close()
    last = moves(aws.home.catalogue)
    shop.wait_for(about(last, "image.deleted"))
    on_aws = [Event.from_body(message["Body"]) for message in shop.messages]
    assert [kind for kind, _ in alike(at_home)] == [
        "image.failed",
        "image.failed",
        "image.processed",
        "image.deleted",
        "image.deleted",
        "image.deleted",
    ]
    assert sorted(alike(on_aws)) == sorted(alike(at_home))


# --- nothing is lost


@contextmanager
def deaf_topic(aws: "EmulatedHome") -> Iterator[None]:
    """Meanwhile nobody may publish to the topic."""
    sns, topic = aws.emulator.client("sns"), aws.outputs["EventsTopicArn"]
    deny = {"Effect": "Deny", "Principal": "*", "Action": "sns:Publish", "Resource": topic}
    before = sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"]
    given = {"TopicArn": topic, "AttributeName": "Policy"}
    policy = {"Version": "2012-10-17", "Statement": [deny]}
    sns.set_topic_attributes(**given, AttributeValue=json.dumps(policy))
    try:
        yield
    finally:
        sns.set_topic_attributes(**given, AttributeValue=before)


def test_events_outlast_an_outage_of_the_topic(aws: "EmulatedHome", shop: Subscriber) -> None:
    client = Client.new(aws)
    with deaf_topic(aws):
        images = [client.upload(pictures.png(), "image/png") for _ in range(3)]
        assert {settled(aws, image_id).status for image_id in images} == {"processed"}
        with pytest.raises(TimeoutError):
            shop.wait_for(about(images[0], "image.processed"), timeout_s=2)
    for image_id in images:
        shop.wait_for(about(image_id, "image.processed"))


@contextmanager
def impatient(aws: "EmulatedHome") -> Iterator[None]:
    """Meanwhile records are given up as soon as they are a second old."""
    client = aws.emulator.client("lambda")
    found = client.list_event_source_mappings(FunctionName=f"{STACK}-publish-events")
    (source,) = found["EventSourceMappings"]
    client.update_event_source_mapping(UUID=source["UUID"], MaximumRecordAgeInSeconds=1)
    try:
        yield
    finally:
        age_s = source["MaximumRecordAgeInSeconds"]
        client.update_event_source_mapping(UUID=source["UUID"], MaximumRecordAgeInSeconds=age_s)


def test_what_was_given_up_can_be_told_after_all(aws: "EmulatedHome", shop: Subscriber) -> None:
    sqs, functions = aws.emulator.client("sqs"), aws.emulator.client("lambda")
    row = new_row("resized")
    aws.home.catalogue.create(row)
    url = aws.outputs["UndeliveredEventsUrl"]
    with deaf_topic(aws), impatient(aws):
        aws.home.catalogue.advance(row.image_id, "processed", Changes(processed=RENDITION))
        messages: list[Any] = []
        while not messages:
            messages = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20).get("Messages", [])
    body = json.loads(messages[0]["Body"])
    assert body["requestContext"]["condition"] == "MaxRecordAgeExceeded"
    found = [event_of(record) for record in given_up_records(body, aws.emulator.cloud)]
    (event,) = [e for e in found if e is not None and e.data["image-id"] == row.image_id]
    with granted(aws, "publish-events", "dynamodb:GetShardIterator", "dynamodb:GetRecords"):
        for _ in range(2):  # the same event each time
            answer = functions.invoke(
                FunctionName=f"{STACK}-publish-events", Payload=messages[0]["Body"].encode()
            )
            assert "FunctionError" not in answer, answer["Payload"].read()
    seen = shop.wait_for(about(row.image_id, "image.processed"))
    again = shop.wait_for(lambda m: m is not seen and about(row.image_id, "image.processed")(m))
    assert seen["Body"] == again["Body"] == event.body().decode()
    sqs.delete_message(QueueUrl=url, ReceiptHandle=messages[0]["ReceiptHandle"])


@pytest.mark.parametrize(
    "forgotten", [{"shardId": "shardId-00000000000000000000-deadbeef"}, {"streamArn": "an-older"}]
)
def test_what_the_stream_has_forgotten_is_said_to_be_gone(
    aws: "EmulatedHome", forgotten: dict[str, str]
) -> None:
    streams = aws.emulator.client("dynamodbstreams")
    (stream,) = streams.list_streams(TableName=aws.outputs["TableName"])["Streams"]
    described = streams.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]
    number = described["Shards"][0]["SequenceNumberRange"]["StartingSequenceNumber"]
    if "streamArn" in forgotten:
        forgotten = {"streamArn": f"{stream['StreamArn'].rpartition('/')[0]}/2020-01-01T00:00:00.0"}
    place = {
        "streamArn": stream["StreamArn"],
        "shardId": described["Shards"][0]["ShardId"],
        "startSequenceNumber": number,
        "endSequenceNumber": number,
        **forgotten,
    }
    with pytest.raises(RecordsGone, match="younger than 24 h"):
        list(given_up_records({"DDBStreamBatchInfo": place}, aws.emulator.cloud))


def test_the_topic_got_what_the_stream_tells(aws: "EmulatedHome", shop: Subscriber) -> None:
    """Every event there is in the stream arrives, and nothing else; the ids are the records'."""
    client = Client.new(aws)
    images = [client.upload(pictures.png(), "image/png") for _ in range(3)]
    for image_id in images:
        shop.wait_for(about(image_id, "image.processed"))
    expected = {e.id for e in stream_events(aws) if e.data["image-id"] in images}
    seen = [Event.from_body(message["Body"]) for message in shop.messages]
    assert {event.id for event in seen if event.data["image-id"] in images} == expected
    assert len(expected) == len(images)


def test_every_settled_image_is_told_of(aws: "EmulatedHome", shop: Subscriber) -> None:
    """Uploads at once, each one's start delivered three times: whatever settles has its event."""
    before = set(rows(aws))
    assert_survives(aws, random.Random(25), uploads=6, clients=3, every_event_twice=True)
    new = {name: row for name, row in rows(aws).items() if name not in before}
    assert len(new) == 6
    for image_id, row in new.items():
        message = shop.wait_for(about(image_id, f"image.{row.status}"))
        assert json.loads(message["Body"])["data"] == row.to_json()


def rows(aws: "EmulatedHome") -> dict[str, Row]:
    found: dict[str, Row] = {}
    cursor: str | None = ""
    while cursor is not None:
        page = aws.home.catalogue.list(None, None, 500, cursor)
        found |= {row.image_id: row for row in page.rows}
        cursor = page.cursor
    return found


def stream_events(aws: "EmulatedHome") -> list[Event]:
    streams = aws.emulator.client("dynamodbstreams")
    (stream,) = streams.list_streams(TableName=aws.outputs["TableName"])["Streams"]
    described = streams.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]
    (shard,) = described["Shards"]
    iterator = streams.get_shard_iterator(
        StreamArn=stream["StreamArn"],
        ShardId=shard["ShardId"],
        ShardIteratorType="TRIM_HORIZON",
    )["ShardIterator"]
    events: list[Event] = []
    while True:
        page = streams.get_records(ShardIterator=iterator)
        if not page["Records"]:
            return events
        for record in page["Records"]:
            change = dict(record["dynamodb"])
            at = change["ApproximateCreationDateTime"].timestamp()
            event = event_of({**record, "dynamodb": {**change, "ApproximateCreationDateTime": at}})
            events += [event] if event else []
        iterator = page["NextShardIterator"]
