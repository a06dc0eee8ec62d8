"""The chunks of a PNG."""

import struct

from dandyroll.errors import CorruptImage, TruncatedImage, UnsupportedAnimation
from dandyroll.imaging.readers import MAX_PARTS, Structure

MAGIC = b"\x89PNG\r\n\x1a\n"

_MODES = {
    (1, 0): "1", (2, 0): "L", (4, 0): "L", (8, 0): "L", (16, 0): "I;16",
    (8, 2): "RGB", (16, 2): "RGB",
    (1, 3): "P", (2, 3): "P", (4, 3): "P", (8, 3): "P",
    (8, 4): "LA", (16, 4): "RGBA",
    (8, 6): "RGBA", (16, 6): "RGBA",
}  # fmt: skip
"""By bit depth and colour type. Pillow opens 16-bit grey with alpha as RGBA, so we say that."""


def read(data: bytes) -> Structure:
    """Walk the chunks by their lengths to IEND.

    An APNG of more than one frame is refused: libvips would show the first as if it were all.
    """
    if len(data) < 33:
        raise TruncatedImage("The PNG file ends inside its header.")
    if data[8:16] != b"\0\0\0\x0dIHDR":
        raise CorruptImage("The PNG file does not begin with its header.")
    width, height, depth, colour_type, _, _, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    mode = _MODES.get((depth, colour_type))
    if mode is None:
        raise CorruptImage(f"No PNG has bit depth {depth} with colour type {colour_type}.")
    deep = 16 if depth == 16 else 8
    kind = f"interlaced {deep}-bit PNG" if interlace else f"{deep}-bit PNG"
    at, has_alpha = 33, colour_type in (4, 6)
    for _ in range(MAX_PARTS):
        if at + 12 > len(data):
            return Structure(width, height, mode, kind, ends=False)
        name = data[at + 4 : at + 8]
        if name == b"IEND":
            kind += " with alpha" if has_alpha else ""
            return Structure(width, height, mode, kind, ends=True)
        if name == b"acTL" and int.from_bytes(data[at + 8 : at + 12], "big") > 1:
            raise UnsupportedAnimation(
                "Expected a single picture or an animated GIF or WebP; got an APNG."
            )
        has_alpha |= name == b"tRNS"
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    raise CorruptImage("The PNG file has too many chunks.")
