"""The log of deliveries as an operator reads it, and delivering again."""

from dataclasses import dataclass

import apsw

from dandyroll.errors import NotFound
from dandyroll.local.database import Database
from dandyroll.local.outbox import IS_FOR

# A delivery whose last try has failed: it was given up, or waits for another try.
_FAILED = "(d.state = 'given_up' OR d.state = 'pending' AND d.tries > 0)"

# Due now, counted from the start, and its receiver with it.
_AGAIN = "state = 'pending', tries = 0, begun_at = ?1, due_at = ?1"


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one receiver. Times in epoch seconds; `answer` is the last one's."""

    number: int
    event_id: str
    type: str
    image_id: str
    webhook: str
    state: str
    tries: int
    created_at: float
    due_at: float
    tried_at: float | None
    answer: str | None


@dataclass(frozen=True)
class Backlog:
    """What has not been delivered: how many, and since when the oldest waits (epoch seconds)."""

    pending: int
    oldest_at: float | None


def list_deliveries(database: Database, *, failed: bool, limit: int) -> list[Delivery]:
    """The newest deliveries, newest first; with `failed`, those whose last try has failed."""
    sql = f"""
        SELECT d.number, e.id, e.type, e.image_id, d.receiver_id, d.state, d.tries, e.created_at,
            d.due_at, d.tried_at, d.answer
        FROM delivery d JOIN event e ON e.id = d.event_id
        WHERE {_FAILED if failed else "true"} ORDER BY d.number DESC LIMIT ?
    """  # noqa: S608 - literals of ours
    return [Delivery(*found) for found in database.read().execute(sql, (limit,))]


def backlog(database: Database) -> Backlog:
    sql = "SELECT count(*), min(begun_at) FROM delivery WHERE state = 'pending'"
    pending, oldest_at = database.read().execute(sql).get
    return Backlog(pending, oldest_at)


def replay(database: Database, number: int, now: float) -> None:
    """Deliver this one again, now; `NotFound` if there is none or its webhook was removed."""

    def operation(connection: apsw.Connection) -> None:
        if not _again(connection, now, "d.number = ?2", number):
            raise NotFound(f"No delivery {number}, or its webhook was removed.")

    database.write(operation)


def replay_failed(database: Database, now: float) -> int:
    """Deliver now whatever the last try of has failed; how many."""
    return database.write(lambda connection: _again(connection, now, f"{_FAILED} AND ?2", 1))


def replay_since(database: Database, since: float, now: float) -> int:
    """Deliver all events since then once more, to every receiver they are for; how many.

    A webhook added later gets what it would have got.
    """
    sql = f"""
        INSERT INTO delivery (event_id, receiver_id, state, tries, begun_at, due_at)
        SELECT e.id, r.id, 'pending', 0, ?1, ?1
        FROM event e JOIN receiver r ON {IS_FOR} WHERE e.created_at >= ?2
        ORDER BY e.created_at
        ON CONFLICT (event_id, receiver_id) DO UPDATE SET {_AGAIN}
    """  # noqa: S608 - literals of ours

    def operation(connection: apsw.Connection) -> int:
        connection.execute(sql, (now, since))
        replayed = connection.changes()
        connection.execute("UPDATE receiver SET failures = 0, paused_until = 0")
        return replayed

    return database.write(operation)


def _again(connection: apsw.Connection, now: float, condition: str, value: int) -> int:
    sql = f"""
        UPDATE delivery AS d SET {_AGAIN}
        WHERE {condition} AND d.receiver_id IN (SELECT id FROM receiver) RETURNING receiver_id
    """  # noqa: S608 - literals of ours
    receivers = list(connection.execute(sql, (now, value)))
    sql = "UPDATE receiver SET failures = 0, paused_until = 0 WHERE id = ?"
    connection.executemany(sql, sorted(set(receivers)))
    return len(receivers)
