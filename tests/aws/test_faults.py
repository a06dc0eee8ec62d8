"""One request to S3 or DynamoDB fails, or is done and its answer lost: nobody notices.

Each use of AWS is tried with each of its requests at fault, in each way there is.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest

from dandyroll.api.upload import upload
from dandyroll.aws.home import open_home
from dandyroll.errors import Conflict
from dandyroll.keys import original_key
from dandyroll.models import Changes, Row
from dandyroll.ports import Home
from tests.aws.fault_proxy import Fault, Faults, Plan, fault_proxy, nothing
from tests.aws.faulty_uses import DATA, USES, Use, ask, new_owner, rows

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

OTHERS: tuple[Fault, ...] = ("throttled", "failed", "failed after", "cut before", "cut within")
_WAYS = 6


@dataclass(frozen=True)
class Way:
    faults: Faults
    home: Home


@pytest.fixture(scope="module")
def ways(emulated_home: "EmulatedHome", quiet: Home) -> Iterator["SimpleQueue[Way]"]:
    """Several ways to the quiet home, so that the waits between tries pass side by side.

    Its machine does nothing: what is tried again here is for nobody to process.
    """
    machines = emulated_home.emulator.client("stepfunctions")
    role = machines.describe_state_machine(stateMachineArn=quiet.settings.state_machine)["roleArn"]
    definition = json.dumps({"StartAt": "end", "States": {"end": {"Type": "Succeed"}}})
    machine = machines.create_state_machine(name="idle", definition=definition, roleArn=role)
    settings = replace(quiet.settings, state_machine=machine["stateMachineArn"])
    with ExitStack() as stack:
        found: SimpleQueue[Way] = SimpleQueue()
        for _ in range(_WAYS):
            faults = stack.enter_context(fault_proxy(emulated_home.emulator))
            found.put(Way(faults, open_home(settings, faults.cloud)))
        yield found


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_no_lost_answer_is_noticed(use: Use, quiet: Home, ways: "SimpleQueue[Way]") -> None:
    assert_unnoticed(use, ("cut after",), quiet, ways)


@pytest.mark.slow
@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_no_other_fault_is_noticed(use: Use, quiet: Home, ways: "SimpleQueue[Way]") -> None:
    assert_unnoticed(use, OTHERS, quiet, ways)


def assert_unnoticed(
    use: Use, faults: tuple[Fault, ...], quiet: Home, ways: "SimpleQueue[Way]"
) -> None:
    """The use goes well whichever of its requests meets whichever of the faults."""

    def count(_: int = 0) -> int:
        """How many requests it makes."""
        with taken(ways) as way:
            use(quiet, way.home)
            return way.faults.met.total()

    def noticed(case: tuple[int, Fault]) -> str:
        """What is to be said of it, if it did not go well."""
        number, fault = case
        with taken(ways) as way:
            way.faults.plan = the_nth(number, fault)
            try:
                use(quiet, way.home)
                assert way.faults.of_kind(fault) == 1, way.faults.met
            except Exception as error:
                asked = [asked for asked, kind in way.faults.met if kind == fault]
                return f"{fault} at request {number}, {asked}: {type(error).__name__}: {error}"
        return ""

    with ThreadPoolExecutor(_WAYS) as threads:
        list(threads.map(count, range(_WAYS)))  # what a home does but once is done
        cases = [(number, fault) for number in range(count()) for fault in faults]
        assert cases
        assert [said for said in threads.map(noticed, cases) if said] == []


@contextmanager
def taken(ways: "SimpleQueue[Way]") -> Iterator[Way]:
    way = ways.get()
    way.faults.met.clear()
    try:
        yield way
    finally:
        way.faults.plan = nothing
        ways.put(way)


def the_nth(number: int, fault: Fault) -> Plan:
    """That fault befalls the request of that number, counted from 0."""
    numbers = iter(range(number + 1))

    def plan(asked: str) -> Fault:
        return fault if next(numbers, None) == number else "none"

    return plan


def test_a_lease_that_cannot_be_ended_hides_no_success(
    quiet: Home, ways: "SimpleQueue[Way]", caplog: pytest.LogCaptureFixture
) -> None:
    owner, headers = new_owner(), {"idempotency-key": "k"}
    with taken(ways) as way:
        way.faults.plan = lambda asked: (
            "failed" if asked == "UpdateItem" and way.faults.met[asked, "none"] else "none"
        )
        response = ask(upload, way.home, owner, DATA, headers)
        assert way.faults.of_kind("failed") > 1  # tried again, and given up
    assert response.status == 201
    assert "is left to end" in caplog.text
    again = ask(upload, quiet, owner, DATA, headers)
    assert (again.status, again.body) == (201, response.body)


def test_a_try_that_came_through_meanwhile_is_the_answer(quiet: Home) -> None:
    """Its object was there, and the pipeline went to work while the answer got lost."""

    def accepted_before(row: Row, data: bytes) -> Row:
        quiet.accept(row, data)
        quiet.catalogue.advance(row.image_id, "resized", Changes())
        return quiet.accept(row, data)

    owner, home = new_owner(), replace(quiet, accept=accepted_before)
    response = ask(upload, home, owner, DATA, {"idempotency-key": "k"})
    (row,) = rows(quiet, owner)
    assert (response.status, row.status) == (201, "resized")
    assert json.loads(response.body)["image_id"] == row.image_id


def test_an_object_that_is_being_deleted_is_not_this_upload(
    quiet: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 then says 409 to a conditional put, though nothing is left at the key."""
    put, refused = quiet.objects.put, []

    def put_later(key: str, data: bytes, content_type: str, *, if_absent: bool) -> None:
        if not refused:
            refused.append(key)
            raise Conflict("An object of that key is being deleted.")
        put(key, data, content_type, if_absent=if_absent)

    monkeypatch.setattr(quiet.objects, "put", put_later)
    owner = new_owner()
    response = ask(upload, quiet, owner, DATA)
    (row,) = rows(quiet, owner)
    assert (response.status, row.status) == (201, "uploaded")
    assert original_key(row.image_id) not in refused
