"""OpenTelemetry spans, where they are asked for, drawn by what both homes call."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dandyroll import spans
from dandyroll.api.http import Request, Response
from dandyroll.api.routes import answer
from dandyroll.aws import workflow
from dandyroll.errors import StageTimeout
from dandyroll.local.objects import FileObjectStore
from dandyroll.models import Changes, Job
from dandyroll.pipeline import STAGES, Stage
from dandyroll.policy import DEFAULT
from dandyroll.settings import BadSetting, Settings
from dandyroll.trace_id import as_w3c
from tests import pictures

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
IMAGE_ID = "upload-20261123_120000-0a1b2c3d.jpg"


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    spans.start_spans("http://127.0.0.1:1", "local", exporter)
    yield exporter
    spans.stop_spans()


def finished(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    spans.flush_spans()
    return {span.name: span for span in exporter.get_finished_spans()}


def ids(span: ReadableSpan) -> tuple[str, str, str | None]:
    """Trace, span and parent, as they are written."""
    context, parent = span.get_span_context(), span.parent
    assert context is not None
    return (
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
        f"{parent.span_id:016x}" if parent else None,
    )


def upload(home: Any, request: Request) -> Response:
    with spans.accept_span(IMAGE_ID):
        return Response(503)


@pytest.mark.parametrize("headers", [{}, {"traceparent": f"00-{TRACE}-{SPAN}-00"}])
def test_an_upload_is_one_tree_from_request_to_save(
    exporter: InMemorySpanExporter, headers: dict[str, str]
) -> None:
    answer(upload, SimpleNamespace(), Request("POST", "/x", headers=headers, trace_id=TRACE))
    job = Job(IMAGE_ID, "p", "uploaded/x", "JPEG", trace_id=TRACE).noting(queue_ms=7, attempts=1)
    with spans.job_span("job", job) as done:
        done(job.noting(load_ms=2, update_size_ms=20, add_watermark_ms=10, save_ms=5, cpu_ms=30))
    found = finished(exporter)
    assert {ids(span)[0] for span in found.values()} == {TRACE}
    assert ids(found["unknown"])[2] == (SPAN if headers else None)
    assert ids(found["accept"])[2] == ids(found["unknown"])[1]
    assert ids(found["job"])[2] == ids(found["accept"])[1]
    steps = ["load", *(stage.__name__ for stage in STAGES), "save"]
    assert all(ids(found[step])[2] == ids(found["job"])[1] for step in steps)
    assert set(found) == {"unknown", "accept", "job", *steps}
    took = {step: (found[step].end_time or 0) - (found[step].start_time or 0) for step in steps}
    assert list(took.values()) == [2_000_000, 20_000_000, 10_000_000, 5_000_000]
    assert found["save"].start_time == found["add_watermark"].end_time
    assert (found["unknown"].attributes or {})["http.response.status_code"] == 503
    assert not found["unknown"].status.is_ok


def test_a_failed_job_is_marked_with_its_code(exporter: InMemorySpanExporter) -> None:
    job = Job(IMAGE_ID, "p", "uploaded/x", "JPEG", trace_id=TRACE)
    with pytest.raises(StageTimeout), spans.job_span("job", job):
        raise StageTimeout("too long")
    job_span = finished(exporter)["job"]
    assert (job_span.attributes or {})["error.type"] == "stage_timeout"
    assert not job_span.status.is_ok


def test_each_function_of_the_aws_home_draws_its_own_steps(
    exporter: InMemorySpanExporter, tmp_path: Path
) -> None:
    """The state machine's functions, on a folder: what they call is the same."""
    objects = FileObjectStore(tmp_path)
    objects.put(f"uploaded/{IMAGE_ID}", pictures.jpeg(), "image/jpeg")
    row = SimpleNamespace(status="resized", image_id=IMAGE_ID, ledger={})
    catalogue = SimpleNamespace(advance=lambda *given: row)
    home: Any = SimpleNamespace(objects=objects, catalogue=catalogue, settings=Settings())
    x_ray = "1-68db0a4b-0123456789abcdef01234567"
    job = Job(IMAGE_ID, DEFAULT.id, f"uploaded/{IMAGE_ID}", "JPEG", trace_id=x_ray).to_json()
    trees = []
    for stage in STAGES:
        exporter.clear()
        job = _run(home, job, stage)
        trees.append(finished(exporter))
    assert [set(tree) for tree in trees] == [
        {"update-size", "load", "update_size", "save"},
        {"add-watermark", "load", "add_watermark", "save"},
    ]
    every = [span for tree in trees for span in tree.values()]
    assert {ids(span)[0] for span in every} == {as_w3c(x_ray)}
    assert ids(trees[0]["update-size"])[2] == ids(trees[1]["add-watermark"])[2]


def _run(home: Any, job: dict[str, Any], stage: Stage) -> dict[str, Any]:
    return workflow.go_on(home, {"job": job, "trace_id": "t"}, stage)


def test_off_nothing_is_imported() -> None:
    program = """
import sys
import dandyroll.aws.functions.upload_image, dandyroll.aws.functions.add_watermark
from dandyroll import spans
spans.start_spans("", "aws")
with spans.request_span("x", "t", {}, {}) as answered:
    answered(200)
with spans.accept_span("x"):
    spans.flush_spans()
sys.exit(any(name.startswith("opentelemetry") for name in sys.modules))
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_asked_for_but_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(BadSetting, match=r"DANDYROLL_OTEL_ENDPOINT.*dandyroll\[otel\]"):
        spans.start_spans("http://127.0.0.1:1", "local")


def test_changes_of_a_job_are_its_own() -> None:
    job = Job(IMAGE_ID, "p", "uploaded/x", "JPEG", changes=Changes(ledger={"queue_ms": 2}))
    again = job.noting(queue_ms=3, attempts=1)
    assert again.changes.ledger == {"queue_ms": 5, "attempts": 1}
    assert job.changes.ledger == {"queue_ms": 2}
    assert Job.from_json(again.to_json()) == again
