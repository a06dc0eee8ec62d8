"""The blocks of a GIF."""

import struct

from dandyroll.errors import CorruptImage, TruncatedImage
from dandyroll.imaging.readers import MAX_PARTS, Structure
from dandyroll.models import Animation

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_GRAPHIC_CONTROL, _APPLICATION = 0xF9, 0xFF
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


def read(data: bytes) -> Structure:
    """Walk the blocks to the trailer, counting frames and noting how long each is shown.

    `width` and `height` are the screen's, or larger where a frame is, as decoders take it.
    Delays are the file's own, in steps of 10 ms, 0 too. `loop` is one more than is written, as
    GIF's readers count: 0 for ever, 1 once.
    """
    if len(data) < 13:
        raise TruncatedImage("The GIF file ends inside its header.")
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + _table_bytes(flags)
    delays_ms: list[int] = []
    delay_ms, loop, ends = 0, 1, False
    for _ in range(MAX_PARTS):
        kind = data[at : at + 1]
        if not kind or kind[0] == _TRAILER:
            ends = bool(kind)
            break
        if kind[0] == _EXTENSION:
            label, at = data[at + 1 : at + 2], at + 2
            if label == bytes((_GRAPHIC_CONTROL,)):
                delay_ms = int.from_bytes(data[at + 2 : at + 4], "little") * 10
            elif label == bytes((_APPLICATION,)) and data[at + 1 : at + 12] in _LOOPS:
                times = int.from_bytes(data[at + 14 : at + 16], "little")
                loop = times + 1 if times else 0
        elif kind[0] == _IMAGE:
            left, top, w, h, local = struct.unpack("<HHHHB", data[at + 1 : at + 10].ljust(9, b"\0"))
            width, height = max(width, left + w), max(height, top + h)
            delays_ms.append(delay_ms)
            delay_ms = 0
            at += 11 + _table_bytes(local)
        else:
            raise CorruptImage(f"Expected a block of a GIF; got the byte {kind.hex()}.")
        at = _after_parts(data, at)
    else:
        raise CorruptImage("The GIF file has too many blocks.")
    if ends and not delays_ms:
        raise CorruptImage("The GIF file holds no picture.")
    animation = Animation(tuple(delays_ms), loop) if len(delays_ms) > 1 else None
    kind_name = "animation" if animation else "GIF"
    return Structure(width, height, "P", kind_name, ends, animation=animation)


def _table_bytes(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _after_parts(data: bytes, at: int) -> int:
    """Where the chain of length-prefixed parts at `at` ends; the file's end if it is cut."""
    while at < len(data):
        size = data[at]
        at += 1 + size
        if not size:
            return at
    return len(data)
