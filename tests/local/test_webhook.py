"""One POST: signed as the specification has it, bounded in time and size, to that URL alone."""

import socket
import ssl
import threading
import time
from collections.abc import Callable

import pytest

from dandyroll.events import NotDelivered, new_event
from dandyroll.local.webhook import Webhook, sign
from tests.local.receiver import CERTIFICATE, Got, Receiver, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT = new_event("image.processed", {"image-id": "upload-1.jpg"}, 1795435200.25)


def test_the_signature_is_that_of_the_specification() -> None:
    """The known answer that the specification's own libraries are tested with."""
    body = b'{"test": 2432232314}'
    found = sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "changed", [("evt_2", 1, b"{}"), ("evt_1", 2, b"{}"), ("evt_1", 1, b"{ }")]
)
def test_the_signature_covers_id_time_and_body(changed: tuple[str, int, bytes]) -> None:
    assert sign(SECRET, *changed) != sign(SECRET, "evt_1", 1, b"{}")


def test_a_request_is_signed_with_the_time_of_sending() -> None:
    with Receiver() as receiver:
        answer = Webhook(receiver.url, SECRET, 5).publish([EVENT])
        assert answer.startswith("answered 204 in ")
        again = Webhook(receiver.url, SECRET, 5, clock=lambda: 1795439999.9)
        again.publish([EVENT])
    first, second = receiver.got
    verify(first, SECRET)
    verify(second, SECRET, now=1795439999)
    assert second.headers["webhook-timestamp"] == "1795439999"
    assert first.id == second.id == EVENT.id
    assert first.body == second.body == EVENT.body()
    assert first.headers["content-type"] == "application/json"
    assert first.headers["user-agent"].startswith("Dandyroll/")
    assert first.event == {
        "id": EVENT.id,
        "type": "image.processed",
        "version": 1,
        "created_at": "2026-11-23T12:00:00.250Z",
        "data": {"image-id": "upload-1.jpg"},
    }


def refusal(answer: Callable[[Got], object]) -> NotDelivered:
    with Receiver(answer) as receiver, pytest.raises(NotDelivered) as refused:
        Webhook(receiver.url, SECRET, 5).publish([EVENT])
    assert len(receiver.got) == 1
    return refused.value


@pytest.mark.parametrize(
    ("status", "reachable"), [(400, True), (404, True), (410, True), (500, True), (503, False)]
)
def test_any_other_answer_is_no_delivery(status: int, reachable: bool) -> None:
    error = refusal(lambda got: status)
    assert (error.message, error.reachable) == (f"answered {status}", reachable)


def test_a_redirect_is_not_followed() -> None:
    with Receiver() as elsewhere:
        error = refusal(lambda got: (307, {"Location": elsewhere.url}))
    assert error.message == "answered 307; redirects are not followed"
    assert elsewhere.got == []


def test_patience_is_given_where_it_is_asked_for() -> None:
    error = refusal(lambda got: (429, {"Retry-After": "120"}))
    assert (error.reachable, error.retry_after_s) == (False, 120)
    assert refusal(lambda got: (503, {"Retry-After": "999999"})).retry_after_s == 3_600
    assert refusal(lambda got: (503, {"Retry-After": "tomorrow"})).retry_after_s == 0


def raw(talk: Callable[[socket.socket], None]) -> tuple[str, threading.Thread]:
    """A server of one connection that says whatever `talk` does; its URL."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening, listening.accept()[0] as connection:
            connection.recv(65_536)
            try:
                talk(connection)
            except OSError:
                return  # broken off, which is the point

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return f"http://127.0.0.1:{listening.getsockname()[1]}/", thread


def test_an_endless_answer_is_not_read() -> None:
    sent = 0

    def talk(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 500 Oh\r\n\r\n" + b"\x1b[31mred\n")
        while sent < 500_000_000:
            sent += connection.send(b"x" * 65_536)

    url, thread = raw(talk)
    with pytest.raises(NotDelivered) as refused:
        Webhook(url, SECRET, 5).publish([EVENT])
    thread.join(10)
    assert not thread.is_alive()
    assert sent < 50_000_000  # what sockets buffer
    assert refused.value.message.startswith("answered 500: [31mred xxx")
    assert len(refused.value.message) < 250


@pytest.mark.parametrize("said", [b"HTTP/1.1 ", b"HTTP/1.1 500 Oh\r\nx-slow: "])
def test_a_receiver_that_drips_is_cut_off(said: bytes) -> None:
    """A byte every 50 ms keeps a socket's own timeout from ever ending it."""

    def talk(connection: socket.socket) -> None:
        connection.send(said)
        for _ in range(10_000):
            connection.send(b"s")
            time.sleep(0.05)

    url, thread = raw(talk)
    began_s = time.monotonic()
    with pytest.raises(NotDelivered, match=r"no answer within 1 s|answered 500"):
        Webhook(url, SECRET, 1).publish([EVENT])
    assert time.monotonic() - began_s < 3
    thread.join(10)
    assert not thread.is_alive()


def test_a_receiver_that_hangs_up_or_is_not_there() -> None:
    url, thread = raw(lambda connection: None)
    for reason in ("closed the connection without an answer", "not reached: Connection refused"):
        with pytest.raises(NotDelivered) as refused:
            Webhook(url, SECRET, 5).publish([EVENT])
        assert (refused.value.message, refused.value.reachable) == (reason, False)
        thread.join(10)


def test_tls_is_verified() -> None:
    with Receiver(tls=True) as receiver:
        with pytest.raises(NotDelivered, match="certificate is not good") as refused:
            Webhook(receiver.url, SECRET, 5).publish([EVENT])
        assert not refused.value.reachable
        known = ssl.create_default_context(cafile=str(CERTIFICATE))
        assert "204" in Webhook(receiver.url, SECRET, 5, tls=known).publish([EVENT])
        other_name = receiver.url.replace("localhost", "127.0.0.1")  # not in the certificate
        with pytest.raises(NotDelivered, match="certificate is not good"):
            Webhook(other_name, SECRET, 5, tls=known).publish([EVENT])
    assert len(receiver.got) == 1
