"""The outbox: an event exactly when an image is settled, for exactly those it is for."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from dandyroll.errors import NotFound
from dandyroll.events import EVENT_TYPES, Event, parse_event_types
from dandyroll.local import catalogue as catalogue_module
from dandyroll.local.catalogue import SqliteCatalogue
from dandyroll.local.database import Database
from dandyroll.local.delivery_log import (
    backlog,
    list_deliveries,
    replay,
    replay_failed,
    replay_since,
)
from dandyroll.local.outbox import (
    add_event,
    find_due,
    forget_before,
    record_delivered,
)
from dandyroll.local.receivers import (
    MAIL,
    Receiver,
    add_webhook,
    find_receiver,
    list_receivers,
    remove_webhook,
    set_mail,
)
from dandyroll.models import Changes
from dandyroll.settings import BadSetting, Settings
from tests.local.images import REASON, settled, uploaded


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "catalogue.db")
    yield database
    database.close()


@pytest.fixture
def catalogue(database: Database) -> SqliteCatalogue:
    return SqliteCatalogue(database)


def events(database: Database) -> list[Event]:
    found = database.read().execute("SELECT body FROM event ORDER BY rowid")
    return [Event.from_body(str(body)) for (body,) in found]


def deliver_all(database: Database, receiver_id: str) -> None:
    due = find_due(database.read(), receiver_id, time.time() + 1, 1_000, set())
    numbers = [one.number for one in due]
    database.write(lambda c: record_delivered(c, receiver_id, numbers, "answered 204", 5.0))


def test_every_settled_row_has_its_event(database: Database, catalogue: SqliteCatalogue) -> None:
    image_id = uploaded(catalogue)
    catalogue.advance(image_id, "resized", Changes())
    assert events(database) == []
    catalogue.advance(image_id, "failed", Changes(error=REASON))
    catalogue.advance(image_id, "failed", Changes(error=REASON))  # an event of the pipeline, twice
    catalogue.advance(image_id, "processed", Changes())
    catalogue.advance(image_id, "resized", Changes())
    first, second = events(database)
    assert [first.type, second.type] == ["image.failed", "image.processed"]
    assert first.id != second.id
    assert first.data["error"] == REASON
    assert second.data == catalogue.get(image_id).to_json()


def test_a_row_is_not_settled_without_its_event(
    database: Database, catalogue: SqliteCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("no event")

    image_id = uploaded(catalogue)
    monkeypatch.setattr(catalogue_module, "add_settled_event", fail)
    with pytest.raises(RuntimeError, match="no event"):
        catalogue.advance(image_id, "processed", Changes())
    assert catalogue.get(image_id).status == "uploaded"
    assert events(database) == []


def test_an_event_is_the_same_bytes_each_time(
    database: Database, catalogue: SqliteCatalogue
) -> None:
    add_webhook(database, "https://example.com/")
    settled(catalogue)
    stored = database.read().execute("SELECT body FROM event").get.encode()
    assert Event.from_body(stored).body() == stored
    assert list(Event.from_body(stored).__dict__) == ["id", "type", "created_at", "data", "version"]
    assert len(stored) < 20_000


def test_an_event_goes_to_those_it_is_for(database: Database, catalogue: SqliteCatalogue) -> None:
    everyone = add_webhook(database, "https://example.com/all")
    shop = add_webhook(database, "https://example.com/shop", "shop")
    failures = add_webhook(database, "https://example.com/bad", "shop", ["image.failed"])
    news = add_webhook(database, "https://example.com/news", "news")
    settled(catalogue, "shop")
    settled(catalogue, "shop", "failed")
    settled(catalogue, "sho")  # another owner, whose name is part of that one's
    found = list_deliveries(database, failed=False, limit=100)
    got = {r.id: sorted(d.type for d in found if d.webhook == r.id) for r in all_of(database)}
    assert got == {
        everyone.id: ["image.failed", "image.processed", "image.processed"],
        shop.id: ["image.failed", "image.processed"],
        failures.id: ["image.failed"],
        news.id: [],
    }


def all_of(database: Database) -> list[Receiver]:
    return list_receivers(database.read())


def test_a_deletion_is_told_with_the_row_as_it_stood(
    database: Database, catalogue: SqliteCatalogue
) -> None:
    webhook = add_webhook(database, "https://example.com/", events=["image.deleted"])
    row = catalogue.get(settled(catalogue))
    database.write(lambda connection: add_event(connection, "image.deleted", row))
    (delivery,) = list_deliveries(database, failed=False, limit=100)
    assert (delivery.type, delivery.webhook) == ("image.deleted", webhook.id)
    assert events(database)[-1].data == row.to_json()


def test_a_webhook_that_is_removed_gets_nothing_more(
    database: Database, catalogue: SqliteCatalogue
) -> None:
    webhook = add_webhook(database, "https://example.com/")
    settled(catalogue)
    remove_webhook(database, webhook.id)
    settled(catalogue)
    (delivery,) = list_deliveries(database, failed=False, limit=100)
    assert (delivery.state, delivery.answer) == ("given_up", "the webhook was removed")
    assert replay_failed(database, 1.0) == 0
    with pytest.raises(NotFound):
        replay(database, delivery.number, 1.0)
    with pytest.raises(NotFound):
        remove_webhook(database, webhook.id)


def test_replay_delivers_again(database: Database, catalogue: SqliteCatalogue) -> None:
    webhook = add_webhook(database, "https://example.com/")
    start = time.time()
    for _ in range(3):
        settled(catalogue)
    deliver_all(database, webhook.id)
    assert backlog(database).pending == 0
    first = list_deliveries(database, failed=False, limit=100)[-1]
    replay(database, first.number, start)
    assert [one.number for one in find_due(database.read(), webhook.id, start, 9, set())] == [
        first.number
    ]
    assert backlog(database).oldest_at == start
    late = add_webhook(database, "https://example.com/late")
    assert replay_since(database, start, start) == 6  # three to each, the late one too
    assert len(find_due(database.read(), late.id, start, 9, set())) == 3
    assert replay_since(database, time.time() + 60, start) == 0
    with pytest.raises(NotFound):
        replay(database, 10_000, start)


def test_replay_failed_takes_what_has_failed_alone(
    database: Database, catalogue: SqliteCatalogue
) -> None:
    webhook = add_webhook(database, "https://example.com/")
    ids = [settled(catalogue) for _ in range(4)]

    def outcomes(connection: apsw.Connection) -> None:
        sql = "UPDATE delivery SET state = ?, tries = ?, due_at = 9e9 WHERE number = ?"
        states = ("given_up", "pending", "pending", "delivered")
        connection.executemany(sql, [(state, n % 3, n) for n, state in enumerate(states, 1)])
        connection.execute("UPDATE receiver SET failures = 3, paused_until = 9e9")

    database.write(outcomes)  # given up after 1, waits after 2, waits for its first, delivered
    failed = list_deliveries(database, failed=True, limit=100)
    assert [one.image_id for one in failed] == [ids[1], ids[0]]
    assert replay_failed(database, 7.0) == 2
    due = find_due(database.read(), webhook.id, 7.0, 9, set())
    assert [one.event.data["image-id"] for one in due] == ids[:2]
    standing = find_receiver(database, webhook.id)
    assert (standing.failures, standing.paused_until) == (0, 0.0)  # tried at once


def test_the_log_is_kept_so_long_and_no_longer(
    database: Database, catalogue: SqliteCatalogue
) -> None:
    webhook = add_webhook(database, "https://example.com/")
    for _ in range(5):
        settled(catalogue)
    deliver_all(database, webhook.id)
    waiting = settled(catalogue)
    assert database.write(lambda c: forget_before(c, time.time() - 60, 100)) == 0
    later = time.time() + 60
    assert database.write(lambda c: forget_before(c, later, 3)) == 3
    assert database.write(lambda c: forget_before(c, later, 3)) == 2
    assert database.write(lambda c: forget_before(c, later, 3)) == 0
    assert [event.data["image-id"] for event in events(database)] == [waiting]
    assert len(list_deliveries(database, failed=False, limit=100)) == 1


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://example.com/", "expected https"),
        ("https://", "expected https"),
        ("example.com/hook", "expected https"),
        ("https://example.com/a b", "plain ASCII"),
        ("https://example.com/\r\nx-header: 1", "plain ASCII"),
        ("https://exämple.com/", "plain ASCII"),
        ("https://example.com:99999/", "expected https"),
        ("https://user:word@example.com/", "without user"),
        ("http://example.com/hook", "--allow-http"),
        ("http://192.168.1.5/hook", "--allow-http"),
        ("http://127.0.0.1.example.com/", "--allow-http"),
    ],
)
def test_a_url_that_will_not_do_is_refused(database: Database, url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        add_webhook(database, url)
    assert all_of(database) == []


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9000/", "http://localhost/x", "http://[::1]:9000/", "https://10.0.0.5"],
)
def test_private_addresses_and_this_machine_are_allowed(database: Database, url: str) -> None:
    assert add_webhook(database, url).url == url
    assert add_webhook(database, "http://192.168.1.5/", allow_http=True).events == EVENT_TYPES


def test_each_webhook_has_a_secret_of_its_own(database: Database) -> None:
    one, other = (add_webhook(database, "https://example.com/") for _ in range(2))
    assert one.secret != other.secret
    assert one.secret.startswith("whsec_")


def test_unknown_events_and_owners_are_refused(database: Database) -> None:
    with pytest.raises(ValueError, match=r"image\.eaten"):
        add_webhook(database, "https://example.com/", events=["image.eaten"])
    with pytest.raises(ValueError, match="owner"):
        add_webhook(database, "https://example.com/", "My Shop")
    assert parse_event_types("image.deleted, image.failed,image.failed") == (
        "image.failed",
        "image.deleted",
    )


def test_mail_is_a_receiver_that_settings_make(
    database: Database, catalogue: SqliteCatalogue
) -> None:
    settings = Settings(smtp_host="localhost", mail_from="a@example.com", mail_to="b@example.com")
    set_mail(database, settings)
    settled(catalogue, status="failed")
    settled(catalogue)
    set_mail(database, settings)  # a restart
    (delivery,) = list_deliveries(database, failed=False, limit=100)
    assert (delivery.webhook, delivery.type, delivery.state) == (MAIL, "image.failed", "pending")
    with pytest.raises(ValueError, match="settings"):
        remove_webhook(database, MAIL)
    set_mail(database, Settings())
    assert all_of(database) == []
    assert backlog(database).pending == 0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"smtp_host": "mail"}, "MAIL_FROM"),
        ({"smtp_host": "mail", "mail_from": "a@b"}, "MAIL_TO"),
        ({"smtp_security": "ssl"}, "SMTP_SECURITY"),
        ({"mail_events": "image.eaten"}, "MAIL_EVENTS"),
        ({"retry_first_s": 0}, "RETRY_FIRST_S"),
        ({"webhook_slots": 0}, "WEBHOOK_SLOTS"),
        (
            {"smtp_host": "mail", "mail_from": "a@b", "mail_to": "c@d", "smtp_password": "word",
             "smtp_security": "none"},
            "in clear",
        ),
    ],
)  # fmt: skip
def test_settings_that_will_not_do_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(BadSetting, match=says) as refused:
        Settings(**given)
    assert "word" not in str(refused.value).replace("password", "")


def test_the_password_is_not_shown() -> None:
    assert "geheim" not in repr(Settings(smtp_password="geheim"))


def test_a_deleted_image_has_its_event_once(database: Database, catalogue: SqliteCatalogue) -> None:
    image_id = settled(catalogue)
    catalogue.delete(image_id)
    catalogue.delete(image_id)
    told = [(event.type, event.data["image-id"]) for event in events(database)]
    assert told.count(("image.deleted", image_id)) == 1
