"""`read_header`: what is taken, what is refused and how, and that it costs nothing."""

import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dandyroll.errors import (
    CorruptImage,
    DandyrollError,
    EmptyBody,
    TooManyPixels,
    TruncatedImage,
    UnsupportedAnimation,
    UnsupportedFormat,
)
from dandyroll.imaging.decode import decode
from dandyroll.imaging.header import read_header
from dandyroll.imaging.resize import fit
from dandyroll.models import Header, Limits
from tests.imaging.corpus import (
    chunk,
    claiming_png,
    corpus,
    exif,
    file,
    open_file,
    photo,
)

LIMITS = Limits()
NAMES = sorted(corpus())
EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "TIFF": "tif",
              "AVIF": "avif", "HEIC": "heic"}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_header_is_as_pillow_reads_it(name: str) -> None:
    data = corpus()[name]
    header = read_header(data, LIMITS)
    with open_file(data) as image:
        turned = name in ("tiff-metadata", "heic-metadata")  # Pillow tells the size once upright
        assert (header.width, header.height) == (image.size[::-1] if turned else image.size)
        assert header.image_format == str(image.format).replace("HEIF", "HEIC")
        mime = "image/heic" if image.format == "HEIF" else Image.MIME[header.image_format]
        assert header.content_type == mime
    assert header.extension == EXTENSIONS[header.image_format]


def test_empty_body() -> None:
    with pytest.raises(EmptyBody):
        read_header(b"", LIMITS)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (file(photo(20, 20), "BMP"), "BMP"),
        (b"\0\0\0\x1cftypisom\0\0\0\0isommp42", "a video"),
        (b"\n <!doctype html><p>hello", "HTML"),
        (b"%PDF-1.7", "PDF"),
        (b"\x01\x02\x03\x04", "01 02 03 04"),
        (b"\xff", "ff"),
        (b"RIFF\0\0\0\0WAVEfmt ", "52 49 46 46"),
    ],
)
def test_other_formats_are_refused_by_name(data: bytes, named: str) -> None:
    with pytest.raises(UnsupportedFormat) as caught:
        read_header(data, LIMITS)
    assert "JPEG, PNG, WebP" in caught.value.message
    assert named in caught.value.message


def test_a_bomb_costs_nothing() -> None:
    data = claiming_png(60_000, 60_000)
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(TooManyPixels) as caught:
        read_header(data, LIMITS)
    assert time.process_time() - began < 0.05
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert "50000000" in caught.value.message
    assert "60000 x 60000 = 3600000000" in caught.value.message


@pytest.mark.parametrize("size", [(2**31 - 1, 2**31 - 1), (2**32 - 1, 1)])
def test_limits_of_the_decoder_do_not_come_first(size: tuple[int, int]) -> None:
    with pytest.raises(TooManyPixels):
        read_header(claiming_png(*size), LIMITS)


def test_the_budget_is_inclusive() -> None:
    data = corpus()["jpeg"]
    assert read_header(data, Limits(640 * 480)).width == 640
    with pytest.raises(TooManyPixels):
        read_header(data, Limits(640 * 480 - 1))


