"""What the stages pass on: pixels, what they are to be encoded as, and where the mark is."""

from dataclasses import dataclass

from dandyroll.imaging.vips import pyvips
from dandyroll.models import NO_CREDIT, Animation, Box, Credit


@dataclass(frozen=True)
class Picture:
    """`pixels` are 8-bit sRGB with three bands, or four with straight alpha, in memory.

    Only what `decode` gives is rawer: lazy, perhaps on its side, perhaps in another colour
    space, with the orientation and the profile as libvips metadata. Turning and converting a
    picture is cheapest once it is small, so `resize.fit` does both; `update_size` comes first.

    The frames of an `animation` lie one below the other, all of the same height; `height` is
    that of one. `image_format` is Pillow's name for what the picture will be encoded as. `mark`
    is the box that the watermark covers, of every frame, once it is there. `credit` is what the
    original says of its maker, and all that a rendition may say of it.
    """

    pixels: pyvips.Image
    image_format: str
    mark: Box | None = None
    animation: Animation | None = None
    credit: Credit = NO_CREDIT

    @property
    def frames(self) -> int:
        return len(self.animation.delays_ms) if self.animation else 1

    @property
    def height(self) -> int:
        return int(self.pixels.height) // self.frames


_HEADER = {
    "width", "height", "bands", "format", "coding", "interpretation",
    "xoffset", "yoffset", "xres", "yres", "filename",
}  # fmt: skip
"""What libvips knows of every image, as against what it read in a file."""


def each_frame(pixels: pyvips.Image, frames: int) -> list[pyvips.Image]:
    """The frames that lie below each other, each by itself. Lazy."""
    if frames == 1:
        return [pixels]
    height = pixels.height // frames
    return [pixels.crop(0, n * height, pixels.width, height) for n in range(frames)]


def below_each_other(frames: list[pyvips.Image]) -> pyvips.Image:
    """The opposite of `each_frame`. Lazy."""
    return frames[0] if len(frames) == 1 else pyvips.Image.arrayjoin(frames, across=1)


def bare(pixels: pyvips.Image) -> pyvips.Image:
    """The same pixels without metadata: neither the owner's secrets nor hints to an encoder."""
    names = [name for name in pixels.get_fields() if name not in _HEADER]
    copy = pixels.copy()
    for name in names:
        copy.remove(name)
    return copy
