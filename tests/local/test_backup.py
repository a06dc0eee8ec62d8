"""Backup and restore: whole, consistent beside a running server, and proven by `verify`."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest

from dandyroll.api.delete_image import remove_image
from dandyroll.errors import StoreUnavailable
from dandyroll.keys import original_key, rendition_key
from dandyroll.local import backup as backup_module
from dandyroll.local.backup import NOTE, backup
from dandyroll.local.restore import restore
from dandyroll.local.upkeep import Upkeep
from dandyroll.models import Row
from dandyroll.settings import BadSetting
from tests import pictures
from tests.contract.client import Client
from tests.contract.invariant import assert_invariant
from tests.local.kept_home import accept, findings, open_kept_home, process_all
from tests.local.served_home import ServedHome, open_served_home
from tests.local.test_cli import dandyroll

NAMES = ["backup", "backup.tar"]
ONE, TWO = "upload-20261123_120000-00000001.jpg", "upload-20261123_120000-00000002.jpg"


@pytest.fixture
def upkeep(tmp_path: Path) -> Iterator[Upkeep]:
    """Two processed images, in `data`."""
    with open_kept_home(tmp_path / "data") as upkeep:
        for seed, image_id in enumerate((ONE, TWO)):
            accept(upkeep, image_id, pictures.jpeg(600, 400, seed))
        process_all(upkeep)
        yield upkeep


def test_a_backup_taken_under_load_is_restored_whole(tmp_path: Path) -> None:
    """Four clients upload while it runs; what was accepted before it began is in it."""
    names = ["first", "second.tar", "third"]  # so that one meets every stage of an upload
    uploaded: dict[str, bytes] = {}
    enough, done = threading.Event(), threading.Event()
    with open_served_home(tmp_path / "data") as served:
        client = Client.new(served)

        def upload_until_done(thread: int) -> None:
            number = 0
            while not done.is_set():
                body = pictures.jpeg(200, 100, seed=1000 * thread + number)
                uploaded[client.upload(body)] = body
                number += 1
                if len(uploaded) > 20:
                    enough.set()

        with ThreadPoolExecutor(4) as threads:
            running = [threads.submit(upload_until_done, thread) for thread in range(4)]
            try:
                assert enough.wait(60)
                before = dict(uploaded)
                for name in names:
                    images = backup(tmp_path / "data", tmp_path / name).images
                    assert images >= len(before)
                during = len(uploaded) - len(before)
            finally:
                done.set()
            for future in running:
                future.result()
    assert during > 0, "nothing was uploaded while the backups ran"
    for name in names:
        restored = tmp_path / f"restored-{name}"
        back = dandyroll("restore", "--from", tmp_path / name, "--data", restored)
        assert back.returncode == 0, back.stdout + back.stderr
        verified = dandyroll("verify", "--data", restored, DANDYROLL_SWEEP_MIN_AGE_S="0")
        assert verified.returncode == 0, verified.stdout
        assert "0 findings" in verified.stdout
    with open_served_home(tmp_path / "restored-first") as again:
        for image_id, body in before.items():  # the same keys open it, what was waiting is done
            there = Client(again, client.owner, client.key)
            assert assert_invariant(there, image_id, body) == "processed"


@pytest.mark.parametrize("name", NAMES)
def test_what_was_not_processed_yet_is_processed_after_the_restore(
    tmp_path: Path, upkeep: Upkeep, name: str
) -> None:
    accept(upkeep, "waiting.jpg", pictures.jpeg(40, 30))
    backup(tmp_path / "data", tmp_path / name)
    assert restore(tmp_path / name, tmp_path / "new").findings == ()
    with open_kept_home(tmp_path / "new") as restored:
        process_all(restored)
        assert restored.catalogue.get("waiting.jpg").status == "processed"
        assert findings(restored) == []
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("name", NAMES)
def test_an_image_deleted_while_the_backup_runs_is_not_in_it(
    tmp_path: Path, upkeep: Upkeep, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete_once_its_original_is_copied(upkeep, monkeypatch)
    made = backup(tmp_path / "data", tmp_path / name)
    assert (made.images, made.damaged) == (1, ())
    done = restore(tmp_path / name, tmp_path / "new")
    assert (done.images, done.findings) == (1, ())
    with open_kept_home(tmp_path / "new") as restored:
        assert findings(restored) == []
        assert list(restored.objects.list("uploaded/")) == [original_key(TWO)]


def delete_once_its_original_is_copied(upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch) -> None:
    named = backup_module._named

    def delete_between(row: Row) -> Iterator[tuple[str, int, str, bool]]:
        first, *rest = named(row)
        yield first
        if row.image_id == ONE:
            remove_image(upkeep.home, ONE)
        yield from rest

    monkeypatch.setattr(backup_module, "_named", delete_between)


def test_a_rendition_that_changes_while_the_backup_runs_is_taken_as_it_is_then(
    tmp_path: Path, upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = backup_module._copy_catalogue

    def then_render_anew(source: Path, target: Path) -> apsw.Connection:
        live = copy(source, target)
        upkeep.objects.put(rendition_key(ONE), b"rendered anew", "image/jpeg")
        facts = {"size_bytes": 13, "etag": hashlib.sha256(b"rendered anew").hexdigest()}
        sql = """UPDATE "image-metadata" SET row = json_set(row, '$.processed.size_bytes', ?,
                 '$.processed.etag', ?) WHERE "image-id" = ?"""
        bindings = (facts["size_bytes"], facts["etag"], ONE)
        upkeep.database.write(lambda connection: connection.execute(sql, bindings))
        return live

    monkeypatch.setattr(backup_module, "_copy_catalogue", then_render_anew)
    assert backup(tmp_path / "data", tmp_path / "backup").damaged == ()
    assert restore(tmp_path / "backup", tmp_path / "new").findings == ()
    with open_kept_home(tmp_path / "new") as restored:
        assert restored.objects.get(rendition_key(ONE)) == b"rendered anew"


@pytest.mark.parametrize("name", NAMES)
def test_damage_is_told_and_the_rest_is_kept(tmp_path: Path, upkeep: Upkeep, name: str) -> None:
    upkeep.objects.path(original_key(ONE)).unlink()
    made = dandyroll("backup", "--data", tmp_path / "data", "--to", tmp_path / name)
    assert made.returncode == 1
    assert f"not whole before the backup: {ONE}" in made.stdout
    back = dandyroll("restore", "--from", tmp_path / name, "--data", tmp_path / "new")
    assert back.returncode == 1
    assert f"original-missing  {ONE}" in back.stdout
    with open_kept_home(tmp_path / "new") as restored:
        assert restored.objects.get(rendition_key(ONE))
        assert restored.objects.get(original_key(TWO))


def test_damage_to_the_backup_itself_is_told(tmp_path: Path, upkeep: Upkeep) -> None:
    backup(tmp_path / "data", tmp_path / "backup")
    (tmp_path / "backup" / "objects" / original_key(ONE)).write_bytes(b"rot")
    found = restore(tmp_path / "backup", tmp_path / "new").findings
    assert [(finding.kind, finding.what) for finding in found] == [("original-changed", ONE)]


def test_unchanged_objects_are_linked_from_the_previous_backup(
    tmp_path: Path, upkeep: Upkeep
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    backup(tmp_path / "data", first)
    (first / "objects" / original_key(TWO)).write_bytes(b"rot in the old backup")
    backup(tmp_path / "data", second, first)
    one, two = (Path("objects", original_key(image_id)) for image_id in (ONE, TWO))
    assert (first / one).samefile(second / one)
    assert not (first / two).samefile(second / two)
    assert restore(second, tmp_path / "new").findings == ()


@pytest.mark.parametrize("name", NAMES)
def test_others_cannot_read_it(tmp_path: Path, upkeep: Upkeep, name: str) -> None:
    backup(tmp_path / "data", tmp_path / name)
    assert (tmp_path / name).stat().st_mode & 0o077 == 0


def test_the_settings_file_in_the_folder_comes_along(tmp_path: Path, upkeep: Upkeep) -> None:
    (tmp_path / "data" / "dandyroll.toml").write_text("port = 9000\n")
    backup(tmp_path / "data", tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "new")
    assert (tmp_path / "new" / "dandyroll.toml").read_text() == "port = 9000\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_backup_that_breaks_off_leaves_nothing(
    tmp_path: Path, upkeep: Upkeep, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        backup(tmp_path / "data", tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_what_a_killed_backup_left_is_removed_by_the_next(tmp_path: Path, upkeep: Upkeep) -> None:
    script = f"""
