"""SVG comes out as a sharp PNG, or is refused for what it would do."""

import base64
import subprocess
import sys
import time

import numpy as np
import pytest

from dandyroll.errors import (
    CorruptImage,
    DandyrollError,
    TooComplex,
    TooManyPixels,
    TruncatedImage,
    UnsafeDrawing,
    UnsupportedFormat,
)
from dandyroll.imaging import svg as drawer
from dandyroll.imaging.decode import decode
from dandyroll.imaging.encode import encode
from dandyroll.imaging.header import read_header
from dandyroll.imaging.readers.svg import MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS, parse
from dandyroll.imaging.vips import pyvips
from dandyroll.models import Header, Limits
from dandyroll.policy import DEFAULT
from dandyroll.stages.add_watermark import add_watermark
from dandyroll.stages.update_size import update_size
from tests.imaging.corpus import file, open_file, photo

LIMITS = Limits()


def svg(body: str = "", attributes: str = 'width="200" height="100"') -> bytes:
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f"<svg {names} {attributes}>{body}</svg>".encode()


def drawn(data: bytes, width: int = 400, height: int = 400) -> np.ndarray:
    picture, _ = decode(data, read_header(data, LIMITS), width, height)
    return np.asarray(picture.pixels.numpy())


def embedded(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def test_it_is_drawn_at_the_size_of_its_box() -> None:
    data = svg('<rect x="50" width="100" height="100" fill="red"/>')
    assert read_header(data, LIMITS) == Header("SVG", "image/svg+xml", "svg", 200, 100)
    pixels = drawn(data)
    assert pixels.shape == (200, 400, 4)
    assert (pixels[:, 100:300] == (255, 0, 0, 255)).all()  # sharp to the pixel
    assert not pixels[:, :99, 3].any()


def test_the_rendition_is_a_png() -> None:
    data = svg('<circle cx="100" cy="50" r="40" fill="blue"/>')
    picture, seen = decode(data, read_header(data, LIMITS), 1280, 1280)
    picture = add_watermark(update_size(picture, DEFAULT), DEFAULT)
    with open_file(encode(picture, DEFAULT.encoding)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGBA", (1280, 640))
    assert seen.has_transparency and picture.mark is not None


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ('width="30" height="20px"', (30, 20)),
        ('width="1in" height="72pt"', (96, 96)),
        ('viewBox="0 0 24 12"', (24, 12)),
        ('viewBox="0,0,24,12" width="48"', (48, 24)),
        ('width="100%" height="100%" viewBox="-5 -5 10 30"', (10, 30)),
        ("", (300, 150)),
        ('width="0.001" height="2"', (1, 2)),
    ],
)
def test_its_size(attributes: str, size: tuple[int, int]) -> None:
    header = read_header(svg("", attributes), LIMITS)
    assert (header.width, header.height) == size
    assert max(drawn(svg("", attributes)).shape) <= 400


@pytest.mark.parametrize(
    "start",
    ["", "\ufeff", "\n  ", '<?xml version="1.0" encoding="UTF-8"?>\n', "<!-- by hand -->",
     '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'],
)  # fmt: skip
def test_what_may_come_before_it(start: str) -> None:
    assert read_header(start.encode() + svg(), LIMITS).image_format == "SVG"


PIXEL = file(photo(8, 8), "PNG")


@pytest.mark.parametrize(
    "body",
    [
        '<image href="http://127.0.0.1:1/x.png"/>',
        '<image xlink:href="//127.0.0.1:1/x.png"/>',
        '<image href="file:///etc/passwd"/>',
        '<image href="picture.png"/>',
        '<use href="other.svg#part"/>',
        '<image href="&#104;ttp://127.0.0.1:1/x"/>',
        f'<image href="{embedded(svg(), "image/svg+xml")}"/>',
        '<image href="data:text/html,hello"/>',
        '<filter id="f"><feImage href="http://127.0.0.1:1/"/></filter>',
        '<rect fill="url(http://127.0.0.1:1/x.svg#p)"/>',
        "<rect style=\"fill: URL( 'x.svg#p' )\"/>",
        "<style>@import 'http://127.0.0.1:1/x.css';</style>",
        "<style>@\\69mport url(x.css);</style>",
        "<style>rect { fill: u\\72l(x.svg#p) }</style>",
        "<style>rect { fill: u/**/rl(x.svg#p) }</style>",
        "<style><![CDATA[ @import url(x.css); ]]></style>",
        '<g xml:base="http://127.0.0.1:1/"/>',
    ],
)
def test_a_reference_to_the_outside_is_refused(body: str) -> None:
    with pytest.raises(UnsafeDrawing):
        read_header(svg(body), LIMITS)


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE svg [<!ENTITY e "x">]>',
        '<!DOCTYPE svg [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE svg [<!ENTITY % e SYSTEM "http://127.0.0.1:1/"> %e;]>',
        "<!DOCTYPE svg [ ]>",
        '<!DOCTYPE svg SYSTEM "x" [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>',
    ],
)
def test_entities_are_refused(doctype: str) -> None:
    with pytest.raises(UnsafeDrawing):
        read_header(doctype.encode() + svg("<text>&e;</text>"), LIMITS)


