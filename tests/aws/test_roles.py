"""Each permission of a role is needed: taken away alone, it is missed.

What the emulator does not enforce, the roles of the machine and of the rule, `test_template.py`
asserts.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dandyroll.errors import NotFound
from dandyroll.keys import handover_key, original_key
from dandyroll.models import Row
from dandyroll.pipeline import STAGES, first_job, run, stage_name
from tests import pictures
from tests.aws.emulator import STACK
from tests.aws.test_flow import settled, straight
from tests.aws.test_template import FUNCTIONS, allowed
from tests.contract.client import Client

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

pytestmark = pytest.mark.slow

_SAYS_404 = "the emulator says 404 of an absent object without it too; AWS then says 403"
UNSEEN: Mapping[tuple[str, str], str] = {
    ("upload-image", "dynamodb:DeleteItem"): "only where a new id meets another's object",
    ("upload-image", "s3:GetObject"): "the same",
    ("new-size-image", "s3:DeleteObject"): "only where an image is deleted during the stage",
    ("get-image-metadata", "s3:ListBucket"): _SAYS_404,
    ("get-processed-image", "s3:ListBucket"): _SAYS_404,
    ("new-size-image", "s3:ListBucket"): _SAYS_404,
    ("add-watermark", "s3:ListBucket"): _SAYS_404,
}
"""Needed where no test can see it, and why."""


def upload_image(aws: "EmulatedHome") -> None:
    Client.new(aws).upload(pictures.png(), "image/png", Idempotency_Key="k")


def get_image_metadata(aws: "EmulatedHome") -> None:
    admin, there = Client.new(aws, frozenset({"admin"})), processed(aws)
    assert admin.original(there.image_id).status == 200
    assert admin.original(objectless(aws, there)).problem == (404, "not_found")


def get_processed_image(aws: "EmulatedHome") -> None:
    admin, there = Client.new(aws, frozenset({"admin"})), processed(aws)
    assert admin.processed(there.image_id).status == 200
    assert admin.processed(objectless(aws, there)).problem == (404, "not_found")


def new_size_image(aws: "EmulatedHome") -> None:
    assert processed(aws).status == "processed"
    event = {"key": original_key(straight("png")), "trace_id": "t"}
    assert invoke(aws, "new-size-image", event) == "NotFound"


def add_watermark(aws: "EmulatedHome") -> None:
    row = processed(aws)
    job = run(first_job(row), aws.home.objects, 10**9, STAGES[:1])
    event = {"key": original_key(row.image_id), "trace_id": "t", "job": job.to_json()}
    assert invoke(aws, "add-watermark", event) == ""
    gone = replace(job, image_id=straight("png"))
    assert invoke(aws, "add-watermark", {**event, "job": gone.to_json()}) == "NotFound"
    nowhere = replace(job, key=handover_key(straight("png"), stage_name(STAGES[0])))
    assert invoke(aws, "add-watermark", {**event, "job": nowhere.to_json()}) == "OriginalMissing"


def record_failure(aws: "EmulatedHome") -> None:
    key = original_key(straight("png"))
    error = {"Error": "CorruptImage", "Cause": "{}"}
    event = {"key": key, "trace_id": "t", "size_bytes": 1, "error": error}
    assert invoke(aws, "record-failure", event) == ""
    with pytest.raises(NotFound):
        aws.home.catalogue.get(key.rpartition("/")[2])
    image_id = straight("png")
    aws.put_original(original_key(image_id), b"no picture")
    assert settled(aws, image_id, timeout_s=5).status == "failed"


USES: Mapping[str, Callable[["EmulatedHome"], None]] = {
    use.__name__.replace("_", "-"): use
    for use in (
        upload_image,
        get_image_metadata,
        get_processed_image,
        new_size_image,
        add_watermark,
        record_failure,
    )
}
PERMISSIONS = sorted(
    (name, action, place)
    for name in FUNCTIONS
    for action, place in allowed(name)
    if (name, action) not in UNSEEN
)


@pytest.mark.parametrize("name", USES)
def test_with_all_of_them_it_works(emulated_home: "EmulatedHome", name: str) -> None:
    USES[name](emulated_home)


@pytest.mark.parametrize(("name", "action", "place"), PERMISSIONS)
def test_without_it_does_not(
    emulated_home: "EmulatedHome", name: str, action: str, place: str
) -> None:
    with without(emulated_home, name, action, place), pytest.raises((AssertionError, TimeoutError)):
        USES[name](emulated_home)


@contextmanager
def without(aws: "EmulatedHome", name: str, action: str, place: str) -> Iterator[None]:
    """Meanwhile the function's role lacks the one action at that place."""
    iam, functions = aws.emulator.client("iam"), aws.emulator.client("lambda")
    arn = functions.get_function_configuration(FunctionName=f"{STACK}-{name}")["Role"]
    role = arn.rpartition("/")[2]
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    whole = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    whole = json.loads(whole) if isinstance(whole, str) else whole
    less = {**whole, "Statement": [_less(s, action, place) for s in whole["Statement"]]}
    assert less != whole
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(less))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(whole))


def _less(statement: dict[str, Any], action: str, place: str) -> dict[str, Any]:
    actions = statement["Action"]
    actions = [actions] if isinstance(actions, str) else actions
    where = json.dumps([statement["Resource"], statement.get("Condition")])
    if place == "table" or place in where:
        actions = ["sts:GetCallerIdentity" if a == action else a for a in actions]
    return {**statement, "Action": actions}


def processed(aws: "EmulatedHome") -> Row:
    """An image that was put straight into the bucket, settled."""
    image_id = straight("png")
    aws.put_original(original_key(image_id), pictures.png())
    return settled(aws, image_id, timeout_s=10)


def objectless(aws: "EmulatedHome", row: Row) -> str:
    """Another image's row, processed, without an object."""
    assert row.processed is not None
    image_id = straight("png")
    lost = replace(row.processed, key=f"FINAL-IMAGES/{image_id}")
    aws.home.catalogue.create(replace(row, image_id=image_id, processed=lost))
    return image_id


def invoke(aws: "EmulatedHome", name: str, event: Mapping[str, Any]) -> str:
    """The name of the error the function ended with, empty if it did not."""
    answer = aws.emulator.client("lambda").invoke(
        FunctionName=f"{STACK}-{name}", Payload=json.dumps(event).encode()
    )
    payload = json.loads(answer["Payload"].read() or b"null")
    return str(payload["errorType"]) if "FunctionError" in answer else ""
