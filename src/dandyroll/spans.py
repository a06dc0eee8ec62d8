"""OpenTelemetry spans of requests and jobs, where the setting `otel_endpoint` asks for them.

Off, nothing is imported and each place costs one comparison. The spans of one upload hang
together across processes and machines by what its row says anyway: `trace_id` is the trace's
id, and the span in which the image was accepted has an id made from the image's.

A worker cannot send spans (it may have no network), so a job's steps are drawn from its ledger,
end to end, to the millisecond.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dandyroll import __version__
from dandyroll.errors import DandyrollError
from dandyroll.ledger import steps
from dandyroll.models import Job
from dandyroll.settings import BadSetting
from dandyroll.trace_id import as_w3c, parse_traceparent

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer

_FLUSH_MS = 2_000
_EVERY_RUN = ("load", "save")  # each run has its own; a stage is run by one of them

Attributes = Mapping[str, str | int]


@dataclass(frozen=True)
class _Started:
    tracer: "Tracer"
    provider: "TracerProvider"


_started: _Started | None = None
_wanted: ContextVar[tuple[int, int]] = ContextVar("wanted_ids", default=(0, 0))
"""Trace id and span id that the next span is to have; 0 for a random one."""


def start_spans(endpoint: str, home: str, exporter: "SpanExporter | None" = None) -> None:
    """Send spans to the OTLP/HTTP receiver at that URL from now on; to none if it is empty.

    What else OpenTelemetry can set (headers, sampler, resource) its own `OTEL_*` variables do.
    Raises `BadSetting` where the packages are not installed.
    """
    global _started
    stop_spans()
    if not endpoint:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise BadSetting(
            f"DANDYROLL_OTEL_ENDPOINT: expected OpenTelemetry to be installed; {error.name} is "
            "not. Install the extra: pip install 'dandyroll[otel]'."
        ) from None
    told = {"service.name": "dandyroll", "service.version": __version__, "dandyroll.home": home}
    provider = TracerProvider(resource=Resource.create(told), id_generator=_ids())
    exporter = exporter or OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _started = _Started(provider.get_tracer("dandyroll", __version__), provider)


def stop_spans() -> None:
    """Send what is left and stop."""
    global _started
    if _started is not None:
        _started.provider.shutdown()
    _started = None


def flush_spans() -> None:
    """Send what is there now: for a function that may be frozen after its answer."""
    if _started is not None:
        _started.provider.force_flush(_FLUSH_MS)


@contextmanager
def request_span(
    name: str, trace_id: str, headers: Mapping[str, str], attributes: Attributes
) -> Iterator[Callable[[int], None]]:
    """Around the answering of a request; call what it gives with the answer's status.

    A child of the caller's span where the request names one, else the first of its trace.
    """
    if _started is None:
        yield lambda status: None
        return
    from opentelemetry.trace import SpanKind, StatusCode

    caller = parse_traceparent(headers)
    parent = _remote(*caller) if caller else _no_parent()
    with (
        _with_ids(0 if caller else int(as_w3c(trace_id), 16), 0),
        _started.tracer.start_as_current_span(
            name, parent, kind=SpanKind.SERVER, attributes=dict(attributes)
        ) as span,
    ):

        def answered(status: int) -> None:
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(StatusCode.ERROR)

        yield answered


@contextmanager
def accept_span(image_id: str) -> Iterator[None]:
    """Around making an upload durable: the span that the image's jobs will hang from."""
    if _started is None:
        yield
        return
    with (
        _with_ids(0, _accept_span_id(image_id)),
        _started.tracer.start_as_current_span(
            "accept", attributes={"dandyroll.image_id": image_id}
        ),
    ):
        yield


@contextmanager
def job_span(name: str, job: Job) -> Iterator[Callable[[Job], None]]:
    """Around one run of a job; call what it gives with the job as the run left it.

    An error that leaves marks the span with its code.
    """
    if _started is None:
        yield lambda done: None
        return
    from opentelemetry.trace import Status, StatusCode, set_span_in_context

    tracer, start_ns = _started.tracer, time.time_ns()
    told = {"dandyroll.image_id": job.image_id, "dandyroll.policy": job.policy}
    parent = _remote(as_w3c(job.trace_id or job.image_id), f"{_accept_span_id(job.image_id):016x}")
    span = tracer.start_span(name, parent, attributes=told, start_time=start_ns)

    def finished(done: Job) -> None:
        before, at_ns = steps(job.changes.ledger), start_ns
        for step, total_ms in steps(done.changes.ledger).items():
            if step in before and step not in _EVERY_RUN:  # an earlier function's stage
                continue
            child = tracer.start_span(step, set_span_in_context(span), start_time=at_ns)
            at_ns += (total_ms - before.get(step, 0)) * 1_000_000
            child.end(at_ns)

    try:
        yield finished
    except Exception as error:
        code = error.code if isinstance(error, DandyrollError) else "internal"
        span.set_attribute("error.type", code)
        span.set_status(Status(StatusCode.ERROR, code))
        raise
    finally:
        span.end()


def _accept_span_id(image_id: str) -> int:
    return int(hashlib.sha256(image_id.encode()).hexdigest()[:16], 16) or 1


def _remote(trace_id: str, span_id: str) -> "Context":
    from opentelemetry import trace

    # Sampled, whatever the caller's flag: whether we keep a trace is for our own sampler to say.
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    there = trace.SpanContext(int(trace_id, 16), int(span_id, 16), True, flags)
    return trace.set_span_in_context(trace.NonRecordingSpan(there), _no_parent())


def _no_parent() -> "Context":
    from opentelemetry.context import Context

    return Context()


@contextmanager
def _with_ids(trace_id: int, span_id: int) -> Iterator[None]:
    token = _wanted.set((trace_id, span_id))
    try:
        yield
    finally:
        _wanted.reset(token)


def _ids() -> Any:
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class WantedIds(RandomIdGenerator):
        """Random ids, but for what `_wanted` asks of the next span."""

        def generate_span_id(self) -> int:
            trace_id, span_id = _wanted.get()
            _wanted.set((trace_id, 0))  # for one span only
            return span_id or super().generate_span_id()

        def generate_trace_id(self) -> int:
            trace_id, span_id = _wanted.get()
            _wanted.set((0, span_id))
            return trace_id or super().generate_trace_id()

    return WantedIds()
