"""What `dandyroll deploy` looks at before it changes anything."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import dandyroll
from dandyroll.aws import prerequisites
from dandyroll.aws.checkout import find_checkout
from dandyroll.aws.prerequisites import Check, Plan, Wanted, examine
from dandyroll.cli import main
from deploy.build import ROOT
from tests.aws.emulator import PARAMETERS, STACK
from tests.aws.templates import template
from tests.aws.test_stack import operators_shell

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

FUNCTIONS = [
    resource["Properties"]
    for resource in template()["Resources"].values()
    if resource["Type"] == "AWS::Serverless::Function"
]


@pytest.fixture
def sam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in of the SAM CLI, which says its version; nothing here calls for more."""
    script = tmp_path / "sam"
    script.write_text("#!/bin/sh\necho SAM CLI, version 1.2.3\n", "utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(prerequisites, "find_sam", lambda root: script)
    return script


@pytest.fixture
def shell(
    emulated_home: "EmulatedHome", sam: Path, monkeypatch: pytest.MonkeyPatch
) -> "EmulatedHome":
    """An operator's shell."""
    for name, value in operators_shell(emulated_home).items():
        monkeypatch.setenv(name, value)
    return emulated_home


def looked(
    stack: str = "another", *, adopt: bool = False, **parameters: str
) -> tuple[dict[str, Check], Plan | None]:
    checks, plan = examine(Wanted(stack, None, parameters, adopt))
    assert (plan is None) == any(check.state == "wrong" for check in checks)
    assert all(check.fix for check in checks if check.state == "wrong")
    return {check.name: check for check in checks}, plan


def test_a_first_deployment_has_all_it_needs(shell: "EmulatedHome", sam: Path) -> None:
    checks, plan = looked()
    assert {check.state for check in checks.values()} == {"ok"}
    assert list(checks) == ["template", "python", "sam", "account", "stack", "parameters", "name",
                            "bucket", "table", "logs", "concurrency"]  # fmt: skip
    assert plan is not None and plan.sam == sam and not plan.stands
    assert plan.parameters == find_checkout().parameters()
    assert checks["account"].says.startswith(f"{plan.account} in {shell.emulator.cloud.region}, as")
    assert "1.2.3" in checks["sam"].says


def test_an_upgrade_keeps_the_stacks_parameters(shell: "EmulatedHome") -> None:
    checks, plan = looked(STACK, LogRetentionDays="7")
    assert plan is not None and plan.stands
    assert plan.given == {"LogRetentionDays": "7"}
    expected = find_checkout().parameters() | PARAMETERS | {"LogRetentionDays": "7"}
    assert plan.parameters == expected
    assert checks["stack"].says == f"{STACK} is CREATE_COMPLETE"
    assert not {"name", "bucket", "table"} & set(checks)  # they are its own


def test_what_an_earlier_stack_left_is_found(shell: "EmulatedHome") -> None:
    cloud = shell.emulator
    account = shell.outputs["BucketName"].split("-")[-4]
    bucket = f"left-{account}-{shell.emulator.cloud.region}"
    cloud.client("s3").create_bucket(Bucket=bucket)
    cloud.client("dynamodb").create_table(
        TableName="left-image-metadata",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "image-id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "image-id", "KeyType": "HASH"}],
    )
    checks, plan = looked("left")
    assert plan is None
    for name, left in (("bucket", bucket), ("table", "left-image-metadata")):
        assert (checks[name].state, left in checks[name].says) == ("wrong", True)
        assert "--adopt" in checks[name].fix
    checks, plan = looked("left", adopt=True)
    assert plan is not None
    assert checks["bucket"].says == f"{bucket} is there"


def test_log_groups_that_an_earlier_stack_left_are_named(shell: "EmulatedHome") -> None:
    group, logs = "/aws/lambda/logged-sweep", shell.emulator.client("logs")
    logs.create_log_group(logGroupName=group)
    try:
        checks, plan = looked("logged")
    finally:
        logs.delete_log_group(logGroupName=group)
    assert plan is None
    assert (checks["logs"].state, group in checks["logs"].says) == ("wrong", True)


def test_there_is_nothing_to_adopt_where_nothing_was_left(shell: "EmulatedHome") -> None:
    checks, _ = looked("nobody", adopt=True)
    assert [checks[name].state for name in ("bucket", "table")] == ["wrong", "wrong"]


def test_a_bucket_that_may_not_be_looked_at_is_somebody_elses(
    shell: "EmulatedHome", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prerequisites, "_bucket_stands", lambda cloud, name: None)
    checks, _ = looked("taken")
    assert (checks["bucket"].state, "another account's" in checks["bucket"].says) == ("wrong", True)


@pytest.mark.parametrize("name", ["Upper", "two--hyphens", "-first", "x" * 33, "a_b"])
def test_a_name_that_no_bucket_can_have_is_refused(shell: "EmulatedHome", name: str) -> None:
    checks, _ = looked(name)
    assert (checks["name"].state, name in checks["name"].says) == ("wrong", True)
    assert "bucket" not in checks


def test_a_parameter_that_there_is_not_is_refused(shell: "EmulatedHome") -> None:
    checks, _ = looked(StageConcurency="3")
    assert checks["parameters"].fix == "Did you mean StageConcurrency?"
    checks, _ = looked(StageConcurrency="many")
    assert "expected a number of at least 0" in checks["parameters"].says
    checks, _ = looked(StageConcurrency="1.5")
    assert "expected a whole number" in checks["parameters"].says
    assert "concurrency" not in checks
    checks, _ = looked(Runtime="provided.al2023")
    assert checks["parameters"].fix == "Runtime=python3.13"


@pytest.mark.parametrize(
    ("parameter", "says"),
    [
        ("WorkflowType=FAST", "expected one of STANDARD, EXPRESS; got 'FAST'"),
        ("LogRetentionDays=2", "expected one of 1, 3, 5, 7, 14,"),
        ("Dashboard=yes", "expected one of true, false; got 'yes'"),
        ("SweepEveryMinutes=31", "expected a number of at least 2 and at most 30; got '31'"),
        ("SweepEveryMinutes=1", "at least 2"),
        ("TraceRate=often", "expected a number of at least 0 and at most 1; got 'often'"),
        ("GlacierDays=-1", "expected a number of at least 0; got '-1'"),
        ("Stage=V 1", "expected what matches ^[a-z0-9]+$; got 'V 1'"),
        ("MailFrom=me", "expected what matches"),
        ("CdnKeyA=short", "expected what matches"),
    ],
)
def test_a_value_that_the_template_refuses_is_refused_before(parameter: str, says: str) -> None:
    name, _, value = parameter.partition("=")
    check = prerequisites._check_parameters({name: value}, find_checkout())
    assert check.state == "wrong" and check.fix
    assert f"{name}: " in check.says and says in check.says


def test_every_limit_of_the_template_is_known_and_its_defaults_are_within() -> None:
    words = ("Type", "AllowedValues", "AllowedPattern", "MinValue", "MaxValue")
    limits = find_checkout().limits()
    for name, parameter in template()["Parameters"].items():
        told = {word: parameter[word] for word in words if word in parameter}
        assert limits[name] == {
            word: list(map(str, value)) if isinstance(value, list) else str(value)
            for word, value in told.items()
        }
        assert prerequisites._expected(limits[name], str(parameter["Default"])) == ""
    mail = prerequisites._expected(limits["MailFrom"], "me@shop.example")
    assert (mail, prerequisites._expected(limits["TraceRate"], "0.05")) == ("", "")


def test_more_concurrency_than_the_account_has_is_refused(shell: "EmulatedHome") -> None:
    checks, _ = looked(ApiConcurrency="100000")
    found = re.search(r"^(\d+) of \d+ .* at most (\d+) can be$", checks["concurrency"].says)
    assert found is not None and int(found[2]) < int(found[1])
    assert int(found[1]) == reserved({"ApiConcurrency": 100_000, "StageConcurrency": 0})


def reserved(caps: Mapping[str, int]) -> int:
    """What the template's functions reserve in all, the parameters being these."""
    total = 0
    for function in FUNCTIONS:
        match function.get("ReservedConcurrentExecutions", 0):
            case int(number):
                total += number
            case {"Fn::If": [_, {"Ref": name}, _]}:
                total += caps[name]
    return total


def test_what_a_stack_has_reserved_it_may_keep(
    shell: "EmulatedHome", monkeypatch: pytest.MonkeyPatch
) -> None:
    _, plan = looked(STACK)
    assert plan is not None
    asked = plan.checkout.reserved(PARAMETERS)
    account = {"ConcurrentExecutions": asked + 100, "UnreservedConcurrentExecutions": 100}
    tight = Concurrency(account)
    monkeypatch.setattr(type(plan.cloud), "client", lambda self, service: tight)
    assert prerequisites._check_concurrency(plan, asked).state == "ok"
    assert prerequisites._check_concurrency(plan, 0).state == "wrong"


def test_a_new_accounts_small_quota_is_noted(
    shell: "EmulatedHome", monkeypatch: pytest.MonkeyPatch
) -> None:
    _, plan = looked()
    assert plan is not None
    small = Concurrency({"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": 10})
    monkeypatch.setattr(type(plan.cloud), "client", lambda self, service: small)
    check = prerequisites._check_concurrency(plan, 0)
    assert (check.state, "0 of 10" in check.says) == ("note", True)


class Concurrency:
    """Lambda's answer about an account."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = limits

    def get_account_settings(self) -> dict[str, Any]:
        return {"AccountLimit": self._limits}


@pytest.mark.parametrize(
    ("status", "fix"),
    [
        ("ROLLBACK_COMPLETE", "delete-stack"),
        ("ROLLBACK_FAILED", "delete-stack"),
        ("CREATE_FAILED", "delete-stack"),
        ("DELETE_FAILED", "delete-stack"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("UPDATE_IN_PROGRESS", "Wait"),
        ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "Wait"),
    ],
)
def test_a_stack_that_cannot_be_updated_is_told_how(status: str, fix: str) -> None:
    check = prerequisites._check_stack("dandyroll", {"StackStatus": status})
    assert (check.state, status in check.says) == ("wrong", True)
    assert fix in check.fix


@pytest.mark.parametrize(
    "status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"]
)
def test_a_stack_that_stands_can_be_updated(status: str) -> None:
    assert prerequisites._check_stack("dandyroll", {"StackStatus": status}).state == "ok"


def test_a_log_of_requests_needs_the_accounts_role(shell: "EmulatedHome") -> None:
    _, plan = looked()
    assert plan is not None
    logging = replace(plan.checkout, template=plan.checkout.template + "\n  AccessLogSetting: x\n")
    assert logging.logs_requests()
    asking = replace(plan, checkout=logging)
    assert prerequisites._check_gateway_role(has_role(shell, asking, "")).state == "wrong"
    role = "arn:aws:iam::000000000000:role/gateway-logs"
    found = prerequisites._check_gateway_role(has_role(shell, asking, role))
    assert found == Check("gateway's role", "ok", role)


def has_role(aws: "EmulatedHome", plan: Plan, role: str) -> Plan:
    """The plan, in an account whose gateway has that role."""
    change = {"op": "replace", "path": "/cloudwatchRoleArn", "value": role}
    aws.emulator.client("apigateway").update_account(patchOperations=[change])
    return plan


# --- this machine


def test_without_credentials_no_question_is_asked_of_aws(
    sam: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    checks, _ = looked()
    assert list(checks) == ["template", "python", "sam", "credentials"]
    assert "Expected AWS credentials" in checks["credentials"].says


def test_without_a_checkout_there_is_nothing_to_deploy(
    shell: "EmulatedHome", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dandyroll, "__file__", str(tmp_path / "a/b/dandyroll/__init__.py"))
    checks, _ = looked()
    assert checks["template"].state == "wrong"
    assert checks["account"].state == "ok"


def test_without_the_sam_cli_its_fix_is_named(
    shell: "EmulatedHome", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prerequisites, "find_sam", lambda root: None)
    checks, _ = looked()
    assert (checks["sam"].state, checks["sam"].fix) == ("wrong", "make sam")


def test_the_checkouts_own_sam_cli_goes_before_the_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = tmp_path / "bin" / "sam"
    own = tmp_path / ".venv-sam" / "bin" / "sam"
    for program in (on_path, own):
        program.parent.mkdir(parents=True)
        program.touch(0o755)
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert prerequisites.find_sam(tmp_path) == own
    own.unlink()
    assert prerequisites.find_sam(tmp_path) == on_path
    on_path.unlink()
    assert prerequisites.find_sam(tmp_path) is None


# --- the template, read without YAML


def test_the_parameters_are_the_templates() -> None:
    parsed = template()["Parameters"]
    assert find_checkout().root == ROOT
    assert find_checkout().parameters() == {
        name: str(about.get("Default", "")) for name, about in parsed.items()
    }


def test_what_is_reserved_is_what_the_template_reserves() -> None:
    for caps in ({"ApiConcurrency": 7, "StageConcurrency": 0},
                 {"ApiConcurrency": 0, "StageConcurrency": 3}):  # fmt: skip
        found = find_checkout().reserved({name: str(number) for name, number in caps.items()})
        assert found == reserved(caps) > 7


# --- the command


def test_check_alone_changes_nothing(
    shell: "EmulatedHome", capsys: pytest.CaptureFixture[str]
) -> None:
    before = shell.emulator.client("cloudformation").describe_stacks()["Stacks"]
    assert main(["deploy", "--stack", "another", "--check"]) == 0
    assert "ok     account: " in capsys.readouterr().out
    assert main(["deploy", "--stack", "another", "--check", "--parameter", "Nothing=1"]) == 1
    assert "WRONG  parameters: the template has none called Nothing" in capsys.readouterr().out
    assert shell.emulator.client("cloudformation").describe_stacks()["Stacks"] == before


def test_without_a_terminal_yes_must_be_said(
    shell: "EmulatedHome", capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deploy", "--stack", "another"]) == 2
    assert "--yes" in capsys.readouterr().err
