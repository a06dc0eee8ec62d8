"""`dandyroll copy`, run as an operator runs it: home -> AWS -> home."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dandyroll.aws.copying import open_end
from dandyroll.aws.stack import Stack
from dandyroll.copying.copy_images import copy_images
from dandyroll.keys import ORIGINALS, original_key
from dandyroll.models import Changes
from dandyroll.ports import Home
from tests import pictures
from tests.aws.emulator import STACK
from tests.aws.subscriber import subscribed
from tests.aws.templates import template
from tests.aws.test_stack import operators_shell
from tests.contract.client import Client
from tests.local.kept_home import accept, findings, open_kept_home
from tests.local.moving import contents, fill, refuse, settle
from tests.local.served_home import open_served_home

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome


class Operator:
    """Runs the command on a stack; `home` is that stack's."""

    def __init__(self, aws: "EmulatedHome", stack: str) -> None:
        self._environment = {**os.environ, **operators_shell(aws), "DANDYROLL_STACK": stack}
        self.stack = Stack.find(stack, aws.emulator.cloud)
        self.home = open_end(self.stack)

    def start(self, *arguments: str | Path, fault: str = "") -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "dandyroll.cli", "copy", *map(str, arguments)],
            env={**self._environment, "DANDYROLL_FAULT": fault},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def copy(self, *arguments: str | Path, fault: str = "") -> "tuple[int, str, str]":
        """Exit code, stdout, stderr."""
        process = self.start(*arguments, fault=fault)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    def states(self, *arguments: str | Path) -> tuple[int, Counter[str]]:
        """Exit code, and how many images came to what."""
        code, out, err = self.copy(*arguments, "--json")
        assert code in (0, 1), err
        return code, Counter(json.loads(line)["state"] for line in out.splitlines())


@pytest.fixture
def still(emulated_home: "EmulatedHome", request: pytest.FixtureRequest) -> Operator:
    """A stack of bucket and table alone, as the template has them: it tells nobody of an object."""
    name = f"still{abs(hash(request.node.name)) % 10**8}"
    whole = template()
    bucket, table = whole["Resources"]["Bucket"], whole["Resources"]["Table"]
    for what in ("NotificationConfiguration", "LifecycleConfiguration", "CorsConfiguration"):
        del bucket["Properties"][what]  # events, and what parameters decide
    outputs = {name: whole["Outputs"][name] for name in ("BucketName", "TableName")}
    body = {
        "Resources": {"Bucket": bucket, "Table": table},
        "Outputs": {**outputs, "PipelineArn": {"Value": "none"}},
    }
    client = emulated_home.emulator.client("cloudformation")
    client.create_stack(StackName=name, TemplateBody=json.dumps(body))
    deadline_s = time.monotonic() + 30
    while client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] != "CREATE_COMPLETE":
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    return Operator(emulated_home, name)


def there_and_back(operator: Operator, tmp_path: Path, count: int) -> None:
    """A home of so many images -> AWS -> a new home, each compared with the one before."""
    here, there = tmp_path / "here", tmp_path / "there"
    with open_kept_home(here) as upkeep:
        fill(upkeep, count - 2)
        refuse(upkeep, "unread.png", b"no picture", "")
        refuse(upkeep, "unfilled.png", b"", None)
        expected = contents(upkeep.home)
    assert len(expected) == count
    to_aws, to_home = ("--to", "aws", "--data", here), ("--to", there)
    assert operator.states(*to_aws, "--dry-run") == (0, {"missing": count})
    assert operator.states(*to_aws, "--verify") == (1, {"missing": count})
    assert operator.states(*to_aws) == (0, {"copied": count})
    assert contents(operator.home) == expected
    versions = count_versions(operator.home)
    assert operator.states(*to_aws) == (0, {"present": count})
    assert count_versions(operator.home) == versions

    assert operator.states(*to_home) == (0, {"copied": count})
    assert operator.states(*to_home, "--verify") == (0, {"present": count})
    with open_kept_home(there) as upkeep:
        assert contents(upkeep.home) == expected
        assert findings(upkeep) == []


