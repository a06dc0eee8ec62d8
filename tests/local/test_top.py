"""`dandyroll top`: what it shows, and that it ends when told."""

import io
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from rich.console import Console

from dandyroll.local.exposition import Counter, Histogram, exposition
from dandyroll.local.scrape import Between, Scrape, parse_exposition
from dandyroll.local.top import remote_source, show
from dandyroll.models import Row
from tests import pictures
from tests.contract.client import Client
from tests.local.served_home import ServedHome, open_served_home


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    with open_served_home(tmp_path_factory.mktemp("data"), workers=1) as served:
        yield served


def top(*arguments: str | Path, **more: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "dandyroll.cli", "top", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=more or None)


def test_one_frame_shows_what_the_server_did(served: ServedHome) -> None:
    client = Client.new(served)
    image_id, failed = client.upload(pictures.jpeg()), client.upload(pictures.broken_png())
    assert client.processed(image_id).status == 200
    assert client.processed(failed).status == 409
    done = top("--once", "--data", served.data_dir)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0].startswith("dandyroll 0.1.0 at http://127.0.0.1:")
    text = "\n".join(lines)
    for shown in ("queued 0", "workers busy 0 of 1", "corrupt_image 1", "HTTP 409 1"):
        assert shown in text
    assert f"{image_id} {client.owner} processed" in text
    assert f"{failed} {client.owner} failed corrupt_image" in text
    assert any(line.startswith("update_size") and "ms" in line for line in lines)
    by_url = top("--once", "--url", served.url)
    assert by_url.returncode == 0
    assert "corrupt_image" in by_url.stdout


def test_it_ends_on_ctrl_c(served: ServedHome) -> None:
    command = [sys.executable, "-u", "-m", "dandyroll.cli", "top", "--every", "0.1"]
    command += ["--data", str(served.data_dir)]
    watching = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"TTY_COMPATIBLE": "1"}
    )
    assert watching.stdout is not None
    shown = b""
    while b"workers busy" not in shown:
        shown += watching.stdout.read1()
    watching.send_signal(signal.SIGINT)
    _, errors = watching.communicate(timeout=20)
    assert (watching.returncode, errors) == (0, b"")


def test_what_cannot_be_watched_is_told(tmp_path: Path) -> None:
    for arguments, says in (
        (("--data", tmp_path), "no server has been started"),
        (("--url", "http://127.0.0.1:9"), "http://127.0.0.1:9 does not answer"),
        (("--url", "shop"), "expected a URL"),
        (("--every", "0"), "expected 0.1 to 3600"),
        (("--every", "often"), "--every"),
    ):
        done = top("--once", *arguments)
        assert done.returncode == 2
        assert says in done.stderr
        assert "Traceback" not in done.stderr


def test_a_refusal_says_what_the_server_said(tmp_path: Path) -> None:
    served = ServedHome(tmp_path, workers=1)
    served.start(DANDYROLL_PUBLIC_URL="https://pictures.example")
    try:
        refused = top("--once", "--url", served.url)
        assert "answered 403: Expected a valid API key" in refused.stderr
        key = served.create_key("boss", frozenset({"admin"}), int(time.time()) + 3600)
        assert top("--once", "--url", served.url, DANDYROLL_KEY=key).returncode == 0
    finally:
        served.close()


class _Far(BaseHTTPRequestHandler):
    """A server that lists images, as the contract says."""

    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["x-api-key"]))
        body = b"process_start_time_seconds 1\n"
        if self.path.startswith("/pictures/images"):
            row = Row(*["x"] * 4, "JPEG", "x", 1, 1, "shop", "x", "uploaded", 1, 1, "x")
            body = json.dumps({"images": [row.to_json()], "cursor": None}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


def test_the_last_images_of_a_far_server_come_from_its_list() -> None:
    with HTTPServer(("127.0.0.1", 0), _Far) as far:
        thread = threading.Thread(target=far.serve_forever)
        thread.start()
        text = io.StringIO()
        source = remote_source(f"http://127.0.0.1:{far.server_port}/pictures/", "a-key")
        show(source, Console(file=text, width=100), every_s=1, once=True)
        far.shutdown()
        thread.join()
    assert _Far.asked == [("/pictures/metrics", "a-key"), ("/pictures/images?limit=8", "a-key")]
    assert "shop" in text.getvalue()


def test_rates_and_quantiles_are_of_what_happened_between() -> None:
    count, took = Counter("c_total", "C.", ("a",)), Histogram("s", "S.", ("a",))
    scrapes = []
    for at_s, seconds in ((100.0, 0.001), (110.0, 0.07)):
        for _ in range(20):
            count.inc('x"\\\n')
            took.observe(seconds, "x")
        scrapes.append(parse_exposition(exposition([count, took]).decode(), at_s))
    between = Between(*scrapes)
    assert between.rate("c_total") == 2.0
    assert between.quantile(0.5, "s", a="x") == pytest.approx(0.075)  # half of 0.05 to 0.1
    assert between.quantile(0.5, "s", a="y") is None
    assert Between(Scrape(0, {}), scrapes[0]).quantile(0.5, "s", a="x") == pytest.approx(0.0025)
    took.observe(1_000, "slow")
    slow = Between(scrapes[1], parse_exposition(exposition([took]).decode(), 120.0))
    assert slow.quantile(0.95, "s", a="slow") == 60
