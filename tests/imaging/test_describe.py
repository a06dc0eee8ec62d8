"""What the catalogue says of an original: Pillow's mode, and whether anything shows through."""

import numpy as np
import pytest
from PIL import Image

from dandyroll.imaging.decode import decode
from dandyroll.imaging.describe import Description
from dandyroll.imaging.header import read_header
from dandyroll.models import Limits
from tests.imaging.corpus import corpus, file, opaque_alpha_webp, open_file, photo, png16


def described(data: bytes, box: int = 320) -> Description:
    return decode(data, read_header(data, Limits()), box, box)[1]


@pytest.mark.parametrize("name", sorted(corpus()))
def test_mode_and_transparency_are_as_pillow_finds_them(name: str) -> None:
    data = corpus()[name]
    with open_file(data) as image:
        mode = image.mode
        lowest = np.asarray(image.convert("RGBA"))[:, :, 3].min()
    clear = lowest < 255
    if name == "png-16-bit-rgba":
        clear = True  # 65534 of 65535: Pillow has only 8 bits to see it with
    assert described(data) == Description(mode, bool(clear))


@pytest.mark.parametrize("image_format", ["PNG", "WEBP"])
def test_one_clear_pixel_in_a_large_picture_is_found(image_format: str) -> None:
    picture = photo(3000, 2000).convert("RGBA")
    options = {"lossless": True, "method": 0} if image_format == "WEBP" else {"compress_level": 1}
    assert not described(file(picture, image_format, **options), 1280).has_transparency
    marked = picture.copy()
    marked.putpixel((2001, 1333), (0, 0, 0, 254))
    assert described(file(marked, image_format, **options), 1280).has_transparency


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("box", [7, 100, 320, 333, 480, 599, 640])
def test_full_alpha_stays_full_while_a_webp_is_scaled(lossless: bool, box: int) -> None:
    data = opaque_alpha_webp(photo(601, 401), lossless=lossless)
    assert described(data, box) == Description("RGBA", False)


def test_a_clear_pixel_that_scaling_loses_is_found() -> None:
    picture = photo(1500, 1000).convert("RGBA")
    picture.putpixel((3, 3), (0, 0, 0, 200))
    assert described(file(picture, "WEBP", quality=50), 16).has_transparency


def test_a_16_bit_colour_key_counts_exactly() -> None:
    samples = np.full((8, 8, 3), 1000, np.uint16)
    assert not described(png16(samples, 2)).has_transparency


def test_a_clear_palette_entry_counts_only_where_it_is_used() -> None:
    picture = Image.new("P", (40, 30), 1)
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    assert not described(file(picture, "PNG", transparency=0)).has_transparency
    picture.putpixel((39, 29), 0)
    assert described(file(picture, "PNG", transparency=0)).has_transparency
