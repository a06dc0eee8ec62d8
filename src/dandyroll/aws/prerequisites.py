"""What must be so before the AWS home can be deployed, each with what to do where it is not."""

import difflib
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any, Literal

from dandyroll.aws.checkout import Checkout, find_checkout
from dandyroll.aws.cloud import Cloud
from dandyroll.aws.stack import CloudError, operators_cloud, operators_errors
from dandyroll.settings import BadSetting

_BUILDS_WITH = ("pip", "setuptools", "wheel")
_LEAST_SHARED = 100  # Lambda keeps so many concurrent executions for functions that reserve none
_LONGEST_BUCKET, _LONGEST_RULE = 63, 32  # of S3, and of X-Ray, whose rule has the stack's name
_GUIDE = "docs/operations.md"


@dataclass(frozen=True)
class Check:
    """One thing looked at. `fix` says what to do where it is not `ok`."""

    name: str
    state: Literal["ok", "note", "wrong"]
    says: str
    fix: str = ""


@dataclass(frozen=True)
class Wanted:
    """What an operator asked for: a stack's name, perhaps a region, template parameters.

    `adopt`: what an earlier stack of that name has left is to be taken over.
    """

    stack: str
    region: str | None
    parameters: Mapping[str, str]
    adopt: bool = False


@dataclass(frozen=True)
class Plan:
    """What is to be deployed, from where and to where.

    `given` are the parameters that were asked for; `parameters` all there will be, with those
    the stack has now and the template's defaults. `stands` tells whether there is a stack.
    """

    checkout: Checkout
    sam: Path
    cloud: Cloud
    account: str
    stack: str
    stands: bool
    given: Mapping[str, str]
    parameters: Mapping[str, str]


def examine(wanted: Wanted) -> tuple[list[Check], Plan | None]:
    """Every check that can be made; and the plan, unless one of them is wrong.

    Changes nothing, here or on AWS. Where AWS cannot be asked, what hangs on it is left out.
    """
    checks: list[Check] = []
    checkout, sam = _here(checks)
    cloud, account = _account(wanted.region, checks)
    if checkout is None or cloud is None:
        return checks, None
    try:
        with operators_errors():
            stack = _stack(wanted.stack, cloud)
            checks.append(_check_stack(wanted.stack, stack))
            parameters = checkout.parameters() | _parameters(stack) | dict(wanted.parameters)
            checks.append(_check_parameters(wanted.parameters, checkout))
            plan = Plan(checkout, sam or Path(), cloud, account, wanted.stack, stack is not None,
                        wanted.parameters, parameters)  # fmt: skip
            if checks[-1].state == "ok":
                reserved_now = checkout.reserved(parameters | _parameters(stack))
                checks += _check_plan(plan, reserved_now, adopt=wanted.adopt)
    except CloudError as error:
        checks.append(Check("AWS", "wrong", str(error), "Call it as somebody who may, or again."))
        return checks, None
    return checks, None if any(check.state == "wrong" for check in checks) else plan


# --- this machine -------------------------------------------------------------------------------


def _here(checks: list[Check]) -> tuple[Checkout | None, Path | None]:
    try:
        checkout = find_checkout()
        checks.append(Check("template", "ok", str(checkout.template_file)))
    except BadSetting as error:
        checks.append(Check("template", "wrong", str(error), "git clone, make sam, and run there"))
        return None, None
    missing = [name for name in _BUILDS_WITH if importlib.util.find_spec(name) is None]
    if missing:
        says = f"expected {', '.join(_BUILDS_WITH)} to build with; {', '.join(missing)} not found"
        checks.append(Check("python", "wrong", says, "make setup, and .venv/bin/dandyroll deploy"))
    else:
        checks.append(Check("python", "ok", sys.executable))
    sam = find_sam(checkout.root)
    checks.append(_check_sam(sam))
    return checkout, sam


def find_sam(root: Path) -> Path | None:
    """The checkout's own SAM CLI, else the one on the path."""
    own = root / ".venv-sam" / "bin" / "sam"
    found = which("sam")
    return own if own.is_file() else Path(found) if found else None


