"""Mail through SES: the emulator keeps it, and takes it only from a sender it knows."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from dandyroll.aws.mail import Mail
from dandyroll.digest import digest
from dandyroll.events import Event, NotDelivered, new_event
from dandyroll.keys import original_key
from dandyroll.local.mail import compose
from dandyroll.settings import BadSetting, Settings
from tests.aws.emulator import PARAMETERS, STACK
from tests.aws.granted import granted
from tests.aws.test_flow import settled, straight

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

SENDER = PARAMETERS["MailFrom"]


@pytest.fixture
def aws(emulated_home: "EmulatedHome") -> "EmulatedHome":
    return emulated_home


@contextmanager
def verified(aws: "EmulatedHome") -> Iterator[None]:
    """Meanwhile SES knows the sender. (The emulator asks nobody to confirm it.)"""
    ses = aws.emulator.client("sesv2")
    ses.create_email_identity(EmailIdentity=SENDER)
    try:
        yield
    finally:
        ses.delete_email_identity(EmailIdentity=SENDER)


def sent(aws: "EmulatedHome") -> list[dict[str, Any]]:
    """All mail that the emulator has taken."""
    connection = aws.emulator.connection(timeout_s=30)
    try:
        connection.request("GET", "/_ministack/ses/messages")
        found: dict[str, Any] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return [message for account in found["messages"].values() for message in account]


def event(number: int) -> Event:
    error = {"code": "corrupt_image", "message": "Expected pixels."}
    row = {"image-id": f"upload-{number}.jpg", "owner": "shop", "error": error}
    return new_event("image.failed", row, 1795435200.25)


def mail(aws: "EmulatedHome") -> Mail:
    return Mail(Settings(mail_from=SENDER, mail_to=PARAMETERS["MailTo"]), aws.emulator.cloud)


def test_a_mail_says_what_the_local_homes_says(aws: "EmulatedHome") -> None:
    events = [event(1), event(2)]
    with verified(aws):
        assert mail(aws).publish(events).startswith("accepted by SES as ")
    message = sent(aws)[-1]
    at_home = compose(events)
    assert message["Subject"] == at_home["Subject"] == "Dandyroll: images 2 failed"
    assert message["BodyText"] == at_home.get_content() == digest(events, "").text
    assert message["Source"] == SENDER
    assert message["To"] == ["one@example.com", "two@example.com"]


def test_an_unverified_sender_is_told(aws: "EmulatedHome") -> None:
    before = sent(aws)
    with pytest.raises(NotDelivered, match="not verified"):
        mail(aws).publish([event(1)])
    assert sent(aws) == before


@pytest.mark.parametrize("given", [{"mail_from": SENDER}, {"mail_to": SENDER}])
def test_mail_needs_both_ends(aws: "EmulatedHome", given: dict[str, str]) -> None:
    with pytest.raises(BadSetting, match="expected addresses"):
        Mail(Settings(**given), aws.emulator.cloud)


def test_a_failed_image_is_mailed(aws: "EmulatedHome") -> None:
    """As deployed: from the table's stream, what was processed left out."""
    image_id = straight("png")
    aws.put_original(original_key(image_id), b"no picture")
    assert settled(aws, image_id).status == "failed"
    client = aws.emulator.client("lambda")
    found = client.list_event_source_mappings(FunctionName=f"{STACK}-mail-events")
    (source,) = found["EventSourceMappings"]
    before = len(sent(aws))
    with verified(aws), granted(aws, "mail-events", "ses:SendEmail"):
        client.update_event_source_mapping(UUID=source["UUID"], Enabled=True)
        try:
            message = wait_for_mail(aws, before, image_id)
        finally:
            client.update_event_source_mapping(UUID=source["UUID"], Enabled=False)
    assert message["Source"] == SENDER
    assert "image.processed" not in message["BodyText"]
    (line,) = [line for line in message["BodyText"].splitlines() if image_id in line]
    assert "  image.failed  adopted  " in line
    assert "  unsupported_format: " in line


def wait_for_mail(aws: "EmulatedHome", seen: int, image_id: str) -> dict[str, Any]:
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        for message in sent(aws)[seen:]:
            if image_id in message["BodyText"]:
                return message
        time.sleep(0.1)
    raise TimeoutError(f"Expected a mail about {image_id} in 30 s; there was none.")