def count_versions(home: Home) -> Counter[str]:
    """How often each object was written."""
    store: Any = home.objects
    pages = store._client.get_paginator("list_object_versions").paginate(Bucket=home.bucket)
    return Counter(v["Key"] for page in pages for v in page.get("Versions", []))


def test_25_images_there_and_back(still: Operator, tmp_path: Path) -> None:
    there_and_back(still, tmp_path, 25)
    assert set(count_versions(still.home).values()) == {1}


@pytest.mark.slow
def test_200_images_there_and_back(tmp_path: Path) -> None:
    """On a whole stack of their own, where each original's event starts the state machine."""
    from tests.aws.emulated_home import open_emulated_home

    with open_emulated_home() as aws:
        operator = Operator(aws, STACK)
        there_and_back(operator, tmp_path, 200)
        expected = contents(operator.home)
        keys = set(operator.home.objects.list(ORIGINALS))
        assert len(keys) > 150
        ended = executions_of(aws, keys)
        assert {execution["status"] for execution in ended.values()} == {"SUCCEEDED"}
        assert contents(operator.home) == expected
        assert set(count_versions(operator.home).values()) == {1}


def executions_of(aws: "EmulatedHome", keys: set[str]) -> Mapping[str, dict[str, Any]]:
    """The ended execution that the event of each of these objects has started."""
    found: dict[str, dict[str, Any]] = {}
    deadline_s = time.monotonic() + 240
    seen: set[str] = set()
    while found.keys() != keys:
        assert time.monotonic() < deadline_s, keys - found.keys()
        for execution in aws.executions():
            arn = execution["executionArn"]
            if arn not in seen:
                seen.add(arn)
                described = aws.wait(arn)
                key = json.loads(described["input"])["detail"]["object"]["key"]
                if key in keys:
                    assert key not in found, "two executions for one object"
                    found[key] = described
        time.sleep(0.1)
    return found


def test_a_copied_image_is_not_processed_again_or_told_of(
    emulated_home: "EmulatedHome", tmp_path: Path
) -> None:
    aws, ids = emulated_home, [f"copied-{number}.png" for number in range(4)]
    with open_kept_home(tmp_path) as upkeep:
        for number, image_id in enumerate(ids):
            broken = number == 3
            data = pictures.broken_png() if broken else pictures.png(90, 60, seed=number)
            settle(upkeep, accept(upkeep, image_id, data))
        # One that would not fail again: but nobody has asked to have it tried again.
        refuse(upkeep, "copied-unlucky.png", pictures.png(9, 9), None)
        expected = contents(upkeep.home)
    with subscribed(aws, "EventsTopicArn") as subscriber:
        operator = Operator(aws, STACK)
        assert operator.states("--to", "aws", "--data", tmp_path) == (0, {"copied": 5})
        keys = {original_key(image_id) for image_id in expected}
        for execution in executions_of(aws, keys).values():
            assert execution["status"] == "SUCCEEDED"
            assert visited(aws, execution["executionArn"]) == ["update-size", "image-settled"]
        last = Client.new(aws).upload(pictures.png(9, 9), "image/png")
        subscriber.wait_for(lambda message: last in message["Body"])  # the stream is in order
        assert not any(image_id in m["Body"] for m in subscriber.messages for image_id in expected)
    assert contents(aws.home, among=expected) == expected
    versions = count_versions(aws.home)
    objects = [key for key in versions if key.rpartition("/")[2] in expected]
    assert len(objects) == 8 and {versions[key] for key in objects} == {1}
    assert not [key for key in versions if key.startswith("hand-over/") and "copied-" in key]


