"""What is particular to TIFF, AVIF, HEIC and JPEGs that hold more than a picture."""

import struct
import sys

import numpy as np
import pytest
from PIL import Image

from dandyroll.errors import (
    CorruptImage,
    TooManyPixels,
    UnsupportedAnimation,
    UnsupportedFormat,
)
from dandyroll.imaging import heic
from dandyroll.imaging.decode import decode
from dandyroll.imaging.encode import encode
from dandyroll.imaging.header import read_header
from dandyroll.imaging.readers import isobmff
from dandyroll.imaging.resize import fit
from dandyroll.imaging.vips import pyvips
from dandyroll.models import Header, Limits
from dandyroll.policy import DEFAULT
from dandyroll.stages.add_watermark import add_watermark
from dandyroll.stages.update_size import update_size
from tests.imaging.corpus import CORNERS, cornered, corpus, file, matrix_profile, photo

LIMITS = Limits()


def pixels_of(data: bytes, size: int = 10_000) -> np.ndarray:
    picture, _ = decode(data, read_header(data, LIMITS), size, size)
    return np.asarray(fit(picture.pixels, size, size).numpy())


def target_of(data: bytes) -> str:
    return decode(data, read_header(data, LIMITS), 100, 100)[0].image_format


def corners_of(pixels: np.ndarray) -> np.ndarray:
    y, x = pixels.shape[0] // 10, pixels.shape[1] // 10
    return np.array([pixels[y, x], pixels[y, -x], pixels[-y, x], pixels[-y, -x]], int)[:, :3]


@pytest.mark.parametrize(
    ("name", "pages"), [("tiff", 1), ("tiff-pages", 3), ("tiff-16-bit-cmyk", 1), ("png", None)]
)
def test_pages_are_told(name: str, pages: int | None) -> None:
    assert read_header(corpus()[name], LIMITS).pages == pages


def test_the_first_page_is_the_picture() -> None:
    assert (pixels_of(corpus()["tiff-pages"]) == pixels_of(corpus()["tiff"])).all()


@pytest.mark.parametrize(
    ("name", "image_format"),
    [("tiff", "JPEG"), ("tiff-rgba", "PNG"), ("tiff-rgba-opaque", "JPEG"), ("heic", "JPEG"),
     ("heic-rgba", "PNG"), ("avif", "AVIF"), ("avif-rgba", "AVIF"), ("gif", "PNG")],
)  # fmt: skip
def test_what_it_becomes(name: str, image_format: str) -> None:
    assert target_of(corpus()[name]) == image_format


def test_16_bit_and_cmyk_tiffs_look_like_their_8_bit_ones() -> None:
    rgb = pixels_of(corpus()["tiff-16-bit"]).astype(int)
    assert np.abs(rgb - np.asarray(photo(120, 90))).max() <= 1
    deep, flat = pixels_of(corpus()["tiff-16-bit-cmyk"]), pixels_of(corpus()["tiff-cmyk"])
    assert np.abs(deep.astype(int) - flat).mean() < 2


@pytest.mark.parametrize("mode", ["F", "I", "LAB"])
def test_a_tiff_of_other_samples_is_refused(mode: str) -> None:
    picture = photo(40, 30).convert("RGB" if mode == "LAB" else "L").convert(mode)
    with pytest.raises(UnsupportedFormat) as caught:
        read_header(file(picture, "TIFF"), LIMITS)
    assert "Expected a TIFF" in caught.value.message


def test_a_tiff_whose_pages_go_in_a_circle_ends() -> None:
    data = bytearray(corpus()["tiff-grey"])
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    assert read_header(bytes(data), LIMITS).pages == 1


@pytest.mark.parametrize("image_format", ["AVIF", "HEIF"])
@pytest.mark.parametrize("profile", ["p3", None])
def test_profiles_are_followed(image_format: str, profile: str | None) -> None:
    options = {"icc_profile": matrix_profile(profile)} if profile else {}
    data = file(cornered(200, 150), image_format, quality=95, **options)
    away = np.abs(corners_of(pixels_of(data)) - np.array(CORNERS)).max()
    assert away > 15 if profile else away < 12


