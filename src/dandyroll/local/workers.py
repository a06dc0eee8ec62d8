"""The server's side of its workers: start them, talk to them, kill and replace them."""

import json
import logging
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from dandyroll import errors
from dandyroll.errors import (
    Busy,
    CorruptImage,
    DandyrollError,
    Internal,
    StageTimeout,
    TooMuchMemory,
    WorkerCrashed,
)
from dandyroll.formats import possible_names
from dandyroll.keys import rendition_key
from dandyroll.local import metrics
from dandyroll.local.messages import receive, send
from dandyroll.local.worker_options import WorkerOptions
from dandyroll.logs import noted, relay
from dandyroll.models import Header, Job

log = logging.getLogger("dandyroll.workers")

T = TypeVar("T")

_PROBE_TIMEOUT_S = 10
_PROBE_TRIES = 3  # workers may die of another cause than these bytes


# A worker needs nothing else of the server's environment, least of all its secrets.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_ENVIRONMENT_PREFIXES = ("PYTHON", "LC_", "DYLD_", "FONTCONFIG_")
_MOST_ANSWER_BYTES = 1_000_000


class Worker:
    """One worker process, replaced by a new one whenever it has died or was killed."""

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._answers = 0
        self._told_to_end = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def run(self, job: Job, timeout_s: float) -> Job:
        """The job after all stages. Raises what a stage raised, `WorkerCrashed`, `StageTimeout`."""
        answer = self._ask(timeout_s, {"do": "run", "job": job.to_json()})
        try:
            done = Job.from_json(answer["job"])
            if (done.image_id, done.key) != (job.image_id, rendition_key(job.image_id)):
                raise ValueError(f"Expected {job.image_id}; got {done.image_id} at {done.key}.")
        except (KeyError, TypeError, ValueError) as error:  # whose bytes speak here?
            self._lost("astray")
            raise WorkerCrashed("The process working on the image went astray.") from error
        return done

    def probe(self, data: bytes) -> Header:
        """The header. Raises what `read_header` raises, `WorkerCrashed`, `StageTimeout`."""
        return Header(**self._ask(_PROBE_TIMEOUT_S, {"do": "probe"}, data)["header"])

    def examine(self, key: str) -> tuple[Header, str, int]:
        """Header, SHA-256 and size in bytes of an object. Raises as `probe` does, `NotFound`."""
        answer = self._ask(_PROBE_TIMEOUT_S, {"do": "examine", "key": key})
        return Header(**answer["header"]), answer["sha256"], answer["size_bytes"]

    def process(self, source: Path, target: Path, timeout_s: float) -> Path:
        """Make one file into another; the target as it was named, one of `possible_names`.

        Raises as `run` does, and `StoreUnavailable`.
        """
        message = {"do": "process", "source": str(source), "target": str(target)}
        named = Path(self._ask(timeout_s, message).get("target", ""))
        if named not in possible_names(target):
            self.kill()
            raise WorkerCrashed("The process working on the image went astray.")
        return named

    def confinement(self) -> dict[str, str]:
        """What holds the worker in bounds, by its own account."""
        return self._ask(_PROBE_TIMEOUT_S, {"do": "confinement"})

    def signal_kill(self) -> None:
        """End the process from another thread; the one that talks to it finds out."""
        process = self._process
        if process is not None:
            self._told_to_end = True
            process.kill()

    def kill(self) -> None:
        """End the process and wait for it; a next message starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = None

    def start(self) -> None:
        """Start the process if there is none, so that the first message need not wait for it."""
        if self._process is not None and self._process.poll() is None:
            return
        self.kill()
        self._told_to_end = False
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "dandyroll.local.worker", str(theirs.fileno())]
        command += [self._options.to_json()]
        self._process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        theirs.close()
        heard = (self._process.stderr, self._process.pid)
        threading.Thread(target=relay, args=heard, name="dandyroll-relay", daemon=True).start()
        self._connection = ours
        self._answers = 0

    def _ask(
        self, timeout_s: float, message: dict[str, Any], body: bytes | None = None
    ) -> dict[str, Any]:
        self.start()
        connection = self._connection
        if connection is None:
            raise AssertionError("A started worker has a connection.")
        deadline_s = time.monotonic() + timeout_s
        about = {"trace_id": noted("trace_id"), "image_id": noted("image_id")}
        try:
            question = json.dumps({**about, **message, "timeout_s": timeout_s})
            send(connection, question.encode(), deadline_s)
            if body is not None:
                send(connection, body, deadline_s)
            answer: dict[str, Any] = json.loads(receive(connection, _MOST_ANSWER_BYTES, deadline_s))
        except TimeoutError:
            self._lost("timeout")
            raise _timed_out(timeout_s) from None
        except (EOFError, OSError, ValueError):
            raise self._died(timeout_s) from None
        self._answers += 1
        too_large = answer.get("error") == TooMuchMemory.__name__
        if too_large:
            metrics.WORKERS_KILLED.inc("memory")
        if too_large or self._answers == self._options.jobs:
            self.kill()  # what libraries leak or leave in pieces goes with it
            self.start()
        if "error" in answer:
            raise _named(answer["error"])(answer["message"])
        return answer

    def _died(self, timeout_s: float) -> DandyrollError:
        if self._lost("died") == -signal.SIGXCPU:
            return _timed_out(timeout_s)
        return WorkerCrashed("The process working on the image died.")

    def _lost(self, reason: str) -> int | None:
        """Count and log a process that took too long or is dead; its exit code."""
        process = self._process
        self.kill()
        if self._told_to_end or process is None:
            return None
        if process.returncode == -signal.SIGXCPU:
            reason = "cpu_time"
        metrics.WORKERS_KILLED.inc(reason)
        extra = {"event": "worker_lost", "reason": reason, "pid": process.pid}
        log.warning("A worker was lost", extra={**extra, "exit_code": process.returncode})
        return process.returncode


def _timed_out(timeout_s: float) -> StageTimeout:
    return StageTimeout(f"Expected the image to take under {timeout_s:.0f} s.")


def _environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _ENVIRONMENT or name.startswith(_ENVIRONMENT_PREFIXES)
    }
    # Fewer malloc arenas: 229 MB in place of 583 for a worker with two threads, same speed.
    return {**kept, "MALLOC_ARENA_MAX": "2"}


class Probes:
    """A few workers kept for headers, so that an upload never waits for another's pixels."""

    def __init__(self, options: WorkerOptions, count: int) -> None:
        self._workers = [Worker(options) for _ in range(count)]
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for worker in self._workers:
            worker.start()
            self._idle.put(worker)

    def __call__(self, data: bytes) -> Header:
        """Keeps the promise of `ports.Home.probe`. Raises `Busy` if no worker is free in time."""
        return self._with_a_worker(lambda worker: worker.probe(data))

    def examine(self, key: str) -> tuple[Header, str, int]:
        """The same for an object, however large: header, SHA-256 and size in bytes."""
        return self._with_a_worker(lambda worker: worker.examine(key))

    def _with_a_worker(self, ask: Callable[[Worker], T]) -> T:
        try:
            worker = self._idle.get(timeout=_PROBE_TIMEOUT_S)
        except queue.Empty:
            raise Busy("Every worker is busy.", retry_after_s=2) from None
        try:
            for _ in range(_PROBE_TRIES):
                with suppress(WorkerCrashed, StageTimeout):
                    return ask(worker)
        finally:
            self._idle.put(worker)
        raise CorruptImage("Expected a readable header; reading it killed the reader.")

    def pids(self) -> list[int]:
        return [worker.pid for worker in self._workers if worker.pid is not None]

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()


def _named(class_name: str) -> type[DandyrollError]:
    return errors.named(class_name) or Internal
