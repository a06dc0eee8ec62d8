"""A file's format by its first bytes, and what it says of itself.

Dimensions are known before anything is allocated for them, and a file that ends too soon is
found out before anything is decoded.
"""

from dandyroll.imaging.readers import Structure, gif, isobmff, jpeg, png, svg, tiff, webp
from dandyroll.imaging.readers.ifd import is_tiff

_READERS = {
    "JPEG": jpeg.read,
    "PNG": png.read,
    "WEBP": webp.read,
    "GIF": gif.read,
    "TIFF": tiff.read,
    "AVIF": isobmff.read,
    "HEIC": isobmff.read,
    "SVG": svg.read,
}


def sniff(data: bytes) -> str | None:
    """The format, as Pillow names it, by the first bytes; None for any that we do not take."""
    if data.startswith(jpeg.MAGIC):
        return "JPEG"
    if data.startswith(png.MAGIC):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if is_tiff(data):
        return "TIFF"
    return "SVG" if svg.is_svg(data) else isobmff.sniff(data)


def read_structure(data: bytes, image_format: str) -> Structure:
    """The structure of a file of that (sniffed) format."""
    return _READERS[image_format](data)
