"""A file's format by its first bytes, and what it says of itself.

Dimensions are known before anything is allocated for them, and a file that ends too soon is
found out before anything is decoded.
"""

from dandyroll.imaging.readers import Structure, gif, jpeg, png, webp

_READERS = {
    "JPEG": jpeg.read,
    "PNG": png.read,
    "WEBP": webp.read,
    "GIF": gif.read,
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
    return None


def read_structure(data: bytes, image_format: str) -> Structure:
    """The structure of a file of that (sniffed) format."""
    return _READERS[image_format](data)
