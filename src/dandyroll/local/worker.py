"""A worker process: what touches a stranger's bytes, and may therefore be killed at any time.

    python -m dandyroll.local.worker DESCRIPTOR OPTIONS

It confines itself, then answers one message after another over the socket it was given, and
ends when its server does. `run` takes a job through all stages and stores the rendition; `probe`
reads the header of the bytes that follow, `examine` that of an object; `process` makes one file
into another; `confinement` says what holds it. It writes no row: the server does.
Its stderr is the server's to read: log lines there carry the trace id that came with a message.
"""

import ctypes
import hashlib
import json
import logging
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dandyroll.errors import DandyrollError, TooMuchMemory
from dandyroll.imaging.header import read_header
from dandyroll.local.confine import confine, limit_cpu
from dandyroll.local.faults import arm, fault
from dandyroll.local.messages import receive, send
from dandyroll.local.objects import FileObjectStore
from dandyroll.local.one_file import process_file
from dandyroll.local.worker_options import WorkerOptions
from dandyroll.logs import bound, start_logging
from dandyroll.models import Job
from dandyroll.pipeline import run

log = logging.getLogger("dandyroll.worker")

_PR_SET_PDEATHSIG = 1

# What libvips and the libraries under it say when they were refused memory, or a thread for it.
_NO_MEMORY = ("out of memory", "insufficient memory", "allocate", "error creating thread")


def main(descriptor: int, options: WorkerOptions) -> None:
    """Answer messages until the server closes the socket or is gone."""
    _end_with_the_server()
    start_logging(options.log_level, "json")
    connection = socket.socket(fileno=descriptor)
    arm(options.fault)
    holds = confine(options.memory_bytes, options.writable)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            message = json.loads(receive(connection))
            body = receive(connection) if message["do"] == "probe" else b""
            limit_cpu(message["timeout_s"])
            with bound(trace_id=message["trace_id"], image_id=message["image_id"]):
                asked_how = message["do"] == "confinement"
                answer = holds if asked_how else _answer(message, body, options)
            send(connection, json.dumps(answer).encode())


def _answer(message: dict[str, Any], body: bytes, options: WorkerOptions) -> dict[str, Any]:
    limits = options.limits
    try:
        if message["do"] == "probe":
            fault("worker-probing")
            return {"header": asdict(read_header(body, limits))}
        if message["do"] == "examine":
            fault("worker-probing")
            data = FileObjectStore(options.objects_root).get(message["key"])
            header, sha256 = read_header(data, limits), hashlib.sha256(data).hexdigest()
            return {"header": asdict(header), "sha256": sha256, "size_bytes": len(data)}
        if message["do"] == "process":
            source = Path(message["source"])
            fault("worker-decoding", source.name)
            return {"target": str(process_file(source, Path(message["target"]), limits))}
        job = Job.from_json(message["job"])
        fault("worker-decoding", job.image_id)
        done = run(job, FileObjectStore(options.objects_root), limits)
        log.debug("Ran", extra={"event": "job_ran", **done.changes.ledger})
        return {"job": done.to_json()}
    except (DandyrollError, MemoryError) as error:
        if _was_refused_memory(error):
            error = TooMuchMemory(f"Expected to need under {options.memory_bytes} bytes of memory.")
        return {"error": type(error).__name__, "message": str(error)}
    except Exception:
        log.exception("Unexpected, while asked to %s", message["do"])
        return {"error": "Internal", "message": "Something went wrong on our side."}


def _was_refused_memory(error: BaseException | None) -> bool:
    """Whether the picture is fine for all we know, but there was no memory to find out."""
    while error is not None:
        text = str(error).lower()
        if isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY):
            return True
        error = error.__cause__
    return False


def _end_with_the_server() -> None:
    """Die when the server does, even in the middle of a decode (Linux; prctl(2))."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which tells us
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), WorkerOptions.from_json(sys.argv[2]))
