"""Taking over the bucket and the table that a deleted stack has left.

A stack cannot make what is there already. So it is first made of these two alone, by an import,
and then deployed as any other.
"""

import re
from collections.abc import Mapping
from typing import Any

from dandyroll.aws.checkout import Checkout
from dandyroll.aws.prerequisites import Plan, kept_names
from dandyroll.aws.stack import operators_errors

_CHANGE_SET = "adopt"


def adopt(plan: Plan) -> None:
    """Make the stack of what is there, changing nothing of it, and wait until it stands.

    Raises `CloudError`; the stack is then not there, or only as an intent.
    """
    cloudformation = plan.cloud.client("cloudformation")
    with operators_errors():
        cloudformation.create_change_set(
            StackName=plan.stack,
            ChangeSetName=_CHANGE_SET,
            ChangeSetType="IMPORT",
            TemplateBody=kept_template(plan.checkout),
            ResourcesToImport=[
                {"LogicalResourceId": resource, "ResourceType": kind, "ResourceIdentifier": names}
                for resource, (kind, names) in _kept(plan).items()
            ],
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in plan.given.items()
            ],
        )
        _wait(cloudformation, "change_set_create_complete", plan, ChangeSetName=_CHANGE_SET)
        cloudformation.execute_change_set(StackName=plan.stack, ChangeSetName=_CHANGE_SET)
        _wait(cloudformation, "stack_import_complete", plan)


def kept_template(checkout: Checkout) -> str:
    """The template with nothing in it but what it retains: an import may bring nothing else."""
    parts = ['AWSTemplateFormatVersion: "2010-09-09"\n']
    for name in ("Parameters", "Conditions"):
        parts.append(f"{name}:\n{checkout.section(name)}")
    resources = checkout.section("Resources")
    parts.append("Resources:\n")
    for name in ("Bucket", "Table"):
        found = re.search(rf"^  {name}:\n.*?(?=^  \S|\Z)", resources, re.MULTILINE | re.DOTALL)
        parts.append(found[0] if found else "")  # a test holds the template to it
    return "".join(parts)


def _kept(plan: Plan) -> Mapping[str, tuple[str, dict[str, str]]]:
    bucket, table = kept_names(plan)
    return {
        "Bucket": ("AWS::S3::Bucket", {"BucketName": bucket}),
        "Table": ("AWS::DynamoDB::Table", {"TableName": table}),
    }


def _wait(cloudformation: Any, event: str, plan: Plan, **about: str) -> None:
    waiter = cloudformation.get_waiter(event)
    waiter.wait(StackName=plan.stack, **about, WaiterConfig={"Delay": 2, "MaxAttempts": 300})
