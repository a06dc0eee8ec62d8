"""Tickets on AWS: what is signed, and what becomes of bytes that come by one."""

import hashlib
import time
import urllib.parse
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from dandyroll.aws.cloud import Cloud
from dandyroll.aws.tickets import discard_unread, give_ticket
from dandyroll.aws.workflow import ImageSettled, begin, go_on
from dandyroll.errors import (
    CorruptImage,
    DandyrollError,
    Internal,
    OriginalMissing,
    StageTimeout,
    StoreUnavailable,
    TooManyPixels,
)
from dandyroll.intake import awaited_row
from dandyroll.intake import new_row as new_image_row
from dandyroll.keys import mint_image_id, original_key
from dandyroll.models import Changes, Row, Status
from dandyroll.pipeline import STAGES
from dandyroll.ports import Home
from tests import pictures
from tests.aws.test_flow import settled
from tests.contract.client import Client
from tests.contract.test_catalogue import new_row
from tests.contract.test_tickets import put, ticket

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

WIDTH, HEIGHT = 320, 200
DATA = pictures.png(WIDTH, HEIGHT)
SHA256 = hashlib.sha256(DATA).hexdigest()
CLOUD = Cloud("eu-central-1", access_key_id="AKID", secret_access_key="s", session_token="t/=")


@pytest.fixture
def aws(emulated_home: "EmulatedHome") -> "EmulatedHome":
    return emulated_home


@pytest.fixture
def client(aws: "EmulatedHome") -> Client:
    return Client.new(aws)


def versions(aws: "EmulatedHome", key: str) -> list[dict[str, Any]]:
    """Of the object, what deletes it included."""
    found = aws.emulator.client("s3").list_object_versions(
        Bucket=aws.outputs["BucketName"], Prefix=key
    )
    return [*found.get("Versions", []), *found.get("DeleteMarkers", [])]


def test_the_url_is_s3s_own_and_signs_all_that_must_be_sent() -> None:
    row = replace(new_row("awaiting"), size_bytes=31_415_926)
    given = give_ticket(CLOUD, "pictures", 900, row)
    url = urllib.parse.urlsplit(given.url)
    query = dict(urllib.parse.parse_qsl(url.query))
    assert (url.scheme, url.netloc) == ("https", "pictures.s3.eu-central-1.amazonaws.com")
    assert url.path == f"/uploaded/{row.image_id}"
    signed = query["X-Amz-SignedHeaders"].split(";")
    assert sorted(signed) == ["content-length", "content-type", "host", "if-none-match"]
    assert given.headers == {
        "Content-Type": "image/png",
        "Content-Length": "31415926",
        "If-None-Match": "*",
    }
    assert (query["X-Amz-Expires"], query["X-Amz-Security-Token"]) == ("900", "t/=")
    assert 890 < given.expires_at - time.time() <= 900


def test_a_ticket_ends(aws: "EmulatedHome", client: Client) -> None:
    row = replace(new_row("awaiting"), size_bytes=len(DATA))
    late = give_ticket(aws.emulator.cloud, aws.settings.bucket, 1, row)
    deadline_s = time.monotonic() + 30
    while time.time() <= late.expires_at + 1 and time.monotonic() < deadline_s:
        time.sleep(0.1)  # it is time itself that is awaited
    assert put(client, vars(late), DATA).status == 403
    assert versions(aws, original_key(row.image_id)) == []


def test_without_the_condition_the_url_is_good_for_nothing(
    aws: "EmulatedHome", client: Client
) -> None:
    given = ticket(client, len(DATA))
    headers = {name: v for name, v in given["headers"].items() if name != "If-None-Match"}
    assert put(client, {**given, "headers": headers}, DATA).status == 403
    assert versions(aws, original_key(given["image_id"])) == []


def test_an_event_that_comes_again_changes_nothing(aws: "EmulatedHome", client: Client) -> None:
    given = ticket(client, len(DATA))
    put(client, given, DATA)
    executions = [aws.start(given["image_id"]) for _ in range(3)]
    assert {aws.wait(arn)["status"] for arn in executions} == {"SUCCEEDED"}
    before = settled(aws, given["image_id"])
    aws.deliver(given["image_id"])
    after = aws.home.catalogue.get(given["image_id"])
    assert after == before
    assert (after.status, after.image_format, after.sha256) == ("processed", "PNG", SHA256)


