"""Directories of tags, as TIFF files and EXIF blocks hold them."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from dandyroll.errors import CorruptImage, TruncatedImage

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
          16: 8, 17: 8, 18: 8}  # fmt: skip
_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}
_MAX_DIRECTORIES = 100_000
_BIG = 43


@dataclass(frozen=True)
class Directory:
    """One directory: where each tag's value lies. `order` is `<` or `>`."""

    data: bytes
    order: str
    entries: dict[int, tuple[int, int, int]]  # tag: type, count, offset of the value

    def numbers(self, tag: int) -> tuple[int, ...]:
        """The tag's whole numbers; none if it is absent. `TruncatedImage` if they are cut off."""
        if tag not in self.entries:
            return ()
        kind, count, at = self.entries[tag]
        if kind not in _CODES:
            raise CorruptImage(f"Expected whole numbers under tag {tag}; got type {kind}.")
        try:
            return struct.unpack_from(f"{self.order}{count}{_CODES[kind]}", self.data, at)
        except (struct.error, OverflowError):
            raise TruncatedImage("The file ends before its tags do.") from None

    def number(self, tag: int, default: int) -> int:
        return next(iter(self.numbers(tag)), default)

    def text(self, tag: int) -> bytes:
        """The tag's bytes; none if it is absent or no text."""
        kind, count, at = self.entries.get(tag, (2, 0, 0))
        return self.data[at : at + count] if kind in (1, 2, 7) else b""


def is_tiff(data: bytes) -> bool:
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def directories(data: bytes) -> Iterator[Directory]:
    """The directories of a TIFF, in their order. Raises `CorruptImage`, `TruncatedImage`."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        big = struct.unpack_from(order + "H", data, 2)[0] == _BIG
        word, count_word, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
        (at,) = struct.unpack_from(order + word, data, 8 if big else 4)
        seen: set[int] = set()
        while at and at not in seen and len(seen) < _MAX_DIRECTORIES:
            seen.add(at)
            (count,) = struct.unpack_from(order + count_word, data, at)
            first = at + struct.calcsize(count_word)
            if count > 65535:
                raise CorruptImage("The file has a directory of too many tags.")
            entries = {}
            for n in range(count):
                where = first + n * entry
                tag, kind, values = struct.unpack_from(f"{order}HH{word}", data, where)
                inline = where + entry - struct.calcsize(word)
                size = _SIZES.get(kind, 1) * values
                if size > struct.calcsize(word):
                    (inline,) = struct.unpack_from(order + word, data, inline)
                entries[tag] = (kind, values, inline)
            yield Directory(data, order, entries)
            (at,) = struct.unpack_from(order + word, data, first + count * entry)
    except (struct.error, OverflowError):  # the latter of a place beyond any file
        raise TruncatedImage("The file ends inside a directory of its tags.") from None
