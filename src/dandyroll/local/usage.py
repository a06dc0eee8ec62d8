"""What each key has done, counted in memory and written together every few seconds.

A request never waits for it. A server that crashes loses the counts of the last `EVERY_S`
seconds; one that is stopped loses none. What quotas are counted by is not here, but in
`quota.py`, in the transactions of the uploads themselves.
"""

import logging
import threading
from dataclasses import dataclass

import apsw

from dandyroll.errors import StoreUnavailable
from dandyroll.local.database import Database

log = logging.getLogger("dandyroll.usage")

EVERY_S = 10


@dataclass(frozen=True)
class Usage:
    """Of one key: `uploads` were answered 201, and `uploaded_bytes` is what they brought;
    `refused` were answered 4xx other than 404 and 409. `last_used_at` is in epoch seconds."""

    requests: int = 0
    uploads: int = 0
    uploaded_bytes: int = 0
    refused: int = 0
    last_used_at: int = 0

    def plus(self, other: "Usage") -> "Usage":
        return Usage(
            self.requests + other.requests,
            self.uploads + other.uploads,
            self.uploaded_bytes + other.uploaded_bytes,
            self.refused + other.refused,
            max(self.last_used_at, other.last_used_at),
        )


class UsageCounter:
    """Counts from any thread; a thread of its own writes. Close it before its database."""

    def __init__(self, database: Database, every_s: float = EVERY_S) -> None:
        self._database = database
        self._counts: dict[str, Usage] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(
            target=self._write_now_and_then, args=(every_s,), name="dandyroll-usage", daemon=True
        )
        self._thread.start()

    def add(self, name: str, usage: Usage) -> None:
        with self._lock:
            self._counts[name] = self._counts.get(name, Usage()).plus(usage)

    def write(self) -> None:
        """Write what was counted since the last time. What cannot be written is kept."""
        with self._lock:
            counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            self._database.write(lambda connection: _add_all(connection, counts))
        except StoreUnavailable:
            log.warning("The usage of %d keys could not be written yet.", len(counts))
            for name, usage in counts.items():
                self.add(name, usage)

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self.write()

    def _write_now_and_then(self, every_s: float) -> None:
        while not self._closing.wait(every_s):
            self.write()


def usage_by_key(database: Database) -> dict[str, Usage]:
    """By the names of keys, as last written."""
    sql = "SELECT key, requests, uploads, uploaded_bytes, refused, last_used_at FROM key_usage"
    return {name: Usage(*counts) for name, *counts in database.read().execute(sql)}


def _add_all(connection: apsw.Connection, counts: dict[str, Usage]) -> None:
    sql = """
        INSERT INTO key_usage VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET
            requests = requests + excluded.requests,
            uploads = uploads + excluded.uploads,
            uploaded_bytes = uploaded_bytes + excluded.uploaded_bytes,
            refused = refused + excluded.refused,
            last_used_at = max(last_used_at, excluded.last_used_at)
    """
    connection.executemany(
        sql,
        [
            (name, u.requests, u.uploads, u.uploaded_bytes, u.refused, u.last_used_at)
            for name, u in counts.items()
        ],
    )
