"""The SQLite file behind the catalogue, the job table and the API keys.

One thread writes. What waits for it while it commits goes into one next transaction, so that
many uploads share an fsync; each caller is answered only after that commit. Readers have a
connection each and never wait for the writer (WAL). Command-line tools may have the same file
open beside a server.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

import apsw

from dandyroll.errors import DandyrollError, StoreUnavailable
from dandyroll.local.faults import fault
from dandyroll.local.schema import migrate

_BUSY_MS = 10_000
_BATCH = 64

T = TypeVar("T")
Operation = Callable[[apsw.Connection], Any]


class Database:
    """Open with `Database(path)`; close when done, or the writer's thread stays."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._local = threading.local()
        # Weakly: a thread's connection is closed when the thread ends, and threads come and go.
        self._readers: WeakSet[apsw.Connection] = WeakSet()
        self._watchers: list[Callable[[], None]] = []
        self._waiting: queue.SimpleQueue[tuple[Operation, Future[Any]] | None] = queue.SimpleQueue()
        connection = self._connect()
        migrate(connection)
        self._writer = threading.Thread(
            target=self._write_all, args=(connection,), name="dandyroll-writer", daemon=True
        )
        self._writer.start()

    def write(self, operation: Callable[[apsw.Connection], T]) -> T:
        """Run the operation in a transaction; its result, once that is committed and fsynced.

        What it raises undoes it alone, and is raised here. `StoreUnavailable` if the file
        cannot be written.
        """
        future: Future[T] = Future()
        self._waiting.put((operation, future))
        return future.result()

    def read(self) -> apsw.Connection:
        """This thread's connection for reading."""
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            self._readers.add(connection)
        return connection

    def watch(self, committed: Callable[[], None]) -> None:
        """Call this after every transaction made through this object, in the writer's thread."""
        self._watchers.append(committed)

    def close(self) -> None:
        self._waiting.put(None)
        self._writer.join()
        for connection in list(self._readers):
            connection.close()

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(str(self._path))
        connection.set_busy_timeout(_BUSY_MS)
        connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        return connection

    def _write_all(self, connection: apsw.Connection) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first]
            while len(batch) < _BATCH and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    self._waiting.put(None)
                    break
                batch.append(following)
            _commit(connection, batch)
            for committed in self._watchers:
                committed()
        connection.close()


def _commit(connection: apsw.Connection, batch: list[tuple[Operation, Future[Any]]]) -> None:
    outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        for operation, future in batch:
            outcomes.append((future, *_attempt(connection, operation)))
        fault("commit-begun")
        connection.execute("COMMIT")
        fault("commit-done")
    except (apsw.Error, DandyrollError) as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        for _, future in batch:
            unavailable = StoreUnavailable("The catalogue could not be written.", retry_after_s=5)
            unavailable.__cause__ = error
            future.set_exception(unavailable)
        return
    for future, result, raised in outcomes:
        if raised is None:
            future.set_result(result)
        else:
            future.set_exception(raised)


def _attempt(connection: apsw.Connection, operation: Operation) -> tuple[Any, Exception | None]:
    connection.execute("SAVEPOINT operation")
    try:
        result = operation(connection)
    except apsw.Error:  # the disk is full, the file is gone: the whole batch fails
        raise
    except Exception as raised:
        connection.execute("ROLLBACK TO operation; RELEASE operation")
        return None, raised
    connection.execute("RELEASE operation")
    return result, None
