"""What a client does on a bad day: busy servers, broken connections, answers that are not ours."""

import time
from email.utils import formatdate
from pathlib import Path

import pytest

from dandyroll import Problem, Unreachable
from dandyroll.client import persist
from tests.client.both import KINDS, open_client
from tests.client.scripted import DROP, KEY, Asked, Reply, as_json, problem, scripted
from tests.local.served_home import free_port

pytestmark = pytest.mark.parametrize("kind", KINDS)

UPLOADED = as_json(201, {"image_id": "upload-1.jpg"})
PICTURE = Reply(200, b"picture", {"Content-Type": "image/jpeg"})


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persist, "_FIRST_PAUSE_S", 0.01)


@pytest.mark.parametrize(
    ("status", "code"),
    [(429, "too_many_requests"), (503, "busy"), (409, "upload_in_flight")],
)
def test_retry_after_is_honoured(kind: str, status: int, code: str) -> None:
    with scripted([problem(status, code, "1"), UPLOADED]) as server:
        with open_client(kind, server.url, KEY) as client:
            start_s = time.monotonic()
            assert client.upload(b"bytes") == "upload-1.jpg"
        assert time.monotonic() - start_s >= 1
    first, second = server.asked
    assert first.body == second.body == b"bytes"
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


def test_retry_after_may_be_a_date(kind: str) -> None:
    soon = problem(503, "busy", formatdate(time.time() - 1, usegmt=True))
    with scripted([soon, UPLOADED]) as server, open_client(kind, server.url, KEY) as client:
        assert client.upload(b"bytes") == "upload-1.jpg"


def test_who_is_asked_to_wait_longer_than_its_patience_is_told_how_long(kind: str) -> None:
    busy = problem(429, "too_many_requests", "3600")
    with (
        scripted([busy]) as server,
        open_client(kind, server.url, KEY, patience_s=5) as client,
        pytest.raises(Problem) as caught,
    ):
        client.upload(b"bytes")
    assert (caught.value.status, caught.value.code) == (429, "too_many_requests")
    assert (caught.value.retry_after_s, caught.value.trace_id) == (3600, "abc")
    assert caught.value.message == "Said so."


@pytest.mark.parametrize("bad", [DROP, Reply(502, b"<h1>Bad gateway</h1>"), problem(408, "late")])
def test_what_broke_off_is_sent_again(kind: str, bad: Reply) -> None:
    with scripted([bad, bad, UPLOADED]) as server, open_client(kind, server.url, KEY) as client:
        assert client.upload(b"bytes") == "upload-1.jpg"
    assert len(server.asked) == 3


def test_what_never_answers_is_unreachable(kind: str) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/secret"
    with (
        open_client(kind, url, KEY, tries=3) as client,
        pytest.raises(Unreachable, match=f"http://127.0.0.1:{port} did not answer") as caught,
    ):
        client.metadata("a.jpg")
    assert "secret" not in str(caught.value)


def test_tries_are_bounded(kind: str) -> None:
    with scripted(lambda asked: DROP) as server:
        with open_client(kind, server.url, KEY, tries=3) as client, pytest.raises(Unreachable):
            client.metadata("a.jpg")
        assert len(server.asked) == 3


@pytest.mark.parametrize("refusal", [problem(403, "forbidden"), problem(422, "corrupt_image")])
def test_a_refusal_is_not_asked_again(kind: str, refusal: Reply) -> None:
    with scripted([refusal]) as server:
        with open_client(kind, server.url, KEY) as client, pytest.raises(Problem):
            client.upload(b"bytes")
        assert len(server.asked) == 1


def test_an_answer_that_is_not_ours_is_told_as_such(kind: str) -> None:
    for page in (Reply(404, b"<h1>Nothing here</h1>"), Reply(301, b""), Reply(200, b"<html>")):
        with (
            scripted([page] * 3) as server,
            open_client(kind, server.url, KEY) as client,
        ):
            for call in (client.metadata, client.fetch, client.original):
                with pytest.raises(Problem) as caught:
                    call("a.jpg")
                assert caught.value.code == f"http_{page.status}"


