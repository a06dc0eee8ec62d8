"""Uploads while S3 and DynamoDB fail and events are lost, late, and come twice: all are settled.

Each run is seeded; what meets which request still depends on who is quicker.
"""

import hashlib
import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from dandyroll.errors import DandyrollError, StoreUnavailable
from dandyroll.keys import ORIGINALS, RENDITIONS, original_key, rendition_key
from dandyroll.local.objects import FileObjectStore
from dandyroll.models import SETTLED, Row
from dandyroll.pipeline import first_job, run
from tests import pictures
from tests.aws.emulator import PARAMETERS, STACK
from tests.aws.events_in_hand import Events, Fate, events_in_hand
from tests.aws.fault_proxy import Fault, Faults, fault_proxy, functions_by, nothing, seeded
from tests.aws.test_roles import invoke
from tests.aws.test_template import STAGE_FUNCTIONS
from tests.aws.test_tickets import versions
from tests.contract.client import Answer, Client
from tests.contract.invariant import assert_invariant

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

FAULTS: Mapping[Fault, float] = {
    "throttled": 0.03,
    "failed": 0.02,
    "failed after": 0.02,
    "cut before": 0.02,
    "cut after": 0.03,
    "cut within": 0.01,
    "late": 0.02,
    "stuck": 0.001,
}
FATES: Mapping[Fate, float] = {
    "once": 0.6, "twice": 0.1, "again late": 0.1, "late": 0.1, "dropped": 0.1,
}  # fmt: skip
_CLIENTS = 8
_ACCEPT_S = _SETTLE_S = 240


@dataclass
class Uploads:
    """What clients did: `accepted` bodies by id, ids `deleted`, tickets asked for in `vain`."""

    accepted: dict[str, bytes] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    vain: int = 0


def test_nothing_of_30_uploads_is_lost(emulated_home: "EmulatedHome", tmp_path: Path) -> None:
    assert_survives(emulated_home, tmp_path, random.Random(30), uploads=30, at_once=4)


@pytest.mark.slow
def test_nothing_of_1000_uploads_is_lost(emulated_home: "EmulatedHome", tmp_path: Path) -> None:
    faults, events = assert_survives(
        emulated_home, tmp_path, random.Random(1000), uploads=1000, at_once=8
    )
    assert all(faults.of_kind(fault) for fault in FAULTS)
    assert all(events.met[fate] > 50 for fate in FATES)


def assert_survives(
    aws: "EmulatedHome", scratch: Path, chance: random.Random, uploads: int, at_once: int
) -> tuple[Faults, Events]:
    client, before = Client.new(aws), everything(aws)
    bodies = [small_picture(chance) for _ in range(uploads)]
    with (
        fault_proxy(aws.emulator, seeded(random.Random(chance.random()), FAULTS)) as faults,
        functions_by(aws, faults, DANDYROLL_SWEEP_MIN_AGE_S="4"),
        capped(aws, at_once),
        events_in_hand(aws, chance, FATES, at_once) as events,
        ThreadPoolExecutor(1) as deliverer,
    ):
        done = threading.Event()
        delivering = deliverer.submit(events.deliver_until, done)
        try:
            found = upload_all(client, bodies)
        finally:
            done.set()
        delivering.result()
        settle_all(aws, client.owner)
        faults.plan = nothing
    assert len(found.accepted) + len(found.deleted) == uploads
    assert_all_is_well(aws, client, found, scratch)
    assert_nothing_is_left_over(aws, client.owner, found, before)
    return faults, events


@contextmanager
def capped(aws: "EmulatedHome", at_once: int) -> Iterator[None]:
    """Meanwhile so many copies of each of the machine's functions run at once."""
    client = aws.emulator.client("lambda")

    def cap(copies: int) -> None:
        for name in STAGE_FUNCTIONS:
            client.put_function_concurrency(
                FunctionName=f"{STACK}-{name}", ReservedConcurrentExecutions=copies
            )

    cap(at_once)
    try:
        yield
    finally:
        cap(int(PARAMETERS["StageConcurrency"]))


def small_picture(chance: random.Random) -> bytes:
    """One of several kinds, each another; one in ten cannot be decoded."""
    seed, width, height = (chance.randrange(10**6), *(chance.randrange(80, 400) for _ in "wh"))
    match chance.randrange(10):
        case 0:
            return pictures.broken_png()
        case 1 | 2 | 3:
            return pictures.png(width, height, seed=seed)
        case 4:
            return pictures.webp(width, height, seed=seed)
    return pictures.jpeg(width, height, seed)


# --- what the clients do


def upload_all(client: Client, bodies: Sequence[bytes]) -> Uploads:
    """One in eight by a ticket; one in twenty is deleted as soon as it is there."""
    found, lock = Uploads(), threading.Lock()

    def upload(number: int) -> None:
        body, vain = bodies[number], 0
        if number % 8 == 7:
            image_id, vain = by_ticket(client, body)
        else:
            image_id = directly(client, body, f"upload{number}")
        is_deleted = number % 20 == 15
        if is_deleted:
            until(204, lambda: client.send("DELETE", f"/images/{image_id}").status)
        with lock:
            found.vain += vain
            if is_deleted:
                found.deleted.append(image_id)
            else:
                assert image_id not in found.accepted
                found.accepted[image_id] = body

    with ThreadPoolExecutor(_CLIENTS) as threads:
        list(threads.map(upload, range(len(bodies))))
    return found


