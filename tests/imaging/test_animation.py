"""Animations stay animations: every frame marked, every time kept."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageSequence

from dandyroll.errors import TooManyPixels
from dandyroll.imaging.decode import decode
from dandyroll.imaging.encode import encode
from dandyroll.imaging.header import read_header
from dandyroll.imaging.mark import place
from dandyroll.imaging.picture import Picture
from dandyroll.imaging.readers import gif, webp
from dandyroll.models import Animation, Limits
from dandyroll.policy import DEFAULT, Mark
from dandyroll.stages.add_watermark import add_watermark
from dandyroll.stages.update_size import update_size
from tests.imaging.corpus import animation_times, animations, file, open_file, photo

MAGENTA = (250, 10, 250)
MARK = Mark(png=file(Image.new("RGBA", (40, 20), (*MAGENTA, 255)), "PNG"), scale_pct=40)
POLICY = replace(DEFAULT, max_width_px=60, max_height_px=60, mark=MARK)
NAMES = sorted(animations())


def rendition(data: bytes) -> tuple[Picture, bytes]:
    picture, _ = decode(data, read_header(data, Limits()), 60, 60)
    picture = add_watermark(update_size(picture, POLICY), POLICY)
    return picture, encode(picture, POLICY.encoding)


def frames_of(data: bytes) -> list[Image.Image]:
    with Image.open(io.BytesIO(data)) as image:
        return [frame.convert("RGBA") for frame in ImageSequence.Iterator(image)]


def times_of(data: bytes) -> Animation | None:
    return (gif if data.startswith(b"GIF") else webp).read(data).animation


@pytest.mark.parametrize("name", NAMES)
def test_times_and_loop_are_the_originals(name: str) -> None:
    before, after = times_of(animations()[name]), times_of(rendition(animations()[name])[1])
    assert before is not None and after is not None
    assert after.loop == before.loop
    if name != "webp-equal-frames":
        assert after.delays_ms == before.delays_ms == animation_times()


def test_equal_frames_are_together_as_long() -> None:
    data = animations()["webp-equal-frames"]
    after = times_of(rendition(data)[1])
    assert after is not None and sum(after.delays_ms) == sum(animation_times())


@pytest.mark.parametrize(
    ("name", "loop"), [("gif", 4), ("gif-for-ever", 0), ("gif-once", 1), ("webp", 3)]
)
def test_loops_are_read_as_they_are_written(name: str, loop: int) -> None:
    read = times_of(animations()[name])
    assert read is not None and read.loop == loop
    before, after = open_file(animations()[name]), open_file(rendition(animations()[name])[1])
    assert after.info.get("loop") == before.info.get("loop")


@pytest.mark.parametrize("name", NAMES)
def test_every_frame_is_its_original_made_small_and_marked(name: str) -> None:
    picture, data = rendition(animations()[name])
    before, after = frames_of(animations()[name]), frames_of(data)
    if name == "webp-equal-frames":
        before = [before[0], *before[-2:]]
    assert len(after) == len(before)
    box = picture.mark
    assert box is not None and (picture.pixels.width, picture.height) == (60, 40)
    for original, frame in zip(before, after, strict=True):
        assert frame.size == (60, 40)
        expected = original.resize((60, 40), Image.Resampling.LANCZOS)
        expected, got = (over_grey(image) for image in (expected, frame))
        unmarked = np.abs(expected[: box.top] - got[: box.top])
        marked = got[box.top + 2 : box.top + box.height - 2, box.left + 2 :][:, : box.width - 4]
        limit = 25 if "clear" in name and "gif" in name else 12  # GIF knows no half clear pixel
        assert unmarked.mean() < limit
        assert np.abs(marked - MAGENTA).max() < 40, "no mark to be seen"


def over_grey(image: Image.Image) -> np.ndarray:
    grey = Image.new("RGBA", image.size, (128, 128, 128, 255))
    return np.asarray(Image.alpha_composite(grey, image).convert("RGB")).astype(float)


def test_frames_do_not_bleed_into_each_other() -> None:
    black, white = Image.new("RGB", (90, 60)), Image.new("RGB", (90, 60), "white")
    data = file(black, "WEBP", save_all=True, append_images=[white, black], lossless=True)
    picture, _ = decode(data, read_header(data, Limits()), 60, 60)
    pixels = update_size(picture, POLICY).pixels.numpy()
    assert pixels[:40].max() == 0 and pixels[40:80].min() == 255 and pixels[80:].max() == 0


@pytest.mark.parametrize("image_format", ["GIF", "WEBP"])
def test_the_budget_counts_frames(image_format: str) -> None:
    pictures = [photo(50, 40, seed) for seed in range(4)]
    data = file(pictures[0], image_format, save_all=True, append_images=pictures[1:])
    assert read_header(data, Limits(max_animation_pixels=8000)).frames == 4
    with pytest.raises(TooManyPixels) as caught:
        read_header(data, Limits(max_animation_pixels=7999))
    assert caught.value.message == (
        "Expected at most 7999 pixels in an animation; got 50 x 40 x 4 frames = 8000."
    )


def test_one_frame_is_no_animation() -> None:
    for image_format in ("GIF", "WEBP"):
        data = file(photo(90, 60), image_format, save_all=True, append_images=[])
        assert read_header(data, Limits()).frames is None
        assert rendition(data)[0].animation is None


def test_a_mark_is_placed_by_the_frame() -> None:
    picture, _ = rendition(animations()["gif"])
    assert picture.mark == place(60, 40, 40, 20, MARK)


def test_a_frame_beyond_the_screen_counts() -> None:
    data = bytearray(animations()["gif"])
    data[6:10] = b"\x08\0\x08\0"  # a screen of 8 x 8 for frames of 90 x 60
    header = read_header(bytes(data), Limits())
    assert (header.width, header.height) == (90, 60)
    assert rendition(bytes(data))[0].height == 40


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_of_frames_comes_out_twice_the_same(name: str) -> None:
    assert rendition(animations()[name])[1] == rendition(animations()[name])[1]
