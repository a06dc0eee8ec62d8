"""`dandyroll keys --aws`, run as an operator runs it."""

import json
import re
import subprocess
import sys
import time
from typing import Any

import pytest

from dandyroll.api_keys import parse_api_key
from tests.aws.key_bench import Bench
from tests.aws.test_stack import operators_shell


def keys(bench: Bench, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "dandyroll.cli", "keys", *arguments]
    shell = operators_shell(bench.aws)
    return subprocess.run(command, capture_output=True, text=True, env=shell)


def made(bench: Bench, *more: str) -> str:
    done = keys(bench, "create", "--aws", "--name", bench.owner, "--expires", "30d", *more)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\w+\n", done.stdout)
    return done.stdout.strip()


def listed(bench: Bench) -> list[dict[str, Any]]:
    done = keys(bench, "list", "--aws", "--json")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [key for key in found if key["owner"] == bench.owner]


def test_a_key_from_its_making_to_its_end(bench: Bench) -> None:
    value = made(bench, "--scope", "read")
    facts = parse_api_key(value)
    assert facts is not None
    assert (facts.owner, facts.scopes) == (bench.owner, {"read"})
    assert abs(facts.expires_at - time.time() - 30 * 86_400) < 60
    assert bench.opens(value)
    lines = keys(bench, "list", "--aws").stdout
    line = re.search(rf"^(\w{{12}})  {bench.owner}  read  \S+Z  valid$", lines, re.MULTILINE)
    assert line, lines
    assert value not in lines
    done = keys(bench, "revoke", "--aws", line[1])
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"revoked {line[1]} of {bench.owner}\n"
    assert not bench.opens(value)
    assert re.search(
        rf"^{line[1]}  .*  revoked$", keys(bench, "list", "--aws").stdout, re.MULTILINE
    )
    done = keys(bench, "revoke", "--aws", "--delete", value)
    assert done.stderr == f"deleted {line[1]} of {bench.owner}\n"
    assert listed(bench) == []


def test_a_list_for_machines(bench: Bench) -> None:
    value = made(bench)
    (key,) = listed(bench)
    assert value not in json.dumps(key)
    assert key["scopes"] == ["read", "write"]
    assert key["created_at"] < key["expires_at"]
    assert (key["revoked_at"], key["state"]) == (None, "valid")
    assert keys(bench, "revoke", "--aws", key["key"]).returncode == 0
    (revoked,) = listed(bench)
    assert revoked == {**key, "revoked_at": revoked["revoked_at"], "state": "revoked"}
    assert revoked["revoked_at"] >= key["created_at"]


def test_usage_names_every_key(bench: Bench) -> None:
    """The counts themselves the emulator does not have."""
    made(bench)
    (key,) = listed(bench)
    report = json.loads(keys(bench, "usage", "--aws", "--json").stdout)
    expected = {"key": key["key"], "owner": bench.owner, "requests": 0, "days": {}}
    assert [each for each in report if each["owner"] == bench.owner] == [expected]
    table = keys(bench, "usage", "--aws").stdout
    assert "requests in 30 days" in table.splitlines()[0]
    assert re.search(rf"{key['key']} +{bench.owner} +0 +never", table)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("quota", "shop", "--max-uploads-per-day", "1", "--aws"), "no quota with --aws"),
        (
            ("create", "--name", "shop", "--expires", "1d", "--max-stored-bytes", "1", "--aws"),
            "no quota with --aws",
        ),
        (("create", "--name", "adopted", "--expires", "1d", "--aws"), "other than 'adopted'"),
        (("create", "--name", "My Shop", "--expires", "1d", "--aws"), "owner"),
        (("list", "--aws", "--data", "data"), "--aws expected --stack and --region alone; got --d"),
        (("list", "--stack", "dandyroll"), "Expected --aws; got --stack"),
        (("quota", "shop", "--region", "us-east-1"), "Expected --aws; got --region"),
        (("list", "--aws", "--stack", "elsewhere"), "elsewhere"),
        (("revoke", "--aws", "nothing"), "one key"),
        (("revoke", "--delete", "nothing"), "Expected --aws with --delete"),
    ],
)
def test_what_is_asked_wrongly_is_one_line(
    bench: Bench, arguments: tuple[str, ...], says: str
) -> None:
    before = bench.schedules()
    done = keys(bench, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("dandyroll: ")
    assert says in line
    assert set(bench.schedules()) <= set(before)
