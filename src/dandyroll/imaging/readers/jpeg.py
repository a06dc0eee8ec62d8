"""The segments of a JPEG."""

import re
import struct

from dandyroll.errors import CorruptImage, TruncatedImage
from dandyroll.imaging.readers import MAX_PARTS, Structure

MAGIC = b"\xff\xd8\xff"

_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD8)))
_FILL_BYTES = re.compile(rb"\xff*+")  # in one go: a file may be nothing else
_SOS, _EOI = 0xDA, 0xD9
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}


def read(data: bytes) -> Structure:
    """Walk the segments up to the first scan, then look for the end of the image.

    A thumbnail's own end-of-image lies inside a segment before the first scan, and what follows
    ours (padding, further pictures of an MPO, a gain map) does not matter. Inside a scan the
    two bytes of an end-of-image cannot occur: 0xFF is always followed by 0 or a restart.
    """
    width = height = components = 0
    progressive = in_parts = oddities = False
    at = 2
    for _ in range(MAX_PARTS):
        found = data.find(b"\xff", at)
        if found < 0:
            raise TruncatedImage("The JPEG file ends before its picture begins.")
        oddities |= found > at
        at = _after_fill_bytes(data, found + 1)
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
            progressive = marker in (0xC2, 0xC6, 0xCA, 0xCE)
        elif marker == 0xE0 and body[:5] == b"JFIF\0":
            oddities |= body[5:6] != b"\x01"
        elif marker == 0xEE and body[:5] == b"Adobe":
            oddities |= body[11:12] > b"\x02"
        elif marker == _SOS:
            if not components:
                raise CorruptImage("The JPEG file has a scan but no frame header.")
            in_parts = body[:1] != bytes((components,))  # a scan a colour: kept until the last
            oddities |= not progressive and body[-3:] != b"\x00\x3f\x00"
            break
        at = max(end, at + 2)
    else:
        raise CorruptImage("The JPEG file has too many segments.")
    mode = _MODES.get(components)
    if mode is None:
        raise CorruptImage(f"Expected a JPEG of 1, 3 or 4 components; got {components}.")
    ends = data.rfind(b"\xff\xd9", at) >= 0
    kind = "progressive JPEG" if progressive or in_parts else "JPEG"
    return Structure(width, height, mode, kind, ends, oddities=oddities)


def _after_fill_bytes(data: bytes, at: int) -> int:
    """Any number of them may precede a marker."""
    fill_bytes = _FILL_BYTES.match(data, at)
    return fill_bytes.end() if fill_bytes else at
