"""The sweep: what it adopts, what it removes, and what it never touches."""

import logging
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dandyroll.errors import Conflict, CorruptImage, NotFound
from dandyroll.intake import ADOPTED_OWNER, adopt, awaited_row
from dandyroll.keys import original_key, rendition_key
from dandyroll.local.database import Database
from dandyroll.local.sweep import Sweep, Swept
from dandyroll.models import Claim
from dandyroll.pipeline import record_failure
from tests import pictures
from tests.contract.client import Client
from tests.local.kept_home import accept, findings, open_kept_home, process_all, put_file
from tests.local.served_home import ServedHome

ONE, TWO = "upload-20261123_120000-00000001.jpg", "upload-20261123_120000-00000002.jpg"
DAY_S = 86_400


def test_a_file_put_into_the_folder_is_adopted_and_processed(tmp_path: Path) -> None:
    with open_kept_home(tmp_path) as upkeep:
        put_file(upkeep, "uploaded/from-the-scanner.jpg", pictures.jpeg())
        assert Sweep(upkeep)() == Swept(adopted=1)
        row = upkeep.catalogue.get("from-the-scanner.jpg")
        assert (row.status, row.owner) == ("uploaded", ADOPTED_OWNER)
        process_all(upkeep)
        assert upkeep.catalogue.get("from-the-scanner.jpg").status == "processed"
        assert findings(upkeep) == []
        assert Sweep(upkeep)() == Swept()


def test_an_adoption_that_broke_off_is_finished(tmp_path: Path) -> None:
    with open_kept_home(tmp_path) as upkeep:
        put_file(upkeep, original_key(ONE), pictures.jpeg(400, 300))
        adopt(upkeep.home, original_key(ONE), "trace")  # and there it ended
        assert upkeep.catalogue.get(ONE).status == "awaiting"
        assert Sweep(upkeep)().adopted == 1
        assert upkeep.catalogue.get(ONE).status == "uploaded"


def test_an_upload_that_a_retry_may_finish_is_left_to_it(tmp_path: Path) -> None:
    with open_kept_home(tmp_path) as upkeep:
        data, now = pictures.jpeg(400, 300), int(time.time())
        put_file(upkeep, original_key(ONE), data)
        claim = Claim("shop", "key", "holder", "sha", ONE, now, now + DAY_S)
        upkeep.catalogue.claim(claim, now)
        assert Sweep(upkeep)() == Swept()
        assert findings(upkeep) == []
        accept(upkeep, ONE, data)  # the retry
        assert upkeep.catalogue.get(ONE).owner == "shop"


def test_what_cannot_be_adopted_stays_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_kept_home(tmp_path) as upkeep, caplog.at_level(logging.WARNING):
        files = [
            put_file(upkeep, "uploaded/notes.txt", b"not a picture"),
            put_file(upkeep, "uploaded/a b.jpg", pictures.jpeg(40, 30)),
            put_file(upkeep, "uploaded/folder/b.jpg", pictures.jpeg(40, 30)),
        ]
        sweep = Sweep(upkeep)
        for _ in range(3):
            assert sweep() == Swept(unreadable=3)
        assert len(caplog.records) == 3
        assert all(file.exists() for file in files)


def test_no_link_or_pipe_is_taken_for_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere.jpg"
    secret.write_bytes(pictures.jpeg(40, 30))
    with open_kept_home(tmp_path / "data") as upkeep:
        folder = put_file(upkeep, "uploaded/a.jpg", pictures.jpeg(40, 30)).parent
        (folder / "link.jpg").symlink_to(secret)
        os.mkfifo(folder / "pipe.jpg")
        assert Sweep(upkeep)() == Swept(adopted=1)
        with pytest.raises(NotFound):
            upkeep.catalogue.get("link.jpg")


def test_what_is_young_is_left_alone_whatever_its_time_of_modification(tmp_path: Path) -> None:
    with open_kept_home(tmp_path, sweep_min_age_s=600) as upkeep:
        files = [
            put_file(upkeep, "uploaded/a.jpg", pictures.jpeg(40, 30)),
            put_file(upkeep, f"FINAL-IMAGES/{TWO}", b"being made"),
            upkeep.objects.path("uploaded").parent / ".tmp" / "being-written",
        ]
        files[2].write_bytes(b"half")
        for file in files:
            os.utime(file, (0, 0))  # as a copy that keeps times would set it
        assert Sweep(upkeep)() == Swept()
        assert all(file.exists() for file in files)


def test_rubbish_is_removed(tmp_path: Path) -> None:
    with open_kept_home(tmp_path) as upkeep:
        accept(upkeep, ONE, pictures.jpeg(400, 300))
        process_all(upkeep)
        (upkeep.objects.path("uploaded").parent / ".tmp" / "left").write_bytes(b"half")
        put_file(upkeep, rendition_key(TWO), b"ownerless")
        now = int(time.time())
        for key, lifetime_s in (("old", -1), ("new", 60)):
            claim = Claim("shop", key, "h", "sha", ONE, now, now + lifetime_s)
            upkeep.catalogue.claim(claim, now - DAY_S)
        assert Sweep(upkeep)() == Swept(temporary_files=1, renditions=1, claims=1)
        assert upkeep.objects.get(original_key(ONE))
        assert upkeep.objects.get(rendition_key(ONE))


def age(database: Database, image_id: str, days: int) -> None:
    sql = 'UPDATE "image-metadata" SET uploaded_at = ? WHERE "image-id" = ?'
    bindings = (int(time.time()) - days * DAY_S, image_id)
    database.write(lambda connection: connection.execute(sql, bindings))


