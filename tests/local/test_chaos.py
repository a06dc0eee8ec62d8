"""Random `kill -9` of any process: every accepted upload is settled once the server is back."""

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from tests import pictures
from tests.contract.client import Client
from tests.contract.invariant import assert_invariant
from tests.local.served_home import ServedHome, open_served_home

SEEDS = range(20)


def test_nothing_accepted_is_lost(tmp_path: Path) -> None:
    """Twenty seeded runs on one folder: uploads from four clients, and a kill or two in each."""
    with open_served_home(tmp_path) as served:
        client = Client.new(served)
        for seed in SEEDS:
            assert_survives(served, client, random.Random(seed), uploads=8, kills=1)


@pytest.mark.slow
def test_nothing_of_300_uploads_is_lost_in_ten_kills(tmp_path: Path) -> None:
    with open_served_home(tmp_path) as served:
        assert_survives(served, Client.new(served), random.Random(300), uploads=300, kills=10)


def assert_survives(
    served: ServedHome, client: Client, chance: random.Random, uploads: int, kills: int
) -> None:
    """Upload while processes die; then the invariant must hold for each accepted upload."""
    uploaded: dict[str, bytes] = {}
    bodies = [pictures.any_picture(chance) for _ in range(uploads)]
    done = threading.Event()

    def upload(number: int) -> None:
        body, key = bodies[number], f"{chance_name}-{number}"
        while True:  # as a client with an idempotency key does
            try:
                answer = client.send("POST", "/upload", body, Idempotency_Key=key)
            except (OSError, HTTPException):
                time.sleep(0.05)
                continue
            if answer.status == 201:
                uploaded[answer.json["image_id"]] = body
                return
            assert answer.status in (409, 503), answer.body
            time.sleep(0.2)

    chance_name = f"run{chance.randrange(10**9)}"
    killer = threading.Thread(target=_kill_at_random, args=(served, chance, kills, done))
    killer.start()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(upload, range(uploads)))
    done.set()
    killer.join()
    assert len(uploaded) == uploads
    for image_id, body in uploaded.items():
        assert_invariant(client, image_id, body)


def _kill_at_random(
    served: ServedHome, chance: random.Random, kills: int, done: threading.Event
) -> None:
    """Kill so many processes, in the time the uploads take or a little after."""
    for _ in range(kills):
        done.wait(chance.uniform(0.0, 0.4))
        victims = served.processes()
        server, victim = victims[0], chance.choice(victims)
        with suppress(ProcessLookupError):  # killed before, and just being replaced
            os.kill(victim, signal.SIGKILL)
        if victim == server:
            assert served.server is not None
            served.server.wait()
            served.start()
