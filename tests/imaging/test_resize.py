"""`fit`: inside the box, never enlarged, whatever the shape."""

import numpy as np
import pytest
from PIL import Image

from dandyroll.errors import CorruptImage
from dandyroll.imaging.decode import decode
from dandyroll.imaging.header import read_header
from dandyroll.imaging.resize import fit, fitted_size
from dandyroll.imaging.vips import pyvips
from dandyroll.models import Limits
from tests.imaging.corpus import corpus, file, photo

LIMITS = Limits()


def fitted(data: bytes, width: int, height: int) -> pyvips.Image:
    picture, _ = decode(data, read_header(data, LIMITS), width, height)
    return fit(picture.pixels, width, height)


@pytest.mark.parametrize(
    ("size", "box", "expected"),
    [
        ((4000, 3000), (1280, 1280), (1280, 960)),
        ((3000, 4000), (1280, 1280), (960, 1280)),
        ((4000, 3000), (1280, 500), (667, 500)),
        ((640, 480), (1280, 1280), (640, 480)),
        ((1280, 1280), (1280, 1280), (1280, 1280)),
        ((10000, 1), (1280, 1280), (1280, 1)),
        ((1, 10000), (1280, 1280), (1, 1280)),
        ((1, 1), (1, 1), (1, 1)),
        ((1281, 2), (1280, 1280), (1280, 2)),
    ],
)
def test_fitted_size(
    size: tuple[int, int], box: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert fitted_size(*size, *box) == expected


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("size", [(1, 1), (10_000, 1), (1, 10_000), (3, 500), (700, 2), (33, 17)])
@pytest.mark.parametrize("box", [(320, 320), (7, 7), (1, 1), (64, 300)])
def test_any_shape_fits(image_format: str, size: tuple[int, int], box: tuple[int, int]) -> None:
    pixels = fitted(file(Image.new("RGB", size, (200, 30, 90)), image_format), *box)
    assert 1 <= pixels.width <= min(size[0], box[0])
    assert 1 <= pixels.height <= min(size[1], box[1])
    assert pixels.width == min(size[0], box[0]) or pixels.height in (min(size[1], box[1]), 1)
    colour = np.array(pixels.numpy().reshape(-1, 3).mean(0))
    assert np.abs(colour - (200, 30, 90)).max() < 6


@pytest.mark.parametrize("name", sorted(corpus()))
def test_size_is_the_same_by_every_way_of_decoding(name: str) -> None:
    """Shrinking while decoding must not move the result by more than the rounding of a pixel."""
    data = corpus()[name]
    header = read_header(data, LIMITS)
    size = (header.width, header.height)
    if name in (
        "jpeg-gps",
        "webp-metadata",
        "tiff-metadata",
        "heic-metadata",
    ):  # stored on their sides
        size = size[::-1]
    for box in ((320, 320), (200, 37), (50, 300), (8, 8)):
        pixels = fitted(data, *box)
        assert (pixels.width, pixels.height) == pytest.approx(fitted_size(*size, *box), abs=1)
        assert pixels.width <= box[0]
        assert pixels.height <= box[1]


@pytest.mark.parametrize("name", sorted(corpus()))
def test_result_is_bare_8_bit_srgb_in_memory(name: str) -> None:
    pixels = fitted(corpus()[name], 100, 100)
    assert pixels.interpretation == "srgb"
    assert pixels.format == "uchar"
    assert pixels.bands in (3, 4)
    known = "width height bands format coding interpretation xoffset yoffset xres yres filename"
    assert set(pixels.get_fields()) <= set(known.split())
    before = pixels.numpy().copy()
    assert (pixels.numpy() == before).all()  # a lazily read file can be read only once


def test_small_pictures_are_left_as_they_are() -> None:
    data = corpus()["png"]
    ours = fitted(data, 1280, 1280).numpy()
    assert (ours == np.asarray(photo(640, 480))).all()


def test_resized_as_pillow_does() -> None:
    source = photo(1600, 1200)
    ours = fitted(file(source, "PNG"), 400, 400).numpy().astype(int)
    theirs = np.asarray(source.resize((400, 300), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(ours - theirs).mean() < 1


def test_clear_pixels_do_not_bleed() -> None:
    """Green that nobody can see must not show at the rim of what can be seen."""
    picture = Image.new("RGBA", (400, 400), (0, 255, 0, 0))
    picture.paste((255, 0, 0, 255), (100, 100, 301, 301))
    pixels = fitted(file(picture, "PNG"), 130, 130).numpy()
    seen = pixels[pixels[:, :, 3] > 8]
    assert seen[:, 1].max() <= 2
    assert seen[:, 0].min() >= 250


def test_a_lazy_picture_that_cannot_be_computed_is_corrupt() -> None:
    data = corpus()["png"]
    ruined = data[:30_000] + bytes(20_000) + data[50_000:]
    picture, _ = decode(ruined, read_header(data, LIMITS), 320, 320)
    with pytest.raises(CorruptImage) as caught:
        fit(picture.pixels, 320, 320)
    assert "png" not in caught.value.message  # the decoder's words are for the log
    assert "png" in str(caught.value.__cause__)
