"""What the server counts, by name. One server is one process, so these are its process's.

`docs/observing.md` says what each is for; `dandyroll top` and dashboards read them by name.
"""

import resource
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dandyroll import __version__
from dandyroll.ledger import steps
from dandyroll.local.exposition import Counter, Histogram, Metric, Reading
from dandyroll.models import Row

_STARTED_AT = time.time()

REQUESTS = Counter(
    "dandyroll_http_requests_total",
    "Requests answered, by route template.",
    ("route", "method", "status"),
)
REQUEST_SECONDS = Histogram(
    "dandyroll_http_request_seconds", "From a request's head to its answer's last byte.", ("route",)
)
BYTES = Counter("dandyroll_bytes_total", "Bytes of bodies, in and out.", ("direction",))
UPLOADS = Counter("dandyroll_uploads_total", "Uploads accepted, by format.", ("format",))
SETTLED = Counter(
    "dandyroll_images_settled_total",
    "Images processed or failed; the code is empty for processed ones.",
    ("status", "code"),
)
RETRIES = Counter("dandyroll_job_retries_total", "Tries that failed and are made again.", ("code",))
QUEUE_SECONDS = Histogram(
    "dandyroll_queue_seconds", "How long a settled image's job had waited for a worker.", ()
)
STAGE_SECONDS = Histogram(
    "dandyroll_stage_seconds", "Seconds of each step of processing, loading and saving.", ("stage",)
)
WORKERS_KILLED = Counter(
    "dandyroll_workers_killed_total", "Worker processes that were killed or died.", ("reason",)
)


# What may be looked at as a rate is there from the start, at 0: a first increase is seen as one.
for _counter, _values in (
    (BYTES, ("in", "out")),
    (WORKERS_KILLED, ("died", "timeout", "cpu_time", "memory", "astray")),
):
    for _value in _values:
        _counter.inc(_value, by=0)
SETTLED.inc("processed", "", by=0)

_PROCESS = (
    Reading("dandyroll_build_info", "The version.", lambda: 1, labels=(("version", __version__),)),
    Reading(
        "process_start_time_seconds", "The server's start, epoch seconds.", lambda: _STARTED_AT
    ),
    Reading(
        "process_cpu_seconds_total",
        "CPU time of the server, without its workers.",
        time.process_time,
        kind="counter",
    ),
    Reading(
        "process_resident_memory_bytes",
        "Memory of the server, without its workers.",
        lambda: _resident_memory_bytes(),
    ),
)


def count_settled(row: Row) -> None:
    """Count an image that was processed or has failed, and what its ledger says it took."""
    SETTLED.inc(row.status, (row.error or {}).get("code", ""))
    queue_ms = row.ledger.get("queue_ms")
    if isinstance(queue_ms, int):
        QUEUE_SECONDS.observe(queue_ms / 1000)
    for name, ms in steps(row.ledger).items():
        STAGE_SECONDS.observe(ms / 1000, name)


def all_metrics(readings: Sequence[Reading]) -> tuple[Metric, ...]:
    """Everything there is to tell, with the readings of an open home."""
    counted = (REQUESTS, REQUEST_SECONDS, BYTES, UPLOADS, SETTLED, RETRIES)
    worked = (QUEUE_SECONDS, STAGE_SECONDS, WORKERS_KILLED)
    return (*counted, *worked, *readings, *_PROCESS)


def _resident_memory_bytes() -> int:
    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: in bytes, and the peak
    return peak
