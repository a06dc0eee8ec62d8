"""The AWS home put up as an operator does it: `sam build`, `sam deploy` and `dandyroll deploy`.

Slow: each starts the SAM CLI several times, against an emulator of its own.
"""

import http.client
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dandyroll.aws.api_keys import create_api_key
from dandyroll.aws.stack import Stack
from deploy.build import BUILD, ROOT, build
from tests import pictures
from tests.aws.emulator import PARAMETERS, REGION, Emulator, running_emulator, with_known_types

pytestmark = pytest.mark.slow

SAM = ROOT / ".venv-sam" / "bin" / "sam"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    if not SAM.exists():
        pytest.skip("There is no .venv-sam: make sam")
    with running_emulator() as running:
        yield running


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """This checkout, but for what its template has that the emulator does not know."""
    place = tmp_path / "checkout"
    shutil.copytree(ROOT / "deploy", place / "deploy")
    template = place / "deploy" / "template.yaml"
    template.write_text(with_known_types(template.read_text("utf-8")), "utf-8")
    (BUILD / "functions").mkdir(parents=True, exist_ok=True)
    (place / "build").mkdir()
    (place / "build" / "functions").symlink_to(BUILD / "functions")  # packages, once fetched
    for name in ("src", "requirements-lambda.lock", ".venv-sam"):
        (place / name).symlink_to(ROOT / name)
    return place


def dandyroll_deploy(checkout: Path, stack: str) -> list[Any]:
    """The command, as that checkout has it."""
    program = f"import sys; sys.path.insert(0, {str(checkout / 'src')!r})\n"
    program += "from dandyroll.cli import main; sys.exit(main())"
    return [sys.executable, "-c", program, "deploy", "--stack", stack, "--yes"]


@pytest.fixture
def shell(emulator: Emulator, tmp_path: Path) -> dict[str, str]:
    """The environment of an operator who has nothing but AWS's variables."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": emulator.cloud.endpoint_url,
        "AWS_ACCESS_KEY_ID": emulator.cloud.access_key_id,
        "AWS_SECRET_ACCESS_KEY": emulator.cloud.secret_access_key,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "SAM_CLI_TELEMETRY": "0",
    }


def run(command: list[Any], shell: dict[str, str], cwd: Path) -> str:
    """What it says; it must end well."""
    done = subprocess.run(
        command, env=shell, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_sam_build_and_sam_deploy_put_up_what_works(
    emulator: Emulator, shell: dict[str, str], checkout: Path
) -> None:
    build(
        platform.python_version().rpartition(".")[0],
        "host",
        checkout / "build" / "functions.zip",
        {"bootstrap": Path(__file__).with_name("bootstrap")},
    )
    run([SAM, "build"], shell, checkout / "deploy")
    given = [f"{name}={value}" for name, value in PARAMETERS.items()]
    command = [SAM, "deploy", "--stack-name", "bysam", "--no-confirm-changeset"]
    run([*command, "--parameter-overrides", *given], shell, checkout / "deploy")
    stack = Stack.find("bysam", emulator.cloud)
    bucket = stack.output("BucketName")
    emulator.client("s3").delete_bucket_policy(Bucket=bucket)  # TLS only: there is none here
    key = create_api_key(stack, "somebody", frozenset(("read", "write")), 2_000_000_000).value
    status, location = ask(emulator, stack, key, "POST", "/upload", pictures.jpeg(640, 480))
    assert status == 201
    image_id = location.rpartition("/")[2]
    path = f"/get-processed-image/{image_id}?wait=20"
    assert ask(emulator, stack, key, "GET", path)[0] == 200


def ask(
    emulator: Emulator, stack: Stack, key: str, method: str, path: str, body: bytes = b""
) -> tuple[int, str]:
    """One request through the stack's gateway: the status and the `Location` of its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=60)
    try:
        url = f"/_aws/execute-api/{stack.output('ApiId')}/{PARAMETERS['Stage']}{path}"
        headers = {"x-api-key": key, "Accept": "*/*", "Content-Type": "image/jpeg"}
        connection.request(method, url, body or None, headers)
        response = connection.getresponse()
        response.read()
        return response.status, response.headers.get("Location", "")
    finally:
        connection.close()


