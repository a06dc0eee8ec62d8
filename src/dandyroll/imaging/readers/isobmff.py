"""The boxes of AVIF and HEIC: a file of items, one of which is the picture."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from dandyroll.errors import (
    CorruptImage,
    TruncatedImage,
    UnsupportedAnimation,
    UnsupportedFormat,
)
from dandyroll.imaging.profile import matrix_profile
from dandyroll.imaging.readers import MAX_PARTS, Structure

_SEQUENCES = {b"avis", b"hevc", b"hevx", b"msf1"}
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
_SLACK = 2  # what is cut off may be a little, and an encoder rounds up to whole blocks
_HDR = {16: "PQ", 18: "HLG"}


@dataclass(frozen=True)
class Box:
    """A box's four letters, and where its body begins and ends in the file."""

    name: bytes
    at: int
    end: int


def sniff(data: bytes) -> str | None:
    """`AVIF` or `HEIC` by the brands of the first box; None for any other, videos among them."""
    if data[4:8] != b"ftyp":
        return None
    size = min(int.from_bytes(data[:4], "big"), 512)
    brands = {data[8:12]} | {data[at : at + 4] for at in range(16, size - 3, 4)}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}:
        return "HEIC"
    return None


def read(data: bytes) -> Structure:
    """The primary item's structure. `width` and `height` are those before it is turned.

    Where another part of the file states to be larger, its size counts, lest a small picture
    hide a large one. What turns a picture here is part of the format, so its decoders do it.
    """
    try:
        return _read(data, str(sniff(data)))
    except IndexError:
        raise TruncatedImage("The file ends inside its properties.") from None


def _read(data: bytes, image_format: str) -> Structure:
    boxes = list(_boxes(data, 0, len(data)))
    if data[8:12] in _SEQUENCES:
        raise UnsupportedAnimation("Expected a single picture; got a sequence of them.")
    meta = _child(boxes, b"meta", "The file has no box of items.")
    inside = list(_boxes(data, meta.at + 4, meta.end))
    iprp = _child(inside, b"iprp", "The file's items have no properties.")
    properties = list(_boxes(data, iprp.at, iprp.end))
    ipco = _child(properties, b"ipco", "The file states no size.")
    stated = list(_boxes(data, ipco.at, ipco.end))
    own = [stated[n - 1] for n in _own(data, inside, properties) if 0 < n <= len(stated)]
    width, height = _size(data, own)
    largest = max((_area(data, box) for box in stated if box.name == b"ispe"), default=0)
    if largest > width * height * _SLACK:
        raise CorruptImage("The file holds a picture that is larger than its primary one.")
    has_alpha = any(
        box.name == b"auxC" and data[box.at + 4 : box.at + 64].startswith(_ALPHA) for box in stated
    )
    # Of this box we read how many bands, and the bits of the first.
    pixi = next((data[box.at + 4 : box.at + 6] for box in own if box.name == b"pixi"), b"")
    mode = ("L" if pixi[:1] == b"\1" else "RGB") + ("A" if has_alpha else "")
    kind = f"deep {image_format}" if pixi[1:] > b"\x08" else image_format
    ends = boxes[-1].end <= len(data) and _items_end(data, inside)
    return Structure(width, height, mode, kind, ends, profile=_profile(data, own))


def _own(data: bytes, inside: list[Box], properties: list[Box]) -> list[int]:
    """The numbers of the primary item's properties."""
    pitm = _child(inside, b"pitm", "The file names no primary picture.")
    word = 2 if data[pitm.at : pitm.at + 1] == b"\0" else 4
    primary = data[pitm.at + 4 : pitm.at + 4 + word]
    ipma = _child(properties, b"ipma", "The file's items have no properties.")
    version, flags = data[ipma.at], data[ipma.at + 3]
    word, wide = (4 if version else 2), 2 if flags & 1 else 1
    count, at = _number(data, ipma.at + 4, 4)
    for _ in range(min(count, MAX_PARTS)):
        item, at = _number(data, at, word)
        links, at = _number(data, at, 1)
        if at > ipma.end:
            break
        if item == int.from_bytes(primary, "big"):
            mask = 0x7FFF if wide == 2 else 0x7F
            starts = range(at, at + links * wide, wide)
            return [_number(data, start, wide)[0] & mask for start in starts]
        at += links * wide
    raise CorruptImage("The file's primary picture has no properties.")


