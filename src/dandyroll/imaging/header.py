"""What is known of a file before a pixel of it is decoded, and whether we take it at all."""

from collections.abc import Callable
from typing import Any

from dandyroll.errors import (
    CorruptImage,
    EmptyBody,
    TruncatedImage,
    UnsupportedFormat,
)
from dandyroll.formats import CONTENT_TYPES, EXTENSIONS
from dandyroll.imaging import heic
from dandyroll.imaging.budget import weigh
from dandyroll.imaging.structure import read_structure, sniff
from dandyroll.imaging.vips import DECODE_ERRORS, pyvips
from dandyroll.models import Header, Limits

LOADERS: dict[str, Callable[..., Any]] = {
    "JPEG": pyvips.Image.jpegload_buffer,  # by name: a JPEG with a gain map has a slower one too
    "PNG": pyvips.Image.pngload_buffer,
    "WEBP": pyvips.Image.webpload_buffer,
    "GIF": pyvips.Image.gifload_buffer,
    "TIFF": pyvips.Image.tiffload_buffer,
    "AVIF": pyvips.Image.heifload_buffer,
    "HEIC": heic.check,
    "SVG": bool,  # read by us alone until it is drawn
}
"""The one loader of each format; a file is never offered to another."""

_LOOKS_LIKE = (
    (0, b"BM", "BMP"),
    (4, b"ftyp", "a video"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL ", "JPEG XL"),
    (4, b"jP  ", "JPEG 2000"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"%PDF", "PDF"),
    (0, b"\0\0\1\0", "ICO"),
    (0, b"<?xml", "XML"),
    (0, b"<", "HTML"),
    (0, b"{", "JSON"),
    (0, b"data:", "a data URL"),
    (0, b"PK\3\4", "ZIP"),
)


def read_header(data: bytes, limits: Limits) -> Header:
    """The header of a file we take, that is within the limits.

    Raises `EmptyBody`, `UnsupportedFormat`, `TooManyPixels`, `UnsupportedAnimation`,
    `TruncatedImage` or `CorruptImage`, and nothing else, whatever the bytes. Costs next to
    nothing however large the picture says it is: its words are weighed before libvips hears
    of them.
    """
    if not data:
        raise EmptyBody("Expected the bytes of an image; got an empty body.")
    image_format = sniff(data)
    if image_format is None:
        raise UnsupportedFormat(f"Expected {_taken()}; {_what_came(data)}.")
    structure = read_structure(data, image_format)
    weigh(structure, len(data), limits)
    if not structure.ends:
        raise TruncatedImage(f"The {image_format} file ends before its picture does.")
    try:
        LOADERS[image_format](data)
    except DECODE_ERRORS as error:
        raise CorruptImage(f"The {image_format} file's header cannot be read.") from error
    return Header(
        image_format,
        CONTENT_TYPES[image_format],
        EXTENSIONS[image_format],
        structure.width,
        structure.height,
        frames=len(structure.animation.delays_ms) if structure.animation else None,
        pages=structure.pages,
    )


def _taken() -> str:
    may_be_heic = ", HEIC" if heic.can_decode() else ""
    return f"an image as JPEG, PNG, WebP, GIF, TIFF, AVIF{may_be_heic} or SVG"


def _what_came(data: bytes) -> str:
    start = data[:32].lstrip()
    for at, magic, name in _LOOKS_LIKE:
        if (data if at else start)[at : at + len(magic)] == magic:
            return f"this looks like {name}"
    return f"this begins with the bytes {data[:4].hex(' ')}"
