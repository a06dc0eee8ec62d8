"""From pixels to bytes: the rendition, and what one stage hands to the next."""

from dandyroll.errors import CorruptImage
from dandyroll.imaging.credit import KEEP, credited_gif, write_credit
from dandyroll.imaging.picture import Picture, bare
from dandyroll.imaging.timing import time_webp
from dandyroll.imaging.vips import DECODE_ERRORS, pyvips
from dandyroll.models import NO_CREDIT, Animation
from dandyroll.policy import Encoding

_PIXELS_PER_MM = 72 / 25.4  # the usual non-statement, in place of what a scanner wrote
_ONE_STEP_MS = 1000


def encode(picture: Picture, encoding: Encoding) -> bytes:
    """The picture as a file of its format, without any metadata but its credit.

    JPEG has colour at half the resolution below quality 90 and no optimised tables: they cost
    more CPU than all the rest of the encoding, for a hundredth of the bytes. PNG is filtered
    by `sub`, which suits photographs; libvips' own default suits drawings. AVIF's effort 1 is a
    third of the CPU of libvips' default for a twentieth more bytes.
    """
    pixels = picture.pixels.copy(xres=_PIXELS_PER_MM, yres=_PIXELS_PER_MM)
    keep = "none"
    if picture.credit != NO_CREDIT:
        write_credit(pixels, picture.credit)
        keep = KEEP
    if picture.animation:
        data = _encode_frames(pixels, picture.image_format, picture.animation, encoding, keep)
        if picture.image_format == "GIF" and picture.credit != NO_CREDIT:
            data = credited_gif(data, picture.credit)
        return data
    if picture.image_format == "JPEG":
        data = pixels.jpegsave_buffer(Q=encoding.jpeg_quality, keep=keep)
    elif picture.image_format == "PNG":
        data = pixels.pngsave_buffer(compression=encoding.png_compression, filter="sub", keep=keep)
    elif picture.image_format == "AVIF":
        data = pixels.heifsave_buffer(
            compression="av1", Q=encoding.avif_quality, effort=encoding.avif_effort, keep=keep
        )
    else:
        data = pixels.webpsave_buffer(
            Q=encoding.webp_quality, effort=encoding.webp_effort, keep=keep
        )
    return bytes(data)


def _encode_frames(
    pixels: pyvips.Image, image_format: str, animation: Animation, encoding: Encoding, keep: str
) -> bytes:
    frames = len(animation.delays_ms)
    set_type, ints = pixels.set_type, pyvips.GValue.array_int_type
    set_type(pyvips.GValue.gint_type, "page-height", pixels.height // frames)
    set_type(pyvips.GValue.gint_type, "loop", animation.loop)
    if image_format == "GIF":
        set_type(ints, "delay", list(animation.delays_ms))
        return bytes(
            pixels.gifsave_buffer(
                effort=encoding.gif_effort, keep_duplicate_frames=True, keep="none"
            )
        )
    # libwebp melts equal frames into one, and libvips shows short ones longer. So it is given
    # one time for all, which tells of each frame how many it is, and the real ones come after.
    set_type(ints, "delay", [_ONE_STEP_MS] * frames)
    data = pixels.webpsave_buffer(Q=encoding.webp_quality, effort=encoding.webp_effort, keep=keep)
    return time_webp(bytes(data), animation, _ONE_STEP_MS)


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