def visited(aws: "EmulatedHome", execution: str) -> list[str]:
    client = aws.emulator.client("stepfunctions")
    events = client.get_execution_history(executionArn=execution)["events"]
    entered = (event.get("stateEnteredEventDetails") for event in events)
    return [details["name"] for details in entered if details]


def test_a_failed_image_can_still_be_tried_again_on_aws(
    emulated_home: "EmulatedHome",
) -> None:
    client = Client.new(emulated_home)
    image_id = client.upload(pictures.png(90, 60), "image/png")
    assert client.processed(image_id).status == 200
    catalogue = emulated_home.home.catalogue
    reason = {"code": "stage_timeout", "message": "Too late."}
    failed = replace(catalogue.get(image_id), status="failed", processed=None, error=reason)
    catalogue.delete(image_id)
    catalogue.move_in(failed)
    assert client.send("POST", f"/images/{image_id}/retry").status == 202
    assert client.processed(image_id).status == 200


def test_an_original_that_the_bucket_has_let_go_of_is_not_missed(
    still: Operator, tmp_path: Path
) -> None:
    """S3 deletes it and writes no row: that it did is known from the stack's parameter."""
    image_id = "old.png"
    with open_kept_home(tmp_path / "here") as here:
        row = settle(here, accept(here, image_id, pictures.png(9, 9)))
        processed = row.processed
        assert processed is not None
        still.home.objects.put(processed.key, here.objects.get(processed.key), "image/png")
        still.home.catalogue.move_in(replace(row, uploaded_at=row.uploaded_at - 31 * 86_400))
    outputs = {**still.stack.outputs, "KeepOriginalsDays": "30"}
    stack = replace(still.stack, outputs=outputs)
    assert stack.settings().keep_originals_days == 30
    assert template()["Outputs"]["KeepOriginalsDays"]["Value"] == {"Ref": "KeepOriginalsDays"}
    with open_kept_home(tmp_path / "there") as there:
        states = [o.state for o in copy_images(open_end(stack), there.home, 10**8)]
        assert states == ["copied"]
        assert there.catalogue.get(image_id).original_deleted_at == row.uploaded_at - 86_400
        assert findings(there) == []


@pytest.mark.parametrize("outcomes", [0, 4])
def test_killed_on_the_way_to_aws_it_goes_on(
    still: Operator, tmp_path: Path, outcomes: int
) -> None:
    with open_kept_home(tmp_path) as upkeep:
        fill(upkeep, 16)
        expected = contents(upkeep.home)
    command = ("--to", "aws", "--data", tmp_path)
    process = still.start(*command, "--json")
    assert process.stdout is not None and process.stderr is not None
    for _ in range(outcomes):
        process.stdout.readline()
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    code, states = still.states(*command)
    assert (code, sum(states.values())) == (0, 16)
    assert states["copied"] + states["present"] == 16 and states["present"] >= outcomes
    assert contents(still.home) == expected


POINTS = ("object-written", "object-renamed", "commit-begun", "commit-done")


def test_killed_at_any_point_on_the_way_home_it_goes_on(still: Operator, tmp_path: Path) -> None:
    with open_kept_home(tmp_path / "here") as upkeep:
        fill(upkeep, 4)
        expected = contents(upkeep.home)
    assert still.copy("--to", "aws", "--data", tmp_path / "here")[0] == 0
    there = tmp_path / "there"
    assert still.states("--to", there, "--dry-run") == (0, {"missing": 4})
    assert not there.exists()
    for point in POINTS:  # one after the other in one folder
        assert still.copy("--to", there, fault=f"{point}=kill")[0] == -signal.SIGKILL
    assert still.states("--to", there)[0] == 0
    with open_kept_home(there) as upkeep:
        assert contents(upkeep.home) == expected
        assert {f.kind for f in findings(upkeep)} <= {"temporary-file"}  # a sweep's


