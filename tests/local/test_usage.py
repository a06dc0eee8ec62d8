"""What a key does is counted and shown; over its rate it is told when to come back."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dandyroll.errors import StoreUnavailable
from dandyroll.local.database import Database, Operation
from dandyroll.local.usage import Usage, UsageCounter, usage_by_key
from tests import pictures
from tests.contract.client import Client
from tests.local.served_home import ServedHome
from tests.local.test_cli import dandyroll


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "catalogue.db")
    yield opened
    opened.close()


def test_counts_are_added_up_and_written_together(database: Database) -> None:
    counter = UsageCounter(database, every_s=3600)
    for at in (7, 9, 8):
        counter.add("a", Usage(requests=1, uploads=1, uploaded_bytes=10, last_used_at=at))
    counter.add("b", Usage(requests=1, refused=1, last_used_at=5))
    assert usage_by_key(database) == {}  # no request waits for a disk
    counter.write()
    counter.add("a", Usage(requests=1, last_used_at=3))
    counter.close()
    assert usage_by_key(database) == {"a": Usage(4, 3, 30, 0, 9), "b": Usage(1, 0, 0, 1, 5)}


def test_the_counter_writes_by_itself(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    written, write = threading.Event(), database.write

    def tell(operation: Operation) -> None:
        write(operation)
        written.set()

    monkeypatch.setattr(database, "write", tell)
    counter = UsageCounter(database, every_s=0.01)
    counter.add("a", Usage(requests=1))
    assert written.wait(timeout=20)
    assert usage_by_key(database) == {"a": Usage(requests=1)}
    counter.close()


def test_what_cannot_be_written_is_kept(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = UsageCounter(database, every_s=3600)
    counter.add("a", Usage(requests=1))

    def refuse(operation: object) -> None:
        raise StoreUnavailable("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(database, "write", refuse)
        counter.write()
    counter.add("a", Usage(requests=1))
    counter.close()
    assert usage_by_key(database) == {"a": Usage(requests=2)}


def test_keys_usage_tells_what_each_key_did(tmp_path: Path) -> None:
    served, body = ServedHome(tmp_path, workers=1), pictures.jpeg()
    limits = ("--max-uploads-per-day", "9", "--max-stored-bytes", "1000000")
    try:
        served.start()
        create = ("keys", "create", "--name", "shop", "--expires", "1d", *limits)
        shop = Client(served, "shop", dandyroll(*create, "--data", tmp_path).stdout.strip())
        idle = Client.new(served)
        image_id = shop.upload(body)
        assert shop.processed(image_id).status == 200
        assert shop.send("POST", "/upload", b"no image").status == 415
        assert shop.send("GET", "/get-image-metadata/nothing.jpg").status == 404
        assert idle.send_bare("GET", "/get-image-metadata/x", {"x-api-key": "x"}).status == 403
        assert served.server is not None
        served.server.terminate()  # a server that is stopped loses no count
        assert served.server.wait(timeout=20) == 0
    finally:
        served.close()
    report = json.loads(dandyroll("keys", "usage", "--json", "--data", tmp_path).stdout)
    by_owner = {entry["owner"]: entry for entry in report}
    used = by_owner["shop"]
    assert used.pop("last_used").endswith("Z")
    assert used.pop("requests") >= 4
    assert used.pop("key")
    assert used == {
        "owner": "shop",
        "uploads": 1,
        "uploaded_bytes": len(body),
        "refused": 1,
        "owner_uploads_today": 1,
        "owner_max_uploads_per_day": 9,
        "owner_stored_bytes": len(body),
        "owner_max_stored_bytes": 1_000_000,
    }
    assert by_owner[idle.owner]["requests"] == 0
    assert by_owner[idle.owner]["last_used"] is None
    table = dandyroll("keys", "usage", "--data", tmp_path).stdout
    assert f"{len(body)} of 1000000" in table
    assert "never" in table
    assert shop.key not in table
    changed = dandyroll("keys", "quota", "shop", "--max-stored-bytes", "0", "--data", tmp_path)
    assert changed.stdout == f"uploads a day: 9\nstored bytes: no limit, of which {len(body)}\n"


def test_over_the_rate_of_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANDYROLL_KEY_REQUESTS_PER_S", "1")
    monkeypatch.setenv("DANDYROLL_KEY_BURST", "3")
    served = ServedHome(tmp_path, workers=1)
    try:
        served.start()
        greedy, other = Client.new(served), Client.new(served)
        answers = [greedy.send("GET", "/get-image-metadata/a.jpg") for _ in range(10)]
        assert [answer.status for answer in answers[:3]] == [404] * 3
        over = [answer for answer in answers if answer.status != 404]
        assert len(over) >= 5
        for answer in over:
            assert answer.problem == (429, "too_many_requests")
            assert answer.headers["retry-after"] == "1"
        other.upload(pictures.jpeg())
    finally:
        served.close()


def test_over_the_rate_of_the_whole_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANDYROLL_API_REQUESTS_PER_S", "1")
    monkeypatch.setenv("DANDYROLL_API_BURST", "3")
    served = ServedHome(tmp_path, workers=1)
    try:
        served.start()
        client = Client.new(served)
        path = "/get-image-metadata/a.jpg"
        answers = [client.send_bare("GET", path, {"x-api-key": f"bad{n}"}) for n in range(10)]
        assert [answer.status for answer in answers[:3]] == [403] * 3
        over = [answer for answer in answers if answer.status != 403]
        assert len(over) >= 5
        for answer in over:
            assert answer.problem == (429, "too_many_requests")
            assert answer.headers["retry-after"] == "1"
        valid = [client.send("GET", path).status for _ in range(5)]
        assert 429 in valid
        assert client.send_bare("GET", "/health", {}).status == 200
    finally:
        served.close()
