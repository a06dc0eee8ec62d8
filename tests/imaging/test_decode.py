"""`decode` and `fit` together: the right way up, in the right colours, sound or refused."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from dandyroll.errors import CorruptImage, DandyrollError
from dandyroll.imaging.colour import is_srgb
from dandyroll.imaging.decode import decode
from dandyroll.imaging.header import read_header
from dandyroll.imaging.resize import fit
from dandyroll.models import Limits
from tests.imaging.corpus import (
    CORNERS,
    claiming_png,
    cornered,
    corpus,
    exif,
    file,
    lcms_srgb_profile,
    matrix_profile,
    open_file,
    photo,
    with_orientation,
)

Array = np.ndarray[Any, Any]
LIMITS = Limits()
NO_BOX = 10_000


def pixels_of(data: bytes, width: int = NO_BOX, height: int = NO_BOX) -> Array:
    picture, _ = decode(data, read_header(data, LIMITS), width, height)
    return np.asarray(fit(picture.pixels, width, height).numpy())


def difference(ours: Array, theirs: Array) -> float:
    """The mean difference of the channels."""
    assert ours.shape == theirs.shape
    return float(np.abs(ours.astype(int) - theirs.astype(int)).mean())


@pytest.mark.parametrize("name", sorted(corpus()))
def test_pixels_are_as_pillow_decodes_them(name: str) -> None:
    """At full size; files with a profile that matters, or CMYK, have their own tests."""
    if "p3" in name or "cmyk" in name or "metadata" in name or name == "jpeg-gps":
        return
    ours = pixels_of(corpus()[name])
    with open_file(corpus()[name]) as image:
        if image.mode == "I;16":
            theirs = np.repeat((np.asarray(image) >> 8).astype(np.uint8)[:, :, None], 3, 2)
        else:
            theirs = np.asarray(image.convert("RGBA" if ours.shape[2] == 4 else "RGB"))
    if name == "gif-clear":  # of clear pixels the colour is nobody's business
        ours, theirs = ours * (ours[:, :, 3:] > 0), theirs * (theirs[:, :, 3:] > 0)
    # Files that decode to the same samples everywhere but for the chroma's interpolation.
    assert difference(ours, theirs) < (
        0.6 if name.startswith("jpeg") else 2 if name.startswith(("avif", "heic")) else 0.01
    )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("box", [(NO_BOX, NO_BOX), (160, 160), (90, 400)])
def test_upright_in_all_orientations(
    orientation: int, image_format: str, box: tuple[int, int]
) -> None:
    stored = with_orientation(cornered(400, 300), orientation)
    data = file(stored, image_format, exif=exif(orientation), quality=92)
    ours = pixels_of(data, *box)
    height, width, _ = ours.shape
    assert (width, height) == {NO_BOX: (400, 300), 160: (160, 120), 90: (90, 68)}[box[0]]
    y, x = height // 10, width // 10
    found = [ours[y, x], ours[y, -x], ours[-y, x], ours[-y, -x]]
    assert np.abs(np.array(found, int) - np.array(CORNERS)).max() < 12


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_is_none_is_ignored(orientation: int) -> None:
    data = file(photo(64, 48), "JPEG", exif=exif(orientation))
    assert pixels_of(data, 40, 32).shape == (30, 40, 3)


@pytest.mark.parametrize("profile", [("p3", None), ("p3", 2.2), ("srgb", 1.8)])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_a_profile_is_followed(image_format: str, profile: tuple[str, float | None]) -> None:
    icc = matrix_profile(*profile)
    options = {"lossless": True} if image_format == "WEBP" else {"quality": 95}
    data = file(cornered(200, 150), image_format, icc_profile=icc, **options)
    with open_file(data) as image:
        theirs = converted(image, icc)
        plain = np.asarray(image)
    ours = pixels_of(data)
    assert difference(ours, theirs) < 0.7
    assert difference(plain, theirs) > 2  # it does matter


def test_a_profile_leaves_alpha_alone() -> None:
    picture = photo(100, 80).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize((100, 80)))
    data = file(picture, "PNG", icc_profile=matrix_profile("p3"))
    ours = pixels_of(data)
    assert (ours[:, :, 3] == np.asarray(picture)[:, :, 3]).all()
    theirs = converted(picture.convert("RGB"), matrix_profile("p3"))
    assert difference(ours[:, :, :3], theirs) < 0.7


@pytest.mark.parametrize("box", [160, NO_BOX])
def test_an_srgb_profile_changes_nothing(box: int) -> None:
    plain = file(photo(640, 480), "JPEG", quality=90)
    for profile in (lcms_srgb_profile(), matrix_profile("srgb")):
        assert is_srgb(profile)
        tagged = file(photo(640, 480), "JPEG", quality=90, icc_profile=profile)
        assert (pixels_of(tagged, box, box) == pixels_of(plain, box, box)).all()


@pytest.mark.parametrize("profile", [("p3", None), ("srgb", 1.8), ("srgb", 2.2)])
def test_what_is_not_srgb_is_told_from_it(profile: tuple[str, float | None]) -> None:
    assert not is_srgb(matrix_profile(*profile))


@given(st.binary(max_size=400), st.integers(0, 600))
def test_is_srgb_takes_any_bytes(noise: bytes, at: int) -> None:
    assert not is_srgb(noise)
    profile = bytearray(matrix_profile("srgb"))
    profile[at : at + len(noise)] = noise
    is_srgb(bytes(profile))


@pytest.mark.parametrize("name", ["jpeg-bad-profile"])
def test_a_broken_profile_is_ignored(name: str) -> None:
    plain = file(photo(640, 480), "JPEG", quality=90)
    assert (pixels_of(corpus()[name], 320, 320) == pixels_of(plain, 320, 320)).all()


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_profile_for_another_kind_of_picture_is_ignored(mode: str) -> None:
    picture = photo(120, 90).convert(mode)
    plain = file(picture, "JPEG", quality=95)
    tagged = file(picture, "JPEG", quality=95, icc_profile=matrix_profile("p3"))
    assert difference(pixels_of(tagged), pixels_of(plain)) < 1


def test_cmyk_is_a_picture_of_the_same_colours() -> None:
    """Without a profile a press is assumed; no two programs agree on which, so: roughly."""
    with open_file(corpus()["jpeg-cmyk"]) as image:
        theirs = np.asarray(image.convert("RGB"))
    ours = pixels_of(corpus()["jpeg-cmyk"])
    assert ours.shape == theirs.shape
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.9


def test_cmyk_with_its_profile() -> None:
    icc = cmyk_profile()
    picture = Image.new("CMYK", (64, 48), (0, 200, 200, 0))
    picture.paste((200, 0, 0, 40), (32, 0, 64, 48))
    data = file(picture, "JPEG", quality=100, subsampling=0, icc_profile=icc)
    with open_file(data) as image:
        theirs = converted(image, icc)
    assert difference(pixels_of(data), theirs) < 2


# --- what is not sound --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["jpeg", "jpeg-progressive", "jpeg-grey", "jpeg-restarts"])
def test_a_cut_jpeg_with_an_end_put_on_is_corrupt(name: str) -> None:
    data = corpus()[name]
    with pytest.raises(CorruptImage):
        pixels_of(data[: len(data) * 2 // 3] + b"\xff\xd9", 160, 160)


@pytest.mark.parametrize("name", ["jpeg-restarts", "png", "png-rgba"])
def test_pixels_overwritten_with_zeros_are_corrupt(name: str) -> None:
    data = bytearray(corpus()[name])
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    with pytest.raises(CorruptImage):
        pixels_of(bytes(data), 160, 160)


def test_a_header_without_pixels_is_corrupt() -> None:
    with pytest.raises(CorruptImage):
        pixels_of(claiming_png(100, 100), 160, 160)


def test_harmless_oddities_are_not_refused() -> None:
    data = corpus()["jpeg"]
    tables, scan = data.index(b"\xff\xdb"), data.index(b"\xff\xda")
    sound = pixels_of(data, 160, 160)
    odd = {
        "bytes between segments": data[:tables] + b"\0\0\0" + data[tables:],
        "fill before a marker": data[:tables] + b"\xff\xff" + data[tables:],
        "bytes before the end": data[:-2] + b"\0\0\0\0" + data[-2:],
        "bytes after the end": data + b"trailing" * 9,
        "a future JFIF": data.replace(b"JFIF\0\1", b"JFIF\0\2", 1),
        "careless scan parameters": data[: scan + 11] + b"\0\0\0" + data[scan + 14 :],
    }
    for name, mutated in odd.items():
        assert (pixels_of(mutated, 160, 160) == sound).all(), name


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=150)
@given(st.sampled_from(sorted(corpus())), st.data())
def test_any_mutation_decodes_or_raises_only_our_errors(name: str, data: st.DataObject) -> None:
    mutated = bytearray(corpus()[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        mutated[at] = data.draw(st.integers(0, 255))
    try:
        shape = pixels_of(bytes(mutated), 64, 64).shape
    except DandyrollError:
        return
    assert max(shape[:2]) <= 64
    assert shape[2] in (3, 4)


def test_only_the_loaders_of_our_formats_are_let_through() -> None:
    """In a process of its own: the set-up is there as soon as anything of imaging is."""
    program = (
        "import os; os.environ['VIPS_CONCURRENCY'] = '8'\n"
        "import dandyroll.imaging.picture, pyvips\n"
        f"ppm = {file(photo(4, 4), 'PPM')!r}\n"
        "svg = b\"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>\"\n"
        "for data in (ppm, svg):\n"
        "    try: pyvips.Image.new_from_buffer(data, '')\n"
        "    except pyvips.Error: pass\n"
        "    else: raise SystemExit('opened')\n"
        "print(pyvips.concurrency_get() if hasattr(pyvips, 'concurrency_get') else 1,"
        " pyvips.cache_get_max())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["1", "0"], "")


# --- independent computations -------------------------------------------------------------------


def converted(image: Image.Image, profile: bytes) -> Array:
    """To sRGB by lcms through Pillow."""
    import io

    result = ImageCms.profileToProfile(
        image,
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert result is not None
    return np.asarray(result)


def cmyk_profile() -> bytes:
    """A small CMYK profile: each ink takes its colour's light away. 2 points an axis, to Lab."""
    import struct

    def lab(c: int, m: int, y: int, k: int) -> tuple[int, int, int]:
        light = 100 * (1 - k) * (1 - 0.3 * c) * (1 - 0.4 * m) * (1 - 0.1 * y)
        a, b = (70 * m - 40 * c) * (1 - k), (80 * y - 45 * c) * (1 - k)
        return round(light * 655.35), round((a + 128) * 257), round((b + 128) * 257)

    bits = [(n >> 3 & 1, n >> 2 & 1, n >> 1 & 1, n & 1) for n in range(16)]
    clut = b"".join(struct.pack(">3H", *lab(*inks)) for inks in bits)
    line = struct.pack(">2H", 0, 65535)
    matrix = struct.pack(">9i", *(65536 if n % 4 == 0 else 0 for n in range(9)))
    lut = b"mft2\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix + struct.pack(">2H", 2, 2)
    lut += line * 4 + clut + line * 3
    text = b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 2, 28) + b"\0i\0\0"
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    tags = {b"desc": text, b"cprt": text, b"wtpt": white, b"A2B0": lut + b"\0" * (-len(lut) % 4)}
    offset, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name, offset + len(body), len(data))
        body += data
    head = struct.pack(
        ">I4xI4s4s4s12x4s28x3i48x",
        128 + len(table) + len(body), 0x04300000, b"prtr", b"CMYK", b"Lab ", b"acsp",
        63190, 65536, 54061,
    )  # fmt: skip
    return head + table + body