def test_colours_named_by_number_are_followed() -> None:
    """The `nclx` box: Display P3 by its number looks as with its profile."""
    plain = file(cornered(200, 150), "AVIF", quality=95)
    at = plain.index(b"colrnclx") + 8
    p3 = plain[:at] + struct.pack(">HH", 12, 13) + plain[at + 4 :]
    with_profile = file(cornered(200, 150), "AVIF", quality=95, icc_profile=matrix_profile("p3"))
    ours, theirs = corners_of(pixels_of(p3)), corners_of(pixels_of(with_profile))
    assert np.abs(ours - theirs).max() <= 3
    assert np.abs(ours - corners_of(pixels_of(plain))).max() > 15
    for transfer, name in ((16, "PQ"), (18, "HLG")):
        with pytest.raises(UnsupportedFormat, match=name):
            read_header(plain[:at] + struct.pack(">HH", 9, transfer) + plain[at + 4 :], LIMITS)


def test_a_heic_on_its_side_comes_upright() -> None:
    data = corpus()["heic-metadata"]
    header = read_header(data, LIMITS)
    pixels = pixels_of(data)
    assert (header.width, header.height) == (200, 150)
    assert pixels.shape[:2] == (200, 150)


def test_a_sequence_is_refused() -> None:
    frames = [photo(64, 48, seed) for seed in (1, 2)]
    data = file(frames[0], "AVIF", save_all=True, append_images=frames[1:])
    assert data[8:12] == b"avis"
    with pytest.raises(UnsupportedAnimation):
        read_header(data, LIMITS)


@pytest.mark.parametrize("name", ["avif", "heic"])
def test_the_budget_counts_the_largest_part(name: str) -> None:
    data = bytearray(corpus()[name])
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", 30_000, 30_000)
    with pytest.raises((TooManyPixels, CorruptImage)):
        read_header(bytes(data), LIMITS)


def test_heic_is_a_typed_refusal_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heic, "can_decode", lambda: False)
    with pytest.raises(UnsupportedFormat) as caught:
        read_header(corpus()["heic"], LIMITS)
    assert "HEIC" in caught.value.message


def test_heic_is_imported_only_when_one_comes() -> None:
    import subprocess

    program = (
        "import sys; from tests.pictures import jpeg\n"
        "before = set(sys.modules)\n"
        "from dandyroll.imaging.header import read_header; from dandyroll.models import Limits\n"
        "read_header(jpeg(), Limits())\n"
        "print(sorted({'PIL._avif', 'pillow_heif'} & (set(sys.modules) - before)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_rendering_a_heic_needs_its_bytes_no_more() -> None:
    """libvips keeps no reference to memory it was given: a picture must not change under it."""
    picture, _ = decode(corpus()["heic"], read_header(corpus()["heic"], LIMITS), 1280, 1280)
    noise = [bytes([n % 256]) * 921_600 for n in range(20)]
    first = update_size(picture, DEFAULT).pixels.write_to_memory()
    del noise
    assert update_size(picture, DEFAULT).pixels.write_to_memory() == first
    assert np.abs(pixels_of(corpus()["heic"]).astype(int) - np.asarray(photo(640, 480))).mean() < 6


def gain_mapped() -> bytes:
    """An Ultra HDR JPEG: a JPEG, and a gain map after it that makes it HDR."""
    base = pyvips.Image.new_from_array(np.asarray(photo(320, 240))).copy(interpretation="srgb")
    hdr = base.colourspace("scrgb") * 2
    return bytes(hdr.uhdrsave_buffer())


def test_an_ultra_hdr_jpeg_is_its_base_picture() -> None:
    data = gain_mapped()
    assert data.count(b"\xff\xd8\xff") > 1 and b"MPF\0" in data
    assert read_header(data, LIMITS) == Header("JPEG", "image/jpeg", "jpg", 320, 240)
    picture, _ = decode(data, read_header(data, LIMITS), 1280, 1280)
    out = encode(add_watermark(update_size(picture, DEFAULT), DEFAULT), DEFAULT.encoding)
    assert b"MPF" not in out and out.count(b"\xff\xd8\xff") == 1
    alone = data[: data.index(b"\xff\xd9") + 2]
    assert (pixels_of(data) == pixels_of(alone)).all()


def test_an_mpo_is_its_first_picture() -> None:
    data = file(photo(64, 48), "MPO", save_all=True, append_images=[Image.new("RGB", (32, 24))])
    assert (pixels_of(data) == pixels_of(file(photo(64, 48), "JPEG"))).all()


def test_brands() -> None:
    def ftyp(major: bytes, *others: bytes) -> bytes:
        body = major + b"\0\0\0\0" + b"".join(others)
        return struct.pack(">I", 8 + len(body)) + b"ftyp" + body

    assert isobmff.sniff(ftyp(b"mif1", b"miaf", b"avif")) == "AVIF"
    assert isobmff.sniff(ftyp(b"mif1", b"heic")) == "HEIC"
    assert isobmff.sniff(ftyp(b"isom", b"mp42")) is None
