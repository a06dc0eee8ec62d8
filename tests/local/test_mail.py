"""Mail: one message for many events, over TLS that is verified."""

import ssl
from typing import Any

import pytest

from dandyroll.events import Event, NotDelivered, new_event
from dandyroll.local.mail import Mail, compose
from dandyroll.settings import Settings
from tests.local.mail_server import MailServer
from tests.local.receiver import CERTIFICATE

KNOWN = ssl.create_default_context(cafile=str(CERTIFICATE))


def event(number: int, kind: str = "image.failed") -> Event:
    row: dict[str, object] = {"image-id": f"upload-{number}.jpg", "owner": "shop"}
    if kind == "image.failed":
        row["error"] = {"code": "corrupt_image", "message": "Expected pixels."}
    return new_event(kind, row, 1795435200.25)


def settings(server: MailServer, **more: Any) -> Settings:
    return Settings(
        smtp_host="localhost",
        smtp_port=server.port,
        mail_from="dandyroll@example.com",
        mail_to="one@example.com, two@example.com",
        **more,
    )


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
def test_a_mail_arrives(security: str) -> None:
    with MailServer(tls=security == "tls") as server:
        mail = Mail(settings(server, smtp_security=security), KNOWN)
        assert mail.publish([event(1)]) == "accepted by localhost"
    (message,) = server.mailbox.messages
    assert message["Subject"] == "Dandyroll: image 1 failed"
    assert message["From"] == "dandyroll@example.com"
    assert message["To"] == "one@example.com, two@example.com"
    assert message["Message-ID"]
    assert message["Date"].datetime.utcoffset().total_seconds() == 0
    assert message.get_content() == (
        "2026-11-23T12:00:00.250Z  image.failed  shop  upload-1.jpg  "
        "corrupt_image: Expected pixels.\r\n"
    )
    assert server.mailbox.recipients == ["one@example.com", "two@example.com"]
    assert server.mailbox.logins == []


def test_a_login_goes_over_tls() -> None:
    with MailServer() as server:
        given = settings(server, smtp_user="me", smtp_password="geheim")
        Mail(given, KNOWN).publish([event(1)])
    assert server.mailbox.logins == [("\0me\0geheim", True)]


def test_a_server_that_cannot_do_tls_gets_nothing() -> None:
    with MailServer(starttls=False) as server:
        given = settings(server, smtp_user="me", smtp_password="geheim")
        with pytest.raises(NotDelivered, match="STARTTLS"):
            Mail(given, KNOWN).publish([event(1)])
    assert (server.mailbox.messages, server.mailbox.logins) == ([], [])


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_tls_is_verified(security: str) -> None:
    with MailServer(tls=security == "tls") as server:
        given = settings(server, smtp_security=security, smtp_user="me", smtp_password="geheim")
        with pytest.raises(NotDelivered, match="certificate is not good"):
            Mail(given).publish([event(1)])
    assert (server.mailbox.messages, server.mailbox.logins) == ([], [])


def test_a_thousand_events_are_one_short_message() -> None:
    events = [event(number) for number in range(997)] + [
        event(n, "image.deleted") for n in range(3)
    ]
    message = compose(events)
    assert message["Subject"] == "Dandyroll: images 3 deleted, 997 failed"
    text = message.get_content()
    assert text.count("upload-") == 100
    assert text.endswith("and 900 more: dandyroll webhooks deliveries\n")


def test_one_bad_address_keeps_no_other_from_its_mail() -> None:
    with MailServer(refuses="two@example.com") as server:
        answer = Mail(settings(server), KNOWN).publish([event(1)])
    assert answer == "accepted by localhost, but not for two@example.com"
    assert server.mailbox.recipients == ["one@example.com"]


def test_a_server_that_is_not_there_or_takes_nobody() -> None:
    with MailServer() as server:
        gone = settings(server)
    with pytest.raises(NotDelivered, match="not reached") as refused:
        Mail(gone, KNOWN).publish([event(1)])
    assert not refused.value.reachable
    with MailServer(refuses="one@example.com") as server:
        given = Settings(
            smtp_host="localhost",
            smtp_port=server.port,
            mail_from="a@example.com",
            mail_to="one@example.com",
        )
        with pytest.raises(NotDelivered, match=r"550.*no such box"):
            Mail(given, KNOWN).publish([event(1)])
