"""Deliver what is in the outbox: each receiver apart from the others, each delivery in a thread.

At least once: a delivery is written down as made only after the receiver has said so, and what
was under way when the server ended is made again. A receiver that cannot be reached gets one try
at a time until it answers; the others, and the pipeline, do not notice.
"""

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import apsw

from dandyroll.errors import StoreUnavailable
from dandyroll.events import NotDelivered
from dandyroll.local.database import Database
from dandyroll.local.mail import Mail
from dandyroll.local.outbox import (
    Due,
    Patience,
    find_due,
    forget_before,
    has_before,
    next_due_at,
    record_delivered,
    record_failed,
)
from dandyroll.local.receivers import MAIL, Receiver, list_receivers
from dandyroll.local.webhook import Webhook
from dandyroll.ports import Notifier
from dandyroll.settings import Settings

log = logging.getLogger("dandyroll.notify")

_LOOK_S = 2.0  # commands of other processes write into the same file
_STORE_WAIT_S = 5.0
_STOP_S = 2.0
_MAIL_EVENTS = 1_000  # in one message
_FORGET_EVERY_S = 3_600
_FORGET_AT_ONCE = 500
_DAY_S = 86_400


@dataclass
class Lane:
    """What is under way to one receiver: delivery numbers, in so many threads."""

    numbers: set[int] = field(default_factory=set)
    threads: set[threading.Thread] = field(default_factory=set)
    hold_until: float = 0.0  # its outcomes could not be written down


@dataclass(frozen=True)
class Figures:
    """Counted since the server began: events delivered, tries that failed, events given up."""

    delivered: int
    failed: int
    given_up: int


def notifier(receiver: Receiver, settings: Settings, clock: Callable[[], float]) -> Notifier:
    """What reaches this receiver."""
    if receiver.id == MAIL:
        return Mail(settings)
    return Webhook(receiver.url, receiver.secret, settings.webhook_timeout_s, clock)


