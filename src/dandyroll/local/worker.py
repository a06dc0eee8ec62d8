"""A worker process: what touches a stranger's bytes, and may therefore be killed at any time.

    python -m dandyroll.local.worker DESCRIPTOR DATA_FOLDER MAX_PIXELS

It answers one message after another over the socket it was given, and ends when its server
does. `run` takes a job through all stages and stores the rendition; `probe` reads the header
of the bytes that follow, `examine` that of an object; `process` makes one file into another.
It writes no row: the server does.
"""

import ctypes
import hashlib
import json
import logging
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from dandyroll.errors import DandyrollError
from dandyroll.imaging.header import read_header
from dandyroll.local.objects import FileObjectStore
from dandyroll.local.one_file import process_file
from dandyroll.models import Job
from dandyroll.pipeline import run

log = logging.getLogger("dandyroll.worker")

_PR_SET_PDEATHSIG = 1


def main(descriptor: int, objects_root: Path, max_pixels: int) -> None:
    """Answer messages until the server closes the socket or is gone."""
    _end_with_the_server()
    objects = FileObjectStore(objects_root)
    connection = Connection(descriptor)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            message = json.loads(connection.recv_bytes())
            body = connection.recv_bytes() if message["do"] == "probe" else b""
            answer = _answer(message, body, objects, max_pixels)
            connection.send_bytes(json.dumps(answer).encode())


def _answer(
    message: dict[str, Any], body: bytes, objects: FileObjectStore, max_pixels: int
) -> dict[str, Any]:
    try:
        if message["do"] == "probe":
            return {"header": asdict(read_header(body, max_pixels))}
        if message["do"] == "examine":
            data = objects.get(message["key"])
            header = read_header(data, max_pixels)
            sha256 = hashlib.sha256(data).hexdigest()
            return {"header": asdict(header), "sha256": sha256, "size_bytes": len(data)}
        if message["do"] == "process":
            process_file(Path(message["source"]), Path(message["target"]), max_pixels)
            return {}
        job = Job.from_json(message["job"])
        return {"job": run(job, objects, max_pixels).to_json()}
    except DandyrollError as error:
        return {"error": type(error).__name__, "message": error.message}
    except Exception:
        log.exception("Unexpected, while asked to %s", message["do"])
        return {"error": "Internal", "message": "Something went wrong on our side."}


def _end_with_the_server() -> None:
    """Die when the server does, even in the middle of a decode (Linux; prctl(2))."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which tells us
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
