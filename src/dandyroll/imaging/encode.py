"""From pixels to bytes: the rendition, and what one stage hands to the next."""

from dandyroll.errors import CorruptImage
from dandyroll.imaging.picture import Picture, bare
from dandyroll.imaging.vips import DECODE_ERRORS, pyvips
from dandyroll.policy import Encoding

CONTENT_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}

_PIXELS_PER_MM = 72 / 25.4  # the usual non-statement, in place of what a scanner wrote


def encode(picture: Picture, encoding: Encoding) -> bytes:
    """The picture as a file of its format, without any metadata.

    JPEG has colour at half the resolution below quality 90 and no optimised tables: they cost
    more CPU than all the rest of the encoding, for a hundredth of the bytes. PNG is filtered
    by `sub`, which suits photographs; libvips' own default suits drawings.
    """
    pixels = picture.pixels.copy(xres=_PIXELS_PER_MM, yres=_PIXELS_PER_MM)
    if picture.image_format == "JPEG":
        data = pixels.jpegsave_buffer(Q=encoding.jpeg_quality, keep="none")
    elif picture.image_format == "PNG":
        data = pixels.pngsave_buffer(
            compression=encoding.png_compression, filter="sub", keep="none"
        )
    else:
        data = pixels.webpsave_buffer(
            Q=encoding.webp_quality, effort=encoding.webp_effort, keep="none"
        )
    return bytes(data)


def encode_handover(pixels: pyvips.Image) -> bytes:
    """The pixels without loss, for the next stage: uncompressed TIFF.

    Larger than PNG on its way through the store, but 3 ms of CPU in place of 40.
    """
    return bytes(pixels.tiffsave_buffer(compression="none", keep="none"))


def decode_handover(data: bytes) -> pyvips.Image:
    """The same pixels again, in memory; `CorruptImage` if these are not an `encode_handover`."""
    try:
        return bare(pyvips.Image.tiffload_buffer(data, fail_on="error").copy_memory())
    except DECODE_ERRORS as error:
        raise CorruptImage("The picture handed over between two stages is damaged.") from error
