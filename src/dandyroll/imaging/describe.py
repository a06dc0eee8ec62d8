"""What the catalogue says of an original's pixels."""

from dataclasses import dataclass

from dandyroll.imaging.vips import pyvips


@dataclass(frozen=True)
class Description:
    """`mode` is Pillow's name for the original's (`L`, `P`, `RGBA`, ...).

    `has_transparency` is true where at least one pixel is less than opaque: an alpha channel
    that is full everywhere does not count, a transparent palette entry only where it is used.
    """

    mode: str
    has_transparency: bool


def is_transparent(pixels: pyvips.Image) -> bool:
    """Whether any pixel is less than opaque. Decodes all of them, if they are not in memory."""
    if not pixels.hasalpha():
        return False
    opaque = 65535 if pixels.format == "ushort" else 255
    return bool(pixels[pixels.bands - 1].min() < opaque)
