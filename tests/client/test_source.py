"""What can be uploaded, and that what is sent is what was measured."""

import hashlib
import io
from pathlib import Path

import pytest

from dandyroll import SourceChanged, measure
from tests import pictures


def test_bytes_paths_and_files_are_read_alike_and_again(tmp_path: Path) -> None:
    data = pictures.jpeg() * 3
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with path.open("rb") as file:
        for what in (data, path, str(path), file, io.BytesIO(data)):
            source = measure(what)
            assert (source.size_bytes, source.content_type) == (len(data), "image/jpeg")
            assert source.sha256 == hashlib.sha256(data).hexdigest()
            assert b"".join(source.chunks()) == b"".join(source.chunks()) == data
        assert not file.closed


def test_a_file_is_read_from_where_it_stands() -> None:
    file = io.BytesIO(b"head" + pictures.png())
    file.seek(4)
    source = measure(file)
    assert b"".join(source.chunks()) == b"".join(source.chunks()) == pictures.png()


def test_the_type_is_told_by_the_bytes_then_by_the_name(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(pictures.webp())
    (tmp_path / "b.svg").write_bytes(b"<svg/>")
    (tmp_path / "c").write_bytes(b"?")
    types = [measure(tmp_path / name).content_type for name in ("a.jpg", "b.svg", "c")]
    assert types == ["image/webp", "image/svg+xml", "application/octet-stream"]
    assert measure(b"?", "image/gif").content_type == "image/gif"


@pytest.mark.parametrize("what", [io.StringIO("text"), iter([b"x"]), 7])
def test_what_cannot_be_read_twice_is_refused(what: object) -> None:
    with pytest.raises(TypeError, match="Expected bytes, a path or a binary file"):
        measure(what)  # type: ignore[arg-type] # that is the test


@pytest.mark.parametrize("after", [b"shorter", b"as long!!", b""])
def test_a_file_that_changed_is_never_sent_whole(tmp_path: Path, after: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"as before")
    source = measure(path)
    path.write_bytes(after)
    sent = b""
    with pytest.raises(SourceChanged, match=r"a\.jpg"):
        for chunk in source.chunks():
            sent += chunk
    assert len(sent) < source.size_bytes


def test_of_a_file_that_grew_what_was_measured_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one")
    source = measure(path)
    path.write_bytes(b"one, two")
    assert b"".join(source.chunks()) == b"one"


def test_an_empty_file_is_sent_for_the_server_to_refuse(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.touch()
    assert b"".join(measure(path).chunks()) == b""
