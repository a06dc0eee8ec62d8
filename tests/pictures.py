"""Pictures for the tests, drawn by Pillow: another library than the one under test."""

import io
import random
import struct
import zlib

from PIL import Image


def photo(width: int, height: int, seed: int = 1) -> Image.Image:
    """Something like a photograph: smooth shapes of colour with a little noise."""
    shade = random.Random(seed)
    small = Image.new("RGB", (12, 8))
    small.putdata([tuple(shade.randrange(256) for _ in range(3)) for _ in range(96)])
    return small.resize((width, height), Image.Resampling.BICUBIC)


def jpeg(
    width: int = 1600,
    height: int = 1000,
    seed: int = 1,
    *,
    gps: bool = True,
    credit: tuple[str, str] | None = None,
) -> bytes:
    """A JPEG with camera and GPS tags."""
    exif = Image.Exif()
    exif[0x010F] = "Camera maker"
    if credit:
        exif[0x013B], exif[0x8298] = credit
    if gps:
        exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 30.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)})
    file = io.BytesIO()
    photo(width, height, seed).save(file, "JPEG", quality=85, exif=exif)
    return file.getvalue()


def png(width: int = 300, height: int = 200, mode: str = "RGBA", seed: int = 1) -> bytes:
    """A PNG; in RGBA its left half is see-through."""
    image = photo(width, height, seed).convert(mode)
    if mode == "RGBA":
        image.paste((0, 0, 0, 0), (0, 0, width // 2, height))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def webp(width: int = 400, height: int = 300, seed: int = 1) -> bytes:
    file = io.BytesIO()
    photo(width, height, seed).save(file, "WEBP", quality=80)
    return file.getvalue()


SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40">
<rect width="60" height="40" fill="#246"/><circle cx="30" cy="20" r="15" fill="gold"/></svg>"""


def in_format(image_format: str, width: int = 400, height: int = 300) -> bytes:
    file = io.BytesIO()
    photo(width, height).save(file, image_format)
    return file.getvalue()


def animated(image_format: str) -> bytes:
    """Three frames, shown for 40, 250 and 1000 ms."""
    first, *others = (photo(200, 150, seed) for seed in (1, 2, 3))
    file = io.BytesIO()
    times = [40, 250, 1000]
    first.save(file, image_format, save_all=True, append_images=others, duration=times, loop=0)
    return file.getvalue()


def pages() -> bytes:
    """A TIFF of two pages."""
    file = io.BytesIO()
    photo(400, 300).save(file, "TIFF", save_all=True, append_images=[photo(90, 60, 2)])
    return file.getvalue()


def heic() -> bytes:
    import pillow_heif

    made, file = pillow_heif.from_pillow(photo(400, 300)), io.BytesIO()
    made.save(file, quality=80)
    return file.getvalue()


def claimed_png(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def broken_png() -> bytes:
    """A PNG whole in its structure whose pixels cannot be inflated: only decoding tells."""
    header = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", b"these are no deflated pixels"), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def any_picture(chance: random.Random) -> bytes:
    """One of several kinds and sizes; one in five cannot be decoded."""
    seed = chance.randrange(10**6)
    kind = chance.randrange(5)
    if kind == 0:
        return broken_png()
    if kind == 1:
        return png(seed=seed)
    return jpeg(chance.randrange(200, 2000), chance.randrange(200, 1400), seed)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
