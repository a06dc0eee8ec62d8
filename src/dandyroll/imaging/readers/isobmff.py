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

    They are the largest that any part of the file states, lest a small picture hide a large
    one. What turns a picture here is part of the format, so its decoders do it.
    """
    image_format = sniff(data)
    boxes = list(_boxes(data, 0, len(data)))
    if data[8:12] in _SEQUENCES:
        raise UnsupportedAnimation("Expected a single picture; got a sequence of them.")
    meta = _child(boxes, b"meta", "The file has no box of items.")
    inside = list(_boxes(data, meta.at + 4, meta.end))
    properties = _child(inside, b"iprp", "The file's items have no properties.")
    container = _child(
        list(_boxes(data, properties.at, properties.end)), b"ipco", "The file states no size."
    )
    sizes, profile, has_alpha = [], None, False
    for box in _boxes(data, container.at, container.end):
        body = data[box.at : min(box.end, box.at + 64)]
        if box.name == b"ispe" and len(body) >= 12:
            sizes.append(struct.unpack_from(">II", body, 4))
        elif box.name == b"colr" and body[:4] == b"nclx" and profile is None:
            profile = _profile(body)
        elif box.name == b"auxC" and body[4:].startswith(_ALPHA):
            has_alpha = True
    if not sizes:
        raise CorruptImage("The file states no size.")
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    if not width or not height:
        raise CorruptImage("The picture has no size.")
    ends = boxes[-1].end <= len(data) and _items_end(data, inside)
    mode = "RGBA" if has_alpha else "RGB"
    return Structure(width, height, mode, str(image_format), ends, profile=profile)


def _profile(nclx: bytes) -> bytes | None:
    """The colours that the numbers of ITU-T H.273 name, as a profile; None for sRGB's own."""
    if len(nclx) < 10:
        raise CorruptImage("The file's words on its colours are cut short.")
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
