"""`dandyroll upload` and `show`, against a real server."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests import pictures
from tests.local.served_home import ServedHome, free_port, open_served_home
from tests.local.test_cli import dandyroll

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    with open_served_home(tmp_path_factory.mktemp("upload"), workers=1) as served:
        yield served


class Person:
    """Runs commands with a key of their own and a home folder of their own."""

    def __init__(self, served: ServedHome, home: Path, owner: str) -> None:
        key = served.create_key(owner, frozenset({"read", "write"}), int(time.time()) + 600)
        self.environment = {
            **{"PATH": os.environ["PATH"], "HOME": str(home)},
            **{"DANDYROLL_URL": served.url, "DANDYROLL_KEY": key},
        }

    def run(self, *arguments: str | Path) -> Done:
        return dandyroll(*arguments, **self.environment)

    def upload(self, *arguments: str | Path) -> list[dict[str, Any]]:
        """What `upload --json` says of each file, in the order of their names."""
        done = self.run("upload", "--json", *arguments)
        outcomes = [json.loads(line) for line in done.stdout.splitlines()]
        failed = any(outcome["state"] == "failed" for outcome in outcomes)
        assert done.returncode == int(failed), done.stderr
        return sorted(outcomes, key=lambda outcome: str(outcome["path"]))


@pytest.fixture
def person(served: ServedHome, tmp_path: Path, request: pytest.FixtureRequest) -> Person:
    return Person(served, tmp_path / "home", f"p{abs(hash(request.node.name)) % 10**9}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(pictures.jpeg(2000, 1000))
    (folder / "sub" / "b.png").write_bytes(pictures.png())
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_a_folder_goes_up_and_its_renditions_come_down(
    person: Person, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = person.run("upload", folder, "--out", out, "--concurrency", "2")
    assert done.returncode == 0, done.stderr
    assert "2 uploaded, 0 failed" in done.stderr
    lines = [line.split("  ") for line in sorted(done.stdout.splitlines(), key=lambda x: x[-5:])]
    assert [(line[1], line[2]) for line in lines] == [
        ("processed", str(folder / "a.jpg")),
        ("processed", str(folder / "sub" / "b.png")),
    ]
    with Image.open(out / "a.jpg") as a, Image.open(out / "sub" / "b.png") as b:
        assert (a.size, b.mode) == ((1280, 640), "RGBA")
    assert sum(path.is_file() for path in out.rglob("*")) == 2


def test_a_rerun_uploads_nothing_twice(
    served: ServedHome, person: Person, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = person.upload(folder, "--out", out)
    assert [outcome["state"] for outcome in first] == ["uploaded", "uploaded"]
    (folder / "c.jpg").write_bytes(pictures.jpeg())
    (out / "a.jpg").unlink()
    kept = (out / "sub" / "b.png").stat()
    again = person.upload(folder, "--out", out)
    assert [outcome["state"] for outcome in again] == ["present", "uploaded", "present"]
    assert [again[0]["image-id"], again[2]["image-id"]] == [o["image-id"] for o in first]
    assert (out / "a.jpg").exists() and (out / "c.jpg").exists()
    assert (out / "sub" / "b.png").stat().st_mtime_ns == kept.st_mtime_ns  # not fetched again


def test_without_its_record_a_rerun_is_still_no_second_image(
    person: Person, folder: Path, tmp_path: Path
) -> None:
    first = person.upload(folder, "--record", tmp_path / "record")
    again = person.upload(folder, "--record", tmp_path / "another")
    assert [o["state"] for o in again] == ["uploaded", "uploaded"]
    assert [o["image-id"] for o in again] == [o["image-id"] for o in first]


def test_a_record_is_believed_only_as_far_as_the_server_agrees(
    served: ServedHome, person: Person, folder: Path, tmp_path: Path
) -> None:
    record = tmp_path / "record"
    first = person.upload(folder / "a.jpg", "--record", record)
    other = Person(served, tmp_path, "someoneelse")
    assert other.upload(folder / "a.jpg", "--record", record)[0]["state"] == "uploaded"
    assert person.upload(folder / "a.jpg", "--record", record)[0]["state"] == "present"
    wrong = record.read_text().replace(first[0]["image-id"], "upload-gone.jpg")
    record.write_text(wrong)
    assert person.upload(folder / "a.jpg", "--record", record)[0]["state"] == "uploaded"


def test_two_names_of_one_content_are_one_image(person: Person, folder: Path) -> None:
    (folder / "copy.jpg").write_bytes((folder / "a.jpg").read_bytes())
    a, copy, _ = person.upload(folder)
    assert a["image-id"] == copy["image-id"]


def test_what_fails_is_told_and_the_rest_is_done(
    person: Person, folder: Path, tmp_path: Path
) -> None:
    (folder / "bad.jpg").write_bytes(b"no picture")
    (folder / "broken.png").write_bytes(pictures.broken_png())
    done = person.run("upload", folder, tmp_path / "missing.jpg", "--wait")
    assert done.returncode == 1
    assert f"{folder / 'bad.jpg'}: unsupported_format:" in done.stderr
    assert f"{folder / 'broken.png'}: image_failed: Not processed: corrupt_image" in done.stderr
    assert f"{tmp_path / 'missing.jpg'}: file: No such file" in done.stderr
    assert "2 uploaded, 3 failed" in done.stderr
    assert len(done.stdout.splitlines()) == 2
    bad = person.upload(folder / "bad.jpg")[0]
    assert (bad["state"], bad["code"]) == ("failed", "unsupported_format")
    assert bad["message"] and bad["trace_id"]


def test_of_two_files_that_would_be_one_neither_is_lost(
    person: Person, folder: Path, tmp_path: Path
) -> None:
    both = folder / "a.jpg", folder / "sub" / "a.jpg"
    both[1].write_bytes(pictures.jpeg(seed=9))
    first, second = person.upload(*both, "--out", tmp_path / "out")
    assert (first["state"], second["code"]) == ("uploaded", "same_name")
    assert [o["state"] for o in person.upload(*both)] == ["present", "uploaded"]


def test_show_tells_the_row(person: Person, folder: Path) -> None:
    image_id = person.upload(folder / "a.jpg", "--wait")[0]["image-id"]
    shown = person.run("show", image_id)
    assert (json.loads(shown.stdout)["status"], shown.returncode) == ("processed", 0)
    assert shown.stdout.count("\n") > 10
    as_json = person.run("show", image_id, "--json").stdout
    assert as_json.count("\n") == 1
    assert json.loads(as_json) == json.loads(shown.stdout)
    missing = person.run("show", "nothing.jpg")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr == "dandyroll: nothing.jpg: not_found: No image has that name.\n"


def test_a_server_that_is_not_there_is_told(person: Person, folder: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = person.run("show", "a.jpg", "--url", url)
    assert done.returncode == 1
    assert f"{url} did not answer" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["URL", "KEY"])
def test_url_and_key_must_be_known(person: Person, folder: Path, name: str) -> None:
    del person.environment[f"DANDYROLL_{name}"]
    done = person.run("upload", folder)
    assert done.returncode == 2
    assert f"DANDYROLL_{name}: expected it to be set, or --{name.lower()} given." in done.stderr
