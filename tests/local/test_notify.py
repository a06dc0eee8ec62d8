"""Delivering from the outbox under a clock of the test's own: hours pass without waiting."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dandyroll.errors import StoreUnavailable
from dandyroll.events import Event, NotDelivered
from dandyroll.local.catalogue import SqliteCatalogue
from dandyroll.local.database import Database
from dandyroll.local.delivery_log import backlog, list_deliveries, replay_failed
from dandyroll.local.notify import Deliveries, notifier
from dandyroll.local.outbox import Patience
from dandyroll.local.receivers import add_webhook, find_receiver, set_mail
from dandyroll.settings import Settings
from tests.local.images import settled
from tests.local.receiver import Got, Receiver, verify

HOUR_S = 3_600
DAY_S = 86_400


class Clock:
    """Epoch seconds that pass only when the test says so."""

    def __init__(self) -> None:
        self.now = time.time() + 1

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "catalogue.db")
    yield database
    database.close()


@pytest.fixture
def catalogue(database: Database) -> SqliteCatalogue:
    return SqliteCatalogue(database)


def deliveries_of(database: Database, clock: Clock, **settings: Any) -> Deliveries:
    return Deliveries(database, Settings(**settings), clock=clock, chance=lambda: 0.5)


def run(deliveries: Deliveries, clock: Clock, until: float) -> None:
    """Do what is due as the clock goes from one due moment to the next."""
    while True:
        before = deliveries.figures()
        due_at = deliveries.send_due()
        deliveries.wait(30)
        if deliveries.figures() != before:
            continue  # there may be more for the slots that are free now
        if due_at is None or due_at > until:
            clock.now = until
            return
        clock.now = max(clock.now, due_at)


def test_a_receiver_that_is_down_for_an_hour_gets_everything_once_it_is_up(
    database: Database, catalogue: SqliteCatalogue, clock: Clock
) -> None:
    receiver = Receiver()  # not started
    webhook = add_webhook(database, receiver.url)
    ids = [settled(catalogue) for _ in range(50)]
    deliveries = deliveries_of(database, clock)
    run(deliveries, clock, clock.now + HOUR_S)
    down = deliveries.figures()
    assert backlog(database).pending == 50
    assert (down.delivered, down.given_up) == (0, 0)
    assert down.failed < 20, "it is asked now and then, not fifty times over"
    standing = find_receiver(database, webhook.id)
    assert standing.failures > 5
    assert clock.now < standing.paused_until <= clock.now + HOUR_S
    with receiver:
        run(deliveries, clock, standing.paused_until)
    assert Counter(got.event["data"]["image-id"] for got in receiver.got) == Counter(ids)
    for got in receiver.got:
        verify(got, webhook.secret, now=clock.now)  # signed when sent, not when it happened
    assert backlog(database).pending == 0
    assert find_receiver(database, webhook.id).failures == 0


def test_what_nobody_takes_for_a_day_is_given_up_and_can_be_replayed(
    database: Database, catalogue: SqliteCatalogue, clock: Clock
) -> None:
    receiver = Receiver()
    add_webhook(database, receiver.url)
    for _ in range(20):
        settled(catalogue)
    deliveries = deliveries_of(database, clock)
    run(deliveries, clock, clock.now + DAY_S - 60)
    assert backlog(database).pending == 20
    run(deliveries, clock, clock.now + 2 * HOUR_S)
    assert deliveries.figures().given_up == 20
    failed = list_deliveries(database, failed=True, limit=100)
    assert {(one.state, one.answer) for one in failed} == {
        ("given_up", "not reached: Connection refused")
    }
    with receiver:
        assert replay_failed(database, clock.now) == 20
        run(deliveries, clock, clock.now)
    assert len({got.id for got in receiver.got}) == len(receiver.got) == 20
    assert list_deliveries(database, failed=True, limit=100) == []


def test_an_event_is_tried_to_the_end_of_its_day(
    database: Database, catalogue: SqliteCatalogue, clock: Clock
) -> None:
    """An event its receiver refuses: 5 s, 10 s, … an hour, and a last time after 24 hours."""
    start = clock.now
    tried_at: list[float] = []

    def answer(got: Got) -> int:
        tried_at.append(clock.now - start)
        return 500

    with Receiver(answer) as receiver:
        add_webhook(database, receiver.url)
        settled(catalogue)
        run(deliveries_of(database, clock), clock, clock.now + 3 * DAY_S)
    waits = [later - earlier for earlier, later in itertools.pairwise(tried_at)]
    assert waits[:3] == pytest.approx([4.5, 9.0, 18.0])  # less a tenth: `chance` is 0.5
    assert max(waits) <= HOUR_S
    assert tried_at[-1] == pytest.approx(DAY_S, abs=5)
    (delivery,) = list_deliveries(database, failed=True, limit=9)
    assert (delivery.state, delivery.tries) == ("given_up", len(tried_at))


def test_a_refused_event_holds_nothing_up(
    database: Database, catalogue: SqliteCatalogue, clock: Clock
) -> None:
    poison = settled(catalogue)  # before the webhook is there: not for it
    with Receiver() as receiver:
        add_webhook(database, receiver.url)
        poison = settled(catalogue)
        receiver.answer = lambda got: 500 if got.event["data"]["image-id"] == poison else 204
        others = [settled(catalogue) for _ in range(9)]
        run(deliveries_of(database, clock, webhook_slots=1), clock, clock.now)
    assert [got.event["data"]["image-id"] for got in receiver.got] == [poison, *others]


def test_an_event_that_breaks_its_receiver_holds_others_up_for_seconds(
    database: Database, catalogue: SqliteCatalogue, clock: Clock
) -> None:
    """It looks as if the receiver were down; the next try is of another event."""
    with Receiver() as receiver:
        add_webhook(database, receiver.url)
        poison = settled(catalogue)
        others = [settled(catalogue) for _ in range(9)]

        def answer(got: Got) -> int:
            if got.event["data"]["image-id"] == poison:
                raise ConnectionError("closes without an answer")
            return 204

        receiver.answer = answer
        run(deliveries_of(database, clock), clock, clock.now + 10)
    assert {got.event["data"]["image-id"] for got in receiver.got} == {poison, *others}
    assert backlog(database).pending == 1


def test_a_receiver_that_hangs_delays_no_other(
    database: Database, catalogue: SqliteCatalogue, clock: Clock
) -> None:
    hanging = threading.Event()

    def hang(got: Got) -> int:
        hanging.wait(20)
        return 204

    with Receiver(hang) as slow, Receiver() as fast:
        add_webhook(database, slow.url)
        add_webhook(database, fast.url)
        for _ in range(30):
            settled(catalogue)
        deliveries = Deliveries(database, Settings(), clock=clock)
        deliveries.start()
        fast.wait_for(30, timeout_s=10)
        slow.wait_for(4)
        assert len(slow.got) == 4  # as many as it has slots
        hanging.set()
        slow.wait_for(30)
        deliveries.close()
    assert deliveries.figures().delivered == 60


def test_a_new_event_is_sent_at_once(
    database: Database, catalogue: SqliteCatalogue, tmp_path: Path
) -> None:
    """The commit wakes the sender; one made by another process is found within seconds."""
    with Receiver() as receiver:
        add_webhook(database, receiver.url)
        deliveries = Deliveries(database, Settings())
        deliveries.start()
        settled(catalogue)
        began_s = time.monotonic()
        receiver.wait_for(1)
        assert time.monotonic() - began_s < 1
        other = Database(tmp_path / "catalogue.db")
        settled(SqliteCatalogue(other))
        receiver.wait_for(2, timeout_s=6)
        other.close()
        deliveries.close()


def test_more_receivers_and_more_events_than_slots_all_arrive_once(
    database: Database, catalogue: SqliteCatalogue
) -> None:
    receivers = [Receiver().start() for _ in range(5)]
    for receiver in receivers:
        add_webhook(database, receiver.url)
    deliveries = Deliveries(database, Settings())
    deliveries.start()
    ids = [settled(catalogue) for _ in range(100)]
    for receiver in receivers:
        got = receiver.wait_for(100)
        assert Counter(one.event["data"]["image-id"] for one in got) == Counter(ids)
    deliveries.close()
    for receiver in receivers:
        receiver.stop()
        assert len(receiver.got) == 100
    assert backlog(database).pending == 0


def test_retry_after_is_kept_to(
    database: Database, catalogue: SqliteCatalogue, clock: Clock
) -> None:
    with Receiver(lambda got: (429, {"Retry-After": "600"})) as receiver:
        webhook = add_webhook(database, receiver.url)
        settled(catalogue)
        run(deliveries_of(database, clock), clock, clock.now + 599)
        assert len(receiver.got) == 1
        assert find_receiver(database, webhook.id).failures == 1
        receiver.answer = lambda got: 200
        run(deliveries_of(database, clock), clock, clock.now + 2)
        assert len(receiver.got) == 2


def test_an_outcome_that_cannot_be_written_is_delivered_again_but_not_at_once(
    database: Database, catalogue: SqliteCatalogue, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as receiver:
        add_webhook(database, receiver.url)
        settled(catalogue)
        deliveries = deliveries_of(database, clock)
        run(deliveries, clock, clock.now)
        settled(catalogue)
        with monkeypatch.context() as patch:
            patch.setattr(database, "write", _fail)
            due_at = deliveries.send_due()
            deliveries.wait(30)
            assert len(receiver.got) == 2
            due_at = deliveries.send_due()
            assert due_at == clock.now + 5
            deliveries.wait(30)
            assert len(receiver.got) == 2
        run(deliveries, clock, clock.now + 6)
        assert receiver.got[2].id == receiver.got[1].id
    assert backlog(database).pending == 0


def _fail(operation: object) -> None:
    raise StoreUnavailable("The disk is full.")


def test_a_server_with_nothing_to_tell_writes_nothing(
    database: Database, catalogue: SqliteCatalogue, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(catalogue)  # nobody listens
    monkeypatch.setattr(database, "write", _fail)
    assert deliveries_of(database, clock).send_due() is None


def test_the_log_is_cleared_of_what_is_older_than_its_days(
    database: Database, catalogue: SqliteCatalogue, clock: Clock
) -> None:
    with Receiver() as receiver:
        add_webhook(database, receiver.url)
        for _ in range(3):
            settled(catalogue)
        deliveries = deliveries_of(database, clock)
        run(deliveries, clock, clock.now + 6 * DAY_S)
        assert len(list_deliveries(database, failed=False, limit=9)) == 3
        run(deliveries, clock, clock.now + 2 * DAY_S)
        deliveries.send_due()  # as it does every few seconds
    assert list_deliveries(database, failed=False, limit=9) == []


def test_a_fault_of_ours_is_one_failed_try(
    database: Database, catalogue: SqliteCatalogue, clock: Clock
) -> None:
    class Broken:
        def publish(self, events: Sequence[Event]) -> str:
            raise RuntimeError("a bug")

    with Receiver() as receiver:
        broken = add_webhook(database, receiver.url)
        add_webhook(database, receiver.url)
        settled(catalogue)
        deliveries = Deliveries(
            database,
            Settings(),
            clock=clock,
            notifier=lambda one, *more: Broken() if one.id == broken.id else notifier(one, *more),
        )
        run(deliveries, clock, clock.now + 1)
    assert len(receiver.got) == 1
    (failed,) = list_deliveries(database, failed=True, limit=9)
    assert failed.webhook == broken.id


def test_mail_waits_for_its_digest(
    database: Database, catalogue: SqliteCatalogue, clock: Clock
) -> None:
    """A thousand failures are not a thousand mails: one at once, one every quarter of an hour."""
    mails: list[list[str]] = []

    class Mailbox:
        def publish(self, events: Sequence[Event]) -> str:
            if down:
                raise NotDelivered("down", reachable=False)
            mails.append([str(event.data["image-id"]) for event in events])
            return "accepted"

    down = False
    settings = Settings(smtp_host="localhost", mail_from="a@b.example", mail_to="c@d.example")
    set_mail(database, settings)
    deliveries = Deliveries(database, settings, clock=clock, notifier=lambda *more: Mailbox())
    first = settled(catalogue, status="failed")
    run(deliveries, clock, clock.now + 1)
    assert mails == [[first]]
    many = [settled(catalogue, status="failed") for _ in range(300)]
    run(deliveries, clock, clock.now + 890)
    assert len(mails) == 1
    run(deliveries, clock, clock.now + 15)
    assert [len(mail) for mail in mails] == [1, 300]
    assert sorted(mails[1]) == sorted(many)
    down = True
    last = settled(catalogue, status="failed")
    run(deliveries, clock, clock.now + HOUR_S)
    assert len(mails) == 2
    down = False
    run(deliveries, clock, clock.now + HOUR_S)
    assert mails[2:] == [[last]]


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_waits_double_from_5_s_to_an_hour(chance: float) -> None:
    patience = Patience(5, HOUR_S, DAY_S, lambda: chance)
    waits = [patience.wait_s(tries) for tries in range(1, 40)]
    expected = [whole_s * (1 - chance / 5) for whole_s in (*(5 * 2**n for n in range(10)), HOUR_S)]
    assert waits[:11] == expected
    assert waits[-1] == expected[-1]
