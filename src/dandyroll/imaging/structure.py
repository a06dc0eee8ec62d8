"""What a file says of itself, read from its bytes without a decoder.

Dimensions are known before anything is allocated for them, and a file that ends too soon is
found out before anything is decoded. Every function takes time linear in the file's length
and raises nothing but `CorruptImage` and `TruncatedImage`.
"""

import struct
from dataclasses import dataclass

from dandyroll.errors import CorruptImage, TruncatedImage

JPEG_MAGIC = b"\xff\xd8\xff"
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"

_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD8)))
_SOS, _EOI = 0xDA, 0xD9

_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_PNG_MODES = {
    (1, 0): "1", (2, 0): "L", (4, 0): "L", (8, 0): "L", (16, 0): "I;16",
    (8, 2): "RGB", (16, 2): "RGB",
    (1, 3): "P", (2, 3): "P", (4, 3): "P", (8, 3): "P",
    (8, 4): "LA", (16, 4): "RGBA",
    (8, 6): "RGBA", (16, 6): "RGBA",
}  # fmt: skip
"""By bit depth and colour type. Pillow opens 16-bit grey with alpha as RGBA, so we say that."""

_MAX_PARTS = 1_000_000  # segments or chunks: a file of nothing but tiny ones is no picture


@dataclass(frozen=True)
class Structure:
    """A file by its own words. `width` and `height` in pixels, as stored; `mode` is Pillow's.

    `ends` is false where the file stops before the picture does. `oddities` is true where a
    JPEG's header makes libjpeg warn though the picture is sound.
    """

    width: int
    height: int
    mode: str
    ends: bool
    animated: bool = False
    oddities: bool = False


def sniff(data: bytes) -> str | None:
    """`JPEG`, `PNG` or `WEBP` by the first bytes; None for anything else."""
    if data.startswith(JPEG_MAGIC):
        return "JPEG"
    if data.startswith(PNG_MAGIC):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return None


def read_structure(data: bytes, image_format: str) -> Structure:
    """The structure of a file of that (sniffed) format."""
    return _READERS[image_format](data)


def _read_jpeg(data: bytes) -> Structure:
    """Walk the segments up to the first scan, then look for the end of the image.

    A thumbnail's own end-of-image lies inside a segment before the first scan, and what follows
    ours (padding, further pictures of an MPO, a gain map) does not matter. Inside a scan the
    two bytes of an end-of-image cannot occur: 0xFF is always followed by 0 or a restart.
    """
    width = height = components = 0
    progressive = oddities = False
    at = 2
    for _ in range(_MAX_PARTS):
        found = data.find(b"\xff", at)
        if found < 0:
            raise TruncatedImage("The JPEG file ends before its picture begins.")
        oddities |= found > at
        at = found + 1
        while data[at : at + 1] == b"\xff":  # any number of fill bytes may precede a marker
            at += 1
        if at >= len(data):
            raise TruncatedImage("The JPEG file ends before its picture begins.")
        marker = data[at]
        at += 1
        if marker == 0:
            oddities = True
            continue
        if marker in _WITHOUT_LENGTH:
            continue
        if marker == _EOI:
            raise CorruptImage("The JPEG file holds no picture.")
        end = at + int.from_bytes(data[at : at + 2], "big")
        if end > len(data) or at + 2 > len(data):
            raise TruncatedImage("The JPEG file ends before its picture begins.")
        body = data[at + 2 : end]
        if marker in _START_OF_FRAME:
            if len(body) < 6:
                raise CorruptImage("The JPEG file's frame header is too short.")
            height, width, components = struct.unpack_from(">HHB", body, 1)
            progressive = marker in (0xC2, 0xCA)
        elif marker == 0xE0 and body[:5] == b"JFIF\0":
            oddities |= body[5:6] != b"\x01"
        elif marker == 0xEE and body[:5] == b"Adobe":
            oddities |= body[11:12] > b"\x02"
        elif marker == _SOS:
            if not components:
                raise CorruptImage("The JPEG file has a scan but no frame header.")
            oddities |= not progressive and body[-3:] != b"\x00\x3f\x00"
            break
        at = max(end, at + 2)
    else:
        raise CorruptImage("The JPEG file has too many segments.")
    mode = _JPEG_MODES.get(components)
    if mode is None:
        raise CorruptImage(f"Expected a JPEG of 1, 3 or 4 components; got {components}.")
    ends = data.rfind(b"\xff\xd9", at) >= 0
    return Structure(width, height, mode, ends, oddities=oddities)


def _read_png(data: bytes) -> Structure:
    """Walk the chunks by their lengths to IEND. More than one frame (APNG) is an animation."""
    if len(data) < 33:
        raise TruncatedImage("The PNG file ends inside its header.")
    if data[8:16] != b"\0\0\0\x0dIHDR":
        raise CorruptImage("The PNG file does not begin with its header.")
    width, height, depth, colour_type = struct.unpack_from(">IIBB", data, 16)
    mode = _PNG_MODES.get((depth, colour_type))
    if mode is None:
        raise CorruptImage(f"No PNG has bit depth {depth} with colour type {colour_type}.")
    at, animated = 33, False
    for _ in range(_MAX_PARTS):
        if at + 12 > len(data):
            return Structure(width, height, mode, ends=False, animated=animated)
        kind = data[at + 4 : at + 8]
        if kind == b"IEND":
            return Structure(width, height, mode, ends=True, animated=animated)
        if kind == b"acTL":
            animated = int.from_bytes(data[at + 8 : at + 12], "big") > 1
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    raise CorruptImage("The PNG file has too many chunks.")


def _read_webp(data: bytes) -> Structure:
    """The first chunk tells all but the number of frames, which `VP8X` files count in `ANMF`."""
    if len(data) < 30:
        raise TruncatedImage("The WebP file ends inside its header.")
    ends = int.from_bytes(data[4:8], "little") + 8 <= len(data)
    kind = data[12:16]
    if kind == b"VP8 ":
        if data[23:26] != b"\x9d\x01\x2a":
            raise CorruptImage("The WebP file's frame header is not one.")
        width, height = struct.unpack_from("<HH", data, 26)
        return Structure(width & 0x3FFF, height & 0x3FFF, "RGB", ends)
    if kind == b"VP8L":
        if data[20] != 0x2F:
            raise CorruptImage("The WebP file's frame header is not one.")
        bits = int.from_bytes(data[21:25], "little")
        mode = "RGBA" if bits >> 28 & 1 else "RGB"
        return Structure((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, mode, ends)
    if kind == b"VP8X":
        flags = data[20]
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        mode = "RGBA" if flags & 0x10 else "RGB"
        animated = bool(flags & 0x02) and _frames_to_two(data) > 1
        return Structure(width, height, mode, ends, animated=animated)
    raise CorruptImage("Expected a WebP file to begin with a VP8, VP8L or VP8X chunk.")


def _frames_to_two(data: bytes) -> int:
    at, frames = 12, 0
    for _ in range(_MAX_PARTS):
        if at + 8 > len(data) or frames > 1:
            break
        frames += data[at : at + 4] == b"ANMF"
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2  # chunks are padded to an even length
    return frames


_READERS = {"JPEG": _read_jpeg, "PNG": _read_png, "WEBP": _read_webp}
