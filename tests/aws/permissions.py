"""Who may do what in the stack, in lines: all roles, policies and permissions there are.

    python -m tests.aws.permissions --write

writes `permissions.txt` again: look at every line that changed. It is read off the template as
CloudFormation gets it, after the SAM transform, which adds roles and permissions of its own.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.aws.emulator import EMULATOR_PYTHON, REGION
from tests.aws.templates import template

LISTED = Path(__file__).with_name("permissions.txt")

_OF_A_STATEMENT = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
_OF_A_ROLE = {"AssumeRolePolicyDocument", "ManagedPolicyArns", "Policies", "Tags"}
_OF_A_POLICY = {"PolicyName", "PolicyDocument", "Roles", "Bucket", "Queues", "Topics"}
_OF_A_PERMISSION = {"Action", "FunctionName", "Principal", "SourceArn", "SourceAccount"}


def transformed() -> dict[str, Any]:
    """The template without SAM's types, as the transform leaves it."""
    given = template()
    given["Globals"]["Function"]["CodeUri"] = "s3://artifacts/functions.zip"
    given["Resources"]["Pipeline"]["Properties"]["DefinitionUri"] = "s3://artifacts/machine.json"
    script = Path(__file__).with_name("sam_transform.py")
    run = subprocess.run(
        [str(EMULATOR_PYTHON), "-P", str(script)],
        input=json.dumps(given),
        env={"AWS_DEFAULT_REGION": REGION},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def granting(resources: Mapping[str, Any]) -> dict[str, set[str]]:
    """Every resource that gives anybody leave for anything, with what it gives, in lines."""
    return {name: set(_lines(r)) for name, r in resources.items() if _grants(r)}


def listing(granted: Mapping[str, set[str]]) -> str:
    parts = (
        "\n".join([name, *(f"    {line}" for line in sorted(lines))])
        for name, lines in sorted(granted.items())
    )
    return "\n\n".join(parts) + "\n"


def _grants(resource: Mapping[str, Any]) -> bool:
    kind = resource["Type"]
    return (
        kind.startswith("AWS::IAM::")
        or kind.endswith("Permission")
        or kind == "AWS::Lambda::Url"
        or "AccessControl" in resource["Properties"]
        or "Statement" in _names(resource["Properties"])
    )


def _names(value: Any) -> set[str]:
    """All names of all mappings in it."""
    if isinstance(value, Mapping):
        return set(value).union(*map(_names, value.values()))
    return set().union(*map(_names, value)) if isinstance(value, list) else set()


def _lines(resource: Mapping[str, Any]) -> Iterator[str]:
    about = resource["Properties"]
    if resource["Type"] == "AWS::IAM::Role":
        assert set(about) <= _OF_A_ROLE, about
        yield from role_lines(about)
    elif resource["Type"] == "AWS::Lambda::Permission":
        assert set(about) <= _OF_A_PERMISSION, about
        source = f", {_text(about['SourceArn'])}" if "SourceArn" in about else ""
        yield (
            f"{about['Principal']}{source} may {about['Action']} on {_text(about['FunctionName'])}"
        )
    else:  # all other kinds have a document; what else they have must be known
        assert set(about) <= _OF_A_POLICY, about
        for holder in about.get("Roles", ()):
            yield f"for {_text(holder)}"
        for place in [*about.get("Queues", ()), *about.get("Topics", ())]:
            yield f"at {_text(place)}"
        if "Bucket" in about:
            yield f"at {_text(about['Bucket'])}"
        yield from policy_lines(about["PolicyDocument"])


def role_lines(about: Mapping[str, Any]) -> Iterator[str]:
    yield from policy_lines(about["AssumeRolePolicyDocument"])
    for arn in about.get("ManagedPolicyArns", ()):
        yield f"has {arn.rpartition('/')[2]}"
    for policy in about.get("Policies", ()):
        yield from policy_lines(policy["PolicyDocument"])


def policy_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """One line for each action at each place."""
    for statement in _each(document["Statement"]):
        where = ""
        if "Fn::If" in statement:
            condition, statement, otherwise = statement["Fn::If"]
            assert otherwise == {"Ref": "AWS::NoValue"}
            where = f"{condition}: "
        assert set(statement) <= _OF_A_STATEMENT, statement
        assert statement["Effect"] in ("Allow", "Deny")
        who = f"{_who(statement['Principal'])} " if "Principal" in statement else ""
        verb = "may" if statement["Effect"] == "Allow" else "may not"
        on_condition = "".join(
            f" if {key} {operator} {' or '.join(map(_text, _each(value)))}"
            for operator, tests in statement.get("Condition", {}).items()
            for key, value in tests.items()
        )
        for action in _each(statement["Action"]):
            for place in _each(statement.get("Resource", [])) or [None]:
                at = f" on {_text(place)}" if place is not None else ""
                yield f"{where}{who}{verb} {action}{at}{on_condition}"


def _who(principal: Any) -> str:
    if isinstance(principal, str):
        return principal
    ((kind, names),) = principal.items()
    return " and ".join(_text(n) for n in _each(names)) if kind == "Service" else _text(principal)


def _text(value: Any) -> str:
    """A value as a person would write it: `Table.Arn`, `${Bucket.Arn}/uploaded/*`."""
    match value:
        case str():
            return value
        case {"Ref": str(name)}:
            return name
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return f"{name}.{attribute}"
        case {"Fn::Sub": str(text)}:
            return text
        case {"Fn::Sub": [str(text), dict(names)]}:
            for name, each in names.items():
                text = text.replace(f"${{{name}}}", _text(each))
            return text
    return json.dumps(value, sort_keys=True)


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.aws.permissions --write")
    LISTED.write_text(listing(granting(transformed()["Resources"])), "utf-8")