def _check_sam(sam: Path | None) -> Check:
    if sam is None:
        return Check("sam", "wrong", "expected the AWS SAM CLI; found none", "make sam")
    try:
        version = subprocess.run([sam, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return Check("sam", "wrong", f"{sam} does not start: {error}", "make sam")
    return Check("sam", "ok", f"{version.stdout.strip()}: {sam}")


# --- the account --------------------------------------------------------------------------------


def _account(region: str | None, checks: list[Check]) -> tuple[Cloud | None, str]:
    """The cloud and the account's number, where there are credentials that are good."""
    try:
        cloud = operators_cloud(region)
    except BadSetting as error:
        fix = "aws configure, or AWS_PROFILE=…; and --region"
        checks.append(Check("credentials", "wrong", str(error), fix))
        return None, ""
    try:
        with operators_errors():
            caller = cloud.client("sts").get_caller_identity()
    except CloudError as error:
        fix = "aws sts get-caller-identity must answer; sign in again, or mind the region's name"
        checks.append(Check("credentials", "wrong", str(error), fix))
        return None, ""
    says = f"{caller['Account']} in {cloud.region}, as {caller['Arn']}"
    checks.append(Check("account", "ok", says))
    return cloud, str(caller["Account"])


def _stack(name: str, cloud: Cloud) -> dict[str, Any] | None:
    """The stack as CloudFormation describes it; None where there is none, or only an intent."""
    from botocore.exceptions import ClientError

    try:
        stacks = cloud.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ValidationError":
            return None
        raise
    stack: dict[str, Any] = stacks[0]
    return None if stack["StackStatus"] == "REVIEW_IN_PROGRESS" else stack


def _parameters(stack: Mapping[str, Any] | None) -> dict[str, str]:
    given = stack.get("Parameters", ()) if stack else ()
    return {each["ParameterKey"]: each["ParameterValue"] for each in given}


def _check_stack(name: str, stack: Mapping[str, Any] | None) -> Check:
    if stack is None:
        return Check("stack", "ok", f"there is no {name} yet")
    status = stack["StackStatus"]
    says, tool = f"{name} is {status}", "aws cloudformation"
    if status.endswith("_IN_PROGRESS"):
        return Check("stack", "wrong", says, "Wait until it is done.")
    if status == "UPDATE_ROLLBACK_FAILED":
        fix = f"{tool} continue-update-rollback --stack-name {name}"
        return Check("stack", "wrong", says, fix)
    if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"):
        says += ": its first deployment failed, and it cannot be updated"
        if status == "DELETE_FAILED":
            says = f"{name} is {status}: it could not be deleted, and cannot be updated"
        return Check("stack", "wrong", says, f"{tool} delete-stack --stack-name {name}")
    return Check("stack", "ok", says)


def _check_parameters(given: Mapping[str, str], checkout: Checkout) -> Check:
    known = checkout.parameters()
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            fix = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(sorted(known))}."
            return Check("parameters", "wrong", f"the template has none called {name}", fix)
    limits = checkout.limits()
    for name, value in given.items():
        expected = _expected(limits[name], value)
        if expected:
            says = f"{name}: expected {expected}; got {value!r}"
            return Check("parameters", "wrong", says, f"--parameter {name}={known[name]}")
    for name in ("ApiConcurrency", "StageConcurrency"):
        if not re.fullmatch("[0-9]{1,6}", given.get(name, "0")):
            says = f"{name}: expected a whole number of at least 0; got {given[name]!r}"
            return Check("parameters", "wrong", says, "0 reserves none.")
    if given.get("Runtime", "").startswith("provided"):
        says = "Runtime: expected one of Lambda's for Python; provided.al2023 is for the tests"
        return Check("parameters", "wrong", says, "Runtime=python3.13")
    says = ", ".join(f"{name}={value}" for name, value in given.items())
    return Check("parameters", "ok", says or "as they are, or the template's own")


def _expected(limits: Mapping[str, Any], value: str) -> str:
    """What CloudFormation would have had in the value's place; "" where it takes the value."""
    values, pattern = limits.get("AllowedValues"), limits.get("AllowedPattern")
    if values and value not in values:
        return f"one of {', '.join(values)}"
    if pattern and not re.fullmatch(pattern, value):
        return f"what matches {pattern}"
    if limits["Type"] != "Number":
        return ""
    least, most = limits.get("MinValue", "-inf"), limits.get("MaxValue", "inf")
    if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value) and float(least) <= float(value) <= float(most):
        return ""
    bounds = [f"at least {least}"] if least != "-inf" else []
    bounds += [f"at most {most}"] if most != "inf" else []
    return f"a number of {' and '.join(bounds)}" if bounds else "a number"


# --- what the stack will need -------------------------------------------------------------------


def _check_plan(plan: Plan, reserved_now: int, *, adopt: bool) -> Iterator[Check]:
    if not plan.stands:
        name = _check_name(plan)
        yield name
        if name.state == "ok":
            yield from _check_kept(plan, adopt)
            yield _check_logs(plan)
        reserved_now = 0
    yield _check_concurrency(plan, reserved_now)
    if plan.checkout.logs_requests():
        yield _check_gateway_role(plan)


