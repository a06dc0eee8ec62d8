"""What turns jobs into rows: a thread for each worker takes a job, runs it, writes the result."""

import logging
import threading
import time
from dataclasses import replace

from dandyroll.errors import DandyrollError, Internal, StoreUnavailable
from dandyroll.local import metrics
from dandyroll.local.catalogue import SqliteCatalogue
from dandyroll.local.faults import fault
from dandyroll.local.objects import FileObjectStore
from dandyroll.local.queue import Queue, Task, UnreadableJob
from dandyroll.local.worker_options import WorkerOptions
from dandyroll.local.workers import Worker
from dandyroll.logs import bound
from dandyroll.models import Row
from dandyroll.pipeline import RETRY, record, record_failure
from dandyroll.spans import job_span

log = logging.getLogger("dandyroll.dispatch")

_STORE_WAIT_S = 2


class Dispatcher:
    """`count` workers and their threads, from the first job to `close`."""

    def __init__(
        self,
        queue: Queue,
        catalogue: SqliteCatalogue,
        objects: FileObjectStore,
        options: WorkerOptions,
        count: int,
        job_timeout_s: int,
    ) -> None:
        self._queue, self._catalogue, self._objects = queue, catalogue, objects
        self._job_timeout_s = job_timeout_s
        self._closing = False
        self._ended = threading.Event()
        self._busy: set[Worker] = set()
        self._workers = [Worker(options) for _ in range(count)]
        self._threads = [
            threading.Thread(target=self._serve, args=(worker,), name=f"dandyroll-worker-{n}")
            for n, worker in enumerate(self._workers)
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def pids(self) -> list[int]:
        return [worker.pid for worker in self._workers if worker.pid is not None]

    def busy(self) -> int:
        """How many workers have a job now."""
        return len(self._busy)

    def close(self) -> None:
        """Stop now: a job under way stays in the table and is run again at the next start."""
        self._closing = True
        self._ended.set()
        self._queue.close()
        for worker in self._workers:
            worker.signal_kill()
        for thread in self._threads:
            thread.join()

    def _serve(self, worker: Worker) -> None:
        while not self._closing:
            try:
                self._serve_next(worker)
            except Exception:  # the thread must outlive whatever disk and table do to it
                log.exception("Unexpected")
                self._ended.wait(_STORE_WAIT_S)
        worker.kill()

    def _serve_next(self, worker: Worker) -> None:
        worker.start()
        try:
            task = self._queue.take()
        except UnreadableJob as unreadable:
            log.exception("Cannot be read", extra={"image_id": unreadable.image_id})
            error = Internal("The image's job was written by another version; try it again.")
            _settled(record_failure(unreadable.image_id, error, self._catalogue, {}))
            self._queue.let_go(unreadable.image_id)
            return
        if task is None:
            return
        self._busy.add(worker)
        try:
            with bound(trace_id=task.job.trace_id, image_id=task.job.image_id):
                self._attempt(worker, task)
        finally:
            self._busy.discard(worker)
            self._queue.let_go(task.job.image_id)

    def _attempt(self, worker: Worker, task: Task) -> None:
        try:
            fault("job-taken")
            self._process(worker, task)
        except StoreUnavailable:  # ours, not the image's: no try is counted
            log.exception("Could not write the result", extra={"event": "result_unwritten"})
            self._later(task)
        except Exception:
            log.exception("Unexpected")
            self._later(task)

    def _process(self, worker: Worker, task: Task) -> None:
        job = task.job.noting(queue_ms=task.waited_ms, attempts=1)
        start_s = time.perf_counter()
        try:
            with job_span("job", job) as finished:
                done = worker.run(job, self._job_timeout_s)
                finished(done)
        except DandyrollError as error:
            failed_ms = round((time.perf_counter() - start_s) * 1000)
            self._failed(replace(task, job=job.noting(failed_ms=failed_ms)), error)
            return
        fault("job-finished")
        _settled(record(done, self._catalogue, self._objects))

    def _failed(self, task: Task, error: DandyrollError) -> None:
        if self._closing:  # we killed the worker ourselves
            return
        if isinstance(error, StoreUnavailable):  # a full disk is not the image's fault
            log.warning("To be tried again: %s", error.message, extra={"event": "store_failed"})
            self._later(task)
            return
        tries = task.tries + 1
        if isinstance(error, RETRY.errors) and tries < RETRY.tries:
            extra = {"event": "try_failed", "code": error.code, "tries": tries}
            log.warning("To be tried again: %s", error.message, extra=extra)
            metrics.RETRIES.inc(error.code)
            self._queue.put_back(task, RETRY.wait_s(tries))
            return
        ledger = task.job.changes.ledger
        _settled(record_failure(task.job.image_id, error, self._catalogue, ledger))

    def _later(self, task: Task) -> None:
        self._queue.put(task.job.image_id, _STORE_WAIT_S)


def _settled(row: Row | None) -> None:
    """Count and log what became of an image; None is one that was deleted meanwhile."""
    if row is None:
        log.info("Deleted meanwhile", extra={"event": "image_gone"})
        return
    metrics.count_settled(row)
    told = {name: value for name, value in row.ledger.items() if name != "trace_id"}
    extra = {"event": "image_settled", "status": row.status, "owner": row.owner, **told}
    if row.error is None:
        log.info("Processed", extra=extra)
    else:
        code, message = row.error["code"], row.error["message"]
        log.error("Failed: %s", message, extra={**extra, "code": code})
