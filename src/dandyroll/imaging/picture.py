"""What the stages pass on: pixels, what they are to be encoded as, and where the mark is."""

from dataclasses import dataclass

from dandyroll.imaging.vips import pyvips
from dandyroll.models import Box


@dataclass(frozen=True)
class Picture:
    """`pixels` are 8-bit sRGB with three bands, or four with straight alpha, in memory.

    Only what `decode` gives is rawer: lazy, perhaps on its side, perhaps in another colour
    space, with the orientation and the profile as libvips metadata. Turning and converting a
    picture is cheapest once it is small, so `resize.fit` does both; `update_size` comes first.

    `image_format` is Pillow's name for what the picture came as and will be encoded as:
    `JPEG`, `PNG` or `WEBP`. `mark` is the box that the watermark covers, once it is there.
    """

    pixels: pyvips.Image
    image_format: str
    mark: Box | None = None


_HEADER = {
    "width", "height", "bands", "format", "coding", "interpretation",
    "xoffset", "yoffset", "xres", "yres", "filename",
}  # fmt: skip
"""What libvips knows of every image, as against what it read in a file."""


def bare(pixels: pyvips.Image) -> pyvips.Image:
    """The same pixels without metadata: neither the owner's secrets nor hints to an encoder."""
    names = [name for name in pixels.get_fields() if name not in _HEADER]
    copy = pixels.copy()
    for name in names:
        copy.remove(name)
    return copy