def kept_names(plan: Plan) -> tuple[str, str]:
    """What the template calls the bucket and the table."""
    bucket = f"{plan.stack}-{plan.account}-{plan.cloud.region}"
    return bucket, f"{plan.stack}-image-metadata"


def _check_name(plan: Plan) -> Check:
    bucket, _ = kept_names(plan)
    longest = min(_LONGEST_RULE, _LONGEST_BUCKET - len(bucket) + len(plan.stack))
    if re.fullmatch("[a-z][a-z0-9]*(-[a-z0-9]+)*", plan.stack) and len(plan.stack) <= longest:
        return Check("name", "ok", plan.stack)
    says = f"expected a-z, 0-9 and single hyphens, at most {longest}; got {plan.stack!r}"
    return Check("name", "wrong", says, "--stack NAME: the bucket is called after it.")


def _check_kept(plan: Plan, adopt: bool) -> Iterator[Check]:
    """A stack that is deleted leaves its images, and then stands in the way of the next one."""
    bucket, table = kept_names(plan)
    yield _check_left("bucket", bucket, _bucket_stands(plan.cloud, bucket), adopt)
    yield _check_left("table", table, _table_stands(plan.cloud, table), adopt)


def _check_left(what: str, name: str, stands: bool | None, adopt: bool) -> Check:
    if stands is None:
        fix = "choose another name: --stack NAME"
        return Check(what, "wrong", f"{name} is another account's, or not yours to look at", fix)
    if stands and not adopt:
        fix = "--adopt takes bucket and table over; or choose another name: --stack NAME"
        return Check(what, "wrong", f"there is a {name} of an earlier stack", fix)
    if adopt and not stands:
        fix = "leave out --adopt, and delete the other of bucket and table if it holds nothing"
        return Check(what, "wrong", f"there is no {name} to adopt", fix)
    return Check(what, "ok", f"{name} is {'there' if stands else 'free'}")


def _check_logs(plan: Plan) -> Check:
    """Lines that came late may have made a log group anew after its stack was deleted."""
    prefix = f"/aws/lambda/{plan.stack}-"
    pages = plan.cloud.client("logs").get_paginator("describe_log_groups")
    left = [
        g["logGroupName"] for p in pages.paginate(logGroupNamePrefix=prefix) for g in p["logGroups"]
    ]
    if left:
        fix = "delete them: aws logs delete-log-group --log-group-name NAME"
        return Check("logs", "wrong", f"left of an earlier stack: {', '.join(left)}", fix)
    return Check("logs", "ok", f"nothing is left under {prefix}")


def _bucket_stands(cloud: Cloud, name: str) -> bool | None:
    """None where it is somebody else's, as far as we may know."""
    from botocore.exceptions import ClientError

    try:
        cloud.client("s3").head_bucket(Bucket=name)
    except ClientError as error:
        missing = error.response.get("Error", {}).get("Code") in ("404", "NoSuchBucket")
        return False if missing else None
    return True


def _table_stands(cloud: Cloud, name: str) -> bool:
    from botocore.exceptions import ClientError

    try:
        cloud.client("dynamodb").describe_table(TableName=name)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ResourceNotFoundException":
            return False
        raise
    return True


def _check_concurrency(plan: Plan, reserved_now: int) -> Check:
    limits = plan.cloud.client("lambda").get_account_settings()["AccountLimit"]
    asked, free = plan.checkout.reserved(plan.parameters), limits["UnreservedConcurrentExecutions"]
    total = limits["ConcurrentExecutions"]
    allowed = max(0, free + reserved_now - _LEAST_SHARED)
    says = f"{asked} of {total} concurrent executions reserved"
    if asked > allowed:
        fix = (
            "smaller ApiConcurrency and StageConcurrency (0 reserves none), or ask AWS for more: "
            "Service Quotas, Lambda, Concurrent executions"
        )
        return Check("concurrency", "wrong", f"{says}; at most {allowed} can be", fix)
    if total < _LEAST_SHARED:
        says += ", which bursts will use up; uploads then wait, and the API answers 5xx"
        return Check("concurrency", "note", says, "Service Quotas, Lambda, Concurrent executions")
    return Check("concurrency", "ok", says)


def _check_gateway_role(plan: Plan) -> Check:
    """Of the account, once for each region; no stack of ours should own what others share."""
    role = plan.cloud.client("apigateway").get_account().get("cloudwatchRoleArn")
    if role:
        return Check("gateway's role", "ok", role)
    says = "API Gateway has no role to write logs with in this account and region"
    return Check("gateway's role", "wrong", says, f"{_GUIDE}, Deploy: set it once")
