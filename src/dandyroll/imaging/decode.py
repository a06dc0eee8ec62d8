"""From a file's bytes to a picture, decoding no more of it than its box needs.

libjpeg can decode at an eighth, a quarter or half the size, libwebp at any size, both for a
fraction of the work. What is left to do is `resize.fit`'s.
"""

from dandyroll.errors import CorruptImage
from dandyroll.imaging import heic
from dandyroll.imaging.credit import read_credit
from dandyroll.imaging.describe import Description, is_transparent
from dandyroll.imaging.header import LOADERS
from dandyroll.imaging.picture import Picture
from dandyroll.imaging.readers import Structure
from dandyroll.imaging.structure import read_structure
from dandyroll.imaging.svg import draw
from dandyroll.imaging.vips import DECODE_ERRORS, pyvips
from dandyroll.models import Animation, Header


def decode(
    data: bytes, header: Header, max_width_px: int, max_height_px: int
) -> tuple[Picture, Description]:
    """The picture, at least as large as it will be in its box, and what the catalogue says of it.

    `header` must be this file's own. Opaque pictures stay lazy, and what is wrong with their
    pixels shows only when `resize.fit` computes them. Those with an alpha channel are decoded
    here, since only their pixels can tell whether any of it is used; if none is, it is dropped.
    Raises `CorruptImage`.
    """
    structure = read_structure(data, header.image_format)
    try:
        pixels, has_transparency = _OPENERS[header.image_format](
            data, structure, max_width_px, max_height_px
        )
    except DECODE_ERRORS as error:
        raise CorruptImage("The picture cannot be decoded.") from error
    if structure.profile and not pixels.get_typeof("icc-profile-data"):
        pixels = pixels.copy()
        pixels.set_type(pyvips.GValue.blob_type, "icc-profile-data", structure.profile)
    picture = Picture(
        pixels,
        _target(header.image_format, structure, has_transparency),
        animation=structure.animation,
        credit=read_credit(data, pixels),
    )
    return picture, Description(structure.mode, has_transparency)


def _target(image_format: str, structure: Structure, has_transparency: bool) -> str:
    """The format to encode in: the original's own, where that serves its pixels well."""
    if image_format == "GIF" and not structure.animation:
        return "PNG"  # resized, it has more than 256 colours, and edges that are half clear
    if image_format == "SVG":
        return "PNG"
    if image_format in ("TIFF", "HEIC"):  # browsers show neither
        return "PNG" if has_transparency else "JPEG"
    return image_format


def _open_jpeg(
    data: bytes, structure: Structure, max_width_px: int, max_height_px: int
) -> tuple[pyvips.Image, bool]:
    # A warning of libjpeg's after the header means lost pixels, grey ones in their place. One
    # about the header is harmless, but libvips counts both: then only a cut file is refused.
    fail_on = "truncated" if structure.oddities else "warning"
    width, height = structure.width, structure.height
    if max_width_px != max_height_px:
        orientation = _orientation(LOADERS["JPEG"](data))
        width, height = (height, width) if orientation >= 5 else (width, height)
    excess = max(width / max_width_px, height / max_height_px)
    thickness = min(width, height)  # libvips rounds down, and a thread would vanish
    shrink = next((by for by in (8, 4, 2) if excess >= by and thickness >= by), 1)
    return LOADERS["JPEG"](data, shrink=shrink, access="sequential", fail_on=fail_on), False


def _open_png(
    data: bytes, structure: Structure, max_width_px: int, max_height_px: int
) -> tuple[pyvips.Image, bool]:
    pixels = LOADERS["PNG"](data, access="sequential", fail_on="error")
    return _checked(pixels)  # the resize reads it again, so decode it once: 4 bytes a pixel