@pytest.mark.parametrize(
    "body",
    [
        '<defs><g id="g"/></defs><use href="#g"/>',
        f'<image href="{embedded(PIXEL)}" width="9" height="9"/>',
        f'<image href="{embedded(file(photo(8, 8), "JPEG"), "image/jpeg")}"/>',
        '<style>.a{fill:url(#g)} @font-face{font-family:x;src:local("y")}</style>',
        '<a href="https://example.com/"><rect width="9" height="9"/></a>',
        '<script>fetch("http://127.0.0.1:1/")</script>',
        '<metadata><x xmlns="urn:other" href="http://127.0.0.1:1/"/></metadata>',
        "<text>a &amp; b &lt;c&gt;</text>",
    ],
)
def test_what_stays_inside_is_drawn(body: str) -> None:
    data = svg(body + '<rect y="50" width="200" height="50"/>')
    assert (drawn(data)[150:] == (0, 0, 0, 255)).all()
    for word in ("script", "fetch", "127.0.0.1", "example.com", "onload"):
        assert word not in parse(data).text(9, 9).decode()


def test_limits() -> None:
    with pytest.raises(TooManyPixels):
        read_header(svg("", 'width="10000" height="10000"'), LIMITS)
    with pytest.raises(TooComplex):
        read_header(svg("<g/>" * MAX_ELEMENTS), LIMITS)
    with pytest.raises(TooComplex):
        read_header(svg("<g>" * MAX_DEPTH + "</g>" * MAX_DEPTH), LIMITS)
    with pytest.raises(TooComplex):
        read_header(svg(" " * MAX_BYTES), LIMITS)
    huge = PIXEL[:16] + b"\0\0\x40\0\0\0\x40\0" + PIXEL[24:]
    with pytest.raises(TooComplex):
        read_header(svg(f'<image href="{embedded(huge)}"/>'), LIMITS)
    assert read_header(svg("<g/>" * (MAX_ELEMENTS - 1)), LIMITS).width == 200


def test_drawing_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawer, "TIMEOUT_S", 1)
    blur = '<filter id="f"><feMorphology operator="dilate" radius="400"/></filter>'
    rect = '<rect width="90" height="90"/>'
    data = svg(blur + '<g filter="url(#f)">' * 100 + rect + "</g>" * 100)
    began = time.monotonic()
    with pytest.raises(TooComplex) as caught:
        drawn(data, 1280, 1280)
    assert time.monotonic() - began < 6
    assert "within 1 s" in caught.value.message


def test_a_worker_that_may_start_no_process_draws_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = svg('<rect width="200" height="50" fill="red"/>')
    apart = drawn(data)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(drawer.subprocess, "run", refused)
    assert (drawn(data) == apart).all()
    with pytest.raises(CorruptImage):
        drawer._drawn_here(b"<svg")
    with pytest.raises(pyvips.Error):
        pyvips.Image.svgload_buffer(svg())


def test_parts_that_multiply_are_refused() -> None:
    parts = '<g id="a0"><rect width="9" height="9"/></g>' + "".join(
        f'<g id="a{n + 1}">' + f'<use xlink:href="#a{n}"/>' * 10 + "</g>" for n in range(9)
    )
    with pytest.raises((CorruptImage, TooComplex)):
        drawn(svg(parts))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (svg()[:-3], TruncatedImage),
        (svg("<g>")[:-6], TruncatedImage),
        (svg("<g></h>"), CorruptImage),
        (svg("&undefined;"), CorruptImage),
        (svg() + b"<svg/>", CorruptImage),
        (svg("é").decode().encode("latin-1"), UnsupportedFormat),
        (b'<svg xmlns="urn:other"/>', UnsupportedFormat),
        ("\ufeff".encode("utf-16") + svg().decode().encode("utf-16-le"), UnsupportedFormat),
    ],
)
def test_what_is_no_svg(data: bytes, error: type[DandyrollError]) -> None:
    with pytest.raises(error):
        read_header(data, LIMITS)


def test_the_worker_itself_cannot_load_svg() -> None:
    program = (
        "from dandyroll.imaging.vips import pyvips\n"
        "try: pyvips.Image.svgload_buffer(b'<svg xmlns=\"http://www.w3.org/2000/svg\"/>')\n"
        "except pyvips.Error: print('blocked')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "blocked\n"


def test_the_drawing_process_sees_none_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def run(command: list[str], **options: object) -> None:
        seen.update(options)
        raise subprocess.TimeoutExpired(command, 1)

    monkeypatch.setenv("DANDYROLL_BUCKET", "secret")
    monkeypatch.setattr(drawer.subprocess, "run", run)
    with pytest.raises(TooComplex):
        drawn(svg())
    assert set(seen["env"]) == {"PYTHONPATH", "LC_ALL"}  # type: ignore[call-overload]  # object
