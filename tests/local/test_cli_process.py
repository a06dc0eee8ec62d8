"""`dandyroll process` a second time: what is done is not done again, what changed is."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dandyroll.local import process as module
from dandyroll.local.made import JOURNAL, Made, sha256_of
from dandyroll.local.process import find_pictures, plan, process
from dandyroll.settings import Settings
from tests import pictures
from tests.local.test_cli import dandyroll


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "a.png").write_bytes(pictures.png(seed=1))
    (tmp_path / "in" / "sub" / "b.png").write_bytes(pictures.png(seed=2))
    (tmp_path / "in" / "c.png").write_bytes(pictures.broken_png())
    return tmp_path


def run(folder: Path, *more: str) -> dict[str, dict[str, Any]]:
    """Each outcome by the name of its source."""
    done = dandyroll("process", folder / "in", "--out", folder / "out", "--json", *more)
    assert done.returncode == 1, done.stderr  # c.png is broken
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    return {Path(outcome["source"]).name: outcome for outcome in outcomes}


def states(outcomes: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: outcome["state"] for name, outcome in outcomes.items()}


def test_a_rerun_makes_what_failed_or_changed_and_nothing_else(folder: Path) -> None:
    first = run(folder)
    assert states(first) == {"a.png": "processed", "b.png": "processed", "c.png": "failed"}
    assert first["c.png"]["code"] == "corrupt_image"
    assert first["b.png"]["target"] == str(folder / "out" / "sub" / "b.png")
    again = {"a.png": "skipped", "b.png": "skipped", "c.png": "failed"}
    assert states(run(folder)) == again
    source = folder / "in" / "a.png"
    times = source.stat()
    source.write_bytes(pictures.png(seed=3))
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))  # dates tell nothing
    assert states(run(folder)) == {**again, "a.png": "processed"}
    assert states(run(folder, "--force")) == states(first)
    source.write_bytes(pictures.png(seed=1))  # as it was before: the last line counts
    assert states(run(folder)) == {**again, "a.png": "processed"}


@pytest.mark.parametrize("harm", ["edited", "cut off", "deleted"])
def test_a_target_that_is_not_what_was_made_is_made_again(folder: Path, harm: str) -> None:
    run(folder)
    target = folder / "out" / "a.png"
    good = target.read_bytes()
    if harm == "deleted":
        target.unlink()
    else:
        target.write_bytes(good[:-1] if harm == "cut off" else good[:-1] + b"x")
    assert states(run(folder))["a.png"] == "processed"
    assert target.read_bytes() == good


def test_another_policy_makes_all_again(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"made")
    Made(tmp_path, "policy-1").add(target, "source")
    assert Made(tmp_path, "policy-1").has(target, "source")
    assert not Made(tmp_path, "policy-2").has(target, "source")
    assert not Made(tmp_path, "policy-1").has(target, "another source")
    assert not Made(tmp_path, "policy-1").has(tmp_path / "b.png", "source")


def test_a_journal_that_a_crash_cut_off_costs_one_picture(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
        Made(tmp_path, "policy").add(tmp_path / name, f"source of {name}")
    journal = tmp_path / JOURNAL
    journal.write_bytes(journal.read_bytes()[:-9])
    assert Made(tmp_path, "policy").has(tmp_path / "a", "source of a")
    assert not Made(tmp_path, "policy").has(tmp_path / "b", "source of b")
    Made(tmp_path, "policy").add(tmp_path / "b", "source of b")
    assert Made(tmp_path, "policy").has(tmp_path / "b", "source of b")


def test_an_output_folder_inside_the_source_is_not_processed_itself(folder: Path) -> None:
    out = folder / "in" / "out"
    for expected in ("processed", "skipped"):
        done = dandyroll("process", folder / "in", "--out", out, "--json")
        found = [json.loads(line) for line in done.stdout.splitlines()]
        assert sorted(outcome["state"] for outcome in found) == sorted(["failed", *[expected] * 2])
    assert not (out / "out").exists()


def test_a_folder_as_its_own_output_is_refused(folder: Path) -> None:
    done = dandyroll("process", folder / "in", "--out", folder / "in")
    assert done.returncode == 1
    assert done.stderr.count("would_overwrite") == 3


def test_stopped_half_way_it_goes_on_where_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "in" / "c.png").unlink()
    out = folder / "out"
    outcomes = process(plan([folder / "in"], out), out, Settings(workers=1))
    first = next(outcomes)
    outcomes.close()  # what Ctrl-C comes to
    made = Made(out, module.DEFAULT.id)
    assert made.has(first.target, sha256_of(first.source))
    rest = list(process(plan([folder / "in"], out), out, Settings(workers=1)))
    assert {outcome.source.name: outcome.state for outcome in rest}[first.source.name] == "skipped"


def test_only_pictures_are_found_in_folders(folder: Path) -> None:
    (folder / "in" / "notes.txt").write_text("no picture")
    found = [name.as_posix() for _, name in find_pictures([folder / "in"], None)]
    assert found == ["a.png", "c.png", "sub/b.png"]


def test_a_name_that_is_no_text_is_a_name(folder: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(folder / "in") + b"/\xff.png"))
    odd.write_bytes(pictures.png(seed=4))
    assert states(run(folder))["\udcff.png"] == "processed"
    assert states(run(folder))["\udcff.png"] == "skipped"
    odd.write_bytes(b"no picture")
    done = dandyroll("process", folder / "in", "--out", folder / "out")
    assert r"\udcff.png: unsupported_format" in done.stderr


def test_a_rendition_is_named_as_it_is(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    with Image.open(io.BytesIO(pictures.jpeg(400, 300))) as image:
        image.save(source / "scan.tiff")
    (source / "really.jpg").write_bytes(pictures.png())
    for state in ("processed", "skipped"):
        done = dandyroll("process", source, "--out", out, "--json")
        assert done.returncode == 0, done.stderr
        outcomes = [json.loads(line) for line in done.stdout.splitlines()]
        assert {outcome["state"] for outcome in outcomes} == {state}
        names = {Path(outcome["target"]).name for outcome in outcomes}
        assert names == {"scan.tiff.jpg", "really.jpg.png"}
    assert sorted(p.name for p in out.iterdir() if p.name != JOURNAL) == sorted(names)
    (source / "scan.tiff.jpg").write_bytes(pictures.jpeg(40, 30))
    again = dandyroll("process", source, "--out", tmp_path / "other", "--json")
    assert "same_name" in again.stdout


def test_no_source_and_no_strangers_file_is_overwritten(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for folder, seed in ((a, 1), (b, 2)):
        folder.mkdir()
        (folder / "x.jpg").write_bytes(pictures.jpeg(40, 30, seed))
    done = dandyroll("process", a, b, "--out", a, "--json")
    assert done.stdout.count("would_overwrite") == 2
    assert (a / "x.jpg").read_bytes() == pictures.jpeg(40, 30, 1)
    out = tmp_path / "out"
    out.mkdir()
    (out / "x.jpg").write_bytes(b"somebody's")
    assert "target_exists" in dandyroll("process", a, "--out", out, "--json").stdout
    assert (out / "x.jpg").read_bytes() == b"somebody's"
    assert dandyroll("process", a, "--out", out, "--force").returncode == 0
    assert (out / "x.jpg").read_bytes()[:2] == b"\xff\xd8"
