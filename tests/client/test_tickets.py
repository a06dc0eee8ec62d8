"""Large files: by ticket, streamed from disk, once."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from dandyroll import Problem
from dandyroll.client import persist
from tests import pictures
from tests.client.both import KINDS, open_client
from tests.client.scripted import DROP, KEY, Asked, Reply, Script, as_json, problem, scripted

LARGE = pictures.png(300, 200)
IMAGE_ID = "upload-20261123_120000-00000001.png"
SIGNED = {"Content-Type": "image/png", "Content-Length": str(len(LARGE)), "x-signed": "yes"}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persist, "_FIRST_PAUSE_S", 0.01)


def ticketing(puts: list[Reply], status: str = "awaiting", sha256: str | None = None) -> Script:
    """A server of the ticket routes that answers the puts one after the other so."""
    replies = iter(puts)
    row = {
        **{"image-id": IMAGE_ID, "bucket": "local", "content_type": "image/png"},
        **{"created_date": "", "height": 200, "image_format": "PNG", "s3_url": ""},
        **{"size_bytes": len(LARGE), "uploaded_at": 0, "width": 300, "owner": "test"},
        **{"sha256": sha256, "policy": "", "status": status},
    }

    def answer(asked: Asked) -> Reply:
        if asked.method == "PUT":
            return next(replies)
        if asked.path == "/uploads":
            length = str(json.loads(asked.body)["size_bytes"])
            headers = {**SIGNED, "Content-Length": length}
            ticket = {"url": "/put?signature=x", "method": "PUT", "headers": headers}
            return as_json(201, {"image_id": IMAGE_ID, "expires_at": 2_000_000_000, **ticket})
        if asked.path == "/upload":
            return problem(413, "body_too_large")
        return as_json(200, row)

    return answer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("max_direct_bytes", [10, 10_000_000])
def test_what_is_too_large_goes_by_ticket(kind: str, max_direct_bytes: int) -> None:
    with scripted(ticketing([Reply(200)])) as server:
        limit = {"max_direct_bytes": max_direct_bytes}
        with open_client(kind, server.url, KEY, **limit) as client:
            assert client.upload(LARGE) == IMAGE_ID
    *before, asked, put = server.asked
    assert [a.path for a in before] == ([] if max_direct_bytes == 10 else ["/upload"])
    sha256 = hashlib.sha256(LARGE).hexdigest()
    wanted = {"content_type": "image/png", "size_bytes": len(LARGE), "sha256": sha256}
    assert json.loads(asked.body) == wanted
    assert put.body == LARGE
    assert "x-api-key" not in put.headers
    assert {name.lower(): text for name, text in SIGNED.items()}.items() <= put.headers.items()
    assert "transfer-encoding" not in put.headers


@pytest.mark.parametrize("kind", KINDS)
def test_a_put_whose_answer_was_lost_is_not_a_failure(kind: str) -> None:
    sha256 = hashlib.sha256(LARGE).hexdigest()
    arrived = ticketing([DROP, problem(409, "conflict")], "uploaded", sha256)
    with (
        scripted(arrived) as server,
        open_client(kind, server.url, KEY, max_direct_bytes=0) as client,
    ):
        assert client.upload(LARGE) == IMAGE_ID
    assert [a.path for a in server.asked].count("/uploads") == 1


def test_a_put_that_is_still_being_taken_in_is_waited_for() -> None:
    with (
        scripted(ticketing([problem(409, "conflict"), Reply(200)])) as server,
        open_client("blocking", server.url, KEY, max_direct_bytes=0) as client,
    ):
        assert client.upload(LARGE) == IMAGE_ID


def test_a_ticket_that_others_used_is_a_failure() -> None:
    with (
        scripted(ticketing([problem(409, "conflict")], "uploaded", "0" * 64)) as server,
        open_client("blocking", server.url, KEY, max_direct_bytes=0) as client,
        pytest.raises(Problem, match="conflict"),
    ):
        client.upload(LARGE)


_MEASURED = """
import resource, sys
import anyio
from dandyroll import AsyncClient, Client

def peak_kb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

async def upload(client, path):
    async with client:
        await client.upload(path)

kind, url, key, small, large = sys.argv[1:]
for path in (small, large):
    before_kb = peak_kb()
    if kind == "blocking":
        with Client(url, key) as client:
            client.upload(path, content_type="image/png")
    else:
        anyio.run(upload, AsyncClient(url, key), path)
print(peak_kb() - before_kb)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_file_never_sits_in_memory(kind: str, tmp_path: Path) -> None:
    small, large = tmp_path / "small.png", tmp_path / "large.png"
    small.write_bytes(bytes(5_000_000))
    with large.open("wb") as file:
        file.truncate(100_000_000)
    with scripted(ticketing([Reply(200)] * 2)) as server:
        command = [sys.executable, "-c", _MEASURED, kind, server.url, KEY, str(small), str(large)]
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 8_000
    assert [len(a.body) for a in server.asked if a.method == "PUT"] == [5_000_000, 100_000_000]
