"""The sweep: events dropped, executions lost, tickets unfilled; and healthy work left alone."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dandyroll.aws import strays
from dandyroll.aws import sweep as sweep_module
from dandyroll.aws.executions import Executions
from dandyroll.aws.home import open_upkeep
from dandyroll.aws.strays import adopt_all_strays, adopt_strays
from dandyroll.aws.sweep import STARTS, Swept, sweep, wait_s
from dandyroll.aws.table import DUE, SINCE, UNDER, Table
from dandyroll.aws.table import STARTS as STARTED
from dandyroll.aws.unsettled import oldest
from dandyroll.aws.upkeep import Upkeep
from dandyroll.errors import NotFound
from dandyroll.intake import awaited_row
from dandyroll.keys import mint_image_id, original_key
from dandyroll.models import Changes, Row
from dandyroll.settings import Settings
from tests import pictures
from tests.aws.emulator import STACK
from tests.aws.test_flow import log_lines, settled, straight
from tests.contract.client import Client
from tests.contract.invariant import assert_invariant
from tests.contract.test_catalogue import new_row
from tests.contract.test_tickets import put, ticket

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

MIN_AGE_S = Settings().sweep_min_age_s
DAY_S = 24 * 60 * 60
NOTHING = Swept(oldest_s=0, started_again=0, adopted=0, given_up=0, removed=0, stuck=0)


@pytest.fixture
def aws(emulated_home: "EmulatedHome") -> "EmulatedHome":
    return emulated_home


@pytest.fixture
def upkeep(aws: "EmulatedHome") -> Upkeep:
    """Of a home in which nothing is lost yet: what other tests have left is forgotten."""
    upkeep = open_upkeep(aws.settings, aws.emulator.cloud)
    forget_all(upkeep)
    list(adopt_all_strays(upkeep, later(DAY_S)))
    forget_all(upkeep)
    with suppress(AttributeError):
        upkeep.table.delete("sweep#strays")
    return upkeep


def forget_all(upkeep: Upkeep) -> None:
    for kind in ("uploads", "tickets"):
        for waiting in oldest(upkeep.table, kind, later(DAY_S), 1000):  # type: ignore[arg-type]  # of both kinds in turn
            upkeep.home.objects.delete(original_key(waiting.image_id))
            upkeep.catalogue.delete(waiting.image_id)


def later(s: int = MIN_AGE_S + 60) -> int:
    """The time at which a sweep finds what has just been lost."""
    return int(time.time()) + s


@contextmanager
def no_events(aws: "EmulatedHome") -> Iterator[None]:
    """Meanwhile every event of the bucket is dropped."""
    events = aws.emulator.client("events")
    events.disable_rule(Name=f"{STACK}-uploaded")
    try:
        yield
    finally:
        events.enable_rule(Name=f"{STACK}-uploaded")


@contextmanager
def throttled(aws: "EmulatedHome", name: str) -> Iterator[None]:
    """Meanwhile no call of that function gets through."""
    functions, function = aws.emulator.client("lambda"), f"{STACK}-{name}"
    functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    try:
        yield
    finally:
        functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=3)


def executions_of(aws: "EmulatedHome", image_id: str) -> list[dict[str, Any]]:
    machine = aws.emulator.client("stepfunctions")
    found = (machine.describe_execution(executionArn=e["executionArn"]) for e in aws.executions())
    return [e for e in found if json.loads(e["input"])["detail"]["object"]["key"]
            == original_key(image_id)]  # fmt: skip


def stop_all(aws: "EmulatedHome", image_id: str) -> int:
    """End every execution of the image, as its time limit would; how many there were."""
    machine, stopped = aws.emulator.client("stepfunctions"), 0
    for execution in executions_of(aws, image_id):
        if execution["status"] == "RUNNING":
            machine.stop_execution(executionArn=execution["executionArn"])
            stopped += 1
    return stopped


# --- what was lost is found


def test_an_upload_whose_event_was_dropped_is_started(aws: "EmulatedHome", upkeep: Upkeep) -> None:
    client, body = Client.new(aws), pictures.jpeg()
    with no_events(aws):
        image_id = client.upload(body)
    assert executions_of(aws, image_id) == []
    now = later()
    found = sweep(upkeep, now)
    age_s = now - aws.home.catalogue.get(image_id).uploaded_at
    assert found == replace(NOTHING, started_again=1, oldest_s=age_s)
    assert assert_invariant(client, image_id, body) == "processed"
    assert sweep(upkeep, later()) == NOTHING


@pytest.mark.parametrize("stage", ["new-size-image", "add-watermark"])
def test_an_execution_that_was_throttled_until_its_time_was_up_is_started_again(
    aws: "EmulatedHome", upkeep: Upkeep, stage: str
) -> None:
    client, body = Client.new(aws), pictures.png()
    with throttled(aws, stage):
        image_id = client.upload(body, "image/png")
        waiting = {"new-size-image": "uploaded", "add-watermark": "resized"}[stage]
        until(lambda: aws.home.catalogue.get(image_id).status == waiting)
        until(lambda: stop_all(aws, image_id) == 1)
    assert sweep(upkeep, later()).started_again == 1
    assert assert_invariant(client, image_id, body) == "processed"
    assert [e["status"] for e in executions_of(aws, image_id)].count("ABORTED") == 1


def test_an_object_whose_event_was_dropped_gets_its_row(
    aws: "EmulatedHome", upkeep: Upkeep
) -> None:
    picture, other = straight("jpg"), straight("jpg")
    with no_events(aws):
        aws.put_original(original_key(picture), pictures.jpeg(700, 500))
        aws.put_original(original_key(other), b"This is no picture at all.")
        aws.put_original("uploaded/a folder/", b"")
    assert sweep(upkeep, int(time.time())).adopted == 0  # its event may be on the way
    found = sweep(upkeep, later())
    assert (found.adopted, found.started_again) == (2, 2)
    row = settled(aws, picture)
    assert (row.status, row.owner, row.width, row.image_format) == (
        "processed",
        "adopted",
        700,
        "JPEG",
    )
    refused = settled(aws, other)
    assert (refused.status, refused.error and refused.error["code"]) == (
        "failed",
        "unsupported_format",
    )
    assert aws.home.objects.get(original_key(other)) == b"This is no picture at all."
    assert sweep(upkeep, later()) == NOTHING


def test_a_ticket_whose_bytes_event_was_dropped_is_started(
    aws: "EmulatedHome", upkeep: Upkeep
) -> None:
    client, data = Client.new(aws), pictures.png()
    with no_events(aws):
        given = ticket(client, len(data))
        assert put(client, given, data).status == 200
    assert sweep(upkeep, int(time.time())) == NOTHING
    assert sweep(upkeep, later()).started_again == 1
    assert settled(aws, given["image_id"]).status == "processed"


def test_a_ticket_whose_bytes_never_came_is_removed(aws: "EmulatedHome", upkeep: Upkeep) -> None:
    image_id = ticket(Client.new(aws), 100)["image_id"]
    kept_s = 2 * aws.settings.ticket_lifetime_s + MIN_AGE_S
    assert sweep(upkeep, later(kept_s - 60)) == NOTHING
    assert sweep(upkeep, later(kept_s + 60)) == replace(NOTHING, removed=1)
    with pytest.raises(NotFound):
        aws.home.catalogue.get(image_id)


def test_an_upload_that_broke_off_before_its_object_is_no_loss(
    aws: "EmulatedHome", upkeep: Upkeep
) -> None:
    """Nobody was told that it was accepted; the client may try again for a day."""
    row = replace(new_row("awaiting"), uploaded_at=int(time.time()))
    aws.home.catalogue.create(row)
    assert sweep(upkeep, later()) == NOTHING
    assert sweep(upkeep, later(DAY_S + MIN_AGE_S + 60)) == replace(NOTHING, removed=1)
    with pytest.raises(NotFound):
        aws.home.catalogue.get(row.image_id)


def test_an_upload_that_broke_off_after_its_object_is_processed(
    aws: "EmulatedHome", upkeep: Upkeep
) -> None:
    data, image_id = pictures.png(), mint_image_id(datetime.now(UTC), "png")
    row = replace(awaited_row(aws.home, "image/png", len(data), "someone", "t"), image_id=image_id)
    with no_events(aws):
        aws.home.catalogue.create(replace(row, sha256="0" * 64, width=1, height=1))
        aws.put_original(original_key(image_id), data)
    assert sweep(upkeep, later()).started_again == 1
    assert settled(aws, image_id).status == "processed"


# --- not for ever


def test_an_image_that_never_gets_done_fails_with_a_reason(
    aws: "EmulatedHome", upkeep: Upkeep
) -> None:
    client, now = Client.new(aws), later()
    with throttled(aws, "new-size-image"):
        image_id = client.upload(pictures.png(), "image/png")
        for started in range(1, STARTS + 1):
            assert sweep(upkeep, now).started_again == 1
            assert sweep(upkeep, now + wait_s(started, MIN_AGE_S) - 1).started_again == 0
            now += wait_s(started, MIN_AGE_S)
        assert sweep(upkeep, now) == replace(
            NOTHING, given_up=1, oldest_s=now - aws.home.catalogue.get(image_id).uploaded_at
        )
        assert len(executions_of(aws, image_id)) == STARTS + 1
        row = aws.home.catalogue.get(image_id)
        assert (row.status, row.error and row.error["code"]) == ("failed", "unfinished")
        assert sweep(upkeep, now) == NOTHING
        until(lambda: stop_all(aws, image_id) == 0)
    assert client.send("POST", f"/images/{image_id}/retry").status == 202
    assert settled(aws, image_id).status == "processed"


def test_the_waits_add_up_to_about_a_day() -> None:
    waits = [wait_s(started, MIN_AGE_S) for started in range(1, STARTS + 1)]
    assert waits == sorted(waits)
    assert DAY_S < sum(waits) < 1.5 * DAY_S
    assert wait_s(20, 2 * DAY_S) == 2 * DAY_S


def test_a_new_try_by_hand_has_all_its_starts_again(upkeep: Upkeep) -> None:
    row = replace(new_row(), uploaded_at=int(time.time()))
    upkeep.catalogue.create(row)
    with_starts = {STARTED: STARTS, DUE: 1}
    assert upkeep.table.update(row.image_id, with_starts, {"status": "uploaded"})
    error = {"code": "unfinished", "message": "m"}
    upkeep.catalogue.advance(row.image_id, "failed", Changes(error=error))
    settled_item = upkeep.table.find(row.image_id) or {}
    assert not {UNDER, SINCE, STARTED, DUE} & set(settled_item)
    upkeep.catalogue.restart(row.image_id)
    (waiting,) = oldest(upkeep.table, "uploads", later(), 10)
    assert (waiting.image_id, waiting.started, waiting.due_at) == (row.image_id, 0, 0)
    assert waiting.since >= row.uploaded_at


# --- nothing else


def test_healthy_work_is_left_alone(aws: "EmulatedHome", upkeep: Upkeep) -> None:
    client, bodies = Client.new(aws), [pictures.jpeg(900 + n, 600) for n in range(6)]
    swept: list[Swept] = []
    with ThreadPoolExecutor(3) as threads:
        uploads = [threads.submit(client.upload, body) for body in bodies]
        ids = [upload.result() for upload in uploads]
        while any(aws.home.catalogue.get(image_id).status != "processed" for image_id in ids):
            swept.append(sweep(upkeep, int(time.time())))
    assert swept
    assert {(s.started_again, s.adopted, s.given_up, s.removed) for s in swept} == {(0, 0, 0, 0)}
    for image_id, body in zip(ids, bodies, strict=True):
        assert assert_invariant(client, image_id, body) == "processed"
        assert len(executions_of(aws, image_id)) == 1
    before = {image_id: upkeep.table.find(image_id) for image_id in ids}
    assert sweep(upkeep, later(7 * DAY_S)) == NOTHING
    assert {image_id: upkeep.table.find(image_id) for image_id in ids} == before


def test_two_sweeps_at_once_start_an_image_once(aws: "EmulatedHome", upkeep: Upkeep) -> None:
    with no_events(aws):
        ids = [Client.new(aws).upload(pictures.png(), "image/png") for _ in range(3)]
        aws.put_original(original_key(stray := straight("png")), pictures.png())
    now = later()
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda _: sweep(upkeep, now), range(3)))
    assert sum(swept.started_again for swept in found) == 4
    for image_id in (*ids, stray):
        assert settled(aws, image_id).status == "processed"
        assert len(executions_of(aws, image_id)) == 1


def test_where_nothing_can_be_started_it_is_as_before(aws: "EmulatedHome", upkeep: Upkeep) -> None:
    with no_events(aws):
        image_id = Client.new(aws).upload(pictures.png(), "image/png")
    before = upkeep.table.find(image_id)
    nowhere = Executions(aws.settings.state_machine + "x", aws.emulator.cloud)
    now = later()
    stuck = sweep(replace(upkeep, executions=nowhere), now)
    uploaded_at = aws.home.catalogue.get(image_id).uploaded_at
    assert stuck == replace(NOTHING, stuck=1, oldest_s=now - uploaded_at)
    after = upkeep.table.find(image_id) or {}
    assert after.pop(DUE) == 0
    assert after == before
    assert sweep(upkeep, later()).started_again == 1
    assert settled(aws, image_id).status == "processed"


def test_a_run_does_so_much_and_the_next_one_goes_on(
    aws: "EmulatedHome", upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_module, "_MOST", 2)
    with no_events(aws):
        ids = [Client.new(aws).upload(pictures.png(), "image/png") for _ in range(3)]
    assert [sweep(upkeep, later()).started_again for _ in range(3)] == [2, 1, 0]
    assert {settled(aws, image_id).status for image_id in ids} == {"processed"}


# --- the walk over the bucket


@pytest.fixture
def walked(aws: "EmulatedHome") -> Upkeep:
    """A home with a bucket and a table of its own, and nothing in them."""
    name = f"walked-{uuid.uuid4().hex}"
    aws.emulator.client("s3").create_bucket(Bucket=name)
    there = aws.emulator.client("dynamodb").describe_table(TableName=aws.settings.table)["Table"]
    indexes = [
        {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
        for index in there["GlobalSecondaryIndexes"]
    ]
    aws.emulator.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=there["AttributeDefinitions"],
        KeySchema=there["KeySchema"],
        GlobalSecondaryIndexes=indexes,
    )
    return open_upkeep(replace(aws.settings, bucket=name, table=name), aws.emulator.cloud)


def stray(upkeep: Upkeep, image_id: str) -> str:
    upkeep.objects.put(original_key(image_id), b"x", "image/png")
    return image_id


def ids(rows: list[Row]) -> list[str]:
    return [row.image_id for row in rows]


def test_the_walk_goes_on_from_run_to_run(walked: Upkeep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strays, "_LOOK", 2)
    names = [stray(walked, f"{letter}.png") for letter in "abcde"]
    found = [ids(adopt_strays(walked, later(), 10)) for _ in range(4)]
    assert found == [names[:2], names[2:4], names[4:], []]
    stray(walked, "aa.png")
    again = [row for _ in range(4) for row in adopt_strays(walked, later(), 10)]
    assert ids(again) == ["aa.png"]


def test_the_walk_stops_where_it_has_found_enough(walked: Upkeep) -> None:
    names = [stray(walked, f"{letter}.png") for letter in "abcde"]
    found = [ids(adopt_strays(walked, later(), 2)) for _ in range(4)]
    assert found == [names[:2], names[2:4], names[4:], []]


def test_the_walk_looks_up_only_what_is_new(
    walked: Upkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    find_all = Table.find_all

    def noting(table: Table, keys: list[str]) -> dict[str, dict[str, Any]]:
        asked.extend(keys)
        return find_all(table, keys)

    monkeypatch.setattr(Table, "find_all", noting)
    old = mint_image_id(datetime.now(UTC) - timedelta(days=30), "png")
    new = mint_image_id(datetime.now(UTC), "png")
    for name in ("a.png", "z.png", old, new):
        stray(walked, name)
    now = later()
    assert set(ids(adopt_strays(walked, now, 10))) == {"a.png", "z.png", new}
    assert asked == ["a.png", new, "z.png"]
    asked.clear()
    adopt_strays(walked, later(DAY_S), 10)
    assert asked == ["a.png", "z.png"]  # what comes in parts could have been hidden until now
    asked.clear()
    adopt_strays(walked, later(2 * DAY_S), 10)
    adopt_strays(walked, later(4 * DAY_S), 10)
    asked.clear()
    adopt_strays(walked, later(4 * DAY_S), 10)
    assert asked == []


def test_the_operators_walk_leaves_nothing_out(walked: Upkeep) -> None:
    old = mint_image_id(datetime.now(UTC) - timedelta(days=30), "png")
    for name in ("a.png", old):
        stray(walked, name)
    assert ids(adopt_strays(walked, later(), 10)) == ["a.png"]
    assert ids(list(adopt_all_strays(walked, later()))) == [old]


# --- as it is deployed


def test_the_function_sweeps_and_says_what_it_did(aws: "EmulatedHome", upkeep: Upkeep) -> None:
    client, data = Client.new(aws), pictures.png()
    with no_events(aws):
        image_id = client.upload(data, "image/png")
        long_ago = int(time.time()) - 2 * MIN_AGE_S
        assert upkeep.table.update(image_id, {SINCE: long_ago}, {"status": "uploaded"})
    answer = aws.emulator.client("lambda").invoke(FunctionName=f"{STACK}-sweep", Payload=b"{}")
    done = json.loads(answer["Payload"].read())
    assert done["started_again"] == 1
    assert assert_invariant(client, image_id, data) == "processed"
    points = [line for line in log_lines(aws, "sweep") if "_aws" in line]
    point = next(point for point in reversed(points) if point["UploadsStartedAgain"] == 1)
    assert (point["Stack"], point["OldestUnprocessedSeconds"]) == (STACK, done["oldest_s"])
    assert done["oldest_s"] >= 2 * MIN_AGE_S


def test_the_schedule_is_on_and_calls_it(aws: "EmulatedHome") -> None:
    schedule = aws.emulator.client("scheduler").get_schedule(Name=f"{STACK}-sweep")
    assert (schedule["State"], schedule["ScheduleExpression"]) == ("ENABLED", "rate(30 minutes)")
    assert schedule["Target"]["Arn"].endswith(f":function:{STACK}-sweep")


def until(holds: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline_s, "Expected it to hold in time; it did not."
        time.sleep(0.05)
