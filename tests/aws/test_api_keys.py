"""API keys of the AWS home: made whole or not at all, listed, switched off, revoked.

That the scheduler does what an entry says, the emulator does not show: it drops calls of AWS's own
API. So what the entry says is done here as it stands.
"""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from dandyroll.api_keys import StoredKey, mint_api_key, name_of_api_key, parse_api_key
from dandyroll.aws.api_keys import (
    CreatedKey,
    create_api_key,
    delete_api_key,
    list_api_keys,
    revoke_api_key,
)
from dandyroll.aws.stack import CloudError, Stack
from dandyroll.aws.usage_report import usage_report
from dandyroll.errors import NotFound
from tests.aws.emulator import STACK
from tests.aws.faulty_cloud import Fault, FaultyCloud, answered, interrupted, lost, refused

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

READ_WRITE = frozenset({"read", "write"})
DENIED = refused(403, "AccessDeniedException")
STEPS = ("CreateApiKey", "CreateUsagePlanKey", "CreateSchedule", "UpdateApiKey")


@dataclass(frozen=True)
class Bench:
    """The stack, and what there is in AWS of the keys of one owner that no other test has."""

    aws: "EmulatedHome"
    stack: Stack
    owner: str

    def faulty(self, **faults: Iterator[Fault]) -> Stack:
        return replace(self.stack, cloud=FaultyCloud.on(self.stack.cloud, faults))

    def create(self, stack: Stack | None = None, lifetime_s: int = 3600) -> CreatedKey:
        expires_at = int(time.time()) + lifetime_s
        return create_api_key(stack or self.stack, self.owner, READ_WRITE, expires_at)

    def opens(self, value: str) -> bool:
        status, _, _ = self.aws.request("GET", "/images?limit=1", {"x-api-key": value})
        assert status in (200, 403)
        return status == 200

    def listed(self) -> list[StoredKey]:
        return [key for key in list_api_keys(self.stack) if key.owner == self.owner]

    def states(self) -> list[str]:
        return [key.state(time.time()) for key in self.listed()]

    def entries(self) -> list[dict[str, Any]]:
        """What the gateway has, under the plan or not."""
        found = self.aws.emulator.client("apigateway").get_api_keys(
            nameQuery=f"{STACK}-{self.owner}-", includeValues=True
        )
        return list(found["items"])

    def schedules(self) -> list[str]:
        """Of all owners."""
        pages = self.aws.emulator.client("scheduler").list_schedules(GroupName=f"{STACK}-keys")
        return [schedule["Name"] for schedule in pages["Schedules"]]


_owners = itertools.count()


@pytest.fixture
def bench(emulated_home: "EmulatedHome") -> Bench:
    stack = Stack.find(STACK, emulated_home.emulator.cloud)
    return Bench(emulated_home, stack, f"keys{next(_owners)}x{int(time.time())}")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore tries again without its seconds of waiting."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))


# --- a whole key


def test_a_key_made_opens_at_once_and_is_listed(bench: Bench) -> None:
    before = int(time.time())
    made = bench.create()
    facts = parse_api_key(made.value)
    assert facts is not None
    assert (facts.owner, facts.scopes) == (bench.owner, READ_WRITE)
    assert bench.opens(made.value)
    (key,) = bench.listed()
    assert key.created_at in range(before, int(time.time()) + 1)
    assert key == StoredKey(
        made.name, bench.owner, ("read", "write"), facts.expires_at, key.created_at, None
    )
    assert made.value not in repr(made)


def test_the_gateways_entry_tells_whose_it_is(bench: Bench) -> None:
    made = create_api_key(bench.stack, bench.owner, frozenset({"admin", "read"}), 4102444800)
    (entry,) = bench.entries()
    assert entry["name"] == f"{STACK}-{bench.owner}-{made.name}"
    assert entry["enabled"] is True
    until = "2100-01-01T00:00:00.000Z"
    told = f"Dandyroll key {made.name} of {bench.owner} for read,admin until {until}"
    assert entry["description"] == told
    assert entry["tags"] == {
        "dandyroll:stack": STACK,
        "dandyroll:owner": bench.owner,
        "dandyroll:scopes": "read admin",
        "dandyroll:expires": until,
    }


