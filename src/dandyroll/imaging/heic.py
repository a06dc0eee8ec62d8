"""Decode HEIC, what phones take: libvips as we ship it has no decoder for it, pillow-heif has.

It is imported only when such a file comes, which is in a worker, and where it is not installed
(the AWS home's zip) HEIC is a format that is not taken.
"""

from functools import cache
from importlib.util import find_spec
from typing import Any

from dandyroll.errors import CorruptImage, UnsupportedFormat
from dandyroll.imaging.vips import pyvips

_BLOBS = {"icc_profile": "icc-profile-data", "exif": "exif-data", "xmp": "xmp-data"}
_BANDS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


@cache
def can_decode() -> bool:
    return find_spec("pillow_heif") is not None


def check(data: bytes) -> None:
    """Raise `UnsupportedFormat` where this installation decodes no HEIC, `CorruptImage`."""
    _open(data)


def load(data: bytes) -> pyvips.Image:
    """The primary picture, upright, its pixels decoded to 8 bits. Raises `CorruptImage`."""
    primary = _open(data)
    bands = _BANDS.get(primary.mode)
    if bands is None:
        raise CorruptImage(f"Expected a HEIC picture in grey or colour; got {primary.mode}.")
    width, height = primary.size
    try:
        pixels = primary.data
    except Exception as error:  # it raises half a dozen kinds, all about the file
        raise CorruptImage("The picture cannot be decoded.") from error
    row = width * bands
    if primary.stride != row:
        starts = range(0, primary.stride * height, primary.stride)
        pixels = b"".join(pixels[at : at + row] for at in starts)
    # libvips reads these very bytes: what it makes of them keeps them alive, but only through
    # an operation, hence the copy.
    image = pyvips.Image.new_from_memory(pixels, width, height, bands, "uchar")
    image = image.copy(interpretation="srgb" if bands > 2 else "b-w")
    for ours, theirs in _BLOBS.items():
        if blob := primary.info.get(ours):
            image.set_type(pyvips.GValue.blob_type, theirs, bytes(blob))
    return image


def _open(data: bytes) -> Any:
    if not can_decode():
        raise UnsupportedFormat("Expected a format other than HEIC, which is not taken here.")
    import pillow_heif

    options = pillow_heif.options
    options.THUMBNAILS = options.DEPTH_IMAGES = options.AUX_IMAGES = False
    options.DECODE_THREADS = 1
    try:
        images = pillow_heif.open_heif(data, convert_hdr_to_8bit=True)
        return images[images.primary_index]
    except Exception as error:
        raise CorruptImage("The HEIC file's header cannot be read.") from error
