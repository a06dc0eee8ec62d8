"""The corpus comes out as it did when somebody last looked at it."""

from pathlib import Path

import pytest

from tests.imaging import goldens


@pytest.mark.parametrize("name", sorted(goldens.sources()))
def test_golden(name: str) -> None:
    assert goldens.complaint(name) is None


def test_no_golden_without_a_source() -> None:
    wanted = {goldens.path_of(name, goldens.render(name)[0]) for name in goldens.sources()}
    assert set(goldens.FOLDER.iterdir()) == wanted


def test_a_missing_golden_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(goldens, "FOLDER", tmp_path)
    complaint = goldens.complaint("png")
    assert complaint is not None
    assert "missing" in complaint
    assert not list(tmp_path.iterdir())


def test_another_picture_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(goldens, "FOLDER", tmp_path)
    (tmp_path / "png.png").write_bytes(goldens.render("png-interlaced")[1])
    assert goldens.complaint("png") is not None
