"""Creator and copyright: read out of an original, written anew into its rendition.

Nothing is copied but the two texts: cleaned, of bounded length, in blocks made here. So a
rendition can carry no position, serial number, thumbnail or maker's note along with them.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from xml.parsers import expat
from xml.sax.saxutils import escape

from dandyroll.errors import DandyrollError
from dandyroll.imaging.readers.ifd import directories, is_tiff
from dandyroll.imaging.vips import pyvips
from dandyroll.models import Credit

MAX_CHARACTERS = 500
_MAX_XMP_BYTES = 1_000_000

_ARTIST, _COPYRIGHT = 315, 33432
_BYLINE, _COPYRIGHT_NOTICE, _PHOTOSHOP_IPTC = 80, 116, 0x0404
_RDF, _DC = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://purl.org/dc/elements/1.1/"
_GIF_XMP = b"!\xff\x0bXMP DataXMP"
_GIF_XMP_END = b"\x01" + bytes(range(255, -1, -1)) + b"\0"


def read_credit(data: bytes, pixels: pyvips.Image) -> Credit:
    """What the file says in XMP, in EXIF or in IPTC, the first that has it. Raises nothing."""
    found = [
        _from_xmp(_blob(pixels, "xmp-data") or _gif_xmp(data)),
        _from_exif(data if is_tiff(data) else _blob(pixels, "exif-data")),
        _from_iptc(_blob(pixels, "iptc-data")),
    ]
    return Credit(
        next((credit.creator for credit in found if credit.creator), ""),
        next((credit.copyright for credit in found if credit.copyright), ""),
    )


def write_credit(pixels: pyvips.Image, credit: Credit) -> None:
    """Set the blocks that libvips writes into a file which is saved with `KEEP`."""
    blocks = {"exif-data": _exif(credit), "xmp-data": _xmp(credit), "iptc-data": _iptc(credit)}
    for name, block in blocks.items():
        pixels.set_type(pyvips.GValue.blob_type, name, block)


KEEP = "exif:xmp:iptc"


def credited_gif(data: bytes, credit: Credit) -> bytes:
    """The same GIF with the credit as XMP, which libvips does not write into one."""
    return data[:-1] + _GIF_XMP + _xmp(credit) + _GIF_XMP_END + data[-1:]


# --- reading ------------------------------------------------------------------------------------


def _blob(pixels: pyvips.Image, name: str) -> bytes:
    with suppress(RuntimeError):  # pyvips', of a block without a byte
        return bytes(pixels.get(name)) if pixels.get_typeof(name) else b""
    return b""


def _decoded(text: bytes) -> str:
    """UTF-8, or else Latin-1, which all bytes are."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _clean(text: str) -> str:
    """The text without controls, cut to its bound."""
    printable = "".join(c if c.isprintable() else " " for c in text[: 4 * MAX_CHARACTERS])
    return " ".join(printable.split())[:MAX_CHARACTERS].strip()


def _from_exif(block: bytes) -> Credit:
    with suppress(DandyrollError):
        block = block.removeprefix(b"Exif\0\0")
        first = next(directories(block), None) if is_tiff(block) else None
        if first is not None:
            texts = (_decoded(_parts(first.text(tag))) for tag in (_ARTIST, _COPYRIGHT))
            return Credit(*map(_clean, texts))
    return Credit()


def _parts(text: bytes) -> bytes:
    """EXIF puts a photographer's and an editor's copyright into one text, with a NUL between."""
    return b"; ".join(part.strip() for part in text.split(b"\0") if part.strip())


def _from_iptc(block: bytes) -> Credit:
    found: dict[int, list[bytes]] = {}
    for record in _photoshop_iptc(block):
        at = 0
        while at + 5 <= len(record) and record[at] == 0x1C:
            number, name = record[at + 1], record[at + 2]
            size = int.from_bytes(record[at + 3 : at + 5], "big")
            if number == 2 and size < 0x8000:
                found.setdefault(name, []).append(record[at + 5 : at + 5 + size])
            at += 5 + (size if size < 0x8000 else len(record))
    texts = (_decoded(b"; ".join(found.get(name, []))) for name in (_BYLINE, _COPYRIGHT_NOTICE))
    return Credit(*map(_clean, texts))


