"""API keys of the AWS home: made, listed, revoked, counted."""

import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from dandyroll.api_keys import StoredKey, mint_api_key, name_of_api_key, parse_api_key
from dandyroll.aws.api_keys import (
    create_api_key,
    delete_api_key,
    list_api_keys,
    revoke_api_key,
)
from dandyroll.aws.stack import Stack
from dandyroll.aws.usage_report import usage_report
from dandyroll.errors import NotFound
from tests.aws.emulator import STACK
from tests.aws.faulty_cloud import answered
from tests.aws.key_bench import IN_2100, READ_WRITE, Bench


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
    made = create_api_key(bench.stack, bench.owner, frozenset({"admin", "read"}), IN_2100)
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


@pytest.mark.parametrize(
    ("owner", "scopes", "expires_at", "says"),
    [
        ("My Shop", READ_WRITE, IN_2100, "owner"),
        ("adopted", READ_WRITE, IN_2100, "other than 'adopted'"),
        ("shop", frozenset({"all"}), IN_2100, "scopes"),
        ("shop", READ_WRITE, 10**10, "expiry between"),
    ],
)
def test_what_is_no_key_is_refused(
    bench: Bench, owner: str, scopes: frozenset[str], expires_at: int, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        create_api_key(bench.stack, owner, scopes, expires_at)


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
    value = mint_api_key(bench.owner, READ_WRITE, IN_2100)
    gateway = bench.aws.emulator.client("apigateway")
    for given in (value, "f0" * 20):
        made = gateway.create_api_key(name="by hand", value=given, enabled=True)
        gateway.create_usage_plan_key(
            usagePlanId=bench.stack.output("UsagePlanId"), keyId=made["id"], keyType="API_KEY"
        )
    assert bench.opens(value)
    assert not bench.opens("f0" * 20)
    (key,) = bench.listed()
    assert (key.name, key.expires_at) == (name_of_api_key(value), IN_2100)
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
    assert bench.entries() == []
    assert made.name not in bench.schedules()
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

    def counts(request: Any, _: Any) -> Any:
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
