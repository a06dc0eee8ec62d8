"""Someone who has subscribed to one of the stack's topics: a queue of their own."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

Message = dict[str, Any]


class Subscriber:
    """Keeps all messages it was ever sent, bodies as text."""

    def __init__(self, aws: "EmulatedHome", url: str) -> None:
        self._sqs = aws.emulator.client("sqs")
        self._url = url
        self.messages: list[Message] = []

    def wait_for(self, wanted: Callable[[Message], bool], timeout_s: float = 30) -> Message:
        """The first message that is as wanted, once it is there."""
        deadline_s = time.monotonic() + timeout_s
        seen = 0
        while True:
            for message in self.messages[seen:]:
                if wanted(message):
                    return message
            seen = len(self.messages)
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"None of {seen} messages in {timeout_s} s was as expected.")
            self._receive()

    def _receive(self) -> None:
        answer = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            WaitTimeSeconds=1,
        )
        for message in answer.get("Messages", []):
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
            self.messages.append(message)


@contextmanager
def subscribed(
    aws: "EmulatedHome", output: str, wants: Mapping[str, list[str]] | None = None
) -> Iterator[Subscriber]:
    """Subscribed to the topic of that output, to messages with those attributes."""
    sqs, sns = aws.emulator.client("sqs"), aws.emulator.client("sns")
    topic = aws.outputs[output]
    url = sqs.create_queue(QueueName=f"subscriber-{uuid.uuid4().hex}")["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn = found["Attributes"]["QueueArn"]
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = {"Version": "2012-10-17", "Statement": [allow]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    more = {"FilterPolicy": json.dumps(wants)} if wants else {}
    subscription = sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=arn,
        Attributes={"RawMessageDelivery": "true", **more},
    )["SubscriptionArn"]
    try:
        yield Subscriber(aws, url)
    finally:
        sns.unsubscribe(SubscriptionArn=subscription)
        sqs.delete_queue(QueueUrl=url)
