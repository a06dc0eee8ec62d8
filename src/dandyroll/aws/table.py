"""One DynamoDB table, keyed by `image-id`: items in and out as plain values."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from dandyroll.aws.attributes import from_item, to_item
from dandyroll.aws.cloud import Cloud
from dandyroll.errors import StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEY = "image-id"

_CONNECT_S, _READ_S, _ATTEMPTS = 2, 4, 4


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
        # A session of botocore's own: through boto3 the same client takes 40 ms longer.
        from botocore.config import Config
        from botocore.session import get_session

        cloud = self._cloud
        client = get_session().create_client(
            "dynamodb",
            region_name=cloud.region,
            endpoint_url=cloud.endpoint_url or None,
            verify=cloud.ca_bundle or None,
            aws_access_key_id=cloud.access_key_id or None,
            aws_secret_access_key=cloud.secret_access_key or None,
            aws_session_token=cloud.session_token or None,
            config=Config(
                connect_timeout=_CONNECT_S,
                read_timeout=_READ_S,
                retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                max_pool_connections=32,
            ),
        )
        return cast("DynamoDBClient", client)

    def find(self, key: str) -> dict[str, Any] | None:
        """The item as every earlier write left it."""
        with _our_errors():
            answer = self._client.get_item(
                TableName=self._name, Key=to_item({KEY: key}), ConsistentRead=True
            )
        return from_item(answer["Item"]) if "Item" in answer else None

    def put(self, item: Mapping[str, Any], seen: Mapping[str, Any] | None) -> bool:
        """Write the whole item if the one in its place still is as it was `seen`.

        `seen` names the attributes that must be as they were, or is None where there must be
        no item. False, and nothing written, where it is otherwise.
        """
        if seen is None:
            condition: dict[str, Any] = {
                "ConditionExpression": "attribute_not_exists(#key)",
                "ExpressionAttributeNames": {"#key": KEY},
            }
        else:
            condition = _unchanged(seen)
        return self._written("put_item", {"Item": to_item(item), **condition})

    def update(self, key: str, new: Mapping[str, Any], seen: Mapping[str, Any]) -> bool:
        """Write the `new` attributes if the item still is as it was `seen`; else False."""
        condition = _unchanged(seen)
        sets = ", ".join(f"#new{n} = :new{n}" for n in range(len(new)))
        names = {f"#new{n}": name for n, name in enumerate(new)}
        values = {f":new{n}": value for n, value in enumerate(new.values())}
        request = {
            "Key": to_item({KEY: key}),
            "UpdateExpression": f"SET {sets}",
            "ConditionExpression": condition["ConditionExpression"],
            "ExpressionAttributeNames": {**names, **condition["ExpressionAttributeNames"]},
            "ExpressionAttributeValues": {
                **to_item(values),
                **condition["ExpressionAttributeValues"],
            },
        }
        return self._written("update_item", request)

    def delete(self, key: str, seen: Mapping[str, Any]) -> bool:
        """Remove the item if it still is as it was `seen`; else False."""
        return self._written("delete_item", {"Key": to_item({KEY: key}), **_unchanged(seen)})

    def _written(self, operation: str, request: dict[str, Any]) -> bool:
        try:
            with _our_errors():
                getattr(self._client, operation)(TableName=self._name, **request)
        except _ConditionFailed:
            return False
        return True


def _unchanged(seen: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "ConditionExpression": " AND ".join(f"#seen{n} = :seen{n}" for n in range(len(seen))),
        "ExpressionAttributeNames": {f"#seen{n}": name for n, name in enumerate(seen)},
        "ExpressionAttributeValues": to_item(
            {f":seen{n}": value for n, value in enumerate(seen.values())}
        ),
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
