"""The server seen from outside: its log lines, its metrics, the ledger in its rows."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests import pictures
from tests.contract.client import Client
from tests.local.served_home import ServedHome

TRACE = "0af7651916cd43dd8448eb211c80319c"
ADMIN = frozenset({"admin"})


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedHome]:
    home = ServedHome(tmp_path / "data", workers=1)
    yield home
    home.close()


def metrics(served: ServedHome) -> dict[tuple[str, ...], float]:
    """Every sample by its name and label values, read by Prometheus' own parser."""
    status, headers, body = served.request("GET", "/metrics")
    assert (status, headers["content-type"].partition(";")[0]) == (200, "text/plain"), body
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def await_metric(served: ServedHome, name: str, value: float) -> None:
    deadline_s = time.monotonic() + 20
    while metrics(served)[(name,)] != value:
        assert time.monotonic() < deadline_s, f"{name} did not come to {value}."


def test_one_trace_id_goes_from_request_to_row_and_no_key_is_logged(
    served: ServedHome, tmp_path: Path
) -> None:
    log_path = tmp_path / "log"
    with log_path.open("wb") as stderr:
        served.start(stderr=stderr, DANDYROLL_LOG_LEVEL="debug")
    client = Client.new(served)
    traceparent = f"00-{TRACE}-b7ad6b7169203331-01"
    image_id = client.upload(pictures.jpeg(), traceparent=traceparent)
    assert client.processed(image_id).status == 200
    revoked = served.create_key("gone", ADMIN, int(time.time()) + 3600)
    served.revoke_key(revoked)
    for path in (f"/{client.key}", f"/health?key={client.key}", f"/get-image-metadata/{revoked}"):
        served.request("GET", path, {"x-api-key": revoked, "Authorization": client.key})
    client.send("POST", "/upload", b"no picture")
    failed = client.upload(pictures.broken_png(), "image/png")
    assert client.processed(failed).problem == (409, "image_failed")
    served.close()
    text = log_path.read_text("utf-8")
    for secret in (client.key, client.key[-32:], revoked[-32:], "no picture"):
        assert secret not in text
    lines = [json.loads(line) for line in text.splitlines()]  # every line is one, workers' too
    traced = {line["event"]: line for line in lines if line.get("trace_id") == TRACE}
    assert set(traced) == {"request", "job_ran", "image_settled"}
    assert all(line["image_id"] == image_id for line in traced.values())
    request, settled = traced["request"], traced["image_settled"]
    assert (request["method"], request["route"], request["status"]) == ("POST", "/upload", 201)
    assert (request["owner"], request["bytes_in"]) == (client.owner, len(pictures.jpeg()))
    assert (settled["owner"], settled["attempts"]) == (client.owner, 1)
    assert traced["job_ran"]["pid"] > 0 and traced["job_ran"]["save_ms"] >= 0
    refused = [line["code"] for line in lines if line["event"] == "request" and "code" in line]
    assert refused == [
        *("not_found", "forbidden", "unsupported_format", "image_failed"),
    ]
    gone = [line for line in lines if line.get("code") == "forbidden"]
    assert all("owner" not in line for line in gone)  # what a refused key claims is not a fact
    health = [line for line in lines if line.get("route") == "/health"]
    assert health and all(line["level"] == "debug" for line in health)
    (bad,) = [line for line in lines if line.get("code") == "corrupt_image"]
    assert (bad["level"], bad["image_id"], bad["attempts"]) == ("error", failed, 1)


def test_metrics_count_what_was_done(served: ServedHome) -> None:
    served.start()
    client = Client.new(served)
    body = pictures.jpeg()
    image_id = client.upload(body)
    assert client.processed(image_id).status == 200
    failed = client.upload(pictures.broken_png(), "image/png")
    assert client.processed(failed).status == 409
    found = metrics(served)
    assert found["dandyroll_http_requests_total", "/upload", "POST", "201"] == 2
    assert found["dandyroll_http_request_seconds_count", "/upload"] == 2
    assert found["dandyroll_http_request_seconds_bucket", "/upload", "+Inf"] == 2
    assert found["dandyroll_uploads_total", "JPEG"] == 1
    assert found["dandyroll_uploads_total", "PNG"] == 1
    assert found["dandyroll_images_settled_total", "processed", ""] == 1
    assert found["dandyroll_images_settled_total", "failed", "corrupt_image"] == 1
    assert found["dandyroll_bytes_total", "in"] == len(body) + len(pictures.broken_png())
    rendition = client.row(image_id)["processed"]
    assert found["dandyroll_bytes_total", "out"] > rendition["size_bytes"]
    for stage in ("load", "update_size", "add_watermark", "save"):
        assert found["dandyroll_stage_seconds_count", stage] == 1
    assert found["dandyroll_queue_seconds_count",] == 2
    assert found["dandyroll_workers",] == 1
    assert found["dandyroll_jobs_queued",] == found["dandyroll_jobs_running",] == 0
    assert found["dandyroll_workers_killed_total", "died"] == 0
    assert found["process_resident_memory_bytes",] > 10_000_000