def _photoshop_iptc(block: bytes) -> Iterator[bytes]:
    """The IPTC records among Photoshop's resources, or the block itself if it is one."""
    if block[:1] == b"\x1c":
        yield block
    at = len(b"Photoshop 3.0\0") if block.startswith(b"Photoshop 3.0\0") else len(block)
    while block[at : at + 4] == b"8BIM":
        kind, name_size = struct.unpack(">HB", block[at + 4 : at + 7].ljust(3, b"\0"))
        at += 6 + (name_size + 2) // 2 * 2
        size = int.from_bytes(block[at : at + 4], "big")
        if kind == _PHOTOSHOP_IPTC:
            yield block[at + 4 : at + 4 + size]
        at += 4 + size + size % 2


def _gif_xmp(data: bytes) -> bytes:
    at = data.find(_GIF_XMP) if data[:4] == b"GIF8" else -1
    if at < 0:
        return b""
    at += len(_GIF_XMP)
    end = data.find(_GIF_XMP_END[:9], at)
    return data[at:end] if end > 0 else b""


class _Doctype(Exception):
    """Entities come with one; no camera writes it."""


def _from_xmp(packet: bytes) -> Credit:
    if not packet or len(packet) > _MAX_XMP_BYTES:
        return Credit()
    path: list[str] = []
    texts: dict[str, list[str]] = {"creator": [], "rights": []}

    def field() -> list[str] | None:
        for name, texts_of in texts.items():
            if f"{_DC} {name}" in path and path[-1] == f"{_RDF} li":
                return texts_of
        return None

    def start(name: str, attributes: dict[str, str]) -> None:
        path.append(name)
        if (inside := field()) is not None:
            inside.append("")

    def text(part: str) -> None:
        if (inside := field()) is not None:
            inside[-1] += part

    def refuse(*_: object) -> None:
        raise _Doctype

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = start, lambda _: path.pop()
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, refuse
    try:
        parser.Parse(packet.strip(b" \0\r\n\t"), True)
    except (expat.ExpatError, _Doctype, ValueError, LookupError):
        return Credit()
    return Credit(_clean("; ".join(texts["creator"])), _clean("".join(texts["rights"][:1])))


# --- writing ------------------------------------------------------------------------------------


def _exif(credit: Credit) -> bytes:
    texts = {_ARTIST: credit.creator, _COPYRIGHT: credit.copyright}
    values = {tag: text.encode() + b"\0" for tag, text in texts.items() if text}
    entries, body = struct.pack("<H", len(values)), b""
    begin = 8 + 2 + 12 * len(values) + 4
    for tag, value in values.items():
        inline = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", begin + len(body))
        entries += struct.pack("<HHI", tag, 2, len(value)) + inline
        body += value if len(value) > 4 else b""
    return b"Exif\0\0II*\0\x08\0\0\0" + entries + b"\0\0\0\0" + body


def _xmp(credit: Credit) -> bytes:
    creator = (
        f"<dc:creator><rdf:Seq><rdf:li>{escape(credit.creator)}</rdf:li></rdf:Seq></dc:creator>"
    )
    rights = (
        f'<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{escape(credit.copyright)}</rdf:li>'
        "</rdf:Alt></dc:rights>"
    )
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">'
        f'<rdf:Description rdf:about="" xmlns:dc="{_DC}">'
        f"{creator if credit.creator else ''}{rights if credit.copyright else ''}"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def _iptc(credit: Credit) -> bytes:
    records = b"\x1c\x01\x5a\0\x03\x1b%G"  # what follows is UTF-8
    for name, text in ((_BYLINE, credit.creator), (_COPYRIGHT_NOTICE, credit.copyright)):
        if text:
            records += struct.pack(">BBBH", 0x1C, 2, name, len(text.encode())) + text.encode()
    size = struct.pack(">I", len(records))
    padding = b"\0" * (len(records) % 2)
    return b"Photoshop 3.0\x008BIM\x04\x04\0\0" + size + records + padding
