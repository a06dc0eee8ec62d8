"""The whole AWS home on the emulator, where the contract suite cannot look."""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from dandyroll.errors import NotFound
from dandyroll.keys import original_key, rendition_key
from dandyroll.models import SETTLED, Row
from deploy.build import BUILD, MAX_ZIP_BYTES
from tests import pictures
from tests.aws.emulator import STACK, STAGE
from tests.contract.client import Client

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome


@pytest.fixture
def aws(emulated_home: "EmulatedHome") -> "EmulatedHome":
    return emulated_home


@pytest.fixture
def client(aws: "EmulatedHome") -> Client:
    return Client.new(aws)


def settled(aws: "EmulatedHome", image_id: str, timeout_s: float = 60) -> Row:
    """The image's row once it is processed or failed; it need not be there yet."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        try:
            row = aws.home.catalogue.get(image_id)
            if row.status in SETTLED:
                return row
        except NotFound:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"Expected {image_id} to be settled in {timeout_s} s; it was not.")


def straight(extension: str) -> str:
    return f"straight-{uuid.uuid4().hex}.{extension}"


def test_an_upload_starts_one_execution_which_succeeds(aws: "EmulatedHome", client: Client) -> None:
    image_id = client.upload(pictures.jpeg())
    assert client.processed(image_id).status == 200
    (execution,) = [e for e in ended(aws) if original_key(image_id) in e["input"]]
    assert execution["status"] == "SUCCEEDED"
    assert json.loads(execution["output"])["image_id"] == image_id
    assert client.row(image_id)["s3_url"] == (
        f"https://{aws.outputs['BucketName']}.s3.us-east-1.amazonaws.com/uploaded/{image_id}"
    )


def test_what_is_put_straight_into_the_bucket_is_adopted(
    aws: "EmulatedHome", client: Client
) -> None:
    image_id, data = straight("jpg"), pictures.jpeg(2000, 1500)
    aws.put_original(original_key(image_id), data)
    row = settled(aws, image_id)
    assert (row.status, row.width, row.size_bytes) == ("processed", 2000, len(data))
    admin = Client.new(aws, frozenset({"admin"}))
    assert admin.original(image_id).body == data
    assert admin.processed(image_id).headers["x-image-width"] == "1280"
    assert client.send("GET", f"/get-image-metadata/{image_id}").status == 404


def test_what_is_put_straight_and_is_no_image_gets_a_failed_row(aws: "EmulatedHome") -> None:
    image_id = straight("jpg")
    aws.put_original(original_key(image_id), b"This is no picture at all.")
    row = settled(aws, image_id)
    assert (row.status, row.error and row.error["code"]) == ("failed", "unsupported_format")
    assert row.size_bytes == 26
    (execution,) = [e for e in ended(aws) if original_key(image_id) in e["input"]]
    assert (execution["status"], execution["error"]) == ("FAILED", "UnsupportedFormat")


def test_an_event_that_comes_twice_at_once_changes_nothing(
    aws: "EmulatedHome", client: Client
) -> None:
    image_id = client.upload(pictures.png(), "image/png")
    executions = [aws.start(image_id) for _ in range(3)]
    body = client.processed(image_id).body
    assert {aws.wait(arn)["status"] for arn in executions} == {"SUCCEEDED"}
    assert client.processed(image_id).body == body
    assert aws.home.catalogue.get(image_id).status == "processed"


def test_an_event_later_than_the_delete_leaves_nothing(aws: "EmulatedHome") -> None:
    image_id = straight("png")
    execution = aws.wait(aws.start(image_id))
    assert execution["status"] == "SUCCEEDED"
    with pytest.raises(NotFound):
        aws.home.catalogue.get(image_id)
    assert list(aws.home.objects.list(rendition_key(image_id))) == []


def test_a_name_no_image_can_have_ends_quietly(aws: "EmulatedHome") -> None:
    assert aws.wait(aws.start("a folder/"))["status"] == "SUCCEEDED"


def test_a_row_whose_object_is_gone_says_so(aws: "EmulatedHome", client: Client) -> None:
    image_id = client.upload(pictures.png(), "image/png")
    assert client.processed(image_id).status == 200
    lost = replace(aws.home.catalogue.get(image_id), image_id=straight("png"), status="uploaded")
    aws.home.catalogue.create(replace(lost, processed=None))
    execution = aws.wait(aws.start(lost.image_id))
    assert (execution["status"], execution["error"]) == ("FAILED", "OriginalMissing")
    error = aws.home.catalogue.get(lost.image_id).error
    assert error is not None
    assert error["code"] == "original_missing"


def test_too_large_an_answer_is_fetched_from_the_store(aws: "EmulatedHome") -> None:
    limit = aws.settings.max_answer_bytes
    image_id, data = straight("jpg"), pictures.jpeg() + bytes(limit)
    aws.put_original(original_key(image_id), data)
    assert settled(aws, image_id).status == "processed"
    answer = Client.new(aws, frozenset({"admin"})).original(image_id)
    assert answer.status == 303
    url = urlsplit(answer.headers["location"])
    assert f"{url.scheme}://{url.netloc}" == aws.emulator.cloud.endpoint_url
    connection = aws.emulator.connection(timeout_s=30)
    connection.request("GET", f"{url.path}?{url.query}")
    assert connection.getresponse().read() == data
    connection.close()


def test_over_the_plans_rate_the_gateway_answers_as_we_would(
    aws: "EmulatedHome", client: Client
) -> None:
    api = aws.emulator.client("apigateway")
    plan = api.create_usage_plan(
        name="slow",
        throttle={"rateLimit": 0.1, "burstLimit": 1},
        apiStages=[{"apiId": aws.outputs["ApiId"], "stage": STAGE}],
    )
    key_id = aws.key_ids[client.key]
    api.create_usage_plan_key(usagePlanId=plan["id"], keyId=key_id, keyType="API_KEY")
    answers = [client.send("GET", "/get-image-metadata/nothing") for _ in range(2)]
    assert [answer.problem for answer in answers] == [
        (404, "not_found"),
        (429, "too_many_requests"),
    ]
    assert answers[1].headers["retry-after"] == "1"


def test_the_log_names_the_image_and_the_trace(aws: "EmulatedHome", client: Client) -> None:
    image_id = client.upload(pictures.png(), "image/png")
    trace_id = aws.home.catalogue.get(image_id).ledger["trace_id"]
    assert client.processed(image_id).status == 200
    for function in ("new-size-image", "add-watermark"):
        assert any(
            (line.get("image_id"), line.get("trace_id")) == (image_id, trace_id)
            for line in log_lines(aws, function)
        )


def test_the_zip_is_small_enough() -> None:
    assert (BUILD / "functions-emulator.zip").stat().st_size <= MAX_ZIP_BYTES


def ended(aws: "EmulatedHome") -> list[dict[str, Any]]:
    return [aws.wait(execution["executionArn"]) for execution in aws.executions()]


def log_lines(aws: "EmulatedHome", function: str) -> Iterator[dict[str, Any]]:
    """What the function has logged, as far as it is JSON."""
    logs = aws.emulator.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=f"/aws/lambda/{STACK}-{function}"
    )
    for page in pages:
        for event in page["events"]:
            with suppress(ValueError):
                yield json.loads(event["message"])
