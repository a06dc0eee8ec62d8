"""One DynamoDB table, keyed by `image-id`: items in and out as plain values."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from dandyroll.aws.attributes import from_item, to_item
from dandyroll.aws.cloud import Cloud
from dandyroll.errors import StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEY = "image-id"

INDEX = "newest-first"
PARTITION, PLACE = "listed-under", "listed-at"
"""The index on the table and its key. Items without these attributes are not in it."""

UNSETTLED = "unsettled"
UNDER, SINCE = "unsettled-under", "unsettled-since"
STARTS, DUE = "started-again", "due-at"
"""A second index, its key, and what it has beside it (`unsettled.py`)."""

_BATCH = 100  # the most items DynamoDB gives for one question
_BATCHES = 20  # asked in a row before we think that something else is wrong


class _ConditionFailed(Exception):
    """DynamoDB looked at the condition and wrote nothing."""


class Table:
    """Every method raises `StoreUnavailable` where DynamoDB does not answer.

    The client is made when it is first needed: that takes 150 ms, and a function may be done
    without it.
    """

    def __init__(self, name: str, cloud: Cloud) -> None:
        self._name = name
        self._cloud = cloud

    @cached_property
    def _client(self) -> "DynamoDBClient":
        return cast("DynamoDBClient", self._cloud.client("dynamodb"))

    def find(self, key: str) -> dict[str, Any] | None:
        """The item as every earlier write left it."""
        with _our_errors():
            answer = self._client.get_item(
                TableName=self._name, Key=to_item({KEY: key}), ConsistentRead=True
            )
        return from_item(answer["Item"]) if "Item" in answer else None

    def items(self) -> Iterator[dict[str, Any]]:
        """All items, in no order, as every earlier write left them."""
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._name, ConsistentRead=True
        )
        with _our_errors():
            for page in pages:
                yield from (from_item(item) for item in page["Items"])

    def put(self, item: Mapping[str, Any], seen: Mapping[str, Any] | None) -> bool:
        """Write the whole item if the one in its place still is as it was `seen`.

        `seen` names the attributes that must be as they were, those with None absent; or it is
        None where there must be no item. False, and nothing written, where it is otherwise.
        """
        if seen is None:
            condition: dict[str, Any] = {
                "ConditionExpression": "attribute_not_exists(#key)",
                "ExpressionAttributeNames": {"#key": KEY},
            }
        else:
            condition = _unchanged(seen)
        return self._written("put_item", {"Item": to_item(item), **condition})

    def update(
        self,
        key: str,
        new: Mapping[str, Any],
        seen: Mapping[str, Any],
        gone: Collection[str] = (),
    ) -> bool:
        """Write the `new` attributes and drop those `gone` if the item still is as it was `seen`.

        Else False. There must be a new one.
        """
        condition = _unchanged(seen)
        expression = "SET " + ", ".join(f"#new{n} = :new{n}" for n in range(len(new)))
        if gone:
            expression += " REMOVE " + ", ".join(f"#gone{n}" for n in range(len(gone)))
        names = {f"#new{n}": name for n, name in enumerate(new)}
        names |= {f"#gone{n}": name for n, name in enumerate(gone)}
        values = {f":new{n}": value for n, value in enumerate(new.values())}
        request = {
            "Key": to_item({KEY: key}),
            "UpdateExpression": expression,
            "ConditionExpression": condition["ConditionExpression"],
            "ExpressionAttributeNames": {**names, **condition["ExpressionAttributeNames"]},
            "ExpressionAttributeValues": {
                **to_item(values),
                **condition["ExpressionAttributeValues"],
            },
        }
        return self._written("update_item", request)

    def delete(self, key: str, seen: Mapping[str, Any] | None = None) -> bool:
        """Remove the item, if given only as it was `seen`; False where it is otherwise."""
        condition = {} if seen is None else _unchanged(seen)
        return self._written("delete_item", {"Key": to_item({KEY: key}), **condition})

    def older(
        self, partition: str, place: str, most: int, wanted: Mapping[str, Any]
    ) -> tuple[list[dict[str, Any]], str]:
        """What the index has under `partition` before `place` ("": in all), the newest first.

        Looks at `most` items and returns those that are as `wanted`, and the place it came to:
        "" where there are no more. What the index has is a moment old.
        """
        condition, names = "#partition = :partition", {"#partition": PARTITION}
        values = {":partition": partition}
        if place:
            condition, names["#place"] = f"{condition} AND #place < :place", PLACE
            values[":place"] = place
        query: dict[str, Any] = {}
        if wanted:
            query = {"FilterExpression": " AND ".join(f"#{name} = :{name}" for name in wanted)}
            names |= {f"#{name}": name for name in wanted}
            values |= {f":{name}": value for name, value in wanted.items()}
        with _our_errors():
            answer = self._client.query(
                TableName=self._name,
                IndexName=INDEX,
                KeyConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=to_item(values),
                ScanIndexForward=False,
                Limit=most,
                **query,
            )
        last = answer.get("LastEvaluatedKey")
        items = [from_item(item) for item in answer["Items"]]
        return items, from_item(last)[PLACE] if last else ""

    def oldest(self, partition: str, before: int, most: int) -> list[dict[str, Any]]:
        """Up to `most` items that `UNSETTLED` has there since before the moment, oldest first.

        What the index has is a moment old.
        """
        with _our_errors():
            answer = self._client.query(
                TableName=self._name,
                IndexName=UNSETTLED,
                KeyConditionExpression="#under = :under AND #since < :before",
                ExpressionAttributeNames={"#under": UNDER, "#since": SINCE},
                ExpressionAttributeValues=to_item({":under": partition, ":before": before}),
                Limit=most,
            )
        return [from_item(item) for item in answer["Items"]]

    def find_all(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The items there are of those keys, as every earlier write left them."""
        found: dict[str, dict[str, Any]] = {}
        left = [to_item({KEY: key}) for key in keys]
        for _ in range(_BATCHES):
            if not left:
                return found
            batch, left = left[:_BATCH], left[_BATCH:]
            with _our_errors():
                answer = self._client.batch_get_item(
                    RequestItems={self._name: {"Keys": batch, "ConsistentRead": True}}
                )
            items = (from_item(item) for item in answer["Responses"].get(self._name, []))
            found |= {item[KEY]: item for item in items}
            unprocessed = answer["UnprocessedKeys"].get(self._name)
            left += unprocessed["Keys"] if unprocessed else []
        raise StoreUnavailable("The catalogue did not give all rows.", retry_after_s=1)

    def _written(self, operation: str, request: dict[str, Any]) -> bool:
        try:
            with _our_errors():
                getattr(self._client, operation)(TableName=self._name, **request)
        except _ConditionFailed:
            return False
        return True


def _unchanged(seen: Mapping[str, Any]) -> dict[str, Any]:
    """As a condition; there must be an attribute that is not None."""
    terms, values = [], {}
    for n, value in enumerate(seen.values()):
        if value is None:
            terms.append(f"attribute_not_exists(#seen{n})")
        else:
            terms.append(f"#seen{n} = :seen{n}")
            values[f":seen{n}"] = value
    return {
        "ConditionExpression": " AND ".join(terms),
        "ExpressionAttributeNames": {f"#seen{n}": name for n, name in enumerate(seen)},
        "ExpressionAttributeValues": to_item(values),
    }


@contextmanager
def _our_errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException":
            raise _ConditionFailed from None
        raise StoreUnavailable("The catalogue did not answer.", retry_after_s=1) from error
    except BotoCoreError as error:
        raise StoreUnavailable("The catalogue did not answer.", retry_after_s=1) from error