def test_dandyroll_deploy_puts_up_upgrades_and_says_what_it_did(
    emulator: Emulator, shell: dict[str, str], checkout: Path
) -> None:
    command = dandyroll_deploy(checkout, "byus")
    said = run([*command, "--architecture", "x86_64"], shell, checkout)
    stack = Stack.find("byus", emulator.cloud)
    assert "ok     stack: there is no byus yet" in said
    assert "\nresources: " in said and " added\n" in said
    assert f"\nAPI: {stack.output('ApiUrl')}\n" in said
    assert said.count("\nkey: dr1O") == 1
    assert f"curl -sS {stack.output('ApiUrl')}/upload -H 'x-api-key: dr1O" in said

    said = run(command, shell, checkout)
    assert "ok     stack: byus is CREATE_COMPLETE" in said
    assert "\nno changes\n" in said
    assert "dr1O" not in said  # the plan has its key

    awkward = "http://127.0.0.1:9/a b?c=d,e=="
    parameters = ["--parameter", "LogRetentionDays=7", "--parameter", f"OtelEndpoint={awkward}"]
    said = run([*command, *parameters], shell, checkout)
    assert "\nresources: " in said and " changed\n" in said
    kept = emulator.client("cloudformation").describe_stacks(StackName="byus")["Stacks"][0]
    values = {each["ParameterKey"]: each["ParameterValue"] for each in kept["Parameters"]}
    assert (values["LogRetentionDays"], values["Architecture"]) == ("7", "x86_64")
    assert values["OtelEndpoint"] == awkward
    groups = emulator.client("logs").describe_log_groups(
        logGroupNamePrefix="/aws/lambda/byus-upload-image"
    )
    assert [group["retentionInDays"] for group in groups["logGroups"]] == [7]
    functions = emulator.client("lambda").list_functions()["Functions"]
    machines = {f["FunctionName"]: f["Architectures"] for f in functions}
    assert machines["byus-upload-image"] == ["x86_64"]


def test_a_new_stack_adopts_what_an_earlier_one_left(
    emulator: Emulator, shell: dict[str, str], checkout: Path
) -> None:
    command = dandyroll_deploy(checkout, "again")
    run(command, shell, checkout)
    bucket = Stack.find("again", emulator.cloud).output("BucketName")
    s3, cloudformation = emulator.client("s3"), emulator.client("cloudformation")
    s3.delete_bucket_policy(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="FINAL-IMAGES/kept", Body=b"kept")
    cloudformation.delete_stack(StackName="again")
    cloudformation.get_waiter("stack_delete_complete").wait(StackName="again")
    refused = subprocess.run(command, env=shell, cwd=checkout, capture_output=True, text=True)
    assert (refused.returncode, "--adopt" in refused.stdout) == (1, True)

    run([*command, "--adopt", "--parameter", "LogRetentionDays=7"], shell, checkout)
    stack = Stack.find("again", emulator.cloud)
    assert stack.output("BucketName") == bucket
    s3.delete_bucket_policy(Bucket=bucket)
    assert s3.get_object(Bucket=bucket, Key="FINAL-IMAGES/kept")["Body"].read() == b"kept"
    resources = cloudformation.describe_stack_resources(StackName="again")["StackResources"]
    physical = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources}
    assert (physical["Bucket"], physical["Table"]) == (bucket, "again-image-metadata")
    assert "UploadImage" in physical


def test_a_deployment_that_fails_says_so(shell: dict[str, str], checkout: Path) -> None:
    template = checkout / "deploy" / "template.yaml"
    text, right = template.read_text("utf-8"), "LogRetentionDays: {Type: Number, Default: 30,"
    assert right in text  # one that is given is refused before: here it is the template's own
    template.write_text(text.replace(right, right.replace("30", "2")), "utf-8")
    done = subprocess.run(
        dandyroll_deploy(checkout, "failing"),
        env=shell, cwd=checkout, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "dandyroll: sam deploy ended with" in done.stderr
    assert "API:" not in done.stdout
