"""`dandyroll redrive`: what the dead-letter queue holds, what has failed, and a sweep at once."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dandyroll.aws.executions import Executions
from dandyroll.aws.redrive import redrive_events
from dandyroll.cli import main
from dandyroll.errors import NotFound
from dandyroll.keys import original_key
from dandyroll.models import Changes, Row
from tests import pictures
from tests.aws.test_flow import settled, straight
from tests.aws.test_stack import operators_shell
from tests.aws.test_sweep import aws, executions_of, no_events, upkeep
from tests.contract.client import Client
from tests.contract.test_catalogue import new_row

if TYPE_CHECKING:
    from dandyroll.aws.upkeep import Upkeep
    from tests.aws.emulated_home import EmulatedHome

__all__ = ["aws", "upkeep"]  # fixtures
DAY_S = 24 * 60 * 60


@pytest.fixture(autouse=True)
def shell(aws: "EmulatedHome", upkeep: "Upkeep", monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator's, of a stack whose queue is empty and of which nothing has failed."""
    for name, value in operators_shell(aws).items():
        monkeypatch.setenv(name, value)
    aws.emulator.client("sqs").purge_queue(QueueUrl=aws.outputs["LostEventsUrl"])
    while rows := upkeep.catalogue.list(None, "failed", 500, "").rows:
        for row in rows:
            upkeep.catalogue.delete(row.image_id)


def event_of(aws: "EmulatedHome", image_id: str, **detail: Any) -> dict[str, Any]:
    """As S3 tells of an object, and EventBridge keeps what it could not deliver."""
    about = {
        "version": "0",
        "bucket": {"name": aws.settings.bucket},
        "object": {"key": original_key(image_id), "size": 1, "sequencer": "00"},
        "reason": "PutObject",
    }
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": {**about, **detail},
    }


def keep(aws: "EmulatedHome", body: str) -> None:
    """Put a message into the queue as EventBridge does."""
    attributes = {
        "ERROR_CODE": "NO_PERMISSIONS",
        "RULE_ARN": "arn:aws:events:us-east-1:123456789012:rule/dandyroll-uploaded",
    }
    aws.emulator.client("sqs").send_message(
        QueueUrl=aws.outputs["LostEventsUrl"],
        MessageBody=body,
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
    )


def left(aws: "EmulatedHome") -> int:
    """How many messages there are, seen or hidden."""
    numbers = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    found = aws.emulator.client("sqs").get_queue_attributes(
        QueueUrl=aws.outputs["LostEventsUrl"], AttributeNames=list(numbers)
    )["Attributes"]
    return sum(int(found[number]) for number in numbers)


def redrive(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, Any]:
    """The exit code, and what it printed for machines."""
    code = main(["redrive", "--json", *options])
    return code, json.loads(capsys.readouterr().out)


def test_what_the_queue_holds_is_started_and_leaves_it(
    aws: "EmulatedHome", capsys: pytest.CaptureFixture[str]
) -> None:
    client = Client.new(aws)
    with no_events(aws):
        ids = [client.upload(pictures.png(), "image/png") for _ in range(3)]
    for image_id in ids * 4:  # more than come in one answer
        keep(aws, json.dumps(event_of(aws, image_id)))
    assert redrive(capsys) == (0, {"events": {"started": 12, "failed": 0, "left": 0}})
    assert {settled(aws, image_id).status for image_id in ids} == {"processed"}
    assert left(aws) == 0
    assert redrive(capsys) == (0, {"events": {"started": 0, "failed": 0, "left": 0}})


@pytest.mark.parametrize(
    "body",
    [
        "no JSON",
        "[]",
        '{"id": "x"}',
        '{"id": "x", "detail": {"bucket": {"name": "BUCKET"}, "object": {"key": "other/a.png"}}}',
        '{"id": "x", "detail": {"bucket": {"name": "else"}, "object": {"key": "uploaded/a.png"}}}',
        '{"detail": {"bucket": {"name": "BUCKET"}, "object": {"key": "uploaded/a.png"}}}',
    ],
)
def test_what_is_no_event_of_ours_stays_and_is_told(
    aws: "EmulatedHome", capsys: pytest.CaptureFixture[str], body: str
) -> None:
    keep(aws, body.replace("BUCKET", aws.settings.bucket))
    assert main(["redrive"]) == 1
    out, err = capsys.readouterr()
    assert out == "events: 0 started, 1 failed, 1 left\n"
    assert "Expected an event of an object under uploaded/" in err
    assert main(["redrive"]) == 1  # though nobody sees it now
    out, err = capsys.readouterr()
    assert out == "events: 0 started, 0 failed, 1 left\n"
    assert "1 messages left, 1 of them hidden" in err
    assert left(aws) == 1


def test_a_message_stays_until_its_execution_has_started(
    aws: "EmulatedHome", upkeep: "Upkeep"
) -> None:
    image_id = straight("png")
    keep(aws, json.dumps(event_of(aws, image_id)))
    nowhere = Executions(aws.settings.state_machine + "x", aws.emulator.cloud)
    queue, url = aws.emulator.client("sqs"), aws.outputs["LostEventsUrl"]
    (outcome,) = redrive_events(queue, url, aws.settings.bucket, nowhere)
    assert (outcome.state, left(aws)) == ("failed", 1)
    assert "The pipeline did not start." in outcome.error
    assert "StateMachineDoesNotExist" in outcome.error


