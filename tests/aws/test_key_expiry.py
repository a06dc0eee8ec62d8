"""Expiry: exact by a key's own facts, and afterwards a schedule disables it in the gateway.

That the scheduler does what an entry says, the emulator does not show: it drops calls of AWS's own
API. So what the entry says is done here as it stands.
"""

import json
import time

from dandyroll.aws.api_keys import create_api_key
from tests.aws.emulator import STACK
from tests.aws.key_bench import IN_2100, READ_WRITE, Bench
from tests.aws.test_template import RESOURCES, TEMPLATE, of


def test_its_schedule_disables_it_when_it_has_expired(bench: Bench) -> None:
    made = create_api_key(bench.stack, bench.owner, READ_WRITE, IN_2100)
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
    assert bench.opens(made.value)
    asked_at = time.time()
    while bench.opens(made.value):
        assert asked_at < expires_at
        asked_at = time.time()
    assert time.time() >= expires_at
    (entry,) = bench.entries()
    assert entry["enabled"] is True
    assert bench.states() == ["expired"]


def test_the_schedules_role_may_change_keys_and_nothing_else() -> None:
    (policy,) = of("KeyExpiryRole")["Policies"]
    assert policy["PolicyDocument"]["Statement"] == [
        {
            "Effect": "Allow",
            "Action": "apigateway:PATCH",
            "Resource": {"Fn::Sub": "arn:${AWS::Partition}:apigateway:${AWS::Region}::/apikeys/*"},
        }
    ]
    assert set(of("KeyExpiryRole")) == {"AssumeRolePolicyDocument", "Policies"}


def test_only_the_schedules_of_the_stacks_keys_have_that_role() -> None:
    (trusted,) = of("KeyExpiryRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trusted == {
        "Effect": "Allow",
        "Principal": {"Service": "scheduler.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {
            "StringEquals": {
                "aws:SourceAccount": {"Ref": "AWS::AccountId"},
                "aws:SourceArn": {"Fn::GetAtt": ["KeyScheduleGroup", "Arn"]},
            }
        },
    }
    users = [name for name, r in RESOURCES.items() if "KeyExpiryRole" in json.dumps(r)]
    assert users == []
    assert TEMPLATE["Outputs"]["KeyExpiryRoleArn"]["Value"] == {
        "Fn::GetAtt": ["KeyExpiryRole", "Arn"]
    }
    assert TEMPLATE["Outputs"]["KeyScheduleGroup"]["Value"] == {"Ref": "KeyScheduleGroup"}