def _open_webp(
    data: bytes, structure: Structure, max_width_px: int, max_height_px: int
) -> tuple[pyvips.Image, bool]:
    if structure.animation:
        return _open_frames(data, "WEBP", structure.animation)
    width, height = structure.width, structure.height
    if max_width_px != max_height_px:
        orientation = _orientation(LOADERS["WEBP"](data))
        width, height = (height, width) if orientation >= 5 else (width, height)
    scale = min(max_width_px / width, max_height_px / height)
    scale = min(1.0, max(scale, 1 / width, 1 / height))  # no side of less than a pixel
    pixels = LOADERS["WEBP"](data, scale=scale, access="sequential", fail_on="error")
    if not pixels.hasalpha():
        return pixels, False
    # If the small picture is transparent anywhere, so is the large one; only where it looks
    # opaque must we look closer, for a pixel that was lost in the scaling.
    pixels = pixels.copy_memory()
    has_transparency = is_transparent(pixels) or (
        scale < 1 and is_transparent(LOADERS["WEBP"](data, access="sequential", fail_on="error"))
    )
    return pixels if has_transparency else _colours(pixels), has_transparency


def _open_tiff(
    data: bytes, structure: Structure, max_width_px: int, max_height_px: int
) -> tuple[pyvips.Image, bool]:
    # Its limits are for readers that have none. Ours has weighed the file already.
    return _checked(LOADERS["TIFF"](data, access="sequential", fail_on="error", unlimited=True))


def _open_avif(
    data: bytes, structure: Structure, max_width_px: int, max_height_px: int
) -> tuple[pyvips.Image, bool]:
    return _checked(_upright(LOADERS["AVIF"](data, access="sequential", fail_on="error")))


def _open_heic(
    data: bytes, structure: Structure, max_width_px: int, max_height_px: int
) -> tuple[pyvips.Image, bool]:
    return _checked(_upright(heic.load(data)))


def _open_svg(
    data: bytes, structure: Structure, max_width_px: int, max_height_px: int
) -> tuple[pyvips.Image, bool]:
    return _checked(draw(data, max_width_px, max_height_px))


def _checked(pixels: pyvips.Image) -> tuple[pyvips.Image, bool]:
    """In memory if it has alpha, and without it if that says nothing."""
    if not pixels.hasalpha():
        return pixels, False
    pixels = pixels.copy_memory()
    has_transparency = is_transparent(pixels)
    return pixels if has_transparency else _colours(pixels), has_transparency


def _upright(pixels: pyvips.Image) -> pyvips.Image:
    """Without EXIF's orientation: AVIF and HEIC turn the picture by their own, in the decoder."""
    pixels = pixels.copy()
    if pixels.get_typeof("orientation"):
        pixels.remove("orientation")
    return pixels


def _open_gif(
    data: bytes, structure: Structure, max_width_px: int, max_height_px: int
) -> tuple[pyvips.Image, bool]:
    return _open_frames(data, "GIF", structure.animation)


def _open_frames(
    data: bytes, image_format: str, animation: Animation | None
) -> tuple[pyvips.Image, bool]:
    """All frames below each other, each as it is shown, in memory: the stages go frame by frame."""
    frames = len(animation.delays_ms) if animation else 1
    pixels = LOADERS[image_format](data, n=frames, access="sequential", fail_on="error")
    return _checked(pixels.copy_memory())


def _colours(pixels: pyvips.Image) -> pyvips.Image:
    """Without an alpha channel that says nothing: it would double the cost of the resize."""
    return pixels.extract_band(0, n=pixels.bands - 1)


def _orientation(pixels: pyvips.Image) -> int:
    """1 to 8, as EXIF counts; from 5 on the picture is stored on its side."""
    if not pixels.get_typeof("orientation"):
        return 1
    return int(pixels.get("orientation"))


_OPENERS = {
    "JPEG": _open_jpeg,
    "PNG": _open_png,
    "WEBP": _open_webp,
    "GIF": _open_gif,
    "TIFF": _open_tiff,
    "AVIF": _open_avif,
    "HEIC": _open_heic,
    "SVG": _open_svg,
}
