"""The chunks of a WebP."""

import struct
from collections.abc import Iterator

from dandyroll.errors import CorruptImage, TruncatedImage
from dandyroll.imaging.readers import MAX_PARTS, Structure
from dandyroll.models import Animation


def read(data: bytes) -> Structure:
    """The first chunk tells all but the frames, which `VP8X` files hold in `ANMF` chunks."""
    if len(data) < 30:
        raise TruncatedImage("The WebP file ends inside its header.")
    ends = int.from_bytes(data[4:8], "little") + 8 <= len(data)
    kind = data[12:16]
    if kind == b"VP8 ":
        if data[23:26] != b"\x9d\x01\x2a":
            raise CorruptImage("The WebP file's frame header is not one.")
        width, height = struct.unpack_from("<HH", data, 26)
        return Structure(width & 0x3FFF, height & 0x3FFF, "RGB", "WebP", ends)
    if kind == b"VP8L":
        if data[20] != 0x2F:
            raise CorruptImage("The WebP file's frame header is not one.")
        bits = int.from_bytes(data[21:25], "little")
        mode = "RGBA" if bits >> 28 & 1 else "RGB"
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        return Structure(width, height, mode, "lossless WebP", ends)
    if kind == b"VP8X":
        flags = data[20]
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        mode = "RGBA" if flags & 0x10 else "RGB"
        parts = list(chunks(data))
        lossless = any(name == b"VP8L" for name, _ in parts)
        animation = _animation(data, parts) if flags & 0x02 else None
        kind_name = "animation" if animation else "lossless WebP" if lossless else "WebP"
        return Structure(width, height, mode, kind_name, ends, animation=animation)
    raise CorruptImage("Expected a WebP file to begin with a VP8, VP8L or VP8X chunk.")


def chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Name and offset of each chunk's body."""
    at = 12
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            return
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], at + 8
        at += 8 + size + size % 2  # chunks are padded to an even length
    raise CorruptImage("The WebP file has too many chunks.")


def _animation(data: bytes, parts: list[tuple[bytes, int]]) -> Animation | None:
    """The time of every frame as the file has it; None where there is but one frame."""
    delays_ms, loop = [], 1
    for name, at in parts:
        if name == b"ANIM":
            loop = int.from_bytes(data[at + 4 : at + 6], "little")
        elif name == b"ANMF":
            delays_ms.append(int.from_bytes(data[at + 12 : at + 15], "little"))
    return Animation(tuple(delays_ms), loop) if len(delays_ms) > 1 else None