def _size(data: bytes, own: list[Box]) -> tuple[int, int]:
    """What the picture states, less what it says to cut off. `CorruptImage` if it has none."""
    ispe = _child(own, b"ispe", "The file states no size.")
    try:
        width, height = struct.unpack_from(">II", data, ispe.at + 4)
        clap = next((box for box in own if box.name == b"clap"), None)
        if clap is not None:
            across, by, down, of = struct.unpack_from(">4I", data, clap.at)
            if by and of:
                width, height = min(width, across // by), min(height, down // of)
    except struct.error:
        raise TruncatedImage("The file ends inside its properties.") from None
    if not width or not height:
        raise CorruptImage("The picture has no size.")
    return width, height


def _area(data: bytes, ispe: Box) -> int:
    body = data[ispe.at + 4 : ispe.at + 12].ljust(8, b"\0")
    return int.from_bytes(body[:4], "big") * int.from_bytes(body[4:], "big")


def _profile(data: bytes, own: list[Box]) -> bytes | None:
    """The colours that the numbers of ITU-T H.273 name, as a profile; None for sRGB's own."""
    bodies = [data[box.at : box.at + 8] for box in own if box.name == b"colr"]
    nclx = next((body for body in bodies if body[:4] == b"nclx"), None)
    if nclx is None or len(nclx) < 8:
        return None
    primaries, transfer = struct.unpack_from(">HH", nclx, 4)
    if transfer in _HDR:
        raise UnsupportedFormat(
            f"Expected a picture of standard dynamic range; got an HDR one ({_HDR[transfer]})."
        )
    return matrix_profile(primaries)


def _boxes(data: bytes, at: int, end: int) -> Iterator[Box]:
    for _ in range(MAX_PARTS):
        if at + 8 > end:
            return
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        head = 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = end - at
        if size < head:
            raise CorruptImage("The file has a box that is smaller than its head.")
        yield Box(name, at + head, at + size)
        at += size
    raise CorruptImage("The file has too many boxes.")


def _child(boxes: list[Box], name: bytes, complaint: str) -> Box:
    found = next((box for box in boxes if box.name == name), None)
    if found is None:
        raise CorruptImage(complaint)
    return found


def _items_end(data: bytes, inside: list[Box]) -> bool:
    """Whether every part of every item that lies in the file itself lies in it wholly."""
    iloc = next((box for box in inside if box.name == b"iloc"), None)
    if iloc is None:
        raise CorruptImage("The file does not say where its items are.")
    version = data[iloc.at]
    at = iloc.at + 4
    try:
        sizes, more = struct.unpack_from(">BB", data, at)
        offset_size, length_size, base_size = sizes >> 4, sizes & 15, more >> 4
        index_size = more & 15 if version in (1, 2) else 0
        word = 4 if version == 2 else 2
        at += 2
        count, at = _number(data, at, word)
        for _ in range(min(count, MAX_PARTS)):
            at += word
            method = 0
            if version in (1, 2):
                method, at = _number(data, at, 2)
            at += 2
            base, at = _number(data, at, base_size)
            extents, at = _number(data, at, 2)
            for _ in range(extents):
                at += index_size
                offset, at = _number(data, at, offset_size)
                length, at = _number(data, at, length_size)
                if method & 15 == 0 and base + offset + length > len(data):
                    return False
            if at > iloc.end:
                raise CorruptImage("The file's list of its items is cut short.")
    except struct.error:
        raise TruncatedImage("The file ends inside the list of its items.") from None
    return True


def _number(data: bytes, at: int, size: int) -> tuple[int, int]:
    return int.from_bytes(data[at : at + size], "big"), at + size
