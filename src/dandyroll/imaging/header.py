"""What is known of a file before a pixel of it is decoded, and whether we take it at all."""

from collections.abc import Callable

from dandyroll.errors import (
    CorruptImage,
    EmptyBody,
    TooManyPixels,
    TruncatedImage,
    UnsupportedAnimation,
    UnsupportedFormat,
)
from dandyroll.imaging.structure import read_structure, sniff
from dandyroll.imaging.vips import DECODE_ERRORS, pyvips
from dandyroll.models import Header

LOADERS: dict[str, Callable[..., pyvips.Image]] = {
    "JPEG": pyvips.Image.jpegload_buffer,  # by name: a JPEG with a gain map has a slower one too
    "PNG": pyvips.Image.pngload_buffer,
    "WEBP": pyvips.Image.webpload_buffer,
}
"""The one loader of each format; a file is never offered to another."""

_TYPES = {
    "JPEG": ("image/jpeg", "jpg"),
    "PNG": ("image/png", "png"),
    "WEBP": ("image/webp", "webp"),
}

_LOOKS_LIKE = (
    (0, b"GIF8", "GIF"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"BM", "BMP"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftyphev", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftyp", "a video"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL ", "JPEG XL"),
    (4, b"jP  ", "JPEG 2000"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"%PDF", "PDF"),
    (0, b"\0\0\1\0", "ICO"),
    (0, b"<svg", "SVG"),
    (0, b"<?xml", "XML"),
    (0, b"<", "HTML"),
    (0, b"{", "JSON"),
    (0, b"data:", "a data URL"),
    (0, b"PK\3\4", "ZIP"),
)


def read_header(data: bytes, max_pixels: int) -> Header:
    """The header of a file we take. `max_pixels` is the budget for width times height.

    Raises `EmptyBody`, `UnsupportedFormat`, `TooManyPixels`, `UnsupportedAnimation`,
    `TruncatedImage` or `CorruptImage`, and nothing else, whatever the bytes. Costs next to
    nothing however large the picture says it is: its words are weighed before libvips hears
    of them.
    """
    if not data:
        raise EmptyBody("Expected the bytes of an image; got an empty body.")
    image_format = sniff(data)
    if image_format is None:
        raise UnsupportedFormat(f"Expected a JPEG, PNG or WebP image; {_what_came(data)}.")
    structure = read_structure(data, image_format)
    width, height = structure.width, structure.height
    if width * height > max_pixels:
        raise TooManyPixels(
            f"Expected at most {max_pixels} pixels; got {width} x {height} = {width * height}."
        )
    if structure.animated:
        raise UnsupportedAnimation("Expected a single picture; got an animation.")
    if not structure.ends:
        raise TruncatedImage(f"The {image_format} file ends before its picture does.")
    try:
        LOADERS[image_format](data)
    except DECODE_ERRORS as error:
        raise CorruptImage(f"The {image_format} file's header cannot be read.") from error
    content_type, extension = _TYPES[image_format]
    return Header(image_format, content_type, extension, width, height)


def _what_came(data: bytes) -> str:
    start = data[:32].lstrip()
    for at, magic, name in _LOOKS_LIKE:
        if (data if at else start)[at : at + len(magic)] == magic:
            return f"this looks like {name}"
    return f"this begins with the bytes {data[:4].hex(' ')}"