def test_an_event_is_not_started_twice(aws: "EmulatedHome", upkeep: "Upkeep") -> None:
    """As after a command that was interrupted before it could delete the message."""
    image_id = straight("png")
    with no_events(aws):
        aws.put_original(original_key(image_id), pictures.png())
    event = json.dumps(event_of(aws, image_id))
    queue, url = aws.emulator.client("sqs"), aws.outputs["LostEventsUrl"]
    for _ in range(2):
        keep(aws, event)
        (outcome,) = redrive_events(queue, url, aws.settings.bucket, upkeep.executions)
        assert (outcome.what, outcome.state) == (image_id, "started")
    assert settled(aws, image_id).status == "processed"
    assert len(executions_of(aws, image_id)) == 1


def lost(aws: "EmulatedHome", **changes: Any) -> Row:
    """The row of an image, of a ticket's if nothing else is said, of whose original none heard."""
    there = {"bucket": aws.settings.bucket, "policy": aws.home.policy.id, "sha256": None}
    row = replace(new_row(), **{**there, **changes})
    with no_events(aws):
        aws.put_original(original_key(row.image_id), pictures.png())
    aws.home.catalogue.create(row)
    return row


def failed(aws: "EmulatedHome", code: str, **changes: Any) -> Row:
    """An image with its original that has failed so."""
    row = lost(aws, **changes)
    error: Mapping[str, str] = {"code": code, "message": "So it was."}
    return aws.home.catalogue.advance(row.image_id, "failed", Changes(error=error))


def test_images_that_failed_by_no_fault_of_theirs_are_tried_again(
    aws: "EmulatedHome", capsys: pytest.CaptureFixture[str]
) -> None:
    codes = ("internal", "worker_crashed", "stage_timeout", "store_unavailable", "unfinished")
    ours = [failed(aws, code) for code in codes]
    theirs = failed(aws, "corrupt_image", sha256="0" * 64)
    refused = failed(aws, "unsupported_format")
    expected = {
        "events": {"started": 0, "failed": 0, "left": 0},
        "failed_images": {"started": 5, "failed": 0},
    }
    assert redrive(capsys, "--failed") == (0, expected)
    assert {settled(aws, row.image_id).status for row in ours} == {"processed"}
    for row in (theirs, refused):
        assert aws.home.catalogue.get(row.image_id) == row


def test_only_those_that_came_since(
    aws: "EmulatedHome", capsys: pytest.CaptureFixture[str]
) -> None:
    old = failed(aws, "internal")  # of 2025
    date = "2026-01-31T00:00:00.000Z"
    young = failed(aws, "internal", created_date=date, uploaded_at=1_769_817_600)
    code, counts = redrive(capsys, "--failed", "--since", "2026-01-01")
    assert (code, counts["failed_images"]) == (0, {"started": 1, "failed": 0})
    assert settled(aws, young.image_id).status == "processed"
    assert aws.home.catalogue.get(old.image_id).status == "failed"


def test_an_image_that_could_not_be_started_has_failed_as_before(
    aws: "EmulatedHome", capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = failed(aws, "internal")
    monkeypatch.setattr(Executions, "start_with", _unable)
    assert main(["redrive", "--failed"]) == 1
    out, err = capsys.readouterr()
    assert out == "events: 0 started, 0 failed, 0 left\nfailed images: 0 started, 1 failed\n"
    assert row.image_id in err
    assert aws.home.catalogue.get(row.image_id) == row


def _unable(self: Executions, event: object, reason: str = "") -> None:
    from dandyroll.errors import StoreUnavailable

    raise StoreUnavailable("The pipeline did not start.")


def test_a_sweep_at_once(aws: "EmulatedHome", capsys: pytest.CaptureFixture[str]) -> None:
    row = lost(aws)
    code, counts = redrive(capsys, "--sweep")
    assert (code, counts["swept"]["started_again"], counts["swept"]["adopted"]) == (0, 1, 0)
    assert counts["swept"]["oldest_s"] > 30 * DAY_S
    assert settled(aws, row.image_id).status == "processed"


def test_what_is_asked_wrongly_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["redrive", "--since", "7d"]) == 2
    assert "--since: expected --failed beside it" in capsys.readouterr().err
    assert main(["redrive", "--stack", "elsewhere"]) == 2
    for moment, says in (("yesterday", "span such as 30d"), ("2999-01-31", "moment that has")):
        with pytest.raises(SystemExit) as ended:
            main(["redrive", "--failed", "--since", moment])
        assert ended.value.code == 2
        assert f"expected a {says}" in capsys.readouterr().err


def test_a_deleted_image_stays_deleted(
    aws: "EmulatedHome", capsys: pytest.CaptureFixture[str]
) -> None:
    image_id = straight("png")
    keep(aws, json.dumps(event_of(aws, image_id)))
    assert redrive(capsys)[0] == 0
    (execution,) = executions_of(aws, image_id)
    assert aws.wait(execution["executionArn"])["status"] == "SUCCEEDED"
    with pytest.raises(NotFound):
        aws.home.catalogue.get(image_id)
