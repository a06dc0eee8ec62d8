"""The object store's events in the hands of a test: delivered once, twice, late, or never."""

import json
import random
import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tests.aws.emulator import STACK

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

Fate = Literal["once", "twice", "again late", "late", "dropped"]


@dataclass
class Events:
    """Each event meets a fate drawn from the `shares`; `met` counts them."""

    aws: "EmulatedHome"
    queue: str
    chance: random.Random
    shares: Mapping[Fate, float]
    threads: ThreadPoolExecutor
    met: Counter[Fate] = field(default_factory=Counter)
    _late: list[dict[str, Any]] = field(default_factory=list)
    _started: list[Future[None]] = field(default_factory=list)

    def deliver_until(self, done: threading.Event) -> None:
        """Deliver what comes until it is `done` and nothing comes any more; late ones last,
        in any order. When this returns, all executions have ended."""
        sqs = self.aws.emulator.client("sqs")
        while True:
            is_last = done.is_set()
            answer = sqs.receive_message(
                QueueUrl=self.queue, MaxNumberOfMessages=10, WaitTimeSeconds=1
            )
            messages = answer.get("Messages", [])
            for message in messages:
                self._meet(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
            if is_last and not messages:
                break
        self.chance.shuffle(self._late)
        for event in self._late:
            self._start(event)
        for started in self._started:
            started.result()

    def _meet(self, event: dict[str, Any]) -> None:
        (fate,) = self.chance.choices([*self.shares], [*self.shares.values()])
        self.met[fate] += 1
        for _ in range({"once": 1, "twice": 2, "again late": 1}.get(fate, 0)):
            self._start(event)
        if fate in ("late", "again late"):
            self._late.append(event)

    def _start(self, event: dict[str, Any]) -> None:
        def run() -> None:
            self.aws.wait(self.aws.start_with(event), timeout_s=240)

        self._started.append(self.threads.submit(run))


@contextmanager
def events_in_hand(
    aws: "EmulatedHome", chance: random.Random, shares: Mapping[Fate, float], at_once: int
) -> Iterator[Events]:
    """Meanwhile an object's event starts nothing by itself: the stack's rule is off, and another
    of the same pattern sends to a queue. At most so many executions run `at_once`."""
    rules, sqs = aws.emulator.client("events"), aws.emulator.client("sqs")
    rule, name = f"{STACK}-uploaded", f"in-hand-{uuid.uuid4().hex[:8]}"
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    about = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    rules.put_rule(Name=name, EventPattern=rules.describe_rule(Name=rule)["EventPattern"])
    rules.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": about["Attributes"]["QueueArn"]}])
    rules.disable_rule(Name=rule)
    try:
        with ThreadPoolExecutor(at_once) as threads:
            yield Events(aws, queue, chance, shares, threads)
    finally:
        rules.enable_rule(Name=rule)
        rules.remove_targets(Rule=name, Ids=["q"])
        rules.delete_rule(Name=name)
        sqs.delete_queue(QueueUrl=queue)
