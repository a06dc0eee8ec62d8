"""The outbox: events written in the transaction of what they tell, and a row for each delivery.

An event is addressed when it is written: each receiver there is at that moment, of that owner
and that type, gets a delivery. What is not delivered yet is `pending`; `delivered` and `given_up`
rows are the log. All times are epoch seconds.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import apsw

from dandyroll.events import SETTLED_EVENTS, Event, EventType, NotDelivered, image_event
from dandyroll.models import Row

# Which receivers an event `e` is for; receivers keep their types with commas between.
IS_FOR = """
    (r.owner IS NULL OR r.owner = e.owner)
    AND instr(',' || r.events || ',', ',' || e.type || ',') > 0
"""


@dataclass(frozen=True)
class Due:
    """A delivery that is to be made now."""

    number: int
    event: Event


@dataclass(frozen=True)
class Patience:
    """How long to wait before another try, and when to try no more. `chance` gives 0.0 to 1.0."""

    first_s: int
    max_s: int
    give_up_s: int
    chance: Callable[[], float]

    def wait_s(self, tries: int) -> float:
        """The wait after so many failed tries: doubled each time, less up to a fifth."""
        whole_s: float = min(self.max_s, self.first_s * 2 ** min(tries - 1, 30))
        return whole_s * (1 - 0.2 * self.chance())


def add_settled_event(connection: apsw.Connection, row: Row) -> None:
    """Write that the image was processed or has failed, as part of the caller's transaction."""
    add_event(connection, SETTLED_EVENTS[row.status], row)


def add_event(connection: apsw.Connection, kind: EventType, row: Row) -> None:
    """Write the event and its deliveries, due at once, as part of the caller's transaction."""
    now = time.time()
    event = image_event(kind, row, now)
    sql = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)"
    columns = (event.id, kind, row.owner, row.image_id, now, event.body().decode())
    connection.execute(sql, columns)
    sql = f"""
        INSERT INTO delivery (event_id, receiver_id, state, tries, begun_at, due_at)
        SELECT e.id, r.id, 'pending', 0, e.created_at, e.created_at
        FROM event e JOIN receiver r ON {IS_FOR} WHERE e.id = ?
    """  # noqa: S608 - a literal of ours
    connection.execute(sql, (event.id,))


def find_due(
    connection: apsw.Connection, receiver_id: str, now: float, limit: int, under_way: set[int]
) -> list[Due]:
    """What the receiver is to get now, but for deliveries under way; the longest due first."""
    sql = """
        SELECT d.number, e.body FROM delivery d JOIN event e ON e.id = d.event_id
        WHERE d.receiver_id = ? AND d.state = 'pending' AND d.due_at <= ?
        ORDER BY d.due_at LIMIT ?
    """
    found = connection.execute(sql, (receiver_id, now, limit + len(under_way)))
    due = [Due(number, Event.from_body(body)) for number, body in found if number not in under_way]
    return due[:limit]


def next_due_at(connection: apsw.Connection, receiver_id: str, now: float) -> float | None:
    """When the first delivery after `now` falls due; None if there is none."""
    sql = """
        SELECT min(due_at) FROM delivery
        WHERE receiver_id = ? AND state = 'pending' AND due_at > ?
    """
    found: float | None = connection.execute(sql, (receiver_id, now)).get
    return found


def record_delivered(
    connection: apsw.Connection,
    receiver_id: str,
    numbers: Iterable[int],
    answer: str,
    now: float,
    pause_s: float = 0.0,
) -> None:
    """Write that the receiver has these, and may get the next ones after `pause_s`."""
    sql = """
        UPDATE delivery SET state = 'delivered', tries = tries + 1, tried_at = ?, answer = ?
        WHERE number = ?
    """
    connection.executemany(sql, [(now, answer, number) for number in numbers])
    paused_until = now + pause_s if pause_s else 0.0
    sql = "UPDATE receiver SET failures = 0, paused_until = ? WHERE id = ?"
    connection.execute(sql, (paused_until, receiver_id))


def record_failed(
    connection: apsw.Connection,
    receiver_id: str,
    numbers: Iterable[int],
    error: NotDelivered,
    began_at: float,
    now: float,
    patience: Patience,
) -> int:
    """Write that a try has failed, and when the next one is; how many are given up.

    Where the receiver could not be reached at all, all that waits for it waits as long, and
    what has waited too long is given up with it.
    """
    given_up = 0
    for number in numbers:
        given_up += _retry_later(connection, number, error, now, patience)
    if error.reachable:
        connection.execute("UPDATE receiver SET failures = 0 WHERE id = ?", (receiver_id,))
        return given_up
    # Of several tries at once, the first one's failure counts for all.
    sql = "SELECT failures FROM receiver WHERE id = ? AND paused_until <= ?"
    failures = connection.execute(sql, (receiver_id, began_at)).get
    if failures is not None:
        wait_s = max(patience.wait_s(failures + 1), error.retry_after_s)
        sql = "UPDATE receiver SET failures = failures + 1, paused_until = ? WHERE id = ?"
        connection.execute(sql, (now + wait_s, receiver_id))
    sql = """
        UPDATE delivery SET state = 'given_up', answer = coalesce(answer, ?)
        WHERE receiver_id = ? AND state = 'pending' AND begun_at <= ?
    """
    connection.execute(sql, (error.message, receiver_id, now - patience.give_up_s))
    return given_up + connection.changes()


def _retry_later(
    connection: apsw.Connection, number: int, error: NotDelivered, now: float, patience: Patience
) -> int:
    sql = "SELECT tries, begun_at FROM delivery WHERE number = ? AND state = 'pending'"
    found = connection.execute(sql, (number,)).fetchone()
    if found is None:  # its webhook was removed meanwhile
        return 0
    tries, give_up_at = found[0] + 1, found[1] + patience.give_up_s
    over = now >= give_up_at
    due_at = min(now + max(patience.wait_s(tries), error.retry_after_s), give_up_at)
    sql = """
        UPDATE delivery SET state = ?, tries = ?, tried_at = ?, due_at = ?, answer = ?
        WHERE number = ?
    """
    state = "given_up" if over else "pending"
    connection.execute(sql, (state, tries, now, due_at, error.message, number))
    return int(over)


def has_before(connection: apsw.Connection, moment: float) -> bool:
    """Whether there is an event from before then."""
    sql = "SELECT EXISTS (SELECT 1 FROM event WHERE created_at < ?)"
    return bool(connection.execute(sql, (moment,)).get)


def forget_before(connection: apsw.Connection, moment: float, limit: int) -> int:
    """Remove events from before then, with their deliveries, unless one is pending; how many.

    At most `limit` at once, so that nothing else waits long for the writer.
    """
    sql = """
        DELETE FROM event WHERE id IN (
            SELECT id FROM event e WHERE created_at < ? AND NOT EXISTS (
                SELECT 1 FROM delivery d WHERE d.event_id = e.id AND d.state = 'pending'
            ) ORDER BY created_at LIMIT ?
        ) RETURNING id
    """
    ids = list(connection.execute(sql, (moment, limit)))
    connection.executemany("DELETE FROM delivery WHERE event_id = ?", ids)
    return len(ids)
