"""All roles, policies and permissions of the stack, exactly: none comes in unseen.

The emulator enforces those of the functions and the bucket's (`test_roles.py`, `test_tls.py`); for
the others this is what there is.
"""

import pytest

from tests.aws import test_template
from tests.aws.permissions import LISTED, granting, listing, transformed
from tests.aws.test_template import FUNCTIONS, RESOURCES

TEMPLATE = transformed()["Resources"]
GRANTED = granting(TEMPLATE)
OF_FUNCTIONS = {f"{name}Role" for name, r in RESOURCES.items() if r in FUNCTIONS.values()}

OTHER_ROLES = {
    "PipelineRole": {
        "states.amazonaws.com may sts:AssumeRole if aws:SourceAccount StringEquals AWS::AccountId",
        "may lambda:InvokeFunction on NewSizeImage.Arn",
        "may lambda:InvokeFunction on AddWatermark.Arn",
        "may lambda:InvokeFunction on RecordFailure.Arn",
        # Neither log delivery nor X-Ray knows resources.
        "may logs:CreateLogDelivery on *",
        "may logs:GetLogDelivery on *",
        "may logs:UpdateLogDelivery on *",
        "may logs:DeleteLogDelivery on *",
        "may logs:ListLogDeliveries on *",
        "may logs:PutResourcePolicy on *",
        "may logs:DescribeResourcePolicies on *",
        "may logs:DescribeLogGroups on *",
        "may xray:PutTraceSegments on *",
        "may xray:PutTelemetryRecords on *",
        "may xray:GetSamplingRules on *",
        "may xray:GetSamplingTargets on *",
    },
    # SAM makes it, for the rule.
    "PipelineUploadedRole": {
        "events.amazonaws.com may sts:AssumeRole",
        "may states:StartExecution on Pipeline",
    },
    # The Scheduler's, for the sweep and for keys that end.
    "SweepScheduleRole": {
        "scheduler.amazonaws.com may sts:AssumeRole if aws:SourceAccount StringEquals "
        "AWS::AccountId",
        "may lambda:InvokeFunction on Sweep.Arn",
    },
    "KeyExpiryRole": {
        "scheduler.amazonaws.com may sts:AssumeRole if aws:SourceAccount StringEquals "
        "AWS::AccountId if aws:SourceArn StringEquals KeyScheduleGroup.Arn",
        "may apigateway:PATCH on arn:${AWS::Partition}:apigateway:${AWS::Region}::/apikeys/*",
    },
}
"""Roles that no function has. What they give, the emulator does not ask about."""

EVERY_FUNCTIONS = {
    "lambda.amazonaws.com may sts:AssumeRole",
    "has AWSLambdaBasicExecutionRole",
    "has AWSXrayWriteOnlyAccess",
}


def test_they_are_the_listed_ones() -> None:
    """A change that is meant: `make golden`, and look at each line that has changed."""
    assert listing(GRANTED) == LISTED.read_text("utf-8")


def test_every_role_is_a_functions_or_one_we_name() -> None:
    roles = {name for name, r in TEMPLATE.items() if r["Type"] == "AWS::IAM::Role"}
    assert roles == OF_FUNCTIONS | set(OTHER_ROLES)
    assert len(OF_FUNCTIONS) == len(FUNCTIONS)


@pytest.mark.parametrize("name", OTHER_ROLES)
def test_a_role_that_is_not_enforced_gives_exactly_this(name: str) -> None:
    assert GRANTED[name] == OTHER_ROLES[name]


@pytest.mark.parametrize("name", sorted(OF_FUNCTIONS))
def test_a_functions_role_is_for_it_and_has_nothing_beside(name: str) -> None:
    """What it may do in S3 and DynamoDB, `test_template.py` has as an exact set."""
    own = {line for line in GRANTED[name] if not line.startswith("may ")}
    assert own == EVERY_FUNCTIONS


def test_each_functions_leave_is_asserted() -> None:
    # Ignored by mypy: pytest adds the attribute.
    (mark,) = test_template.test_a_function_may_do_exactly_this.pytestmark  # type: ignore[attr-defined]
    assert {name for name, _ in mark.args[1]} == set(FUNCTIONS)


def test_functions_are_invoked_by_the_gateway_for_their_own_routes_alone() -> None:
    permissions = {n: r for n, r in TEMPLATE.items() if r["Type"].endswith("Permission")}
    expected = set()
    for name, function in RESOURCES.items():
        events = function["Properties"].get("Events", {}) if name + "Role" in OF_FUNCTIONS else {}
        for about in (event["Properties"] for event in events.values()):
            path = about["Path"].replace("{file-name}", "*")
            route = f"Api/*/{about['Method'].upper()}{path}"
            source = f"arn:aws:execute-api:${{AWS::Region}}:${{AWS::AccountId}}:{route}"
            who = f"apigateway.amazonaws.com, {source}"
            expected.add(f"{who} may lambda:InvokeFunction on {name}")
    assert {line for name in permissions for line in GRANTED[name]} == expected


def test_nobody_gets_more_than_can_be_named() -> None:
    for name, lines in GRANTED.items():
        for line in lines:
            who, may, rest = line.rpartition("may ")
            if not may or rest.startswith("not "):
                continue
            assert not who.startswith("*"), f"{name}: everyone {line}"
            action = rest.partition(" ")[0]
            assert not action.endswith("*"), f"{name}: {line}"
            if " on *" in rest:
                assert name == "PipelineRole", f"{name}: {line}"
                assert action.partition(":")[0] in ("logs", "xray"), line


ANYTHING = {"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


def test_a_new_policy_is_found_whatever_it_is_called() -> None:
    new = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": ANYTHING}}
    assert granting({"New": new}) == {"New": {"may s3:* on *"}}


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("AWS::KMS::Key", {"KeyPolicy": ANYTHING}),
        ("AWS::ApiGateway::RestApi", {"Body": {"x-amazon-apigateway-policy": ANYTHING}}),
        ("AWS::S3::Bucket", {"AccessControl": "PublicRead"}),
        ("AWS::IAM::User", {}),
        ("AWS::Lambda::Url", {"AuthType": "NONE"}),
    ],
)
def test_what_gives_leave_in_a_way_we_do_not_read_is_refused(
    kind: str, properties: dict[str, object]
) -> None:
    with pytest.raises((AssertionError, KeyError)):
        granting({"New": {"Type": kind, "Properties": properties}})
