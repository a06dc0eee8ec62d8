"""Records of the table's stream that were given up, read once more while the stream has them.

Lambda leaves in the queue of what it gave up only where the records are, not the records. A
stream keeps them for 24 hours.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from dandyroll.aws.cloud import Cloud

GIVEN_UP = "DDBStreamBatchInfo"
"""The member of a message of that queue that says where the records are."""


_PAGES = 1_000  # of the stream, before we think that something else is wrong


class RecordsGone(Exception):  # no caller of the API ever sees it, so it is not in errors.py
    """The stream has forgotten the records; the rows still say what became of the images."""


def given_up_records(message: Mapping[str, Any], cloud: Cloud) -> Iterator[dict[str, Any]]:
    """The records that a message of the queue is about, in order.

    Raises `RecordsGone` where not all of them are there any more.
    """
    place = message[GIVEN_UP]
    client, last = cloud.client("dynamodbstreams"), int(place["endSequenceNumber"])
    iterator = _iterator(client, place)
    for _ in range(_PAGES):
        page = client.get_records(ShardIterator=iterator)
        for record in page["Records"]:
            number = int(record["dynamodb"]["SequenceNumber"])
            if number <= last:
                yield _as_lambda_has_it(record)
            if number >= last:
                return
        iterator = page.get("NextShardIterator", "")
        if not iterator:
            break
    raise RecordsGone(f"Expected a record {last} in {place['shardId']}; there is none.")


def _iterator(client: Any, place: Mapping[str, Any]) -> str:
    gone = client.exceptions
    try:
        found: str = client.get_shard_iterator(
            StreamArn=place["streamArn"],
            ShardId=place["shardId"],
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            SequenceNumber=place["startSequenceNumber"],
        )["ShardIterator"]
    except (gone.TrimmedDataAccessException, gone.ResourceNotFoundException) as error:
        raise RecordsGone(f"Expected records younger than 24 h; got {place}.") from error
    return found


def _as_lambda_has_it(record: Mapping[str, Any]) -> dict[str, Any]:
    """Lambda has the time in epoch seconds; all else is the same."""
    change = dict(record["dynamodb"])
    change["ApproximateCreationDateTime"] = change["ApproximateCreationDateTime"].timestamp()
    return {**record, "dynamodb": change}
