"""What a picture may take of a worker's memory: just under the limit fits, just over is refused."""

from pathlib import Path

import pytest

from dandyroll.errors import TooManyPixels
from dandyroll.imaging.budget import BASE_BYTES, BYTES_PER_PIXEL, affordable_pixels
from dandyroll.imaging.header import read_header
from dandyroll.imaging.structure import read_structure, sniff
from dandyroll.models import Limits
from tests.imaging.corpus import animations, corpus
from tests.imaging.hostile import SVG
from tests.imaging.memory import FRAME, peak_bytes, sample

KINDS = sorted(BYTES_PER_PIXEL)
SIZES = [
    pytest.param((2400, 1600), id="4 MP"),
    pytest.param((6000, 4000), id="24 MP", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_at_the_limit(kind: str, size: tuple[int, int], tmp_path: Path) -> None:
    pixels = size[0] * size[1]
    width, height = (FRAME, pixels // FRAME) if kind == "animation" else size
    data = sample(kind, width, height)
    assert read_structure(data, str(sniff(data))).kind == kind
    just_enough = BASE_BYTES + 2 * len(data) + BYTES_PER_PIXEL[kind] * pixels
    plenty = {"max_pixels": 10**9, "max_animation_pixels": 10**9}
    with pytest.raises(TooManyPixels) as caught:
        read_header(data, Limits(**plenty, memory_bytes=just_enough - 1))
    for word in (kind, str(affordable_pixels(kind, len(data), just_enough - 1)), str(pixels)):
        assert word in caught.value.message
    limits = Limits(**plenty, memory_bytes=just_enough)
    read_header(data, limits)
    (tmp_path / "file").write_bytes(data)
    assert peak_bytes(tmp_path / "file", limits) <= just_enough


@pytest.mark.parametrize("name", [*sorted(corpus()), *sorted(animations()), "svg"])
def test_every_file_has_its_row(name: str) -> None:
    data = {**corpus(), **animations(), "svg": SVG}[name]
    assert read_structure(data, str(sniff(data))).kind in BYTES_PER_PIXEL


def test_the_defaults_let_all_but_the_hungriest_through() -> None:
    """At 2 GB and 50 MP only these are bound by memory; all others by `max_pixels`."""
    bound = {
        k for k in KINDS if affordable_pixels(k, 20_000_000, Limits().memory_bytes) < 50_000_000
    }
    assert bound == {"deep AVIF", "deep HEIC"}


def test_a_scan_a_colour_is_kept_in_memory_too() -> None:
    jpeg = bytearray(corpus()["jpeg"])
    scan = jpeg.index(b"\xff\xda")
    jpeg[scan + 4] = 1
    assert read_structure(bytes(jpeg), "JPEG").kind == "progressive JPEG"
