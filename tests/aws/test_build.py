"""The zip that is shipped: the same bytes from the same inputs, small, and what was tested."""

import platform
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy import build as builder
from deploy.build import BUILD, MAX_ZIP_BYTES, build
from tests.aws.emulator import PARAMETERS

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

PYTHON = "3.13"
HOST_PYTHON = platform.python_version().rpartition(".")[0]


def names(zip_file: Path) -> set[str]:
    """The zip's files, without what says for which machine and Python they are."""
    found = zipfile.ZipFile(zip_file).namelist()
    assert len(found) == len(set(found))
    machines = re.compile(r"cpython-3\d+-\w+-linux-gnu|(?<=libvips)-[0-9a-f]{8}")
    return {machines.sub("", name) for name in found}


def test_the_same_sources_make_the_same_bytes(tmp_path: Path) -> None:
    first = build(HOST_PYTHON, "host", tmp_path / "first.zip")
    (tmp_path / "elsewhere").mkdir()
    second = build(HOST_PYTHON, "host", tmp_path / "elsewhere" / "second.zip")
    assert first.read_bytes() == second.read_bytes()


def test_what_is_tested_is_what_is_shipped(emulated_home: "EmulatedHome", tmp_path: Path) -> None:
    shipped = build(PYTHON, PARAMETERS["Architecture"], tmp_path / "shipped.zip")
    tested = BUILD / "functions-emulator.zip"  # emulated_home has been deployed from it
    assert names(tested) - names(shipped) == {"bootstrap"}
    assert names(shipped) <= names(tested)


def test_the_zip_holds_what_the_functions_need_and_no_server(tmp_path: Path) -> None:
    found = names(build(HOST_PYTHON, "host", tmp_path / "functions.zip"))
    tops = {name.partition("/")[0] for name in found}
    assert {"dandyroll", "pyvips", "obstore"} <= tops
    assert not {name for name in found if name.startswith(("dandyroll/local/", "dandyroll/web/"))}
    assert not {name for name in found if "__pycache__" in name}
    assert not tops & {"boto3", "botocore", "starlette", "apsw", "PIL", "bin"}


def test_a_zip_that_grew_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder, "MAX_ZIP_BYTES", 1_000)
    with pytest.raises(ValueError, match="Expected at most 1000 bytes; got"):
        build(HOST_PYTHON, "host", tmp_path / "functions.zip")


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["arm64", "x86_64"])
def test_both_architectures_are_built_anew_to_the_same_bytes(
    arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for place in ("one", "two"):  # each fetches and builds its own dependencies
        monkeypatch.setattr(builder, "BUILD", tmp_path / place)
        made.append(build(PYTHON, arch, tmp_path / place / "functions.zip").read_bytes())
    assert made[0] == made[1]
    assert len(made[0]) <= MAX_ZIP_BYTES
    machine = {"arm64": b"aarch64", "x86_64": b"x86_64"}[arch]
    (compiled,) = (
        name.encode()
        for name in zipfile.ZipFile(tmp_path / "one" / "functions.zip").namelist()
        if name.startswith("_cffi_backend")
    )
    assert machine in compiled
