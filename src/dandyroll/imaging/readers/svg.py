"""The elements of an SVG, and the same drawing written anew from what we understood of it."""

import base64
import binascii
import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from dandyroll.errors import (
    CorruptImage,
    DandyrollError,
    TooComplex,
    TruncatedImage,
    UnsafeDrawing,
    UnsupportedFormat,
)
from dandyroll.imaging.readers import Structure, gif, jpeg, png

MAX_BYTES = 10_000_000
MAX_ELEMENTS = 50_000
MAX_DEPTH = 200
MAX_EMBEDDED_PIXELS = 20_000_000

_DRAWN, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_XML = "http://www.w3.org/XML/1998/namespace"
_PREFIXES = {_XLINK: "xlink:", _XML: "xml:"}
_LEFT_OUT = {"script", "foreignObject", "metadata", "a:script"}
_REFERENCES = ("href", "src")
_UNITS = {"": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0}
_BEFORE_IT = re.compile(rb"<!--.*?-->|<\?.*?\?>|<!DOCTYPE[^\[>]*(\[.*?\]\s*)?>", re.DOTALL)
_FIRST_IS_SVG = re.compile(rb"\s*<(?:[A-Za-z]+:)?svg[\s>/]")
_LENGTH = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*([a-z]*)\s*")
_CSS_ESCAPE = re.compile(r"\\([0-9a-fA-F]{1,6})\s?|\\(.)", re.DOTALL)
_CSS_URL = re.compile(r"url\(\s*['\"]?\s*([^'\")]*)", re.IGNORECASE)
_CSS_FETCH = re.compile(r"@import|(?:image|image-set|src)\(", re.IGNORECASE)
_EMBEDDED = {"image/png": png.read, "image/jpeg": jpeg.read, "image/jpg": jpeg.read,
             "image/gif": gif.read}  # fmt: skip


@dataclass
class Drawing:
    """`parts` are the drawing written anew, without its root's opening tag, which `root` holds."""

    root: dict[str, str] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    elements: int = 0
    embedded_pixels: int = 0

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in CSS pixels: as stated, else the view box's, else 300 x 150."""
        box = self.view_box
        width, height = (_pixels(self.root.get(name, "")) for name in ("width", "height"))
        if width and height:
            return width, height
        if box:
            if width or height:
                scale = width / box[2] if width else height / box[3]
                return box[2] * scale, box[3] * scale
            return box[2], box[3]
        return width or 300.0, height or 150.0

    @property
    def view_box(self) -> tuple[float, float, float, float] | None:
        try:
            numbers = [float(n) for n in re.split(r"[\s,]+", self.root["viewBox"].strip())]
            left, top, width, height = numbers
        except (KeyError, ValueError):
            return None
        return (left, top, width, height) if 0 < width < 1e9 and 0 < height < 1e9 else None

    def text(self, width_px: int, height_px: int) -> bytes:
        """The drawing, made to fill that many pixels."""
        box = self.view_box or (0.0, 0.0, *self.size)
        root = {
            **self.root,
            "width": str(width_px), "height": str(height_px),
            "viewBox": " ".join(f"{number:.9g}" for number in box),
        }  # fmt: skip
        attributes = "".join(f" {name}={quoteattr(value)}" for name, value in root.items())
        opening = f'<svg xmlns="{_DRAWN}" xmlns:xlink="{_XLINK}"{attributes}>'
        return (opening + "".join(self.parts) + "</svg>").encode()


def is_svg(data: bytes) -> bool:
    """Whether the first element of what looks like XML is `svg`."""
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start.startswith(b"<"):
        return False
    return _FIRST_IS_SVG.match(_BEFORE_IT.sub(b"", start)) is not None


def read(data: bytes) -> Structure:
    """The drawing's size in whole pixels. Raises what `parse` raises."""
    width, height = parse(data).size
    return Structure(max(1, round(width)), max(1, round(height)), "RGBA", "SVG", ends=True)