def test_a_deletion_that_another_server_redirected_did_not_happen(kind: str) -> None:
    with (
        scripted([Reply(301, b"", {"Location": "/login"})]) as server,
        open_client(kind, server.url, KEY) as client,
        pytest.raises(Problem, match="http_301"),
    ):
        client.delete("a.jpg")


def test_a_download_is_whole_or_not_there(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "picture.jpg"
    cut = Reply(200, b"picture", {"Content-Type": "image/jpeg"}, cut=3)
    with (
        scripted(lambda asked: cut) as server,
        open_client(kind, server.url, KEY, tries=2) as client,
        pytest.raises(Unreachable),
    ):
        client.fetch_to("a.jpg", target)
    assert list(tmp_path.iterdir()) == []
    target.write_bytes(b"what was there")
    with scripted([cut, PICTURE]) as server, open_client(kind, server.url, KEY) as client:
        assert client.original_to("a.jpg", target) == target
    assert [p.name for p in tmp_path.iterdir()] == ["picture.jpg"]
    assert target.read_bytes() == b"picture"


def test_a_signed_url_is_followed_without_the_key(kind: str) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path.startswith("/signed"):
            return PICTURE
        return Reply(303, b"", {"Location": "/signed?signature=x"})

    with scripted(answer) as server, open_client(kind, server.url, KEY) as client:
        assert client.fetch("a.jpg") == b"picture"
        assert client.original("a.jpg") == b"picture"
    assert [("x-api-key" in a.headers) for a in server.asked] == [True, False, True, False]


def test_waiting_ends_in_time_and_says_why(kind: str) -> None:
    with scripted(lambda asked: problem(409, "not_ready", "1")) as server:
        start_s = time.monotonic()
        with open_client(kind, server.url, KEY) as client, pytest.raises(Problem) as caught:
            client.wait("a.jpg", timeout_s=1.5)
        assert 1.4 <= time.monotonic() - start_s < 10
        assert caught.value.code == "not_ready"
        assert server.asked[0].path == "/get-processed-image/a.jpg?wait=2"
        assert server.asked[-1].path == "/get-processed-image/a.jpg"


def test_a_server_that_lets_nobody_wait_is_asked_now_and_then(kind: str) -> None:
    def answer(asked: Asked) -> Reply:
        return problem(400, "bad_parameter") if "wait" in asked.path else PICTURE

    with scripted(answer) as server, open_client(kind, server.url, KEY) as client:
        assert client.fetch("a.jpg") == b"picture"


@pytest.mark.parametrize(
    ("url", "key", "says"),
    [
        *((url, KEY, "http://") for url in ("127.0.0.1:8000", "http://", "http://[", "http://a b")),
        ("http://x", "a key", "letters and digits"),
    ],
)
def test_what_cannot_be_a_url_or_key_is_refused_at_once(
    kind: str, url: str, key: str, says: str
) -> None:
    with pytest.raises(ValueError, match=says), open_client(kind, url, key):
        raise AssertionError("not reached")


def test_rows_of_a_newer_server_are_read(kind: str) -> None:
    row = {
        **{
            "image-id": "a.jpg",
            "bucket": "local",
            "content_type": "image/jpeg",
            "created_date": "",
        },
        **{"height": 2, "image_format": "JPEG", "s3_url": "", "size_bytes": 9, "uploaded_at": 0},
        **{"width": 3, "owner": "test", "sha256": "", "policy": "", "status": "processed"},
        "tags": ["of a later version"],
        "processed": {
            **{"key": "", "width": 3, "height": 2, "size_bytes": 9, "content_type": "image/jpeg"},
            **{"etag": "", "mark": None, "tags": ["of a later version"]},
        },
    }
    with scripted([as_json(200, row)]) as server, open_client(kind, server.url, KEY) as client:
        assert client.metadata("a.jpg").processed.width == 3
