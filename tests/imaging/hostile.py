"""Over a thousand hostile files, the same on every run: cut, flipped, bombed, polyglot.

python -m tests.imaging.hostile FOLDER     write them out, to throw at a server
"""

import base64
import random
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from tests.imaging.corpus import animations, chunk, claiming_png, corpus, file, photo, riff

CUTS = (0, 1, 3, 8, 12, 16, 20, 24, 30, 33, 48, 64, 100, 200, 400)
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999)
FLIPS = 6
BOMB = 60_000  # pixels a side

SVG = (
    b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="60" height="40">'
    b'<defs><linearGradient id="g"><stop offset="1" stop-color="red"/></linearGradient></defs>'
    b'<rect width="50" height="30" fill="url(#g)"/><text x="9" y="9">hello</text></svg>'
)


def seeds() -> dict[str, bytes]:
    """One or more whole files of every format, small where there is a choice."""
    names = (
        "jpeg-cmyk", "jpeg-progressive", "jpeg-gps", "png", "png-rgba", "png-palette-clear",
        "png-16-bit", "png-interlaced", "webp", "webp-alpha", "webp-lossless", "webp-metadata",
        "gif", "gif-clear", "tiff", "tiff-rgba", "tiff-1-bit", "tiff-16-bit-cmyk", "tiff-pages",
        "avif", "avif-rgba", "avif-metadata", "heic", "heic-rgba", "heic-metadata",
    )  # fmt: skip
    moving = {f"animated-{n}": animations()[n] for n in ("gif", "gif-clear", "webp", "webp-clear")}
    return {name: corpus()[name] for name in names} | moving | {"svg": SVG}


