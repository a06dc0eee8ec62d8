"""`dandyroll list`, `delete` and `retry`."""

import hashlib
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from dandyroll.cli import main
from tests import pictures
from tests.client.both import KINDS, open_client
from tests.client.scripted import KEY, Asked, Reply, as_json, problem, scripted

IDS = [f"upload-20261123_120000-{n:08x}.jpg" for n in range(250)]


def row(image_id: str, status: str = "processed") -> dict[str, object]:
    return {
        **{"image-id": image_id, "bucket": "local", "content_type": "image/jpeg"},
        **{"created_date": "2026-11-23T12:00:00.000Z", "height": 2, "image_format": "JPEG"},
        **{"s3_url": "", "size_bytes": 9, "uploaded_at": 0, "width": 3, "owner": "test"},
        **{"sha256": "", "policy": "", "status": status},
        **({"error": {"code": "corrupt_image", "message": ""}} if status == "failed" else {}),
    }


class Images:
    """The routes on images, as far as a test looks at them."""

    def __init__(self, *failed: str) -> None:
        self.failed = list(failed)

    def __call__(self, asked: Asked) -> Reply:
        url = urlsplit(asked.path)
        if asked.method == "DELETE":
            return Reply(204)
        if asked.method == "POST":
            image_id = url.path.split("/")[2]
            if image_id not in IDS:
                return problem(404, "not_found")
            if image_id in self.failed:
                self.failed.remove(image_id)
            return as_json(202, row(image_id, "uploaded"))
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        failed = query.get("status") == "failed"
        ids, status = (self.failed, "failed") if failed else (IDS, "processed")
        start, limit = int(query.get("cursor", 0)), int(query["limit"])
        rows = [row(image_id, status) for image_id in ids[start : start + limit]]
        after = start + limit
        cursor = str(after) if after < len(ids) else None
        return as_json(200, {"images": rows, "cursor": cursor})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("limit", "pages"), [(None, 3), (250, 3), (150, 2), (100, 1), (1, 1)])
def test_pages_are_fetched_as_they_are_needed(kind: str, limit: int | None, pages: int) -> None:
    with scripted(Images()) as server, open_client(kind, server.url, KEY) as client:
        assert [r.image_id for r in client.list(limit=limit)] == IDS[:limit]
        assert len(server.asked) == pages


def test_list_prints_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(Images(*IDS[:3])) as server:
        connection = "--url", server.url, "--key", KEY
        assert main(["list", *connection, "--status", "failed", "--limit", "2"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == IDS[:2]
        assert lines[0].split()[1:] == [
            *("failed", "2026-11-23T12:00:00.000Z", "3×2", "9", "bytes", "corrupt_image")
        ]
        assert main(["list", *connection, "--json", "--limit", "120"]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [r["image-id"] for r in rows] == IDS[:120]


def test_delete_goes_on_and_says_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(Images()) as server:
        connection = "--url", server.url, "--key", KEY
        assert main(["delete", *IDS[:2], *connection]) == 0
        assert capsys.readouterr().out == f"{IDS[0]}  deleted\n{IDS[1]}  deleted\n"
        assert main(["delete", IDS[0], "--json", *connection]) == 0
        assert json.loads(capsys.readouterr().out) == {"image-id": IDS[0], "state": "deleted"}
    asked = [(a.method, a.path) for a in server.asked]
    assert asked == [("DELETE", f"/images/{image_id}") for image_id in (*IDS[:2], IDS[0])]


def test_retry_takes_ids_or_all_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(Images(*IDS[:230])) as server:
        connection = "--url", server.url, "--key", KEY
        assert main(["retry", IDS[0], "unknown.jpg", IDS[1], *connection]) == 1
        captured = capsys.readouterr()
        assert [line.split()[:2] for line in captured.out.splitlines()] == [
            [IDS[0], "uploaded"],
            [IDS[1], "uploaded"],
        ]
        assert "unknown.jpg: not_found" in captured.err
        assert main(["retry", "--all-failed", "--json", *connection]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [r["image-id"] for r in rows] == IDS[2:230]


@pytest.mark.parametrize("arguments", [[], ["--all-failed", "a.jpg"]])
def test_retry_is_told_which(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["retry", *arguments, "--url", "http://x", "--key", KEY])
    assert ended.value.code == 2
    assert "--all-failed" in capsys.readouterr().err


def test_a_refusal_is_one_line_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with scripted(lambda asked: problem(403, "forbidden")) as server:
        for command in (["list"], ["retry", "--all-failed"], ["delete", "a.jpg"]):
            assert main([*command, "--url", server.url, "--key", KEY]) == 1
            captured = capsys.readouterr()
            assert "forbidden: Said so." in captured.err and captured.out == ""


def test_interrupted_it_ends_soon_and_a_rerun_goes_on(tmp_path: Path) -> None:
    """Ctrl-C while the first of 20 is on its way: that one is finished and noted."""
    for n in range(20):
        (tmp_path / f"{n:02}.png").write_bytes(pictures.png(seed=n))
    arrived, go_on = threading.Event(), threading.Event()

    def answer(asked: Asked) -> Reply:
        arrived.set()
        go_on.wait()
        if asked.method == "GET":
            sha256 = hashlib.sha256(sent[0].body).hexdigest()
            return as_json(200, {**row(IDS[0]), "sha256": sha256})
        return as_json(201, {"image_id": IDS[0]})

    with scripted(answer) as server:
        sent = server.asked
        command = [sys.executable, "-m", "dandyroll.cli", "upload", str(tmp_path), "--json"]
        command += ["--url", server.url, "--key", KEY, "--concurrency", "1"]
        command += ["--record", str(tmp_path / "record")]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
            assert arrived.wait(30)
            running.send_signal(signal.SIGINT)
            go_on.set()
            assert running.wait(30) == 130
            assert running.stderr is not None
            assert "dandyroll: interrupted" in running.stderr.read()
        before = len(sent)
        assert before < 20
        noted = len((tmp_path / "record").read_text().split())
        assert noted == before
        done = subprocess.run(command, capture_output=True, text=True)
        states = [json.loads(line)["state"] for line in done.stdout.splitlines()]
        assert (states.count("present"), states.count("uploaded")) == (1, 19)