def parse(data: bytes) -> Drawing:
    """Read the drawing, and write it anew: only elements and attributes that draw.

    Raises `UnsafeDrawing` for a document type with entities and for references to anything but
    its own parts and embedded PNG, JPEG and GIF pictures, `TooComplex` beyond the limits above,
    `TruncatedImage` and `CorruptImage` for what is no whole XML, and `UnsupportedFormat` where
    it is not in UTF-8. Scripts, which nothing here runs, and links are left out.
    """
    if len(data) > MAX_BYTES:
        raise TooComplex(f"Expected an SVG of at most {MAX_BYTES} bytes; got {len(data)}.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnsupportedFormat("Expected an SVG in UTF-8; got another encoding.") from None
    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    reader = _Reader()
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _doctype
    parser.EntityDeclHandler = _entity
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        if error.code in (3, 5, 6):  # nothing, or an unclosed token or element, at the end
            raise TruncatedImage("The SVG file ends before its drawing does.") from None
        raise CorruptImage("The SVG file is not well-formed XML.") from None
    width, height = reader.drawing.size
    if not (0 < width < 1e9 and 0 < height < 1e9):
        raise CorruptImage("The SVG file has no size that can be drawn.")
    return reader.drawing


class _Reader:
    """What expat tells, as it comes, written into a drawing."""

    def __init__(self) -> None:
        self.drawing = Drawing()
        self._path: list[str] = []
        self._skipped = 0  # elements open inside one that is left out
        self._style = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.drawing.elements += 1
        if self.drawing.elements > MAX_ELEMENTS:
            raise TooComplex(f"Expected an SVG of at most {MAX_ELEMENTS} elements; got more.")
        space, _, local = name.rpartition(" ")
        depth = len(self._path) + self._skipped
        if depth >= MAX_DEPTH:
            raise TooComplex(f"Expected an SVG at most {MAX_DEPTH} elements deep; got deeper.")
        if self._skipped or space != _DRAWN or local in _LEFT_OUT:
            if not self._path:
                raise UnsupportedFormat("Expected an SVG in its own namespace; got another.")
            self._skipped += 1
            return
        self._path.append(local)
        drawn = self._attributes(local, attributes)
        if depth == 0:
            self.drawing.root = drawn
            return
        written = "".join(f" {key}={quoteattr(value)}" for key, value in drawn.items())
        self.drawing.parts.append(f"<{local}{written}>")

    def end(self, name: str) -> None:
        if self._skipped:
            self._skipped -= 1
            return
        local = self._path.pop()
        if local == "style":
            _check_css(self._style)
            self.drawing.parts.append(escape(self._style))
            self._style = ""
        if self._path:
            self.drawing.parts.append(f"</{local}>")

    def text(self, text: str) -> None:
        if self._skipped:
            return
        if self._path[-1] == "style":
            self._style += text
        else:
            self.drawing.parts.append(escape(text))

    def _attributes(self, element: str, attributes: dict[str, str]) -> dict[str, str]:
        kept = {}
        for name, value in attributes.items():
            space, _, local = name.rpartition(" ")
            if (space and space not in _PREFIXES) or local.lower().startswith("on"):
                continue
            if local == "base":
                raise UnsafeDrawing("Expected an SVG that refers to itself only; got a base.")
            if local in _REFERENCES:
                if element == "a":
                    continue  # a link: nothing follows it here
                self._check_reference(value)
            else:
                _check_css(value)
            kept[_PREFIXES.get(space, "") + local] = value
        return kept

    def _check_reference(self, value: str) -> None:
        value = value.strip()
        if value.startswith("#") or not value:
            return
        kind, comma, body = value.partition(",")
        kind = kind.lower()
        if not kind.startswith("data:") or not comma:
            raise UnsafeDrawing(f"Expected references inside the SVG; got one to {value[:60]!r}.")
        reader = _EMBEDDED.get(kind.removeprefix("data:").split(";")[0].strip())
        if reader is None:
            raise UnsafeDrawing("Expected embedded PNG, JPEG or GIF pictures; got another kind.")
        try:
            raw = unquote_to_bytes(body)
            picture = base64.b64decode(raw) if "base64" in kind else raw
            structure = reader(picture)
        except (binascii.Error, DandyrollError, ValueError):
            raise CorruptImage("The SVG embeds a picture that cannot be read.") from None
        self.drawing.embedded_pixels += structure.width * structure.height
        if self.drawing.embedded_pixels > MAX_EMBEDDED_PIXELS:
            raise TooComplex(
                f"Expected an SVG to embed at most {MAX_EMBEDDED_PIXELS} pixels; "
                f"got {self.drawing.embedded_pixels}."
            )


def _check_css(text: str) -> None:
    """Raise `UnsafeDrawing` if it could fetch anything."""
    if "\\" in text:
        text = _CSS_ESCAPE.sub(_unescaped, text)
    plain = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    if _CSS_FETCH.search(plain) or not all(map(_is_inside, _CSS_URL.findall(plain))):
        raise UnsafeDrawing("Expected styles that refer to parts of the SVG; got one that fetches.")


def _is_inside(url: str) -> bool:
    """A part of the drawing, or an embedded font, which is not used but often there."""
    return url.lower().startswith(("#", "data:font", "data:application/"))


def _unescaped(escape_: re.Match[str]) -> str:
    number = int(escape_[1], 16) if escape_[1] else 0
    return chr(number) if 0 < number < 0x110000 else escape_[2] or ""


def _pixels(length: str) -> float:
    """A CSS length in pixels; 0 for a percentage, or for what is none."""
    found = _LENGTH.fullmatch(length)
    return float(found[1]) * _UNITS.get(found[2], 0.0) if found else 0.0


def _doctype(name: str, system: str | None, public: str | None, has_internal: int) -> None:
    if has_internal:
        raise UnsafeDrawing("Expected an SVG without a document type of its own; got one.")


def _entity(*_: object) -> None:
    raise UnsafeDrawing("Expected an SVG without entities; got one.")
