"""Events to an SNS topic: from there by e-mail, to web addresses, queues and functions.

A message's body is byte for byte a webhook's; its `type` and `owner` are attributes as well, for
subscribers' filters.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

from dandyroll.aws.cloud import Cloud
from dandyroll.events import Event, NotDelivered

AT_ONCE = 10
"""The most events that are under way together."""


class Topic:
    """Keeps the promise of `ports.Notifier`, for any number of events at a time."""

    def __init__(self, arn: str, cloud: Cloud) -> None:
        self._arn = arn
        self._cloud = cloud

    @cached_property
    def _client(self) -> Any:
        return self._cloud.client("sns")

    def publish(self, events: Sequence[Event]) -> str:
        client = self._client  # made before there are threads that need it
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(lambda event: self._send(client, event), events))
        return f"{len(events)} published to {self._arn}"

    def _send(self, client: Any, event: Event) -> None:
        # Only its own words can say how large a message may be: SNS takes 256 KiB, attributes
        # included, of which a row has a few.
        from botocore.exceptions import BotoCoreError, ClientError

        told = {"type": event.type, "owner": str(event.data["owner"])}
        try:
            client.publish(
                TopicArn=self._arn,
                Message=event.body().decode(),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": text} for name, text in told.items()
                },
            )
        except ClientError as error:
            too_large = error.response.get("Error", {}).get("Code") == "InvalidParameter"
            raise NotDelivered(f"The topic: {error}", reachable=too_large) from error
        except BotoCoreError as error:
            raise NotDelivered(f"The topic: {error}", reachable=False) from error
