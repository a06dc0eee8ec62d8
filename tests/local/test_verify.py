"""`verify`: each thing that can be wrong is found, told, and repaired where it can be."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dandyroll.keys import original_key, rendition_key
from dandyroll.local.queue import add_job, remove_job
from dandyroll.local.retention import forget_original
from dandyroll.local.upkeep import Upkeep
from dandyroll.pipeline import first_job
from tests import pictures
from tests.contract.client import Client
from tests.local.kept_home import accept, findings, kinds, open_kept_home, process_all, put_file
from tests.local.served_home import ServedHome
from tests.local.test_cli import dandyroll

ONE, TWO = "upload-20261123_120000-00000001.jpg", "upload-20261123_120000-00000002.jpg"


def lose_original(upkeep: Upkeep) -> None:
    upkeep.objects.path(original_key(ONE)).unlink()


def cut_original(upkeep: Upkeep) -> None:
    upkeep.objects.path(original_key(ONE)).write_bytes(pictures.jpeg()[:-1])


def flip_a_bit_of_original(upkeep: Upkeep) -> None:
    data = bytearray(pictures.jpeg())
    data[-100] ^= 1
    upkeep.objects.path(original_key(ONE)).write_bytes(data)


def lose_rendition(upkeep: Upkeep) -> None:
    upkeep.objects.path(rendition_key(ONE)).unlink()


def change_rendition(upkeep: Upkeep) -> None:
    upkeep.objects.path(rendition_key(ONE)).write_bytes(b"another")


def lose_job(upkeep: Upkeep) -> None:
    accept(upkeep, TWO, pictures.jpeg(400, 300))
    upkeep.database.write(lambda connection: remove_job(connection, TWO))


def lose_row_of_job(upkeep: Upkeep) -> None:
    job = first_job(replace(upkeep.catalogue.get(ONE), image_id=TWO))
    upkeep.database.write(lambda connection: add_job(connection, job))


def orphan_original(upkeep: Upkeep) -> None:
    put_file(upkeep, f"uploaded/{TWO}", pictures.jpeg(400, 300))


def orphan_rendition(upkeep: Upkeep) -> None:
    put_file(upkeep, f"FINAL-IMAGES/small/{TWO}", b"a rendition")


def temporary_file(upkeep: Upkeep) -> None:
    (upkeep.objects.path("uploaded").parent / ".tmp" / "123-abc").write_bytes(b"half")


def original_left(upkeep: Upkeep) -> None:
    data = upkeep.objects.get(original_key(ONE))
    forget_original(upkeep, ONE, 1)
    put_file(upkeep, original_key(ONE), data)


Break = Callable[[Upkeep], None]

REPAIRED: list[tuple[Break, str]] = [
    (lose_rendition, "rendition-missing"),
    (change_rendition, "rendition-changed"),
    (lose_job, "job-missing"),
    (lose_row_of_job, "job-ownerless"),
    (orphan_original, "original-ownerless"),
    (orphan_rendition, "rendition-ownerless"),
    (temporary_file, "temporary-file"),
    (original_left, "original-left"),
]

LEFT: list[tuple[Break, str]] = [
    (lose_original, "original-missing"),
    (cut_original, "original-changed"),
    (flip_a_bit_of_original, "original-changed"),
]


@pytest.mark.parametrize(("spoil", "kind"), REPAIRED)
def test_what_can_be_repaired_is(tmp_path: Path, spoil: Break, kind: str) -> None:
    with open_kept_home(tmp_path) as upkeep:
        accept(upkeep, ONE, pictures.jpeg())
        process_all(upkeep)
        before = upkeep.catalogue.get(ONE)
        assert findings(upkeep) == []
        spoil(upkeep)
        assert kinds(upkeep) == [kind]  # to look changes nothing
        assert [(found.kind, bool(found.repaired)) for found in findings(upkeep, repair=True)] == [
            (kind, True)
        ]
        process_all(upkeep)
        assert findings(upkeep) == []
        assert upkeep.catalogue.get(ONE).processed == before.processed


@pytest.mark.parametrize(("spoil", "kind"), LEFT)
def test_a_lost_original_is_told_and_its_rendition_kept(
    tmp_path: Path, spoil: Break, kind: str
) -> None:
    with open_kept_home(tmp_path) as upkeep:
        accept(upkeep, ONE, pictures.jpeg())
        process_all(upkeep)
        spoil(upkeep)
        found = findings(upkeep, repair=True)
        assert [(f.kind, f.what, f.repaired) for f in found] == [(kind, ONE, None)]
        assert upkeep.catalogue.get(ONE).status == "processed"
        assert upkeep.objects.get(rendition_key(ONE))


def test_a_lost_rendition_without_its_original_is_not_given_a_job(tmp_path: Path) -> None:
    with open_kept_home(tmp_path) as upkeep:
        accept(upkeep, ONE, pictures.jpeg())
        process_all(upkeep)
        lose_original(upkeep)
        lose_rendition(upkeep)
        found = findings(upkeep, repair=True)
        assert [(f.kind, f.repaired) for f in found] == [
            ("original-missing", None),
            ("rendition-missing", None),
        ]
        assert upkeep.catalogue.get(ONE).status == "processed"


def test_what_is_no_image_is_told_and_left(tmp_path: Path) -> None:
    with open_kept_home(tmp_path) as upkeep:
        text = put_file(upkeep, "uploaded/notes.txt", b"not a picture")
        name = put_file(upkeep, "uploaded/a b.jpg", pictures.jpeg(40, 30))
        found = findings(upkeep, repair=True)
        assert sorted((f.kind, f.what, f.repaired) for f in found) == [
            ("original-misnamed", "uploaded/a b.jpg", None),
            ("original-ownerless", "uploaded/notes.txt", None),
        ]
        assert "unsupported_format" in "".join(f.says for f in found)
        assert text.exists() and name.exists()


def test_what_is_younger_than_a_write_may_take_is_passed_over(tmp_path: Path) -> None:
    with open_kept_home(tmp_path, sweep_min_age_s=600) as upkeep:
        for spoil in (orphan_original, orphan_rendition, temporary_file):
            put_file(upkeep, "uploaded/x.jpg", b"")
            spoil(upkeep)
        assert findings(upkeep, repair=True) == []


def test_a_damaged_catalogue_is_told(tmp_path: Path) -> None:
    with open_kept_home(tmp_path) as upkeep:
        for number in range(300):
            accept(upkeep, f"a{number}.png", pictures.png(8, 8, seed=number))
    path = tmp_path / "catalogue.db"
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = bytes(4096)
    path.write_bytes(data)
    done = dandyroll("verify", "--data", tmp_path, "--json")
    assert done.returncode == 1, done.stderr
    found = {finding["kind"] for finding in json.loads(done.stdout)["findings"]}
    assert "catalogue-damaged" in found


def test_a_catalogue_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "catalogue.db").write_bytes(b"this is no database" * 1000)
    done = dandyroll("verify", "--data", tmp_path)
    assert done.returncode == 1, done.stderr
    assert "catalogue-damaged" in done.stdout


def test_a_row_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with open_kept_home(tmp_path) as upkeep:
        accept(upkeep, ONE, pictures.jpeg(40, 30))
        sql = 'UPDATE "image-metadata" SET row = ?'
        upkeep.database.write(lambda connection: connection.execute(sql, ('{"image-id": "x"}',)))
        assert kinds(upkeep, repair=True) == ["row-unreadable"]


def test_the_command_says_what_it_found_in_words_json_and_its_exit_code(tmp_path: Path) -> None:
    with open_kept_home(tmp_path) as upkeep:
        accept(upkeep, ONE, pictures.jpeg())
        process_all(upkeep)
        lose_original(upkeep)
    done = dandyroll("verify", "--data", tmp_path)
    assert done.returncode == 1
    assert f"original-missing  {ONE}: expected" in done.stdout
    assert "1 findings, 0 repaired, 1 left" in done.stdout
    document = json.loads(dandyroll("verify", "--data", tmp_path, "--json").stdout)
    assert document["ok"] is False
    assert document["findings"][0]["kind"] == "original-missing"
    with open_kept_home(tmp_path) as upkeep:
        put_file(upkeep, original_key(ONE), pictures.jpeg())
        lose_rendition(upkeep)
    assert dandyroll("verify", "--data", tmp_path).returncode == 1
    assert dandyroll("verify", "--data", tmp_path, "--repair").returncode == 0


def test_there_must_be_something_to_verify(tmp_path: Path) -> None:
    done = dandyroll("verify", "--data", tmp_path / "nothing")
    assert done.returncode == 2
    assert "expected a catalogue.db" in done.stderr
    assert not (tmp_path / "nothing").exists()


def test_a_lost_rendition_is_made_again_by_the_running_server(tmp_path: Path) -> None:
    served = ServedHome(tmp_path, workers=1)
    try:
        client = Client.new(served)
        served.start(DANDYROLL_SWEEP_EVERY_S="1")
        image_id = client.upload(pictures.jpeg())
        body = client.processed(image_id).body
        (tmp_path / "objects" / rendition_key(image_id)).unlink()
        assert dandyroll("verify", "--data", tmp_path, "--repair").returncode == 0
        assert client.processed(image_id).body == body
        assert dandyroll("verify", "--data", tmp_path).returncode == 0
    finally:
        served.close()
