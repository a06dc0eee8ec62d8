"""Each permission of a role is needed: taken away alone, it is missed.

What the emulator does not enforce, the roles of machine, rule and scheduler, is asserted in
`test_permissions.py`; the bucket's policy is tried in `test_tls.py`.
"""

import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from dandyroll.aws.home import open_upkeep
from dandyroll.errors import NotFound
from dandyroll.intake import awaited_row
from dandyroll.keys import handover_key, mint_image_id, next_image_id, original_key
from dandyroll.models import Claim, Limits, Row
from dandyroll.pipeline import STAGES, first_job, run, stage_name
from tests import pictures
from tests.aws.emulator import STACK
from tests.aws.fault_proxy import Fault, fault_proxy, functions_by
from tests.aws.subscriber import subscribed
from tests.aws.test_flow import settled, straight
from tests.aws.test_sweep import forget_all, no_events
from tests.aws.test_template import FUNCTIONS, allowed
from tests.aws.test_tickets import versions
from tests.contract.client import Client
from tests.contract.test_catalogue import new_row
from tests.contract.test_listing import listed
from tests.contract.test_tickets import put, ticket

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

pytestmark = pytest.mark.slow

_BY_LAMBDA = "what Lambda itself does in the function's name the emulator asks no leave for"
UNSEEN: Mapping[tuple[str, str], str] = {
    ("mail-events", "ses:SendEmail"): "the emulator knows neither identities nor ses:FromAddress",
} | {
    (function, action): _BY_LAMBDA
    for function in ("publish-events", "mail-events")
    for action in (
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
        "sqs:SendMessage",
    )
}
"""Needed where no test can see it, and why."""


def upload_image(aws: "EmulatedHome") -> None:
    """Also where the id it is to have is that of an object without a row."""
    client, body, now = Client.new(aws), pictures.png(), int(time.time())
    taken, fingerprint = mint_image_id(datetime.now(UTC), "png"), hashlib.sha256(body).hexdigest()
    aws.put_original(original_key(taken), pictures.png(seed=2))
    assert settled(aws, taken, timeout_s=10).status == "processed"
    aws.home.catalogue.delete(taken)
    broken_off = Claim(client.owner, "k", "gone", fingerprint, taken, now, now + 600)
    aws.home.catalogue.claim(broken_off, now)
    image_id = client.upload(body, "image/png", Idempotency_Key="k")
    assert image_id == next_image_id(taken)
    with pytest.raises(NotFound):
        aws.home.catalogue.get(taken)


def create_upload(aws: "EmulatedHome") -> None:
    """Also where the answer to each write gets lost once."""
    client, data = Client.new(aws), pictures.png()
    given = ticket(client, len(data))
    assert put(client, given, data).status == 200
    assert settled(aws, given["image_id"], timeout_s=10).status == "processed"
    fates = itertools.cycle(("cut after", "none"))

    def lost_once(asked: str) -> Fault:
        return next(fates) if asked == "PutItem" else "none"

    with fault_proxy(aws.emulator, lost_once) as faults, functions_by(aws, faults, "create-upload"):
        assert ticket(client, len(data))["image_id"] != given["image_id"]
        assert faults.of_kind("cut after")


def list_images(aws: "EmulatedHome") -> None:
    client = Client.new(aws)
    row = replace(new_row(), owner=client.owner)
    aws.home.catalogue.create(row)
    assert listed(client) == [row.image_id]


def delete_image(aws: "EmulatedHome") -> None:
    admin, there = Client.new(aws, frozenset({"admin"})), processed(aws)
    assert admin.send("DELETE", f"/images/{there.image_id}").status == 204
    assert [v for v in versions(aws, "") if there.image_id in v["Key"]] == []


def retry_image(aws: "EmulatedHome") -> None:
    image_id, admin = straight("png"), Client.new(aws, frozenset({"admin"}))
    aws.put_original(original_key(image_id), b"no picture")
    assert settled(aws, image_id, timeout_s=10).status == "failed"
    answer = admin.send("POST", f"/images/{image_id}/retry")
    assert (answer.status, answer.json.get("status")) == (202, "uploaded")
    assert settled(aws, image_id, timeout_s=10).status == "failed"


