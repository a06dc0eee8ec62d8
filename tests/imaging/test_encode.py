"""`encode`: nothing but pixels leaves; and stages apart give what stages together give."""

import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dandyroll.errors import CorruptImage
from dandyroll.formats import CONTENT_TYPES
from dandyroll.imaging.decode import decode
from dandyroll.imaging.encode import decode_handover, encode, encode_handover
from dandyroll.imaging.header import read_header
from dandyroll.imaging.picture import Picture
from dandyroll.models import Limits
from dandyroll.policy import DEFAULT, Encoding
from dandyroll.stages.add_watermark import add_watermark
from dandyroll.stages.update_size import update_size
from tests.imaging.corpus import corpus, open_file

NAMES = sorted(corpus())
POLICY = replace(DEFAULT, max_width_px=320, max_height_px=320)


def resized(data: bytes) -> Picture:
    picture, _ = decode(data, read_header(data, Limits()), 320, 320)
    return update_size(picture, POLICY)


def rendition(data: bytes) -> bytes:
    return encode(add_watermark(resized(data), POLICY), POLICY.encoding)


@pytest.mark.parametrize("name", NAMES)
def test_stages_apart_are_stages_together(name: str) -> None:
    data = corpus()[name]
    together = rendition(data)
    first = resized(data)
    handed_over = decode_handover(encode_handover(first.pixels))
    assert handed_over.bands == first.pixels.bands
    assert handed_over.write_to_memory() == first.pixels.write_to_memory()
    second = add_watermark(Picture(handed_over, first.image_format), POLICY)
    assert encode(second, POLICY.encoding) == together
    assert rendition(data) == together  # and again the same


def expected_format(before: str | None, transparent: bool) -> str | None:
    if before in ("TIFF", "HEIF"):
        return "PNG" if transparent else "JPEG"
    return "PNG" if before == "GIF" else before


@pytest.mark.parametrize("name", NAMES)
def test_same_format_out(name: str) -> None:
    data = corpus()[name]
    picture = resized(data)
    with open_file(data) as before, open_file(rendition(data)) as after:
        after.load()
        assert after.format == expected_format(before.format, picture.pixels.bands == 4)
        assert Image.MIME[str(after.format)] == CONTENT_TYPES[picture.image_format]
        assert after.size == (picture.pixels.width, picture.pixels.height)
        assert after.mode == ("RGBA" if picture.pixels.bands == 4 else "RGB")


@pytest.mark.parametrize("name", ["png-rgba", "png-palette-clear", "webp-alpha", "png-grey-alpha"])
def test_alpha_is_kept(name: str) -> None:
    with open_file(rendition(corpus()[name])) as after, open_file(corpus()[name]) as before:
        ours = np.asarray(after.getchannel("A"))[:100].astype(int)  # above the mark
        theirs = np.asarray(before.convert("RGBA").getchannel("A"))[:100].astype(int)
    if ours.shape == theirs[:, : ours.shape[1]].shape and name != "png-palette-clear":
        assert np.abs(ours - theirs).max() <= 1
    assert ours.min() < 255


@pytest.mark.parametrize("name", NAMES)
def test_no_metadata_leaves(name: str) -> None:
    data = rendition(corpus()[name])
    for word in (b"Exif", b"eXIf", b"EXIF", b"http://ns.adobe", b"XMP ", b"Secret", b"xmpmeta",
                 b"iCCP", b"ICCP", b"ICC_PROFILE", b"acsp", b"GPS", b"tEXt", b"iTXt"):  # fmt: skip
        assert word not in data, word
    with open_file(data) as image:
        assert not image.getexif()
        assert {"exif", "icc_profile", "xmp", "comment", "photoshop"}.isdisjoint(image.info)


@pytest.mark.parametrize("name", ["jpeg-gps", "png-metadata", "webp-metadata"])
def test_the_originals_do_have_metadata(name: str) -> None:
    """Or the test above would prove nothing."""
    with open_file(corpus()[name]) as image:
        assert image.getexif().get_ifd(0x8825)
    assert b"Secret" in corpus()[name]


def test_jpeg_halves_colour_below_quality_90() -> None:
    picture = resized(corpus()["jpeg"])
    assert sampling(encode(picture, Encoding(jpeg_quality=80))) == [0x22, 0x11, 0x11]
    assert sampling(encode(picture, Encoding(jpeg_quality=95))) == [0x11, 0x11, 0x11]


def test_the_encoding_is_the_policys() -> None:
    picture = resized(corpus()["png"])
    sizes = [len(encode(picture, Encoding(png_compression=level))) for level in (1, 9)]
    assert sizes[0] > sizes[1]
    for image_format, field in (("JPEG", "jpeg_quality"), ("WEBP", "webp_quality")):
        other = replace(picture, image_format=image_format)
        low, high = (len(encode(other, Encoding(**{field: q}))) for q in (30, 90))
        assert low * 2 < high


def test_png_pixels_survive_exactly() -> None:
    picture = resized(corpus()["png-rgba"])
    with open_file(encode(picture, Encoding())) as image:
        assert (np.asarray(image) == picture.pixels.numpy()).all()


@pytest.mark.parametrize("cut", [0, 100, -1])
def test_a_damaged_handover_is_corrupt(cut: int) -> None:
    data = encode_handover(resized(corpus()["jpeg"]).pixels)
    with pytest.raises(CorruptImage):
        decode_handover(data[:cut] if cut >= 0 else data[: len(data) // 2])


def sampling(jpeg: bytes) -> list[int]:
    """The sampling factors of a baseline JPEG's components."""
    at = jpeg.index(b"\xff\xc0")
    count = jpeg[at + 9]
    return [struct.unpack_from("BBB", jpeg, at + 10 + 3 * n)[1] for n in range(count)]
