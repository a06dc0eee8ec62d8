"""What breaks off while a key is made leaves nothing, or nothing that opens anything."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import pytest

from dandyroll.api_keys import name_of_api_key
from dandyroll.aws.api_keys import list_api_keys
from dandyroll.aws.stack import CloudError
from tests.aws.emulator import STACK
from tests.aws.faulty_cloud import Fault, interrupted, lost, refused
from tests.aws.key_bench import Bench

DENIED = refused(403, "AccessDeniedException")
STEPS = ("CreateApiKey", "CreateUsagePlanKey", "CreateSchedule", "UpdateApiKey")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore tries again without its seconds of waiting."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))


def none_left(bench: Bench, schedules: list[str]) -> None:
    assert bench.entries() == []
    assert set(bench.schedules()) <= set(schedules)  # those of others may end meanwhile


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("fault", [DENIED, lost], ids=["refused", "lost"])
@pytest.mark.parametrize("step", STEPS)
def test_what_breaks_off_leaves_nothing(bench: Bench, step: str, fault: Fault) -> None:
    before = bench.schedules()
    with pytest.raises(CloudError) as caught:
        bench.create(bench.faulty(**{step: itertools.repeat(fault)}))
    assert step in str(caught.value) or "timeout" in str(caught.value)
    assert "left behind" not in str(caught.value)
    none_left(bench, before)


@pytest.mark.parametrize("step", STEPS)
def test_an_interrupted_command_leaves_nothing(bench: Bench, step: str) -> None:
    before = bench.schedules()
    with pytest.raises(KeyboardInterrupt):
        bench.create(bench.faulty(**{step: iter([interrupted])}))
    none_left(bench, before)


@pytest.mark.parametrize("step", STEPS[1:])
def test_what_cannot_be_undone_is_told_and_opens_nothing(bench: Bench, step: str) -> None:
    faults = {
        step: iter([DENIED]),
        "DeleteApiKey": iter([DENIED]),
        "DeleteSchedule": iter([DENIED]),
    }
    with pytest.raises(CloudError) as caught:
        bench.create(bench.faulty(**faults))
    (entry,) = bench.entries()
    told = str(caught.value)
    assert step in told
    assert "left behind" in told
    assert entry["name"] in told
    assert f"{STACK}-keys/{name_of_api_key(entry['value'])}" in told
    assert entry["enabled"] is False
    assert not bench.opens(entry["value"])


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("step", STEPS)
def test_throttled_calls_are_tried_again(bench: Bench, step: str) -> None:
    code = "ThrottlingException" if step == "CreateSchedule" else "TooManyRequestsException"
    throttled = itertools.repeat(refused(429, code), 3)
    assert bench.opens(bench.create(bench.faulty(**{step: throttled})).value)
    assert bench.states() == ["valid"]


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("step", STEPS)
def test_a_call_whose_answer_was_lost_is_not_made_twice(bench: Bench, step: str) -> None:
    """API Gateway knows the key by then; that the emulator would make another is not like it."""
    again = [] if step == "UpdateApiKey" else [refused(409, "ConflictException")]
    made = bench.create(bench.faulty(**{step: iter([lost, *again])}))
    assert bench.opens(made.value)
    assert len(bench.entries()) == 1
    assert bench.states() == ["valid"]


@pytest.mark.usefixtures("at_once")
def test_a_gateway_that_is_full_says_what_can_go(bench: Bench) -> None:
    full = itertools.repeat(refused(429, "LimitExceededException"))
    stack = bench.faulty(CreateApiKey=full, GetApiKeys=itertools.repeat(DENIED))
    with pytest.raises(CloudError) as caught:
        bench.create(stack)
    assert "10,000 keys" in str(caught.value)
    assert "keys revoke --aws --delete" in str(caught.value)
    assert "left behind" not in str(caught.value)


def test_a_missing_plan_is_told(bench: Bench) -> None:
    before = bench.schedules()
    stack = replace(bench.stack, outputs={**bench.stack.outputs, "UsagePlanId": "nowhere"})
    with pytest.raises(CloudError, match=f"{STACK} has no usage plan nowhere any more"):
        bench.create(stack)
    none_left(bench, before)
    with pytest.raises(CloudError, match="no usage plan nowhere"):
        list_api_keys(stack)


@pytest.mark.parametrize("output", ["UsagePlanId", "KeyScheduleGroup", "KeyExpiryRoleArn"])
def test_an_older_stack_makes_no_key(bench: Bench, output: str) -> None:
    outputs = {name: value for name, value in bench.stack.outputs.items() if name != output}
    with pytest.raises(CloudError, match=f"no output {output}: dandyroll deploy"):
        bench.create(replace(bench.stack, outputs=outputs))
    assert bench.entries() == []