def test_a_conflict_is_told_and_the_rest_is_copied(still: Operator, tmp_path: Path) -> None:
    with open_kept_home(tmp_path) as upkeep:
        ids = fill(upkeep, 3)
        row = upkeep.catalogue.get(ids[1])
    still.home.catalogue.move_in(row)
    still.home.objects.put(original_key(ids[1]), b"another", "image/png")
    code, out, err = still.copy("--to", "aws", "--data", tmp_path)
    assert code == 1
    assert f"{ids[1]}: conflict: The target has other bytes at {original_key(ids[1])}" in err
    assert "2 copied, 1 failed" in err
    assert out == ""
    assert still.home.objects.get(original_key(ids[1])) == b"another"
    code, out, err = still.copy("--to", "aws", "--data", tmp_path, "--verify", "--json")
    assert code == 1
    told = {line["image-id"]: line for line in map(json.loads, out.splitlines())}
    assert [told[image_id]["state"] for image_id in ids] == ["present", "failed", "present"]
    assert told[ids[1]]["code"] == "conflict"


def test_what_is_on_its_way_is_told(still: Operator, tmp_path: Path) -> None:
    with open_kept_home(tmp_path) as upkeep:
        assert still.states("--to", "aws", "--data", tmp_path) == (0, {})  # nothing yet
        accept(upkeep, "late.png", pictures.png(9, 9))
        code, out, _ = still.copy("--to", "aws", "--data", tmp_path)
        assert (code, out) == (1, "late.png: unsettled: Still uploaded at the source.\n")
        upkeep.catalogue.advance("late.png", "failed", Changes(error={"code": "x", "message": ""}))
    assert still.states("--to", "aws", "--data", tmp_path) == (0, {"copied": 1})


def test_beside_running_servers(still: Operator, tmp_path: Path) -> None:
    """From one that takes uploads, into one that is asked for what comes."""
    with (
        open_served_home(tmp_path / "here", workers=1) as here,
        open_served_home(tmp_path / "there", workers=1) as there,
    ):
        giver, asker = Client.new(here), Client.new(there)
        asker = Client(there, giver.owner, there.create_key(
            giver.owner, frozenset({"read"}), int(time.time()) + 600))  # fmt: skip
        ids: list[str] = []
        for _ in range(2):
            ids += [giver.upload(pictures.png(90, 60, seed=len(ids) + n)) for n in range(3)]
            bodies = [giver.processed(image_id).body for image_id in ids]
            expected = {"copied": 3, "present": len(ids) - 3}
            assert still.states("--to", "aws", "--data", here.data_dir) == (0, +Counter(expected))
            assert still.states("--to", there.data_dir) == (0, +Counter(expected))
            assert [asker.processed(image_id).body for image_id in ids] == bodies
            assert asker.original(ids[-1]).body == pictures.png(90, 60, seed=len(ids) - 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--to", "aws", "--data", "nowhere"), "expected a catalogue.db"),
        (("--to", "here", "--data", "there"), "--data: expected with --to aws only"),
        (("--to", "new", "--stack", "nobodys"), "nobodys"),
        (("--to", "s3://bucket"), "--to: expected aws, or a data folder of this machine"),
        (("--to", "."), "expected a data folder, or a new or empty one"),
    ],
)
def test_what_is_asked_wrongly_is_told(
    still: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...], says: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "holiday.txt").write_text("Not a data folder.")
    code, _, err = still.copy(*arguments)
    assert code == 2
    assert says in err
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.txt"]


def test_the_command_is_there_without_the_extra_aws(tmp_path: Path) -> None:
    """Whoever has the local home alone is told what is missing, and only when it is."""
    code = (
        "import sys\n"
        "sys.modules |= dict.fromkeys(('boto3', 'botocore', 'botocore.session', 'obstore'))\n"
        "from dandyroll.cli import main\n"
        f"sys.exit(main(['copy', '--to', {str(tmp_path)!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "expected the extra aws" in done.stderr.lower()
