"""`overlay` and `place`: where the mark goes, and what it does to the pixels there."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dandyroll.imaging.mark import overlay, place
from dandyroll.imaging.vips import pyvips
from dandyroll.models import Box
from dandyroll.policy import DEFAULT, Mark, Position
from tests.imaging.corpus import file

POSITIONS: tuple[Position, ...] = (
    "top-left", "top", "top-right", "left", "center", "right",
    "bottom-left", "bottom", "bottom-right",
)  # fmt: skip

HALF_RED = Mark(png=file(Image.new("RGBA", (100, 50), (255, 0, 0, 128)), "PNG"))


def plain(width: int, height: int, colour: tuple[int, ...]) -> pyvips.Image:
    image = pyvips.Image.black(width, height, bands=len(colour)) + list(colour)
    return image.cast("uchar").copy(interpretation="srgb").copy_memory()


@pytest.mark.parametrize(
    ("position", "left", "top"),
    [
        ("top-left", 20, 20), ("top", 400, 20), ("top-right", 780, 20),
        ("left", 20, 350), ("center", 400, 350), ("right", 780, 350),
        ("bottom-left", 20, 680), ("bottom", 400, 680), ("bottom-right", 780, 680),
    ],
)  # fmt: skip
def test_nine_positions(position: Position, left: int, top: int) -> None:
    box = place(1000, 800, 100, 50, Mark(png=b"", position=position))
    assert box == Box(left, top, 200, 100)


@given(
    st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 2000), st.integers(1, 2000),
    st.sampled_from(POSITIONS), st.integers(1, 100), st.integers(0, 100),
)  # fmt: skip
def test_the_box_is_always_inside(
    width: int, height: int, mark_width: int, mark_height: int,
    position: Position, scale_pct: int, margin_pct: int,
) -> None:  # fmt: skip
    mark = Mark(png=b"", position=position, scale_pct=scale_pct, margin_pct=margin_pct)
    box = place(width, height, mark_width, mark_height, mark)
    assert box.left >= 0
    assert box.top >= 0
    assert box.width >= 1
    assert box.height >= 1
    assert box.left + box.width <= width
    assert box.top + box.height <= height


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3), (2, 2), (1280, 1)])
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("bands", [3, 4])
def test_tiny_pictures(size: tuple[int, int], position: Position, bands: int) -> None:
    mark = Mark(png=DEFAULT.mark.png, position=position)
    pixels, box = overlay(plain(*size, (90, 90, 90, 128)[:bands]), mark)
    assert (pixels.width, pixels.height, pixels.bands) == (*size, bands)
    assert box.left + box.width <= size[0]
    assert box.top + box.height <= size[1]
    pixels.copy_memory()


def test_a_narrow_picture_keeps_the_shape_of_the_mark() -> None:
    box = place(2000, 100, 800, 200, DEFAULT.mark)
    assert (box.width, box.height) == (200, 50)


def test_only_the_box_changes() -> None:
    before = plain(300, 200, (10, 120, 200))
    pixels, box = overlay(before, HALF_RED)
    changed = (pixels.numpy() != before.numpy()).any(axis=2)
    ys, xs = np.nonzero(changed)
    left, top = int(xs.min()), int(ys.min())
    assert Box(left, top, int(xs.max()) - left + 1, int(ys.max()) - top + 1) == box
    assert changed[box.top : box.top + box.height, box.left : box.left + box.width].all()


@pytest.mark.parametrize("opacity_pct", [100, 60, 1, 0])
def test_opaque_base_is_blended(opacity_pct: int) -> None:
    mark = Mark(png=HALF_RED.png, opacity_pct=opacity_pct)
    pixels, box = overlay(plain(300, 200, (10, 120, 200)), mark)
    alpha = 128 / 255 * opacity_pct / 100
    expected = np.array((255, 0, 0)) * alpha + np.array((10, 120, 200)) * (1 - alpha)
    found = pixels.numpy()[box.top + 5, box.left + 5]
    assert pixels.bands == 3
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize("alpha", [0, 100, 255])
def test_clear_base_is_composed(alpha: int) -> None:
    base = (10, 120, 200, alpha)
    pixels, box = overlay(plain(300, 200, base), HALF_RED)
    expected = Image.new("RGBA", (1, 1), base)
    expected.alpha_composite(Image.new("RGBA", (1, 1), (255, 0, 0, 128)))
    found = pixels.numpy()[box.top + 5, box.left + 5].astype(int)
    assert pixels.format == "uchar"
    assert np.abs(found - np.array(expected.getpixel((0, 0)))).max() <= 2
    assert tuple(pixels.numpy()[0, 0]) == base


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "P", "RGBA"])
def test_marks_of_any_mode(mode: str) -> None:
    mark = Mark(png=file(Image.new("RGB", (60, 30), (0, 0, 0)).convert(mode), "PNG"))
    pixels, box = overlay(plain(300, 200, (200, 200, 200)), mark)
    assert tuple(pixels.numpy()[box.top + 3, box.left + 3]) == (0, 0, 0)


def test_one_mark_from_many_threads() -> None:
    sizes = [200 + n % 7 for n in range(60)]

    def corner(width: int) -> bytes:
        pixels, _ = overlay(plain(width, 150, (120, 130, 140)), DEFAULT.mark)
        return bytes(pixels.write_to_memory())

    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(corner, sizes))
    assert together == [corner(width) for width in sizes]


@pytest.mark.parametrize("grey", [0, 60, 128, 190, 255])
def test_our_own_mark_shows_on_any_ground(grey: int) -> None:
    ground = plain(1280, 960, (grey,) * 3)
    pixels, box = overlay(ground, DEFAULT.mark)
    corner = pixels.crop(box.left, box.top, box.width, box.height).numpy().astype(int)
    assert (np.abs(corner - grey) > 40).any(axis=2).mean() > 0.1