import os, signal
from pathlib import Path
from dandyroll.local import backup as b
b._note = lambda done: os.kill(os.getpid(), signal.SIGKILL)
b.backup(Path({str(tmp_path / "data")!r}), Path({str(tmp_path / "backup")!r}))
"""
    killed = subprocess.run([sys.executable, "-c", script])
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "backup").exists()
    assert len(list(tmp_path.glob(".backup.*"))) == 1
    backup(tmp_path / "data", tmp_path / "backup")
    assert not list(tmp_path.glob(".backup.*"))


def test_what_is_asked_wrongly_is_refused(tmp_path: Path, upkeep: Upkeep) -> None:
    data, taken = tmp_path / "data", tmp_path / "taken"
    taken.mkdir()
    (taken / "file").write_text("")
    with pytest.raises(BadSetting, match="expected a catalogue"):
        backup(tmp_path / "nothing", tmp_path / "backup")
    with pytest.raises(BadSetting, match="expected a name that is free"):
        backup(data, taken)
    with pytest.raises(BadSetting, match="expected a place outside"):
        backup(data, data / "objects" / "uploaded" / "backup")
    with pytest.raises(BadSetting, match=r"--previous .*expected a backup folder"):
        backup(data, tmp_path / "backup", taken)
    with pytest.raises(BadSetting, match="expected a new or empty folder"):
        restore(taken, data)
    with pytest.raises(BadSetting, match="there is no such backup"):
        restore(tmp_path / "nothing", tmp_path / "new")
    with pytest.raises(BadSetting, match="expected a backup of ours"):
        restore(taken, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_tar_file_cut_short_is_refused(tmp_path: Path, upkeep: Upkeep) -> None:
    backup(tmp_path / "data", tmp_path / "whole.tar")
    data = (tmp_path / "whole.tar").read_bytes()
    for number, length in enumerate((len(data) // 3, len(data) // 2, 100, 0)):
        cut = tmp_path / f"cut-{number}.tar"
        cut.write_bytes(data[:length])
        with pytest.raises(BadSetting, match="expected a whole backup"):
            restore(cut, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "objects/../../escaped", "other"])
def test_a_tar_file_cannot_write_elsewhere(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        member = tarfile.TarInfo(name)
        tar.addfile(member)
    with pytest.raises(BadSetting, match="expected a backup of ours"):
        restore(tmp_path / "evil.tar", tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.tar"]


def test_a_backup_of_a_stopped_servers_folder(tmp_path: Path) -> None:
    served = ServedHome(tmp_path / "data", workers=1)
    served.start()
    client, body = Client.new(served), pictures.jpeg()
    image_id = client.upload(body)
    client.processed(image_id)
    served.close()
    made = backup(tmp_path / "data", tmp_path / "backup")
    assert (made.images, made.objects) == (1, 2)
    note = json.loads((tmp_path / "backup" / NOTE).read_text())
    assert (note["format"], note["images"]) == (1, 1)