class Deliveries:
    """Sends from `start` to `close`. `clock` gives epoch seconds, `chance` 0.0 to 1.0."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
        notifier: Callable[[Receiver, Settings, Callable[[], float]], Notifier] = notifier,
    ) -> None:
        self._database, self._settings, self._clock = database, settings, clock
        self._notifier = notifier
        self._patience = Patience(
            settings.retry_first_s, settings.retry_max_s, settings.give_up_s, chance
        )
        self._lanes: dict[str, Lane] = {}
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._closing = self._closed = False
        self._counts: Counter[str] = Counter()
        self._forget_at = 0.0
        self._thread = threading.Thread(target=self._run, name="dandyroll-notify", daemon=True)

    def start(self) -> None:
        self._database.watch(self._changed.set)
        self._thread.start()

    def close(self) -> None:
        """Stop. What is still under way in a moment is made again at the next start."""
        self._closing = True
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join()
        self.wait(_STOP_S)
        self._closed = True  # whoever holds the database is about to close it

    def wait(self, timeout_s: float) -> None:
        """Until nothing is under way, or so long."""
        deadline_s = time.monotonic() + timeout_s
        with self._lock:
            threads = [thread for lane in self._lanes.values() for thread in lane.threads]
        for thread in threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))

    def figures(self) -> Figures:
        with self._lock:
            counts = self._counts
            return Figures(counts["delivered"], counts["failed"], counts["given_up"])

    def send_due(self) -> float | None:
        """Begin every delivery that is due and has a slot; when the next one is (epoch seconds).

        None where nothing waits but for what is under way.
        """
        now, connection = self._clock(), self._database.read()
        if now >= self._forget_at:
            self._forget(connection, now)
        moments = [
            self._send_to(receiver, connection, now) for receiver in list_receivers(connection)
        ]
        return min((moment for moment in moments if moment is not None), default=None)

    def _run(self) -> None:
        while not self._closing:
            self._changed.clear()
            try:
                due_at = self.send_due()
            except (apsw.Error, StoreUnavailable):
                log.exception("Could not read or write the outbox")
                due_at = self._clock() + _STORE_WAIT_S
            wait_s = _LOOK_S if due_at is None else due_at - self._clock()
            self._changed.wait(min(_LOOK_S, max(0.0, wait_s)))

    def _send_to(self, receiver: Receiver, connection: apsw.Connection, now: float) -> float | None:
        with self._lock:
            lane = self._lanes.setdefault(receiver.id, Lane())
            under_way, threads = set(lane.numbers), len(lane.threads)
        paused_until = max(receiver.paused_until, lane.hold_until)
        if paused_until > now:
            return paused_until
        digests = receiver.id == MAIL
        alone = digests or receiver.failures > 0
        slots = (1 if alone else self._settings.webhook_slots) - threads
        if slots <= 0:
            return None  # the end of one will wake us
        limit = _MAIL_EVENTS if digests else slots
        due = find_due(connection, receiver.id, now, limit, under_way)
        for parcel in [due] if digests and due else [[one] for one in due]:
            self._begin(receiver, lane, parcel)
        return next_due_at(connection, receiver.id, now)

    def _begin(self, receiver: Receiver, lane: Lane, parcel: list[Due]) -> None:
        numbers = {due.number for due in parcel}

        def deliver() -> None:
            try:
                self._deliver(receiver, lane, parcel)
            finally:
                with self._lock:
                    lane.numbers -= numbers
                    lane.threads.discard(thread)
                self._changed.set()

        thread = threading.Thread(target=deliver, name=f"dandyroll-{receiver.id}", daemon=True)
        with self._lock:
            lane.numbers |= numbers
            lane.threads.add(thread)
        thread.start()

    def _deliver(self, receiver: Receiver, lane: Lane, parcel: list[Due]) -> None:
        began_at = self._clock()
        numbers = [due.number for due in parcel]
        outcome: str | NotDelivered
        try:
            outcome = self._notifier(receiver, self._settings, self._clock).publish(
                [due.event for due in parcel]
            )
        except NotDelivered as error:
            outcome = error
        except Exception:
            log.exception("Unexpected", extra={"receiver": receiver.id})
            outcome = NotDelivered("a fault of ours; the log has it", reachable=True)
        if self._closed:
            return
        try:
            if isinstance(outcome, NotDelivered):
                self._failed(receiver, numbers, outcome, began_at)
            else:
                self._delivered(receiver, numbers, outcome)
        except StoreUnavailable:  # it will be delivered again, but not in a tight loop
            log.exception("Could not write an outcome", extra={"receiver": receiver.id})
            lane.hold_until = self._clock() + _STORE_WAIT_S

    def _delivered(self, receiver: Receiver, numbers: list[int], answer: str) -> None:
        now = self._clock()
        pause_s = self._settings.mail_every_s if receiver.id == MAIL else 0.0
        self._database.write(
            lambda connection: record_delivered(
                connection, receiver.id, numbers, answer, now, pause_s
            )
        )
        self._count(delivered=len(numbers))
        extra = {"receiver": receiver.id, "deliveries": numbers}
        log.info("Delivered: %s", answer, extra=extra)

    def _failed(
        self, receiver: Receiver, numbers: list[int], error: NotDelivered, began_at: float
    ) -> None:
        now = self._clock()
        given_up = self._database.write(
            lambda connection: record_failed(
                connection, receiver.id, numbers, error, began_at, now, self._patience
            )
        )
        self._count(failed=1, given_up=given_up)
        extra = {"receiver": receiver.id, "deliveries": numbers}
        log.warning("Not delivered to %s: %s", receiver.id, error.message, extra=extra)
        if given_up:
            log.error("Given up %d events for %s", given_up, receiver.id, extra=extra)

    def _count(self, **more: int) -> None:
        with self._lock:
            self._counts.update(more)

    def _forget(self, connection: apsw.Connection, now: float) -> None:
        """Forget old events; a batch at a time, the rest at the next look."""
        before = now - self._settings.event_log_days * _DAY_S
        gone = 0
        if has_before(connection, before):  # a server with nothing to do writes nothing
            gone = self._database.write(
                lambda connection: forget_before(connection, before, _FORGET_AT_ONCE)
            )
        if gone < _FORGET_AT_ONCE:
            self._forget_at = now + _FORGET_EVERY_S
