"""What is uploaded: measured once, then read as often as it must be sent."""

import hashlib
import mimetypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import SEEK_SET, BytesIO
from pathlib import Path
from typing import BinaryIO

from dandyroll.client.problems import SourceChanged

Uploadable = bytes | str | Path | BinaryIO

_CHUNK = 256 * 1024

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG", "image/png"),
    (8, b"WEBP", "image/webp"),
    (0, b"GIF8", "image/gif"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypavis", "image/avif"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypheix", "image/heic"),
    (4, b"ftypmif1", "image/heic"),
)


@dataclass(frozen=True)
class Source:
    """Bytes that can be read again and again, with their length and hash.

    `read` yields them from the start each time it is called.
    """

    name: str
    size_bytes: int
    sha256: str
    content_type: str
    read: Callable[[], Iterator[bytes]]

    def chunks(self) -> Iterator[bytes]:
        """The bytes that were measured, and no others: `SourceChanged` before the last of them."""
        digest, got_bytes = hashlib.sha256(), 0
        for chunk in self.read():
            chunk = chunk[: self.size_bytes - got_bytes]
            digest.update(chunk)
            got_bytes += len(chunk)
            if got_bytes == self.size_bytes:
                break
            yield chunk
        else:
            chunk = b""
        if got_bytes != self.size_bytes or digest.hexdigest() != self.sha256:
            raise SourceChanged(f"{self.name} was written to while it was being uploaded.")
        yield chunk


def measure(what: Uploadable, content_type: str | None = None) -> Source:
    """Read it once, a piece at a time. The type is told by the first bytes, then by the name.

    A file object is read from where it stands. Raises `OSError`, and `TypeError` for what
    cannot be read twice.
    """
    name, read = _reader(what)
    digest, size_bytes, head = hashlib.sha256(), 0, b""
    for chunk in read():
        digest.update(chunk)
        size_bytes += len(chunk)
        head = head or chunk[:32]
    return Source(name, size_bytes, digest.hexdigest(), content_type or _type(head, name), read)


def _reader(what: Uploadable) -> tuple[str, Callable[[], Iterator[bytes]]]:
    if isinstance(what, bytes):
        return "the upload", partial(_pieces, BytesIO(what), 0)
    if isinstance(what, str | Path):
        return str(what), partial(_file_pieces, Path(what))
    if not (hasattr(what, "seekable") and what.seekable()) or hasattr(what, "encoding"):
        raise TypeError(f"Expected bytes, a path or a binary file that can seek; got {what!r}.")
    return str(getattr(what, "name", "the upload")), partial(_pieces, what, what.tell())


def _file_pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from _pieces(file, 0)


def _pieces(file: BinaryIO, start: int) -> Iterator[bytes]:
    file.seek(start, SEEK_SET)
    while chunk := file.read(_CHUNK):
        yield chunk


def _type(head: bytes, name: str) -> str:
    for offset, magic, content_type in _MAGIC:
        if head[offset:].startswith(magic):
            return content_type
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
