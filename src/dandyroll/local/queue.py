"""The job table, and the line of jobs that wait for a worker.

A job's row is written in the transaction of its image's row and removed in the one that
settles the image, so a job is never lost; the line in memory only says what is due when, and
is made anew from the table at start. There is no polling: whoever adds a job wakes a worker.
A try is counted when it has failed under a living server; a job cut off with the server itself
is simply run again.
"""

import heapq
import json
import threading
import time
from dataclasses import dataclass

import apsw

from dandyroll.local.database import Database
from dandyroll.models import Job
from dandyroll.pipeline import RETRY


@dataclass(frozen=True)
class Task:
    """A job, how many tries of it have failed, and how long it waited for this one."""

    job: Job
    tries: int
    waited_ms: int


class UnreadableJob(Exception):
    """A job of the table that this version cannot read: another one wrote it."""

    def __init__(self, image_id: str) -> None:
        super().__init__(image_id)
        self.image_id = image_id


class Queue:
    """Hands each job to one taker at a time, in the order they fall due."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed = threading.Condition()
        self._closed = False
        self._in_hand: set[str] = set()
        # By the monotonic clock: a clock that people set back must not hold anyone up.
        self._line: list[tuple[float, str]] = []
        self.take_up()

    def __len__(self) -> int:
        return len(self._line)

    def oldest_s(self) -> float:
        """How long the job that is next has been due, in seconds; 0 where none is."""
        with self._changed:
            return max(0.0, time.monotonic() - self._line[0][0]) if self._line else 0.0

    def put(self, image_id: str, wait_s: float = 0.0) -> None:
        """Let the job, whose row is committed, be taken in `wait_s`."""
        with self._changed:
            heapq.heappush(self._line, (time.monotonic() + wait_s, image_id))
            self._changed.notify()

    def take_up(self) -> int:
        """Put in line the jobs of the table that are neither in line nor in hand; how many."""
        found = list(self._database.read().execute("SELECT due_at, image_id FROM job"))
        now, clock_s = time.time(), time.monotonic()
        with self._changed:
            known = {image_id for _, image_id in self._line} | self._in_hand
            new: list[tuple[float, str]] = [
                (clock_s + min(due_at - now, RETRY.max_wait_s), image_id)
                for due_at, image_id in found
                if image_id not in known
            ]
            self._line += new
            heapq.heapify(self._line)
            self._changed.notify_all()
        return len(new)

    def take(self) -> Task | None:
        """Wait for the next job, which is in hand until `let_go`; None once the queue is closed.

        Raises `UnreadableJob`.
        """
        while (image_id := self._next_due()) is not None:
            sql = "SELECT job, tries, due_at FROM job WHERE image_id = ?"
            found = self._database.read().execute(sql, (image_id,)).fetchone()
            if found is None:  # the image is settled or deleted
                self.let_go(image_id)
                continue
            text, tries, due_at = found
            try:
                job = Job.from_json(json.loads(text))
            except (KeyError, TypeError, ValueError) as error:
                raise UnreadableJob(image_id) from error
            return Task(job, tries, max(0, round((time.time() - due_at) * 1000)))
        return None

    def let_go(self, image_id: str) -> None:
        """Nobody works on the job any more, whatever came of it."""
        with self._changed:
            self._in_hand.discard(image_id)

    def put_back(self, task: Task, wait_s: float) -> None:
        """Count a failed try, keep its job's ledger, let it be tried again in `wait_s`."""
        image_id, due_at = task.job.image_id, time.time() + wait_s
        sql = "UPDATE job SET job = ?, tries = ?, due_at = ? WHERE image_id = ?"
        bindings = (json.dumps(task.job.to_json()), task.tries + 1, due_at, image_id)
        self._database.write(lambda connection: connection.execute(sql, bindings))
        self.put(image_id, wait_s)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _next_due(self) -> str | None:
        with self._changed:
            while not self._closed:
                wait_s = self._line[0][0] - time.monotonic() if self._line else None
                if wait_s is not None and wait_s <= 0:
                    image_id = heapq.heappop(self._line)[1]
                    self._in_hand.add(image_id)
                    return image_id
                self._changed.wait(wait_s)
            return None


def add_job(connection: apsw.Connection, job: Job) -> None:
    """Write the job's row, due at once, as part of the caller's transaction."""
    sql = "INSERT OR IGNORE INTO job VALUES (?, ?, 0, ?)"
    connection.execute(sql, (job.image_id, json.dumps(job.to_json()), time.time()))


def remove_job(connection: apsw.Connection, image_id: str) -> None:
    """Remove the job's row, if there is one, as part of the caller's transaction."""
    connection.execute("DELETE FROM job WHERE image_id = ?", (image_id,))
