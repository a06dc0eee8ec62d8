"""Copying from home to home, whatever the homes: here two folders, which are the fast ones."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dandyroll.api.delete_image import remove_image
from dandyroll.copying import copy_images as copying
from dandyroll.copying.copy_images import Outcome, copy_images
from dandyroll.copying.room import Room
from dandyroll.errors import StoreUnavailable
from dandyroll.fingerprint import Fingerprint
from dandyroll.keys import original_key, rendition_key
from dandyroll.local.copying import open_source, open_target
from dandyroll.local.quota import Quota, quota_of, set_quota
from dandyroll.local.retention import forget_original
from dandyroll.local.sweep import Sweep, Swept
from dandyroll.local.upkeep import Upkeep
from dandyroll.ports import Home
from dandyroll.settings import BadSetting, Settings
from tests import pictures
from tests.local.kept_home import accept, findings, open_kept_home
from tests.local.moving import contents, fill, refuse, settle, watched

MOST_BYTES = 100_000_000
ONE = "upload-20261123_120000-000000aa.jpg"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_WAITS_S", (0, 0))
    monkeypatch.setattr(copying, "_DELETED_WITHIN_S", (0, 0))


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Upkeep]:
    with open_kept_home(tmp_path / "source") as upkeep:
        yield upkeep


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Upkeep]:
    with open_kept_home(tmp_path / "target") as upkeep:
        yield upkeep


def copied(source: Home, target: Home, *, write: bool = True) -> list[Outcome]:
    return list(copy_images(source, target, MOST_BYTES, write=write))


def states(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(outcome.state for outcome in outcomes)


def test_all_there_is_arrives_byte_for_byte(source: Upkeep, target: Upkeep) -> None:
    ids = fill(source, 24)
    refuse(source, "unread.png", b"no picture", "")
    refuse(source, "unfilled.png", b"", None)
    assert states(copied(source.home, target.home)) == {"copied": 26}
    found = contents(target.home)
    assert found == contents(source.home)
    assert found.keys() == {*ids, "unread.png", "unfilled.png"}
    kinds = Counter((row["status"], bool(one), bool(two)) for row, one, two in found.values())
    assert kinds == {
        ("processed", True, True): 19,
        ("processed", False, True): 2,
        ("failed", True, False): 4,
        ("failed", False, False): 1,
    }
    assert findings(target) == []
    assert states(copied(source.home, target.home, write=False)) == {"present": 26}


def test_the_second_time_nothing_is_written(source: Upkeep, target: Upkeep) -> None:
    fill(source, 12)
    writes: list[str] = []
    watching = watched(target.home, before=lambda name, _: writes.append(name))
    assert states(copied(source.home, watching)) == {"copied": 12}
    assert Counter(writes)["move_in"] == 12
    writes.clear()
    assert states(copied(source.home, watching)) == {"present": 12}
    assert writes == []


def test_to_look_writes_nothing(source: Upkeep, target: Upkeep) -> None:
    fill(source, 3)
    writes: list[str] = []
    watching = watched(target.home, before=lambda name, _: writes.append(name))
    assert states(copied(source.home, watching, write=False)) == {"missing": 3}
    assert writes == []
    assert contents(target.home) == {}


class BrokenOff(Exception):
    """As `kill -9` would: nothing of ours comes after it."""


WRITES = 4 * 3 - 2  # of four images: rendition, row, original; one has failed, one has no original


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("nth", range(1, WRITES + 1))
def test_broken_off_anywhere_it_goes_on(
    source: Upkeep, target: Upkeep, moment: str, nth: int
) -> None:
    ids = fill(source, 4)
    forget_original(source, ids[0], 1)
    left = threading.Semaphore(nth - 1)

    def break_off(name: str, argument: Any) -> None:
        if not left.acquire(blocking=False):
            raise BrokenOff

    with pytest.raises(BrokenOff):
        copied(source.home, watched(target.home, **{moment: break_off}))
    for row, _, rendition in contents(target.home).values():
        assert row["status"] != "processed" or rendition, "a row before its rendition"
    for key in target.objects.list("uploaded/"):
        target.catalogue.get(key.removeprefix("uploaded/"))  # no original before its row
    assert states(copied(source.home, target.home)).keys() <= {"copied", "present"}
    assert contents(target.home) == contents(source.home)
    assert findings(target) == []


def test_a_sweep_in_between_starts_nothing(source: Upkeep, target: Upkeep) -> None:
    fill(source, 3)
    left = threading.Semaphore(4)

    def break_off(name: str, argument: Any) -> None:
        if not left.acquire(blocking=False):
            raise BrokenOff

    with pytest.raises(BrokenOff):
        copied(source.home, watched(target.home, before=break_off))
    swept = Sweep(target)()
    assert replace(swept, renditions=0) == Swept()  # a rendition without a row yet is sent again
    copied(source.home, target.home)
    assert contents(target.home) == contents(source.home)
    assert Sweep(target)() == Swept()


def test_copied_images_have_no_job_and_no_event(source: Upkeep, target: Upkeep) -> None:
    fill(source, 5)
    copied(source.home, target.home)
    read = target.database.read()
    assert read.execute("SELECT count(*) FROM job").get == 0
    assert read.execute("SELECT count(*) FROM event").get == 0


def test_copied_bytes_count_but_are_no_uploads(source: Upkeep, target: Upkeep) -> None:
    for number in range(4):
        settle(source, accept(source, f"a{number}.png", pictures.png(8, 8, seed=number)))
    accept(target, "b.png", pictures.png(9, 9))
    set_quota(target.database, "shop", 2, 100)
    before = quota_of(target.database, "shop")
    assert states(copied(source.home, target.home)) == {"copied": 4}
    after = quota_of(target.database, "shop")
    brought = quota_of(source.database, "shop").stored_bytes
    assert after == replace(before, stored_bytes=before.stored_bytes + brought)
    assert (after.uploads, after.stored_bytes > 100) == (1, True)
    remove_image(target.home, "a0.png")
    assert quota_of(target.database, "shop").stored_bytes < after.stored_bytes
    assert quota_of(target.database, "nobody") == Quota()


def test_what_the_target_has_besides_stays(source: Upkeep, target: Upkeep) -> None:
    ids = fill(source, 2)
    settle(target, accept(target, ONE, pictures.jpeg(90, 60)))
    own = contents(target.home)
    assert states(copied(source.home, target.home)) == {"copied": 2}
    found = contents(target.home)
    assert found == own | contents(source.home)
    assert found.keys() == {*ids, ONE}


def test_another_image_of_that_name_is_told_and_left(source: Upkeep, target: Upkeep) -> None:
    settle(source, accept(source, ONE, pictures.jpeg(90, 60)))
    settle(target, accept(target, ONE, pictures.jpeg(60, 90)))
    fill(source, 2)
    before = contents(target.home)
    for write in (True, False):
        outcomes = {o.image_id: o for o in copied(source.home, target.home, write=write)}
        assert (outcomes[ONE].state, outcomes[ONE].code) == ("failed", "conflict")
        assert "height" in outcomes[ONE].message and "sha256" in outcomes[ONE].message
    assert contents(target.home)[ONE] == before[ONE]
    assert len(contents(target.home)) == 3


@pytest.mark.parametrize("key", [original_key(ONE), rendition_key(ONE)])
@pytest.mark.parametrize("has_row", [True, False])
def test_other_bytes_under_its_key_are_told_and_left(
    source: Upkeep, target: Upkeep, key: str, has_row: bool
) -> None:
    settle(source, accept(source, ONE, pictures.jpeg(90, 60)))
    if has_row:
        copied(source.home, target.home)
    other = bytes(len(source.objects.get(key)))
    target.objects.put(key, other, "image/jpeg")
    for write in (True, False):
        (outcome,) = copied(source.home, target.home, write=write)
        assert (outcome.state, outcome.code) == ("failed", "conflict")
        assert key in outcome.message
    assert target.objects.get(key) == other
    assert (ONE in contents(target.home)) is has_row


def test_a_lost_object_of_the_target_is_sent_again(source: Upkeep, target: Upkeep) -> None:
    settle(source, accept(source, ONE, pictures.jpeg(90, 60)))
    copied(source.home, target.home)
    for key in (original_key(ONE), rendition_key(ONE)):
        target.objects.delete(key)
        assert states(copied(source.home, target.home, write=False)) == {"missing": 1}
        assert states(copied(source.home, target.home)) == {"copied": 1}
    assert contents(target.home) == contents(source.home)


@pytest.mark.parametrize("key", [original_key(ONE), rendition_key(ONE)])
@pytest.mark.parametrize("was_copied", [True, False])
def test_damage_at_the_source_is_told_and_not_copied(
    source: Upkeep, target: Upkeep, key: str, was_copied: bool
) -> None:
    settle(source, accept(source, ONE, pictures.jpeg(90, 60)))
    if was_copied:
        copied(source.home, target.home)
    before = contents(target.home)
    path = source.objects.path(key)
    path.write_bytes(b"\0" * path.stat().st_size)
    (outcome,) = copied(source.home, target.home)
    assert (outcome.state, outcome.code) == ("failed", "source_changed")
    path.unlink()
    for write in (True, False):  # to look tells the same
        (outcome,) = copied(source.home, target.home, write=write)
        assert (outcome.state, outcome.code) == ("failed", "source_lost")
    assert contents(target.home) == before


def test_damage_that_both_have_is_told(source: Upkeep, target: Upkeep) -> None:
    settle(source, accept(source, ONE, pictures.jpeg(90, 60)))
    copied(source.home, target.home)
    for home in (source, target):
        home.objects.put(original_key(ONE), b"the same, but another", "image/jpeg")
    (outcome,) = copied(source.home, target.home, write=False)
    assert (outcome.state, outcome.code) == ("failed", "source_changed")


def test_what_is_not_settled_stays_and_is_told(source: Upkeep, target: Upkeep) -> None:
    accept(source, ONE, pictures.jpeg(90, 60))
    ticket = replace(source.catalogue.get(ONE), image_id="t.png", status="awaiting", sha256=None)
    source.catalogue.create(ticket)
    outcomes = {o.image_id: o for o in copied(source.home, target.home)}
    assert {id_: o.state for id_, o in outcomes.items()} == {ONE: "unsettled", "t.png": "awaiting"}
    assert "uploaded" in outcomes[ONE].message
    assert contents(target.home) == {}
    assert list(target.objects.list("uploaded/")) == []
    settle(source, source.catalogue.get(ONE))
    assert states(copied(source.home, target.home)) == {"copied": 1, "awaiting": 1}


def test_a_policy_nobody_knows_is_told(source: Upkeep, target: Upkeep) -> None:
    row = settle(source, accept(source, ONE, pictures.jpeg(90, 60)))
    source.catalogue.delete(ONE)
    source.catalogue.move_in(replace(row, policy="policy-of-tomorrow"))
    (outcome,) = copied(source.home, target.home)
    assert (outcome.state, outcome.code) == ("failed", "unknown_policy")
    assert "policy-of-tomorrow" in outcome.message
    assert contents(target.home) == {}


@pytest.mark.parametrize("at", ["put", "move_in"])
def test_what_the_source_deletes_meanwhile_stays_deleted(
    source: Upkeep, target: Upkeep, at: str
) -> None:
    settle(source, accept(source, ONE, pictures.jpeg(90, 60)))

    def delete(name: str, argument: Any) -> None:
        if name == at:
            remove_image(source.home, ONE)

    assert states(copied(source.home, watched(target.home, before=delete))) == {"deleted": 1}
    assert contents(target.home) == {}
    assert [*target.objects.list("uploaded/"), *target.objects.list("FINAL-IMAGES/")] == []


def test_retention_on_either_side_is_no_difference(source: Upkeep, target: Upkeep) -> None:
    ids = fill(source, 2)
    copied(source.home, target.home)
    forget_original(source, ids[0], 1)
    forget_original(target, ids[1], 2)
    assert states(copied(source.home, target.home)) == {"present": 2}
    kept = {id_: bool(original) for id_, (_, original, _) in contents(target.home).items()}
    assert kept == {ids[0]: True, ids[1]: False}


def test_what_is_too_large_is_told(source: Upkeep, target: Upkeep) -> None:
    settle(source, accept(source, ONE, pictures.jpeg(90, 60)))
    for write in (True, False):
        (outcome,) = copy_images(source.home, target.home, 100, write=write)
        assert (outcome.state, outcome.code) == ("failed", "too_large")
        assert "DANDYROLL_MAX_UPLOAD_BYTES" in outcome.message
    assert contents(target.home) == {}


def test_a_store_that_does_not_answer_for_a_moment_is_waited_for(
    source: Upkeep, target: Upkeep
) -> None:
    fill(source, 4)
    failures = threading.Semaphore(2)

    def fail(name: str, argument: Any) -> None:
        if failures.acquire(blocking=False):
            raise StoreUnavailable("Not now.", retry_after_s=1)

    found = states(copied(source.home, watched(target.home, after=fail)))
    assert found["copied"] + found["present"] == 4  # what was written may not have been answered
    assert contents(target.home) == contents(source.home)


def test_a_store_that_is_away_ends_it(source: Upkeep, target: Upkeep) -> None:
    for number in range(30):
        settle(source, accept(source, f"a{number}.png", pictures.png(8, 8, seed=number)))

    def fail(name: str, argument: Any) -> None:
        raise StoreUnavailable("Gone.", retry_after_s=1)

    seen: list[Outcome] = []
    with pytest.raises(StoreUnavailable, match=r"Gone\. So for 10 images in a row"):
        for outcome in copy_images(source.home, watched(target.home, before=fail), MOST_BYTES):
            seen.append(outcome)
    assert {outcome.code for outcome in seen} == {"store_unavailable"}
    assert len(seen) == 10


def test_who_ends_it_does_not_await_what_waits_to_try_again(
    source: Upkeep, target: Upkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_WAITS_S", (60,))
    ids = fill(source, 2)

    def fail(name: str, argument: Any) -> None:
        if name == "put" and str(argument).endswith(ids[1]):
            raise StoreUnavailable("Not this one.", retry_after_s=1)

    outcomes = iter(copy_images(source.home, watched(target.home, before=fail), MOST_BYTES))
    assert next(outcomes).image_id == ids[0]
    begun_s = time.monotonic()
    del outcomes  # as Ctrl-C does
    assert time.monotonic() - begun_s < 20


def test_a_lost_object_is_not_waited_for(
    source: Upkeep, target: Upkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_WAITS_S", (60,))
    settle(source, accept(source, ONE, pictures.jpeg(90, 60)))
    source.objects.delete(original_key(ONE))
    begun_s = time.monotonic()
    (outcome,) = copied(source.home, target.home)
    assert (outcome.state, outcome.code) == ("failed", "source_lost")
    assert time.monotonic() - begun_s < 20


def test_one_image_that_cannot_be_had_does_not_keep_the_others(
    source: Upkeep, target: Upkeep
) -> None:
    ids = fill(source, 6)

    def fail(name: str, argument: Any) -> None:
        if name == "put" and str(argument).endswith(ids[2]):
            raise StoreUnavailable("Not this one.", retry_after_s=1)

    outcomes = copied(source.home, watched(target.home, before=fail))
    assert states(outcomes) == {"copied": 5, "failed": 1}
    assert states(copied(source.home, target.home)) == {"present": 5, "copied": 1}


def test_where_no_hash_tells_the_bytes_do(source: Upkeep, target: Upkeep) -> None:
    fill(source, 2)
    copied(source.home, target.home)

    class Sealed:
        """A store that hashes something else than the bytes, as S3 under a KMS key."""

        def __getattr__(self, name: str) -> Any:
            return getattr(target.objects, name)

        def fingerprint(self, key: str) -> Fingerprint:
            return replace(target.objects.fingerprint(key), md5="0" * 32, sha256=None)

    sealed = replace(target.home, objects=Sealed())
    assert states(copied(source.home, sealed)) == {"present": 2}
    key = next(iter(target.objects.list("FINAL-IMAGES/")))
    target.objects.put(key, bytes(target.objects.fingerprint(key).size_bytes), "image/png")
    assert states(copied(source.home, sealed)) == {"present": 1, "failed": 1}


def test_no_more_is_held_at_once_than_there_is_room() -> None:
    room, held, most = Room(10), 0, 0
    lock = threading.Lock()

    def take(size_bytes: int) -> None:
        nonlocal held, most
        with room.hold(size_bytes):
            with lock:
                held += min(size_bytes, 10)
                most = max(most, held)
            with lock:
                held -= min(size_bytes, 10)

    threads = [threading.Thread(target=take, args=(n,)) for n in (4, 9, 25, 1, 10, 6, 0, 3) * 20]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most <= 10 and held == 0


def test_the_folder_to_copy_from_must_be_one(tmp_path: Path) -> None:
    folder = Settings(data_dir=tmp_path / "nothing")
    with pytest.raises(BadSetting, match=r"expected a catalogue\.db"), open_source(folder):
        pass
    assert not (tmp_path / "nothing").exists()


def test_the_folder_to_copy_to_is_new_empty_or_ours(tmp_path: Path) -> None:
    holiday = tmp_path / "holiday"
    holiday.mkdir()
    (holiday / "me.jpg").write_bytes(b"")
    folder = Settings(data_dir=holiday)
    with pytest.raises(BadSetting, match="data folder, or a new or empty one"), open_target(folder):
        pass
    new = tmp_path / "new"
    with open_target(Settings(data_dir=new), write=False) as home:
        assert contents(home) == {}
    assert not new.exists()
    new.mkdir()
    (new / "dandyroll.toml").write_text("port = 9000\n")
    for port in (8000, 9000):  # the second time it is ours
        with open_target(Settings(data_dir=new, port=port)) as home:
            url = f"http://127.0.0.1:{port}/get-image-metadata/a.png"
            assert home.s3_url("a.png") == url
    with open_target(Settings(data_dir=new, public_url="https://x.example/")) as home:
        assert home.s3_url("a.png") == "https://x.example/get-image-metadata/a.png"


def test_a_store_that_keeps_other_bytes_than_it_was_sent_is_found_out(
    source: Upkeep, target: Upkeep
) -> None:
    settle(source, accept(source, ONE, pictures.jpeg(90, 60)))

    def spoil(name: str, argument: Any) -> None:
        if name == "put" and argument == original_key(ONE):
            path = target.objects.path(argument)
            path.write_bytes(bytes(path.stat().st_size))

    (outcome,) = copied(source.home, watched(target.home, after=spoil))
    assert (outcome.state, outcome.code) == ("failed", "conflict")
    assert "than were sent" in outcome.message


def test_a_catalogue_that_keeps_another_row_than_it_was_sent_is_found_out(
    source: Upkeep, target: Upkeep
) -> None:
    settle(source, accept(source, ONE, pictures.jpeg(90, 60)))

    def spoil(name: str, argument: Any) -> None:
        if name == "move_in":
            sql = "UPDATE \"image-metadata\" SET row = json_set(row, '$.mode', 'L')"
            target.database.write(lambda connection: connection.execute(sql))

    (outcome,) = copied(source.home, watched(target.home, after=spoil))
    assert (outcome.state, outcome.code) == ("failed", "conflict")
    assert "differs in mode" in outcome.message


@pytest.mark.parametrize("key", [original_key(ONE), rendition_key(ONE)])
@pytest.mark.parametrize("same", [True, False])
def test_who_writes_the_same_object_meanwhile_is_not_overwritten(
    source: Upkeep, target: Upkeep, key: str, same: bool
) -> None:
    settle(source, accept(source, ONE, pictures.jpeg(90, 60)))
    data = source.objects.get(key) if same else b"another's"

    def be_quicker(name: str, argument: Any) -> None:
        if name == "put" and argument == key:
            target.objects.put(key, data, "image/jpeg")

    (outcome,) = copied(source.home, watched(target.home, before=be_quicker))
    assert outcome.state == ("copied" if same else "failed")
    assert target.objects.get(key) == data


@pytest.mark.parametrize("same", [True, False])
def test_who_writes_the_same_row_meanwhile_is_not_overwritten(
    source: Upkeep, target: Upkeep, same: bool
) -> None:
    row = settle(source, accept(source, ONE, pictures.jpeg(90, 60)))
    theirs = row if same else replace(row, owner="else")

    def be_quicker(name: str, argument: Any) -> None:
        if name == "move_in":
            target.catalogue.move_in(theirs)

    (outcome,) = copied(source.home, watched(target.home, before=be_quicker))
    assert outcome.state == ("copied" if same else "failed")
    assert target.catalogue.get(ONE) == theirs
