"""Make a picture fit a box, upright and in sRGB: what `update_size` does to pixels."""

from dandyroll.errors import CorruptImage
from dandyroll.imaging.colour import to_srgb
from dandyroll.imaging.picture import bare, below_each_other, each_frame
from dandyroll.imaging.vips import DECODE_ERRORS, pyvips


def fit(
    pixels: pyvips.Image, max_width_px: int, max_height_px: int, frames: int = 1
) -> pyvips.Image:
    """The picture inside the box: never enlarged, at least 1 px a side, in memory.

    Takes what `decode` gives, with its orientation and profile as metadata; returns 8-bit sRGB
    of three bands, or four with straight alpha, upright and without metadata. Decodes all of
    the file, so one that cannot be decoded to its end is found out here: `CorruptImage`.
    Of several `frames` below each other each is made to fit by itself.
    """
    try:
        if frames == 1:
            return bare(_fit(pixels, max_width_px, max_height_px))
        fitted = [_fit(one, max_width_px, max_height_px) for one in each_frame(pixels, frames)]
        return bare(below_each_other(fitted)).copy_memory()
    except DECODE_ERRORS as error:
        raise CorruptImage("The picture cannot be decoded.") from error


def fitted_size(width: int, height: int, max_width_px: int, max_height_px: int) -> tuple[int, int]:
    """Width and height in pixels of a picture of the given size once it fits the box."""
    scale = min(1.0, max_width_px / width, max_height_px / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _fit(pixels: pyvips.Image, max_width_px: int, max_height_px: int) -> pyvips.Image:
    orientation = pixels.get("orientation") if pixels.get_typeof("orientation") else 1
    if orientation >= 5:  # stored on its side: the box lies down with it
        max_width_px, max_height_px = max_height_px, max_width_px
    width, height = fitted_size(pixels.width, pixels.height, max_width_px, max_height_px)
    if (width, height) != (pixels.width, pixels.height):
        pixels = _resize(pixels, width, height)
    pixels = to_srgb(pixels).copy_memory()
    if orientation > 1:  # from memory: a file read from top to bottom cannot be turned
        pixels = pixels.autorot().copy_memory()
    return pixels


def _resize(pixels: pyvips.Image, width: int, height: int) -> pyvips.Image:
    """Lanczos. With alpha, colours are weighed by it, lest clear pixels bleed into others."""
    hscale, vscale = width / pixels.width, height / pixels.height
    if not pixels.hasalpha():
        return pixels.resize(hscale, vscale=vscale)
    sample = pixels.format
    premultiplied = pixels.premultiply().cast(sample)  # half the CPU of resizing floats
    return premultiplied.resize(hscale, vscale=vscale).unpremultiply().cast(sample)
