"""Events twice, late and out of order, functions throttled: every accepted upload is settled."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests import pictures
from tests.contract.client import Client
from tests.contract.invariant import assert_invariant

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome


SEEDS = range(20)


def test_nothing_accepted_is_lost(emulated_home: "EmulatedHome") -> None:
    """Twenty seeded runs, three uploads in each; each has its own duplicates and delays."""
    for seed in SEEDS:
        assert_survives(emulated_home, random.Random(seed), uploads=3, clients=3)


@pytest.mark.slow
def test_nothing_of_200_uploads_is_lost(emulated_home: "EmulatedHome") -> None:
    """Eight at once on three workers a function, so that most calls are throttled at first."""
    executions = assert_survives(
        emulated_home, random.Random(200), uploads=200, clients=8, every_event_twice=True
    )
    assert executions >= 200


def assert_survives(
    aws: "EmulatedHome",
    chance: random.Random,
    uploads: int,
    clients: int,
    *,
    every_event_twice: bool = False,
) -> int:
    """Upload, deliver events again in any order, then hold each upload to the invariant.

    Returns how many events were delivered beside those the store sends itself.
    """
    client = Client.new(aws)
    bodies = [pictures.any_picture(chance) for _ in range(uploads)]
    again = [2 if every_event_twice else chance.randrange(3) for _ in bodies]
    delays_s = [chance.uniform(0, 0.5) for _ in range(sum(again))]
    late: list[str] = []
    extra: list[str] = []
    lock = threading.Lock()

    def upload(number: int) -> tuple[str, bytes]:
        body = bodies[number]
        key = f"chaos{id(chance)}x{number}"
        image_id = _accepted(client, body, key)
        with lock:
            late.extend([image_id] * (again[number] - again[number] // 2))
            early = [image_id] * (again[number] // 2)
        for name in early:  # at once with the store's own
            extra.append(aws.start(name))
        return image_id, body

    with ThreadPoolExecutor(clients) as threads:
        accepted = list(threads.map(upload, range(uploads)))
    chance.shuffle(late)
    for image_id, delay_s in zip(late, delays_s, strict=False):
        time.sleep(delay_s / max(1, len(late)))
        extra.append(aws.start(image_id))
    for image_id, body in accepted:
        assert_invariant(client, image_id, body, timeout_s=240)
    settled = {image_id: aws.home.catalogue.get(image_id) for image_id, _ in accepted}
    for execution in extra:
        aws.wait(execution, timeout_s=240)
    for image_id, body in accepted:  # what came late has changed nothing
        assert_invariant(client, image_id, body)
        now, before = aws.home.catalogue.get(image_id), settled[image_id]
        assert (now.processed, now.error) == (before.processed, before.error)
    return len(extra)


def _accepted(client: Client, body: bytes, key: str) -> str:
    """Upload as a client with an idempotency key does, until it is accepted."""
    deadline_s = time.monotonic() + 120
    while time.monotonic() < deadline_s:
        answer = client.send("POST", "/upload", body, Idempotency_Key=key)
        if answer.status == 201:
            image_id: str = answer.json["image_id"]
            return image_id
        assert answer.status in (409, 429, 500, 502, 503), answer.body  # throttled: ask again
        time.sleep(0.3)
    raise TimeoutError("Expected the upload to be accepted within 120 s; it was not.")