def test_refused_bytes_are_deleted_with_every_version(aws: "EmulatedHome", client: Client) -> None:
    data = b"This is no picture at all."
    given = ticket(client, len(data))
    put(client, given, data)
    assert client.processed(given["image_id"]).problem == (409, "image_failed")
    key = original_key(given["image_id"])
    started = (aws.wait(execution["executionArn"]) for execution in aws.executions())
    assert next(e for e in started if key in e["input"])["error"] == "UnsupportedFormat"
    assert versions(aws, key) == []


def unread(home: Home, status: Status) -> Row:
    """A ticket's row, in that status, whose bytes have come but were never looked at."""
    row = awaited_row(home, "image/jpeg", len(DATA), "someone", "trace")
    home.catalogue.create(row)
    home.objects.put(original_key(row.image_id), DATA, "image/jpeg")
    return home.catalogue.advance(row.image_id, status, Changes()) if status != "awaiting" else row


@pytest.mark.parametrize("status", ["awaiting", "uploaded"])
def test_the_first_stage_reads_what_nobody_has(quiet: Home, status: Status) -> None:
    """`uploaded`: it was tried before, something else was at fault, and it is tried again."""
    row = unread(quiet, status)
    job = begin(quiet, {"key": original_key(row.image_id), "trace_id": "t"}, STAGES[0])
    assert (job["image_format"], job["changes"]["sha256"]) == ("PNG", SHA256)
    go_on(quiet, {"job": job, "trace_id": "t"}, STAGES[1])
    found = quiet.catalogue.get(row.image_id)
    assert (found.status, found.content_type, found.sha256) == ("processed", "image/png", SHA256)
    assert (found.width, found.height, found.mode) == (WIDTH, HEIGHT, "RGBA")
    assert found.error is None


def test_what_has_failed_is_tried_again_only_when_it_is_asked_for(quiet: Home) -> None:
    row = unread(quiet, "failed")
    event = {"key": original_key(row.image_id), "trace_id": "t"}
    with pytest.raises(ImageSettled):
        begin(quiet, event, STAGES[0])
    assert quiet.catalogue.get(row.image_id) == row
    quiet.catalogue.restart(row.image_id)
    assert begin(quiet, event, STAGES[0])["changes"]["sha256"] == SHA256


def test_the_row_of_a_direct_upload_is_left_to_it(
    quiet: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its event may come while it is still `awaiting`: the row says all there is to say."""
    image_id = mint_image_id(datetime.now(UTC), "png")
    row = new_image_row(quiet, image_id, quiet.probe(DATA), DATA, "someone", "trace")
    quiet.catalogue.create(row)
    quiet.objects.put(original_key(image_id), DATA, "image/png")
    monkeypatch.setattr("dandyroll.aws.workflow.read_original", None)
    begin(quiet, {"key": original_key(image_id), "trace_id": "t"}, STAGES[0])
    assert quiet.catalogue.get(image_id).status == "resized"


@pytest.mark.parametrize(
    ("error", "is_there"),
    [
        (CorruptImage("x"), False),
        (TooManyPixels("x"), False),
        (Internal("x"), True),
        (StoreUnavailable("x"), True),
        (StageTimeout("x"), True),
    ],
)
def test_only_bytes_that_are_at_fault_are_deleted(
    quiet: Home, error: DandyrollError, is_there: bool
) -> None:
    row = unread(quiet, "failed")
    discard_unread(quiet, row, error)
    key = original_key(row.image_id)
    assert list(quiet.objects.list(key)) == [key] * is_there


def test_bytes_that_were_read_are_never_deleted(quiet: Home) -> None:
    row = unread(quiet, "failed")
    for sha256 in (SHA256, ""):  # "" has what was put straight into the bucket and is no image
        discard_unread(quiet, replace(row, sha256=sha256), CorruptImage("x"))
    assert quiet.objects.get(original_key(row.image_id)) == DATA


def test_a_row_without_its_bytes_says_so(quiet: Home) -> None:
    row = unread(quiet, "uploaded")
    quiet.objects.delete(original_key(row.image_id))
    with pytest.raises(OriginalMissing):
        begin(quiet, {"key": original_key(row.image_id), "trace_id": "t"}, STAGES[0])
