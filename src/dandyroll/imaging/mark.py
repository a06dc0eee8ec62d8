"""Lay a mark over a picture."""

from functools import lru_cache

from dandyroll.imaging.picture import below_each_other, each_frame
from dandyroll.imaging.vips import pyvips
from dandyroll.models import Box
from dandyroll.policy import Mark


def overlay(pixels: pyvips.Image, mark: Mark, frames: int = 1) -> tuple[pyvips.Image, Box]:
    """The picture with the mark over it, over each of its frames, and the box it covers. Lazy.

    Takes and returns 8-bit sRGB of three bands, or four with straight alpha. Only the box is
    computed anew: composing the whole picture would cost more than resizing it.
    """
    box = place(pixels.width, pixels.height // frames, *_size(mark.png), mark)
    marked = [_marked(one, mark, box) for one in each_frame(pixels, frames)]
    return below_each_other(marked), box


def _marked(pixels: pyvips.Image, mark: Mark, box: Box) -> pyvips.Image:
    colours, alpha = _prepared(mark.png, box.width, box.height, mark.opacity_pct)
    beneath = pixels.crop(box.left, box.top, box.width, box.height)
    if pixels.hasalpha():
        covered = beneath.composite2(colours.bandjoin(alpha), "over").cast("uchar")
    else:
        covered = alpha.ifthenelse(colours, beneath, blend=True)
    return pixels.insert(covered, box.left, box.top)


def place(width: int, height: int, mark_width: int, mark_height: int, mark: Mark) -> Box:
    """Where a mark of that shape goes in a picture of that size; all in pixels.

    The box is always inside the picture. Where the picture is too small or too narrow, first
    the margins give way, to a quarter of its short side, then the mark.
    """
    margin = min(round(width * mark.margin_pct / 100), min(width, height) // 4)
    room_width, room_height = width - 2 * margin, height - 2 * margin
    box_width = min(max(1, round(width * mark.scale_pct / 100)), room_width)
    box_height = max(1, round(box_width * mark_height / mark_width))
    if box_height > room_height:
        box_height = room_height
        box_width = min(max(1, round(box_height * mark_width / mark_height)), room_width)
    left, top = width - margin - box_width, height - margin - box_height
    if "left" in mark.position:
        left = margin
    elif "right" not in mark.position:
        left = (width - box_width) // 2
    if "top" in mark.position:
        top = margin
    elif "bottom" not in mark.position:
        top = (height - box_height) // 2
    return Box(left, top, box_width, box_height)


@lru_cache(maxsize=32)
def _size(png: bytes) -> tuple[int, int]:
    mark = pyvips.Image.pngload_buffer(png)
    return mark.width, mark.height


@lru_cache(maxsize=32)
def _prepared(
    png: bytes, width: int, height: int, opacity_pct: int
) -> tuple[pyvips.Image, pyvips.Image]:
    """The mark at its size: colours (three bands) and alpha (one), both in memory.

    Kept, since most pictures of a policy come out in one of a few widths. The key is the PNG
    itself: Python keeps the hash of bytes, and compares the same object at no cost.
    """
    mark = pyvips.Image.pngload_buffer(png)
    if mark.interpretation != "srgb":
        mark = mark.colourspace("srgb")
    if not mark.hasalpha():
        mark = mark.bandjoin(255)
    mark = mark.copy_memory().thumbnail_image(width, height=height, size="force")
    alpha = mark[3]
    if opacity_pct != 100:
        alpha = (alpha * (opacity_pct / 100)).rint().cast("uchar")
    return mark[:3].copy_memory(), alpha.copy_memory()