def test_its_schedule_disables_it_when_it_has_expired(bench: Bench) -> None:
    made = create_api_key(bench.stack, bench.owner, READ_WRITE, 4102444800)
    scheduler = bench.aws.emulator.client("scheduler")
    found = scheduler.get_schedule(GroupName=f"{STACK}-keys", Name=made.name)
    assert (found["ScheduleExpression"], found["ScheduleExpressionTimezone"]) == (
        "at(2100-01-01T00:00:00)",
        "UTC",
    )
    assert found["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert (found["State"], found["ActionAfterCompletion"]) == ("ENABLED", "DELETE")
    target = found["Target"]
    assert target["RoleArn"] == bench.stack.output("KeyExpiryRoleArn")
    assert target["Arn"] == "arn:aws:scheduler:::aws-sdk:apigateway:updateApiKey"
    given = json.loads(target["Input"])
    (entry,) = bench.entries()
    assert given == {
        "ApiKey": entry["id"],
        "PatchOperations": [{"Op": "replace", "Path": "/enabled", "Value": "false"}],
    }
    assert bench.opens(made.value)
    (change,) = given["PatchOperations"]
    bench.aws.emulator.client("apigateway").update_api_key(
        apiKey=given["ApiKey"], patchOperations=[{k.lower(): v for k, v in change.items()}]
    )
    assert not bench.opens(made.value)
    assert bench.states() == ["disabled"]


def test_a_key_expires_by_its_own_facts_though_the_gateway_would_let_it_in(bench: Bench) -> None:
    made = bench.create(lifetime_s=3)
    expires_at = bench.listed()[0].expires_at
    asked_at = time.time()
    assert bench.opens(made.value)
    while bench.opens(made.value):
        asked_at = time.time()
        assert asked_at < expires_at + 1
    assert asked_at < expires_at  # it still opened then
    assert time.time() >= expires_at
    (entry,) = bench.entries()
    assert entry["enabled"] is True
    assert bench.states() == ["expired"]


@pytest.mark.parametrize(
    ("owner", "scopes", "expires_at", "says"),
    [
        ("My Shop", READ_WRITE, 4102444800, "owner"),
        ("adopted", READ_WRITE, 4102444800, "other than 'adopted'"),
        ("shop", frozenset({"all"}), 4102444800, "scopes"),
        ("shop", READ_WRITE, 10**10, "expiry between"),
    ],
)
def test_what_is_no_key_is_refused(
    bench: Bench, owner: str, scopes: frozenset[str], expires_at: int, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        create_api_key(bench.stack, owner, scopes, expires_at)


# --- half-made keys


def none_left(bench: Bench, schedules: list[str]) -> None:
    assert bench.entries() == []
    assert bench.schedules() == schedules


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


def test_a_gateway_that_is_full_says_what_can_go(bench: Bench) -> None:
    full = itertools.repeat(refused(429, "LimitExceededException"))
    stack = bench.faulty(CreateApiKey=full, GetApiKeys=itertools.repeat(DENIED))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(CloudError) as caught:
        patch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
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


# --- lists and revocation


def test_newest_first(bench: Bench) -> None:
    names = [bench.create().name for _ in range(3)]
    listed = bench.listed()
    assert {key.name for key in listed} == set(names)
    assert [key.created_at for key in listed] == sorted(
        (k.created_at for k in listed), reverse=True
    )


def test_only_this_stacks_keys_are_listed(bench: Bench) -> None:
    gateway = bench.aws.emulator.client("apigateway")
    plan = gateway.create_usage_plan(name="another")["id"]
    other = replace(bench.stack, outputs={**bench.stack.outputs, "UsagePlanId": plan})
    made = bench.create(other)
    assert bench.listed() == []
    assert [key.name for key in list_api_keys(other)] == [made.name]


def test_what_was_put_under_the_plan_by_hand_is_listed_by_what_it_opens(bench: Bench) -> None:
    value = mint_api_key(bench.owner, READ_WRITE, 4102444800)
    gateway = bench.aws.emulator.client("apigateway")
    for given in (value, "f0" * 20):
        made = gateway.create_api_key(name="by hand", value=given, enabled=True)
        gateway.create_usage_plan_key(
            usagePlanId=bench.stack.output("UsagePlanId"), keyId=made["id"], keyType="API_KEY"
        )
    assert bench.opens(value)
    assert not bench.opens("f0" * 20)
    (key,) = bench.listed()
    assert (key.name, key.expires_at) == (name_of_api_key(value), 4102444800)
    assert [k.name for k in list_api_keys(bench.stack)].count(name_of_api_key("f0" * 20)) == 0
    revoke_api_key(bench.stack, value)
    assert not bench.opens(value)
    assert bench.states() == ["revoked"]


@pytest.mark.parametrize("by", ["name", "value"])
def test_a_revoked_key_opens_nothing_and_stays_listed(bench: Bench, by: str) -> None:
    made, kept = bench.create(), bench.create()
    before = time.time()
    revoked = revoke_api_key(bench.stack, getattr(made, by))
    assert (revoked.name, revoked.owner) == (made.name, bench.owner)
    assert not bench.opens(made.value)
    assert bench.opens(kept.value)
    assert made.name not in bench.schedules()
    assert kept.name in bench.schedules()
    (found,) = [key for key in bench.listed() if key.name == made.name]
    assert found.state(time.time()) == "revoked"
    assert found.revoked_at in range(int(before), int(time.time()) + 1)


def test_revoking_twice_keeps_the_first_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    made = bench.create()
    first = revoke_api_key(bench.stack, made.name)
    monkeypatch.setattr(
        "dandyroll.aws.api_keys.time", SimpleNamespace(time=lambda: time.time() + 60)
    )
    assert revoke_api_key(bench.stack, made.name) == first
    assert bench.states() == ["revoked"]


def test_a_deleted_key_is_gone(bench: Bench) -> None:
    made = bench.create()
    delete_api_key(bench.stack, made.name)
    assert not bench.opens(made.value)
    none_left(bench, [name for name in bench.schedules() if name != made.name])
    assert bench.listed() == []


@pytest.mark.parametrize("change", [revoke_api_key, delete_api_key])
def test_there_is_no_such_key(bench: Bench, change: Callable[[Stack, str], StoredKey]) -> None:
    with pytest.raises(NotFound, match="one key; it names 0"):
        change(bench.stack, "0123456789ab")


# --- usage


def test_usage_is_told_by_day(bench: Bench) -> None:
    """The emulator does not count; the answer is as API Gateway's documentation has it."""
    used, unused = bench.create(), bench.create()
    (entry,) = [entry for entry in bench.entries() if entry["value"] == used.value]
    asked = []

    def counts(request: Any) -> Any:
        asked.append(request.url.partition("/usageplans/")[2])
        log = [[0, 0]] * 27 + [[7, 0], [0, 0], [5, 0]]
        return answered(request, 200, {"values": {entry["id"]: log}})

    now = 1795437334  # 2026-11-23
    report = usage_report(bench.faulty(GetUsage=iter([counts])), now)
    plan = bench.stack.output("UsagePlanId")
    assert asked == [f"{plan}/usage?startDate=2026-10-25&endDate=2026-11-23"]
    of_owner = {each["key"]: each for each in report if each["owner"] == bench.owner}
    days = {"2026-11-21": 7, "2026-11-23": 5}
    facts = {"key": used.name, "owner": bench.owner, "requests": 12, "days": days}
    assert of_owner[used.name] == facts
    assert of_owner[unused.name]["requests"] == 0
    assert of_owner[unused.name]["days"] == {}