def hostile() -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each."""
    for name, data in seeds().items():
        for at in CUTS:
            yield f"{name}-cut-{at}", data[:at]
        for share in SHARES:
            yield f"{name}-cut-{share}", data[: int(len(data) * share)]
        for number in range(FLIPS):
            yield f"{name}-flipped-head-{number}", flipped(data, 400, 1 + number, seed=number)
            yield f"{name}-flipped-{number}", flipped(data, len(data), 8 << number, seed=number)
        yield f"{name}-zeroed", data[: len(data) // 2] + bytes(len(data) - len(data) // 2)
        yield f"{name}-twice", data + data
    yield from bombs()
    yield from polyglots()
    noise = random.Random(1)
    magics = (
        b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"GIF89a", b"II*\0", b"MM\0*",
        b"II+\0", b"\0\0\0\x18ftypavif", b"\0\0\0\x18ftypheic", b"<svg ", b"",
    )  # fmt: skip
    for magic in magics:
        for length in (0, 10, 100, 1000, 10_000):
            yield f"noise-{magic.hex()}-{length}", magic + noise.randbytes(length)


def flipped(data: bytes, within: int, count: int, seed: int) -> bytes:
    """The data with so many of its first `within` bytes changed."""
    noise, changed = random.Random(f"{seed} {count}"), bytearray(data)
    for _ in range(count):
        changed[noise.randrange(min(within, len(data)))] ^= 1 << noise.randrange(8)
    return bytes(changed)


def bombs() -> Iterator[tuple[str, bytes]]:
    """Files that would become far larger than they are."""
    yield "bomb-png", claiming_png(BOMB, BOMB)
    rows = zlib.compress(bytes((BOMB * 4 + 1) * 100))
    head = struct.pack(">IIBBBBB", 7000, 7000, 16, 6, 0, 0, 1)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    yield "bomb-png-interlaced", b"\x89PNG\r\n\x1a\n" + body
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000)))
    png = corpus()["png"]
    yield "bomb-png-text", png[:33] + text * 3 + png[33:]
    yield (
        "bomb-png-profile",
        png[:33] + chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(50_000_000))) + png[33:],
    )
    jpeg = bytearray(corpus()["jpeg-progressive"])
    at = jpeg.index(b"\xff\xc2") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 65_500, 65_500)
    yield "bomb-jpeg", bytes(jpeg)
    jpeg[at : at + 4] = struct.pack(">HH", 7000, 7000)
    yield "bomb-jpeg-within-pixels", bytes(jpeg)
    scan = bytes(jpeg[jpeg.rindex(b"\xff\xda") : -2])
    yield "bomb-jpeg-scans", bytes(jpeg[:-2]) + scan * 200 + b"\xff\xd9"
    gif = bytearray(animations()["gif"])
    gif[6:10] = b"\xff\xff\xff\xff"
    yield "bomb-gif-screen", bytes(gif)
    frame = b"!\xf9\4\0\0\0\0\0," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2L\1\0"
    yield "bomb-gif-frames", b"GIF89a\xe8\3\xe8\3\x80\0\0" + bytes(6) + frame * 100_000 + b";"
    anmf = riff(b"ANMF", bytes(16) + riff(b"VP8L", b"\x2f" + bytes(9)))
    body = b"WEBP" + riff(b"VP8X", b"\2\0\0\0\xff\x0f\0\xff\x0f\0") + riff(b"ANIM", bytes(6))
    body += anmf * 50_000
    yield "bomb-webp-frames", b"RIFF" + struct.pack("<I", len(body)) + body
    for name in ("tiff", "tiff-1-bit", "tiff-16-bit-cmyk"):
        for size in (6900, BOMB):
            yield f"bomb-{name}-{size}", tiff_of(corpus()[name], size)
    for name in ("avif", "heic"):
        for size in (6900, BOMB):
            data = bytearray(corpus()[name])
            at = data.index(b"ispe") + 8
            data[at : at + 8] = struct.pack(">II", size, size)
            yield f"bomb-{name}-{size}", bytes(data)
    laughs = b'<!DOCTYPE svg [<!ENTITY a0 "ha">' + b"".join(
        b'<!ENTITY a%d "%s">' % (n + 1, b"&a%d;" % n * 10) for n in range(9)
    )
    yield "bomb-svg-entities", laughs + b"]>" + SVG.replace(b"hello", b"&a9;")
    yield "bomb-svg-deep", SVG.replace(b"<text", b"<g>" * 100_000 + b"<text")
    yield "bomb-svg-wide", SVG.replace(b"<text", b"<g/>" * 1_000_000 + b"<text")
    picture = base64.b64encode(claiming_png(BOMB, BOMB))
    yield (
        "bomb-svg-picture",
        SVG.replace(b"<text", b'<image href="data:image/png;base64,%s"/><text' % picture),
    )
    yield (
        "bomb-svg-attribute",
        SVG.replace(b"<text", b'<g style="%s"/><text' % (b"url(#" * 500_000)),
    )


def tiff_of(data: bytes, size: int) -> bytes:
    """The TIFF with another width and height written into it."""
    order = "<" if data[:2] == b"II" else ">"
    changed = bytearray(data)
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, _, _ = struct.unpack_from(order + "HHI", data, entry)
        if tag in (256, 257, 278):
            struct.pack_into(order + "HI I".replace(" ", ""), changed, entry + 2, 4, 1, size)
    return bytes(changed)


def polyglots() -> Iterator[tuple[str, bytes]]:
    """Files that are two things at once, or say to be another than they are."""
    script = b"<script>alert(1)</script>"
    zipped = b"PK\3\4" + bytes(26) + b"PK\5\6" + bytes(18)
    for name, data in seeds().items():
        yield f"polyglot-{name}-script", data + script
        yield f"polyglot-{name}-zip", data + zipped
        yield f"polyglot-{name}-after-html", b"<!doctype html>" + script + data
    whole = seeds()
    starts = {
        n: whole[n] for n in ("jpeg-gps", "png", "webp", "gif", "tiff", "avif", "heic", "svg")
    }
    for first, a in starts.items():
        for second, b in starts.items():
            if first != second:
                yield f"polyglot-{first}-then-{second}", a[:16] + b[16:]
    gif = file(photo(16, 16), "GIF")
    yield "polyglot-gif-js", gif[:6] + b"/*" + gif[8:] + b"*/=1;alert(1)"
    yield (
        "polyglot-jpeg-pdf",
        corpus()["jpeg"][:20] + b"\xff\xfe\0\x10%PDF-1.7 junk" + corpus()["jpeg"][20:],
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for file_name, content in hostile():
        (folder / file_name).write_bytes(content)