def directly(client: Client, body: bytes, key: str) -> str:
    """Upload as a client with an idempotency key does, until it is accepted."""

    def send() -> int:
        answers.append(client.send("POST", "/upload", body, Idempotency_Key=key))
        return answers[-1].status

    answers: list[Answer] = []
    until(201, send)
    image_id: str = answers[-1].json["image_id"]
    return image_id


def by_ticket(client: Client, body: bytes) -> tuple[str, int]:
    """Ask for a ticket until there is one, and redeem it; how many times it was asked in vain."""
    announced = json.dumps({"content_type": "image/jpeg", "size_bytes": len(body)}).encode()

    def announce() -> int:
        answers.append(client.send("POST", "/uploads", announced))
        return answers[-1].status

    def redeem() -> int:
        connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=30)
        try:
            connection.request("PUT", f"{url.path}?{url.query}", body, given["headers"])
            status = connection.getresponse().status
            return 200 if status == 412 else status  # it is there: an answer was lost
        except (OSError, http.client.HTTPException):
            return 503
        finally:
            connection.close()

    answers: list[Answer] = []
    until(201, announce)
    given = answers[-1].json
    url = urlsplit(given["url"])
    until(200, redeem)
    return given["image_id"], len(answers) - 1


def until(wanted: int, send: Callable[[], int]) -> None:
    """Send it again as long as it is refused for no fault of its own."""
    deadline_s = time.monotonic() + _ACCEPT_S
    while (status := send()) != wanted:
        assert status in (409, 429, 500, 502, 503, 504), status
        assert time.monotonic() < deadline_s, status
        time.sleep(0.3)


# --- how it must end


def settle_all(aws: "EmulatedHome", owner: str) -> None:
    """Have the sweep find what was lost, until every image that has its bytes is settled."""
    deadline_s = time.monotonic() + _SETTLE_S
    while waiting := unsettled(aws, owner):
        assert time.monotonic() < deadline_s, waiting
        invoke(aws, "sweep", {})  # it may break off, too: the next one goes on
        time.sleep(1)


def unsettled(aws: "EmulatedHome", owner: str) -> list[str]:
    originals = set(aws.home.objects.list(ORIGINALS))
    return [
        row.image_id
        for row in all_rows(aws, owner)
        if row.status not in SETTLED and original_key(row.image_id) in originals
    ]


def all_rows(aws: "EmulatedHome", owner: str) -> list[Row]:
    rows: list[Row] = []
    cursor: str | None = ""
    while cursor is not None:
        page = aws.home.catalogue.list(owner, None, 500, cursor)
        rows, cursor = rows + list(page.rows), page.cursor
    return rows


def assert_all_is_well(aws: "EmulatedHome", client: Client, found: Uploads, scratch: Path) -> None:
    """Each accepted upload is as the invariant has it, and made as one run of all stages does."""
    local = FileObjectStore(scratch)

    def check(upload: tuple[str, bytes]) -> str:
        image_id, body = upload
        assert_invariant(client, image_id, body)
        row = aws.home.catalogue.get(image_id)
        local.put(original_key(image_id), body, "image/any")
        try:
            made = run(first_job(row), local, aws.settings.limits).changes.processed
        except DandyrollError as error:
            assert row.error is not None
            assert row.error["code"] in (error.code, StoreUnavailable.code)
            return row.error["code"]
        if row.error is None:
            assert row.processed == made
            return ""
        assert row.error["code"] == StoreUnavailable.code
        return StoreUnavailable.code

    with ThreadPoolExecutor(_CLIENTS) as threads:
        ends = Counter(threads.map(check, found.accepted.items()))
    assert ends[StoreUnavailable.code] <= len(found.accepted) / 50, ends


def everything(aws: "EmulatedHome") -> set[str]:
    """Every key of an original or a rendition."""
    return {key for prefix in (ORIGINALS, RENDITIONS) for key in aws.home.objects.list(prefix)}


def assert_nothing_is_left_over(
    aws: "EmulatedHome", owner: str, found: Uploads, before: set[str]
) -> None:
    """One row and one version of one original for each upload, and renditions of theirs alone."""
    rows = {row.image_id: row for row in all_rows(aws, owner)}
    in_vain = [i for i in rows if i not in found.accepted]
    assert {rows[image_id].status for image_id in in_vain} <= {"awaiting"}
    assert len(in_vain) <= found.vain
    assert rows.keys() - in_vain == found.accepted.keys()
    originals = {original_key(image_id) for image_id in found.accepted}
    renditions = {rendition_key(i) for i in found.accepted if rows[i].status == "processed"}
    assert everything(aws) - before == originals | renditions
    counted = Counter(version["Key"] for version in versions(aws, ORIGINALS))
    assert {counted[key] for key in originals} == {1}
    left = {key for key in counted if key.removeprefix(ORIGINALS) in found.deleted}
    assert left == set()
    shas = Counter(hashlib.sha256(body).hexdigest() for body in found.accepted.values())
    assert Counter(rows[image_id].sha256 for image_id in found.accepted) == shas
