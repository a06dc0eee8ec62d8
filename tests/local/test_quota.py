"""Quotas: exact in every transaction, whoever races for the last place."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from dandyroll.errors import Conflict, DandyrollError, QuotaExceeded, StorageQuotaExceeded
from dandyroll.keys import original_key
from dandyroll.local.accept import accept
from dandyroll.local.catalogue import SqliteCatalogue
from dandyroll.local.database import Database
from dandyroll.local.objects import FileObjectStore
from dandyroll.local.queue import Queue
from dandyroll.local.quota import quota_of, set_quota
from dandyroll.models import Changes, Row
from tests import pictures
from tests.contract.client import Client
from tests.local.served_home import ServedHome

DAY_S = 86_400
NOON = 20_000 * DAY_S + DAY_S // 2


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "catalogue.db")
    yield opened
    opened.close()


def row(number: int, size_bytes: int = 100, at: int = NOON, owner: str = "shop") -> Row:
    return Row(
        image_id=f"upload-{number}.jpg",
        bucket="local",
        content_type="image/jpeg",
        created_date="2026-11-23T12:00:00.000Z",
        height=1,
        image_format="JPEG",
        s3_url="http://127.0.0.1/",
        size_bytes=size_bytes,
        uploaded_at=at,
        width=1,
        owner=owner,
        sha256=f"{number:064}",
        policy="policy-1",
        status="awaiting",
    )


def test_uploads_of_a_day_are_counted_to_midnight(database: Database) -> None:
    catalogue = SqliteCatalogue(database)
    set_quota(database, "shop", 2, None)
    for number in range(2):
        catalogue.create(row(number))
    with pytest.raises(QuotaExceeded, match="at most 2 uploads a day") as raised:
        catalogue.create(row(2))
    assert raised.value.retry_after_s == DAY_S // 2
    with pytest.raises(QuotaExceeded):
        catalogue.create(row(2, at=NOON - DAY_S))  # a clock set back wins nothing
    catalogue.create(row(3, owner="other"))
    midnight = NOON + DAY_S // 2
    with pytest.raises(QuotaExceeded):
        catalogue.create(row(2, at=midnight - 1))
    catalogue.create(row(2, at=midnight))
    assert quota_of(database, "shop").uploads == 1


def test_stored_bytes_follow_the_rows(database: Database) -> None:
    catalogue = SqliteCatalogue(database)
    set_quota(database, "shop", None, 250)
    catalogue.create(row(0))
    catalogue.create(row(1))
    with pytest.raises(
        StorageQuotaExceeded, match=r"at most 250 bytes; there are 200, .* 100 more"
    ):
        catalogue.create(row(2))
    catalogue.create(row(3, size_bytes=50))
    _remove(database, row(0))
    assert quota_of(database, "shop").stored_bytes == 150
    catalogue.create(row(4))
    catalogue.advance(row(4).image_id, "failed", Changes(error={"code": "x", "message": "x"}))
    assert quota_of(database, "shop").stored_bytes == 250
    _resize(database, row(4), 40)
    assert quota_of(database, "shop").stored_bytes == 190


def test_a_deleted_image_gives_back_no_upload(database: Database) -> None:
    catalogue = SqliteCatalogue(database)
    set_quota(database, "shop", 1, None)
    catalogue.create(row(0))
    _remove(database, row(0))
    with pytest.raises(QuotaExceeded):
        catalogue.create(row(1))


def test_the_same_upload_again_is_not_counted_again(database: Database) -> None:
    catalogue = SqliteCatalogue(database)
    set_quota(database, "shop", 1, 100)
    catalogue.create(row(0))
    catalogue.create(row(0))
    assert quota_of(database, "shop").uploads == 1


def test_limits_are_set_and_taken_away(database: Database) -> None:
    set_quota(database, "shop", 5, 1_000)
    set_quota(database, "shop", None, 0)
    quota = quota_of(database, "shop")
    assert (quota.max_uploads_per_day, quota.max_stored_bytes) == (5, None)
    assert quota_of(database, "nobody").max_stored_bytes is None


def test_racing_uploads_cannot_exceed_a_quota(database: Database, tmp_path: Path) -> None:
    """The object is written before the row: what is refused leaves neither."""
    objects, catalogue = FileObjectStore(tmp_path / "objects"), SqliteCatalogue(database)
    put = partial(accept, objects, catalogue, Queue(database))
    set_quota(database, "shop", 20, None)
    set_quota(database, "press", None, 700)

    def attempt(number: int) -> str:
        try:
            put(row(number, owner="shop" if number % 2 else "press"), bytes(100))
        except DandyrollError as error:
            return error.code
        return "accepted"

    with ThreadPoolExecutor(16) as threads:
        outcomes = list(threads.map(attempt, range(80)))
    assert outcomes[1::2].count("accepted") == 20
    assert outcomes[1::2].count("quota_exceeded") == 20
    assert outcomes[0::2].count("accepted") == 7
    assert outcomes[0::2].count("storage_quota_exceeded") == 33
    accepted = {f"uploaded/upload-{n}.jpg" for n, says in enumerate(outcomes) if says == "accepted"}
    assert set(objects.list("")) == accepted


def test_a_slow_try_of_the_same_upload_does_not_remove_its_original(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease ran out, a retry took over and was accepted: both hold the same bytes."""
    objects, catalogue = FileObjectStore(tmp_path / "objects"), SqliteCatalogue(database)
    queue, first = Queue(database), row(1)
    write = objects.put

    def overtaken(*arguments: object, **more: object) -> None:
        monkeypatch.setattr(objects, "put", write)
        objects.put(original_key(first.image_id), b"picture", "image/jpeg")
        accept(objects, catalogue, queue, first, b"picture")

    monkeypatch.setattr(objects, "put", overtaken)
    with pytest.raises(Conflict):
        accept(objects, catalogue, queue, first, b"picture")
    assert objects.get(original_key(first.image_id)) == b"picture"


def test_clients_are_told_which_quota_and_until_when(tmp_path: Path) -> None:
    served, body = ServedHome(tmp_path, workers=1), pictures.jpeg()
    try:
        served.start()
        daily, full = Client.new(served), Client.new(served)
        set_quota(served.database, daily.owner, 1, None)
        set_quota(served.database, full.owner, None, len(body))
        daily.upload(body, Idempotency_Key="one")
        daily.upload(body, Idempotency_Key="one")
        answer = daily.send("POST", "/upload", body)
        assert answer.problem == (429, "quota_exceeded")
        assert 0 < int(answer.headers["retry-after"]) <= DAY_S
        image_id = full.upload(body)
        answer = full.send("POST", "/upload", body)
        assert answer.problem == (403, "storage_quota_exceeded")
        assert "retry-after" not in answer.headers
        assert full.processed(image_id).status == 200  # reading is not limited
        second_key = Client.new(served, owner=full.owner)
        assert second_key.send("POST", "/upload", body).problem == (403, "storage_quota_exceeded")
        assert len(list((tmp_path / "objects" / "uploaded").iterdir())) == 2
    finally:
        served.close()


def _remove(database: Database, gone: Row) -> None:
    sql = 'DELETE FROM "image-metadata" WHERE "image-id" = ?'
    database.write(lambda connection: connection.execute(sql, (gone.image_id,)))


def _resize(database: Database, changed: Row, size_bytes: int) -> None:
    sql = """UPDATE "image-metadata" SET row = json_set(row, '$.size_bytes', ?)
        WHERE "image-id" = ?"""
    bindings = (size_bytes, changed.image_id)
    database.write(lambda connection: connection.execute(sql, bindings))