def sweep(aws: "EmulatedHome") -> None:
    forget_all(open_upkeep(aws.settings, aws.emulator.cloud))
    catalogue, data = aws.home.catalogue, pictures.png()
    lost, never, just_come = straight("png"), straight("png"), straight("png")
    with no_events(aws):
        aws.put_original(original_key(lost), data)
        aws.put_original(original_key(just_come), data)
    declared = awaited_row(aws.home, "image/png", len(data), "someone", "t")
    long_ago = replace(declared, uploaded_at=declared.uploaded_at - 24 * 60 * 60)
    catalogue.create(replace(long_ago, image_id=lost, status="uploaded"))
    catalogue.create(replace(long_ago, image_id=never))
    catalogue.create(replace(long_ago, image_id=just_come))
    assert invoke(aws, "sweep", {}) == ""
    assert settled(aws, lost, timeout_s=10).status == "processed"
    with pytest.raises(NotFound):
        catalogue.get(never)
    assert catalogue.get(just_come).status == "awaiting"


def get_image_metadata(aws: "EmulatedHome") -> None:
    admin, there = Client.new(aws, frozenset({"admin"})), processed(aws)
    assert admin.original(there.image_id).status == 200
    assert admin.original(objectless(aws, there)).problem == (404, "not_found")


def get_processed_image(aws: "EmulatedHome") -> None:
    admin, there = Client.new(aws, frozenset({"admin"})), processed(aws)
    assert admin.processed(there.image_id).status == 200
    assert admin.processed(objectless(aws, there)).problem == (404, "not_found")


def new_size_image(aws: "EmulatedHome") -> None:
    """Also where the image is deleted while the stage is at work."""
    assert processed(aws).status == "processed"
    data, image_id = pictures.png(), straight("png")
    row = replace(awaited_row(aws.home, "image/png", len(data), "someone", "t"), image_id=image_id)
    with no_events(aws):
        aws.put_original(original_key(image_id), data)
    aws.home.catalogue.create(row)

    def deleted_meanwhile(asked: str) -> Fault:
        if asked == "PUT hand-over":
            aws.home.catalogue.delete(image_id)
        return "none"

    with (
        fault_proxy(aws.emulator, deleted_meanwhile) as faults,
        functions_by(aws, faults, "new-size-image"),
    ):
        event = {"key": original_key(image_id), "trace_id": "t"}
        assert invoke(aws, "new-size-image", event) == "NotFound"
    assert versions(aws, handover_key(image_id, stage_name(STAGES[0]))) == []
    event = {"key": original_key(straight("png")), "trace_id": "t"}
    assert invoke(aws, "new-size-image", event) == "NotFound"


def add_watermark(aws: "EmulatedHome") -> None:
    row = processed(aws)
    job = run(first_job(row), aws.home.objects, Limits(), STAGES[:1])
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
    row = awaited_row(aws.home, "image/png", 10, "someone", "trace")
    aws.home.catalogue.create(row)
    key = original_key(row.image_id)
    aws.put_original(key, b"no picture")
    assert settled(aws, row.image_id, timeout_s=5).status == "failed"
    deadline_s = time.monotonic() + 5
    while versions(aws, key) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert versions(aws, key) == []


def publish_events(aws: "EmulatedHome") -> None:
    image_id = straight("png")
    with subscribed(aws, "EventsTopicArn") as subscriber:
        aws.put_original(original_key(image_id), pictures.png())
        subscriber.wait_for(lambda message: image_id in message["Body"], timeout_s=10)


USES: Mapping[str, Callable[["EmulatedHome"], None]] = {
    use.__name__.replace("_", "-"): use
    for use in (
        upload_image,
        create_upload,
        list_images,
        delete_image,
        retry_image,
        get_image_metadata,
        get_processed_image,
        new_size_image,
        add_watermark,
        record_failure,
        publish_events,
        sweep,
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
    statements = [part for s in whole["Statement"] for part in _less(s, action, place)]
    less = {**whole, "Statement": [*statements, _HARMLESS]}
    assert statements != whole["Statement"]
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(less))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(whole))


_HARMLESS = {"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}


def _less(statement: dict[str, Any], action: str, place: str) -> list[dict[str, Any]]:
    """The statement in parts: all it allows but the one action at that place."""
    actions = _each(statement["Action"])
    if action not in actions:
        return [statement]
    rest = [{**statement, "Action": [a for a in actions if a != action]}] if actions[1:] else []
    if "Condition" in statement:
        prefixes = _each(statement["Condition"]["StringLike"]["s3:prefix"])
        if place not in prefixes:
            return [statement]
        left = [prefix for prefix in prefixes if prefix != place]
        part = {"Condition": {"StringLike": {"s3:prefix": left}}}
    else:
        arns = _each(statement["Resource"])
        if place.endswith("/*") and not any(arn.endswith("/" + place) for arn in arns):
            return [statement]
        left = [arn for arn in arns if not arn.endswith("/" + place)] if arns[1:] else []
        part = {"Resource": left}
    return [*rest, {**statement, **part, "Action": [action]}] if left else rest


def _each(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


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