@pytest.mark.parametrize(
    ("setting", "gone"),
    [
        ("keep_processed_days", {"old.jpg"}),
        ("keep_failed_days", {"old.png"}),
    ],
)
def test_images_are_kept_as_long_as_the_settings_say(
    tmp_path: Path, setting: str, gone: set[str]
) -> None:
    with open_kept_home(tmp_path, **{setting: 30}) as upkeep:
        for name in ("old", "new"):
            accept(upkeep, f"{name}.jpg", pictures.jpeg(40, 30))
        process_all(upkeep)
        for name in ("old", "new"):
            accept(upkeep, f"{name}.png", pictures.png(40, 30))
            record_failure(f"{name}.png", CorruptImage("No."), upkeep.catalogue)
        accept(upkeep, "waiting.jpg", pictures.jpeg(40, 30))
        for image_id in ("old.jpg", "old.png", "waiting.jpg"):
            age(upkeep.database, image_id, 31)
        for image_id in ("new.jpg", "new.png"):
            age(upkeep.database, image_id, 29)
        assert Sweep(upkeep)() == Swept(expired_images=1)
        left = {"old.jpg", "new.jpg", "old.png", "new.png", "waiting.jpg"} - gone
        kept = [key.removeprefix("uploaded/") for key in upkeep.objects.list("uploaded/")]
        assert set(kept) == left
        assert findings(upkeep) == []


def test_an_original_can_go_before_its_rendition(tmp_path: Path) -> None:
    with open_kept_home(tmp_path, keep_originals_days=30) as upkeep:
        accept(upkeep, ONE, pictures.jpeg(40, 30))
        accept(upkeep, TWO, pictures.jpeg(40, 30))
        process_all(upkeep)
        age(upkeep.database, ONE, 31)
        assert Sweep(upkeep)() == Swept(expired_originals=1)
        assert upkeep.catalogue.get(ONE).original_deleted_at is not None
        assert list(upkeep.objects.list("uploaded/")) == [original_key(TWO)]
        assert upkeep.objects.get(rendition_key(ONE))
        assert findings(upkeep) == []
        assert Sweep(upkeep)() == Swept()
        put_file(upkeep, original_key(ONE), b"as a crash between row and file leaves it")
        assert Sweep(upkeep)() == Swept(expired_originals=1)


def test_an_original_that_was_there_before_is_never_deleted(tmp_path: Path) -> None:
    """Two requests that finish the same upload: the second is refused and takes nothing along."""
    with open_kept_home(tmp_path) as upkeep:
        data = pictures.jpeg(40, 30)
        accept(upkeep, ONE, data)
        with pytest.raises(Conflict):
            accept(upkeep, ONE, data)
        assert upkeep.objects.get(original_key(ONE)) == data


def test_the_server_sweeps_when_it_starts_and_again(tmp_path: Path) -> None:
    served = ServedHome(tmp_path, workers=1)
    try:
        admin = Client.new(served, frozenset({"read", "admin"}))
        folder = tmp_path / "objects" / "uploaded"
        folder.mkdir(parents=True)
        (folder / "before.jpg").write_bytes(pictures.jpeg(400, 300))
        settings = {"DANDYROLL_SWEEP_EVERY_S": "1", "DANDYROLL_SWEEP_MIN_AGE_S": "0"}
        served.start(**settings, DANDYROLL_KEEP_ORIGINALS_DAYS="1")
        for name in ("before.jpg", "after.jpg"):
            (folder / "after.jpg").write_bytes(pictures.jpeg(400, 300, seed=2))
            deadline_s = time.monotonic() + 30
            while admin.send("GET", f"/get-image-metadata/{name}").status == 404:
                assert time.monotonic() < deadline_s
            assert admin.processed(name).status == 200
        client = Client.new(served)
        old, new = (client.upload(pictures.jpeg(400, 300, seed)) for seed in (3, 4))
        assert client.processed(old).status == client.processed(new).status == 200
        age(served.database, old, 2)
        while client.original(old).status == 200:
            assert time.monotonic() < deadline_s + 30
        assert client.original(old).problem == (404, "not_found")
        assert client.processed(old).status == 200
        assert client.original(new).status == 200
    finally:
        served.close()


def test_tickets_whose_time_is_up_are_settled(tmp_path: Path) -> None:
    with open_kept_home(tmp_path) as upkeep:
        data = pictures.jpeg(400, 300)
        empty, filled, rubbish, fresh = (
            awaited_row(upkeep.home, "image/jpeg", len(data), "shop", "trace") for _ in range(4)
        )
        for row in (empty, filled, rubbish):
            upkeep.catalogue.create(replace(row, uploaded_at=row.uploaded_at - 3_600))
        upkeep.catalogue.create(fresh)
        put_file(upkeep, original_key(filled.image_id), data)
        put_file(upkeep, original_key(rubbish.image_id), b"This is no picture.")
        assert Sweep(upkeep)().tickets == 3
        with pytest.raises(NotFound):
            upkeep.catalogue.get(empty.image_id)
        assert upkeep.catalogue.get(fresh.image_id).status == "awaiting"
        failed = upkeep.catalogue.get(rubbish.image_id)
        assert (failed.status, failed.error and failed.error["code"]) == (
            "failed",
            "unsupported_format",
        )
        process_all(upkeep)
        done = upkeep.catalogue.get(filled.image_id)
        assert (done.status, done.width) == ("processed", 400)
        assert findings(upkeep) == []
