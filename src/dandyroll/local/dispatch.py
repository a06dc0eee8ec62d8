"""What turns jobs into rows: a thread for each worker takes a job, runs it, writes the result."""

import logging
import threading

from dandyroll.errors import DandyrollError, StoreUnavailable
from dandyroll.local.catalogue import SqliteCatalogue
from dandyroll.local.faults import fault
from dandyroll.local.objects import FileObjectStore
from dandyroll.local.queue import Queue, Task
from dandyroll.local.worker_options import WorkerOptions
from dandyroll.local.workers import Worker
from dandyroll.pipeline import RETRY, record, record_failure

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

    def close(self) -> None:
        """Stop now: a job under way stays in the table and is run again at the next start."""
        self._closing = True
        self._queue.close()
        for worker in self._workers:
            worker.signal_kill()
        for thread in self._threads:
            thread.join()

    def _serve(self, worker: Worker) -> None:
        worker.start()
        while (task := self._queue.take()) is not None:
            try:
                fault("job-taken")
                self._process(worker, task)
            except StoreUnavailable:  # ours, not the image's: no try is counted
                log.exception("Could not write the result", extra={"image_id": task.job.image_id})
                self._later(task)
            except Exception:
                log.exception("Unexpected", extra={"image_id": task.job.image_id})
                self._later(task)
        worker.kill()

    def _process(self, worker: Worker, task: Task) -> None:
        try:
            job = worker.run(task.job, self._job_timeout_s)
        except DandyrollError as error:
            self._failed(task, error)
            return
        fault("job-finished")
        record(job, self._catalogue, self._objects)

    def _failed(self, task: Task, error: DandyrollError) -> None:
        if self._closing:  # we killed the worker ourselves
            return
        tries = task.tries + 1
        extra = {"image_id": task.job.image_id, "code": error.code, "tries": tries}
        if isinstance(error, RETRY.errors) and tries < RETRY.tries:
            log.warning("To be tried again: %s", error.message, extra=extra)
            self._queue.put_back(task, RETRY.wait_s(tries))
            return
        log.error("Failed: %s", error.message, extra=extra)
        record_failure(task.job.image_id, error, self._catalogue)

    def _later(self, task: Task) -> None:
        self._queue.put(task.job.image_id, _STORE_WAIT_S)