def test_strangers_cannot_add_series(served: ServedHome) -> None:
    served.start()
    for number in range(3):
        served.request("GET", f"/{number}")
    served.request("PROPFIND", "/coffee")
    before = set(metrics(served))
    for number in range(40):
        served.request("GET", f"/get-image-metadata/{number}", {"x-api-key": str(number)})
        method = ("MKCOL", "LOCK", "SEARCH", "PURGE")[number % 4]
        served.request(method, f"/{number}?{number}", {f"x-{number}": "y"})
    more = set(metrics(served)) - before
    assert {sample[1] for sample in more} <= {"/get-image-metadata/{file-name}", "/metrics"}
    assert {sample[2] for sample in before if sample[0].endswith("requests_total")} >= {"OTHER"}


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-Host": "shop.example"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Host": "shop.example"},
        {"Host": ""},
        {"x-api-key": "dr1O", "Host": "127.0.0.1.example"},
    ],
)
def test_metrics_are_for_this_machine_alone(shared: ServedHome, headers: dict[str, str]) -> None:
    status, _, body = shared.request("GET", "/metrics", headers)
    assert (status, json.loads(body)["code"]) == (403, "forbidden")


def test_a_key_of_an_admin_opens_metrics(shared: ServedHome) -> None:
    far = {"X-Forwarded-For": "203.0.113.9"}
    expires_at = int(time.time()) + 3600
    admin = shared.create_key("boss", ADMIN, expires_at)
    writer = shared.create_key("shop", frozenset({"read", "write"}), expires_at)
    assert shared.request("GET", "/metrics", {**far, "x-api-key": admin})[0] == 200
    status, _, body = shared.request("GET", "/metrics", {**far, "x-api-key": writer})
    assert (status, json.loads(body)["code"]) == (403, "scope")
    shared.revoke_key(admin)
    assert shared.request("GET", "/metrics", {**far, "x-api-key": admin})[0] == 403


def test_a_server_with_another_public_url_trusts_no_loopback(served: ServedHome) -> None:
    served.start(DANDYROLL_PUBLIC_URL="https://pictures.example")
    assert served.request("GET", "/metrics")[0] == 403  # a proxy here may add no header at all


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    home = ServedHome(tmp_path_factory.mktemp("shared"), workers=1)
    home.start()
    yield home
    home.close()


@pytest.mark.parametrize(
    ("reason", "code", "settings"),
    [
        ("died", "worker_crashed", {}),
        ("timeout", "stage_timeout", {"DANDYROLL_JOB_TIMEOUT_S": "1"}),
    ],
)
def test_a_lost_worker_is_counted_logged_and_in_the_ledger(
    served: ServedHome, tmp_path: Path, reason: str, code: str, settings: dict[str, str]
) -> None:
    log_path = tmp_path / "log"
    with log_path.open("wb") as stderr:
        served.start(stderr=stderr, **settings)
    client = Client.new(served)
    client.processed(client.upload(pictures.jpeg()))  # the worker is there
    (worker,) = served.job_workers()
    os.kill(worker, signal.SIGSTOP)
    image_id, waiting = client.upload(pictures.jpeg()), client.upload(pictures.png(), "image/png")
    if reason == "died":
        await_metric(served, "dandyroll_jobs_running", 1)
        await_metric(served, "dandyroll_jobs_queued", 1)
        assert metrics(served)["dandyroll_job_age_seconds",] > 0
        os.kill(worker, signal.SIGKILL)
    assert client.processed(image_id).status == client.processed(waiting).status == 200
    found = metrics(served)
    assert found["dandyroll_workers_killed_total", reason] == 1
    assert found["dandyroll_job_retries_total", code] == 1
    ledger = client.row(image_id)["ledger"]
    assert (ledger["attempts"], ledger["failed_ms"] > 0) == (2, True)
    assert client.row(waiting)["ledger"]["attempts"] == 1
    assert client.row(waiting)["ledger"]["queue_ms"] > 0
    served.close()
    lines: list[dict[str, Any]] = list(map(json.loads, log_path.read_bytes().splitlines()))
    (lost,) = [line for line in lines if line["event"] == "worker_lost"]
    assert (lost["reason"], lost["pid"], lost["image_id"]) == (reason, worker, image_id)
    assert lost["exit_code"] == -signal.SIGKILL
    (again,) = [line for line in lines if line["event"] == "try_failed"]
    assert (again["code"], again["tries"]) == (code, 1)


def test_a_failed_image_has_its_ledger_too(shared: ServedHome) -> None:
    client = Client.new(shared)
    image_id = client.upload(pictures.broken_png(), "image/png")
    assert client.processed(image_id).status == 409
    ledger = client.row(image_id)["ledger"]
    assert ledger.keys() == {"trace_id", "queue_ms", "attempts", "failed_ms"}
    assert ledger["attempts"] == 1