def test_an_animated_png_is_refused() -> None:
    frames = [photo(60, 40, seed) for seed in (1, 2, 3)]
    with pytest.raises(UnsupportedAnimation):
        read_header(file(frames[0], "PNG", save_all=True, append_images=frames[1:]), LIMITS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("share", [0.35, 0.7, 0.98])
def test_a_cut_file_is_truncated(name: str, share: float) -> None:
    data = corpus()[name]
    with pytest.raises(TruncatedImage):
        read_header(data[: int(len(data) * share)], LIMITS)


def test_a_thumbnail_does_not_hide_that_its_jpeg_is_cut() -> None:
    thumbnail = file(photo(64, 48), "JPEG")
    whole = file(photo(640, 480), "JPEG", exif=exif(1)[:-1] + thumbnail)
    assert whole.count(b"\xff\xd9") == 2
    assert read_header(whole, LIMITS).width == 640
    with pytest.raises(TruncatedImage):
        read_header(whole[: len(whole) // 2], LIMITS)


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 4096, b"any text", "second"])
@pytest.mark.parametrize("name", ["jpeg", "jpeg-progressive", "png", "webp"])
def test_bytes_after_the_end_do_not_matter(name: str, tail: bytes | str) -> None:
    data = corpus()[name]
    after = tail if isinstance(tail, bytes) else data  # as an MPO holds a second picture
    assert read_header(data + after, LIMITS) == read_header(data, LIMITS)


def test_an_mpo_is_its_first_picture() -> None:
    data = file(photo(64, 48), "MPO", save_all=True, append_images=[photo(32, 24)])
    assert read_header(data, LIMITS) == Header("JPEG", "image/jpeg", "jpg", 64, 48)


@pytest.mark.parametrize("name", ["png", "webp", "webp-alpha", "webp-lossless"])
def test_a_ruined_header_is_corrupt(name: str) -> None:
    data = bytearray(corpus()[name])
    data[12:40] = b"\x55" * 28
    with pytest.raises((CorruptImage, TruncatedImage)):
        read_header(bytes(data), LIMITS)


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xd9",  # an end and nothing else
        b"\xff\xda\0\x08\1\1\0\0\x3f\0\xff\xd9",  # a scan of no frame
        b"\xff\xc0\0\x04\x08\0\xff\xd9",  # a frame header that is too short
        b"\xff\xc0\0\x0e\x08\0\x10\0\x10\2\1\x11\0\2\x11\0"  # two components
        b"\xff\xda\0\x08\1\1\0\0\x3f\0\xff\xd9",
    ],
)
def test_a_jpeg_without_a_picture_is_corrupt(body: bytes) -> None:
    with pytest.raises(CorruptImage):
        read_header(b"\xff\xd8" + body, LIMITS)


@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]))
def test_any_bytes_raise_only_our_errors(data: bytes, magic: bytes) -> None:
    with pytest.raises(DandyrollError):
        read_header(magic + data, LIMITS)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=300)
@given(st.sampled_from(NAMES), st.data())
def test_any_mutation_raises_only_our_errors(name: str, data: st.DataObject) -> None:
    mutated = bytearray(corpus()[name])
    for _ in range(data.draw(st.integers(1, 6))):
        # Where the structure is, rather than in the picture's bulk.
        at = data.draw(st.one_of(st.integers(0, 400), st.integers(0, len(mutated) - 1)))
        at %= len(mutated)
        piece = data.draw(st.binary(min_size=1, max_size=8))
        if data.draw(st.booleans()):
            mutated[at : at + len(piece)] = piece
        else:
            mutated[at:at] = piece
    try:
        header = read_header(bytes(mutated), LIMITS)
    except DandyrollError:
        return
    assert header.width * header.height <= LIMITS.max_pixels


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff" * 5_000_000,
        b"\xff\xd8\xff" + b"\0" * 5_000_000,
        b"\xff\xd8" + b"\xff\xe0\0\2" * 1_200_000,
        b"\xff\xd8" + b"\xff\0" * 2_500_000,
        claiming_png(10, 10)[:33] + (b"\0\0\0\0tEXt\0\0\0\0" * 400_000),
        b"RIFF\xff\xff\xff\0WEBPVP8X\x0a\0\0\0\x02\0\0\0" + b"\0" * 5_000_000,
    ],
)  # fmt: skip
def test_time_is_linear_in_hostile_files(data: bytes) -> None:
    began = time.process_time()
    with pytest.raises(DandyrollError):
        read_header(data, LIMITS)
    assert time.process_time() - began < 3


def test_fill_bytes_cost_next_to_nothing() -> None:
    began = time.process_time()
    with pytest.raises(TruncatedImage):
        read_header(b"\xff\xd8" + b"\xff" * 20_000_000, LIMITS)
    assert time.process_time() - began < 0.3


def test_decoders_write_and_log_nothing(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    data = corpus()["jpeg"]
    unknown_unit = data[:13] + b"\x77" + data[14:]
    noise = data[:20] + b"\x55" * 9 + data[20:]
    png = corpus()["png"]  # a broken profile, its name not UTF-8
    profile = chunk(b"iCCP", b"\xba\xba\0\0junk")
    quoting = png[:33] + profile + png[33:]
    for odd in (unknown_unit, noise, corpus()["jpeg-bad-profile"], quoting):
        fit(decode(odd, read_header(odd, LIMITS), 100, 100)[0].pixels, 100, 100)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
