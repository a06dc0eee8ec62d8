"""Deploying the AWS home: the functions' zip, `sam build`, `sam deploy`, then what is ours."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from dandyroll.aws.api_keys import create_api_key
from dandyroll.aws.page import publish_page
from dandyroll.aws.prerequisites import Plan
from dandyroll.aws.stack import CloudError, Stack, operators_errors

Step = Callable[[Stack], str]

_VERBS = {"CREATE_COMPLETE": "added", "UPDATE_COMPLETE": "changed", "DELETE_COMPLETE": "removed"}
_FIRST_KEY_DAYS = 365


def deploy(plan: Plan, *, ask: bool) -> Stack:
    """Make the stack what the plan says, and wait until it is; the stack.

    With `ask` the SAM CLI shows what would change and asks before it does. Raises `CloudError`
    where a tool ends otherwise than well; CloudFormation has then rolled back.
    """
    root = plan.checkout.root
    built = root / ".sam-build"  # why there: deploy/samconfig.toml
    python = plan.parameters["Runtime"].removeprefix("python")
    _run(root, plan, sys.executable, "deploy/build.py",
         "--python", python, "--arch", plan.parameters["Architecture"])  # fmt: skip
    _run(root, plan, plan.sam, "build", "--template", plan.checkout.template_file,
         "--build-dir", built)  # fmt: skip
    given = [f"{name}={_quoted(value)}" for name, value in plan.given.items()]
    _run(
        root, plan, plan.sam, "deploy",
        "--template-file", built / "template.yaml",
        "--stack-name", plan.stack,
        "--region", plan.cloud.region,
        "--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND",
        "--resolve-s3",
        "--no-fail-on-empty-changeset",
        "--confirm-changeset" if ask else "--no-confirm-changeset",
        *(("--parameter-overrides", *given) if given else ()),
    )  # fmt: skip
    return Stack.find(plan.stack, plan.cloud)


def _run(root: Path, plan: Plan, *command: str | Path) -> None:
    """Run a tool, what it says going where our own words go."""
    environment = {**os.environ, "AWS_DEFAULT_REGION": plan.cloud.region}
    environment |= {"AWS_REGION": plan.cloud.region, "SAM_CLI_TELEMETRY": "0"}
    code = subprocess.run(command, cwd=root, env=environment).returncode
    if code:
        says = f"{Path(command[0]).name} {command[1]} ended with {code}; what it said is above"
        raise CloudError(says)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def last_event(plan: Plan) -> str:
    """The id of the last thing that CloudFormation has done to the stack; "" without a stack."""
    if not plan.stands:
        return ""
    cloudformation = plan.cloud.client("cloudformation")
    with operators_errors():
        events = cloudformation.describe_stack_events(StackName=plan.stack)["StackEvents"]
    return str(events[0]["EventId"]) if events else ""


def describe_changes(stack: Stack, after: str) -> str:
    """What CloudFormation did to the stack's resources after that event, in a line."""
    changes: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    with operators_errors():
        pages = stack.cloud.client("cloudformation").get_paginator("describe_stack_events")
        for page in pages.paginate(StackName=stack.name):
            for event in page["StackEvents"]:
                if event["EventId"] == after:
                    return _sum(changes)
                what = (event["LogicalResourceId"], event["ResourceStatus"])
                if event["LogicalResourceId"] != stack.name and what not in seen:
                    changes[_VERBS.get(event["ResourceStatus"], "")] += 1
                    seen.add(what)
    return _sum(changes)


def _sum(changes: Mapping[str, int]) -> str:
    parts = [f"{changes[verb]} {verb}" for verb in _VERBS.values() if changes.get(verb)]
    return "resources: " + ", ".join(parts) if parts else "no changes"


# --- after the stack stands ---------------------------------------------------------------------


def publish_the_page(stack: Stack) -> str:
    """The page's files, as far as they have changed, to where the CDN serves them from."""
    changed = publish_page(stack)
    if "CdnUrl" not in stack.outputs:
        return ""
    return f"page: {stack.output('CdnUrl')} ({len(changed)} files put)"


def give_first_key(stack: Stack) -> str:
    """A key and a line to try it with, if the usage plan has no key yet."""
    gateway, url = stack.cloud.client("apigateway"), stack.output("ApiUrl")
    with operators_errors():
        under_plan = gateway.get_usage_plan_keys(usagePlanId=stack.output("UsagePlanId"), limit=1)
    if under_plan["items"]:
        return ""
    expires_at = int(time.time()) + _FIRST_KEY_DAYS * 86_400
    key = create_api_key(stack, "first", frozenset(("read", "write")), expires_at).value
    return (
        f"key: {key}\n  good for a year, shown only now; others: dandyroll keys create --aws\n"
        f"try: curl -sS {url}/upload -H 'x-api-key: {key}' "
        "-H 'Content-Type: image/jpeg' --data-binary @picture.jpg"
    )


AFTER_DEPLOY: tuple[Step, ...] = (publish_the_page, give_first_key)
"""What `dandyroll deploy` does once the stack stands, in this order, each time.

Each step finds out for itself whether there is anything to do, and returns what to tell the
operator, "" for nothing. It raises `CloudError` where AWS refuses; the next run does it again.
"""
