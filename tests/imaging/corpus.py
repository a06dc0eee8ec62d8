"""A small, varied corpus of pictures, made in memory from one seed. No file of it is stored."""

import io
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image, ImageCms

pillow_heif.register_heif_opener()

BICUBIC = Image.Resampling.BICUBIC

CORNERS = ((230, 40, 40), (40, 200, 60), (50, 60, 230), (240, 220, 40))
"""Red top left, green top right, blue bottom left, yellow bottom right: which way is up."""

COLORANTS = {
    "srgb": ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)),
    "p3": ((0.5151, 0.2412, -0.0011), (0.2919, 0.6922, 0.0419), (0.1572, 0.0666, 0.7841)),
}


@cache
def photo(width: int, height: int, seed: int = 1) -> Image.Image:
    """An RGB picture that resizes and compresses about as a photograph does."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for cells, weight in ((3, 90), (9, 60), (40, 30), (160, 12)):
        small = rng.uniform(-1, 1, (cells, cells, 3)).astype(np.float32)
        for band in range(3):
            layer = Image.fromarray(small[:, :, band])
            total[:, :, band] += weight * np.asarray(layer.resize((width, height), BICUBIC))
    total += rng.normal(0, 2, total.shape)
    return Image.fromarray((total + 128).clip(0, 255).astype(np.uint8))


@cache
def cornered(width: int, height: int) -> Image.Image:
    """A photograph with a plain colour in each corner, a quarter of the side long."""
    picture = photo(width, height).copy()
    w, h = width // 4, height // 4
    for colour, at in zip(
        CORNERS, ((0, 0), (width - w, 0), (0, height - h), (width - w, height - h)), strict=True
    ):
        picture.paste(colour, (*at, at[0] + w, at[1] + h))
    return picture


@cache
def alpha_ramp(width: int, height: int) -> Image.Image:
    """A photograph that fades out to the right."""
    picture = photo(width, height).convert("RGBA")
    ramp = np.linspace(255, 0, width).astype(np.uint8)
    picture.putalpha(Image.fromarray(np.tile(ramp, (height, 1))))
    return picture


def file(picture: Image.Image, image_format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.copy().save(out, image_format, **options)  # a copy: JPEG leaves its options behind
    return out.getvalue()


def open_file(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


# --- pieces that Pillow does not write ----------------------------------------------------------


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int, height: int, depth: int, colour_type: int, rows: list[bytes], interlace: int = 0
) -> bytes:
    """A PNG of the given rows, unfiltered."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlace)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", body), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png16(samples: np.ndarray[Any, Any], colour_type: int) -> bytes:
    """A PNG of 16-bit samples: height x width x bands."""
    height, width, _ = samples.shape
    return png(width, height, 16, colour_type, [row.astype(">u2").tobytes() for row in samples])


def tiff16(samples: np.ndarray[Any, Any], *, cmyk: bool) -> bytes:
    """An uncompressed TIFF of 16-bit samples: height x width x bands, big-endian."""
    height, width, bands = samples.shape
    pixels = samples.astype(">u2").tobytes()
    bits = struct.pack(f">{bands}H", *[16] * bands)
    tags = (
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, bands, 8 + len(pixels)),
        (259, 3, 1, 1 << 16), (262, 3, 1, (5 if cmyk else 2) << 16), (273, 4, 1, 8),
        (277, 3, 1, bands << 16), (278, 4, 1, height), (279, 4, 1, len(pixels)),
    )  # fmt: skip
    directory = struct.pack(">H", len(tags))
    directory += b"".join(struct.pack(">HHII", *tag) for tag in tags) + b"\0\0\0\0"
    return b"MM\0*" + struct.pack(">I", 8 + len(pixels) + len(bits)) + pixels + bits + directory


def claiming_png(width: int, height: int) -> bytes:
    """A PNG of a few bytes, whole in its structure, that says it is that large."""
    return png(width, height, 8, 6, [])


def interlaced_png(picture: Image.Image) -> bytes:
    """Adam7, RGB, 8 bits."""
    samples = np.asarray(picture.convert("RGB"))
    offsets_and_steps = (
        (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
        (1, 0, 2, 1),
    )  # fmt: skip
    rows = [row.tobytes() for y, x, dy, dx in offsets_and_steps for row in samples[y::dy, x::dx]]
    return png(picture.width, picture.height, 8, 2, rows, interlace=1)


def opaque_alpha_webp(picture: Image.Image, *, lossless: bool) -> bytes:
    """A WebP with an alpha channel that is full everywhere. libwebp itself would leave it out."""
    plain = file(picture.convert("RGB"), "WEBP", lossless=lossless, quality=80)
    if lossless:
        data = bytearray(plain)
        data[24] |= 0x10  # the header's word that alpha is used
        return bytes(data)
    size = (picture.width - 1).to_bytes(3, "little") + (picture.height - 1).to_bytes(3, "little")
    alpha = b"\0" + b"\xff" * (picture.width * picture.height)  # uncompressed
    body = b"WEBP" + riff(b"VP8X", b"\x10\0\0\0" + size) + riff(b"ALPH", alpha) + plain[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def matrix_profile(colorants: str, gamma: float | None = None) -> bytes:
    """A minimal ICC profile of an RGB space: the sRGB curve, or a pure gamma."""

    def xyz(values: tuple[float, float, float]) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))

    if gamma is None:
        numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
        curve = b"para\0\0\0\0\0\3\0\0" + struct.pack(">5i", *(round(v * 65536) for v in numbers))
    else:
        curve = b"curv\0\0\0\0\0\0\0\1" + struct.pack(">H", round(gamma * 256)) + b"\0\0"
    # A name that lies, as real ones do: the space must be told by its numbers.
    name = "Display P3 with sRGB Transfer".encode("utf-16-be")
    desc = b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(name), 28) + name
    desc += b"\0" * (-len(desc) % 4)
    r, g, b = COLORANTS[colorants]
    tags = {
        b"desc": desc, b"cprt": desc, b"wtpt": xyz((0.9642, 1.0, 0.8249)),
        b"rXYZ": xyz(r), b"gXYZ": xyz(g), b"bXYZ": xyz(b),
        b"rTRC": curve, b"gTRC": curve, b"bTRC": curve,
    }  # fmt: skip
    offset, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name_, data in tags.items():
        table += struct.pack(">4sII", name_, offset + len(body), len(data))
        body += data
    head = struct.pack(
        ">I4xI4s4s4s12x4s28x3i48x",
        128 + len(table) + len(body), 0x04300000, b"mntr", b"RGB ", b"XYZ ", b"acsp",
        round(0.9642 * 65536), 65536, round(0.8249 * 65536),
    )  # fmt: skip
    return head + table + body


@cache
def lcms_srgb_profile() -> bytes:
    """The sRGB that lcms makes, which is not ours byte for byte."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(orientation: int | None = None, *, gps: bool = False) -> bytes:
    tags = Image.Exif()
    if orientation is not None:
        tags[0x0112] = orientation
    tags[0x010F] = "SecretCameraMaker"
    if gps:
        tags.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.0), 3: "E", 4: (2.0, 17.0, 40.0)})
    return tags.tobytes()


def with_orientation(upright: Image.Image, orientation: int) -> Image.Image:
    """The picture as a camera stores it that writes this tag."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    return upright.transpose(undo[orientation]) if orientation in undo else upright


# --- the corpus ---------------------------------------------------------------------------------


@cache
def corpus() -> dict[str, bytes]:
    """Every kind of single picture we take, by name. Sizes from 8 x 8 to 1600 x 1200."""
    rgb, small = photo(640, 480), photo(120, 90)
    rgba = alpha_ramp(300, 200)
    opaque = small.convert("RGBA")
    sixteen = np.asarray(small).astype(">u2") * 257
    one_clear = photo(300, 200).convert("RGBA")
    one_clear.putpixel((201, 99), (10, 20, 30, 254))
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>SecretXmp</x:xmpmeta>"
    return {
        "jpeg": file(rgb, "JPEG", quality=90),
        "jpeg-large": file(photo(1600, 1200), "JPEG", quality=85),
        "jpeg-odd": file(photo(1301, 977), "JPEG", quality=85),
        "jpeg-progressive": file(rgb, "JPEG", quality=90, progressive=True),
        "jpeg-grey": file(rgb.convert("L"), "JPEG", quality=90),
        "jpeg-cmyk": file(small.convert("CMYK"), "JPEG", quality=95),
        "jpeg-restarts": file(rgb, "JPEG", quality=90, restart_marker_blocks=10),
        "jpeg-p3": file(rgb, "JPEG", quality=95, icc_profile=matrix_profile("p3")),
        "jpeg-srgb": file(rgb, "JPEG", quality=95, icc_profile=lcms_srgb_profile()),
        "jpeg-bad-profile": file(rgb, "JPEG", quality=90, icc_profile=b"not a profile" * 20),
        "jpeg-gps": file(
            cornered(400, 300), "JPEG", quality=90, exif=exif(6, gps=True), xmp=xmp
        ),
        "png": file(rgb, "PNG"),
        "png-rgba": file(rgba, "PNG"),
        "png-rgba-opaque": file(opaque, "PNG"),
        "png-one-clear-pixel": file(one_clear, "PNG"),
        "png-grey": file(small.convert("L"), "PNG"),
        "png-grey-alpha": file(rgba.convert("LA"), "PNG"),
        "png-palette": file(small.quantize(32), "PNG"),
        "png-palette-clear": file(small.quantize(32), "PNG", transparency=3),
        "png-colour-key": file(small, "PNG", transparency=small.getpixel((60, 45))),
        "png-unused-key": file(small.point(lambda v: v | 1), "PNG", transparency=(0, 0, 0)),
        "png-1-bit": file(small.convert("1"), "PNG"),
        "png-2-bit": png(8, 8, 2, 0, [b"\x1b\x1b"] * 8),
        "png-16-bit": png16(sixteen, 2),
        "png-16-bit-grey": png16(sixteen[:, :, :1], 0),
        "png-16-bit-rgba": png16(
            np.dstack([sixteen, np.full((90, 120), 65534, ">u2")]), 6
        ),
        "png-16-bit-grey-alpha": png16(
            np.dstack([sixteen[:, :, 0], np.full((90, 120), 65535, ">u2")]), 4
        ),
        "png-interlaced": interlaced_png(small),
        "png-metadata": file(
            cornered(200, 150), "PNG", exif=exif(gps=True), icc_profile=matrix_profile("p3")
        ),
        "tiff": file(rgb, "TIFF", compression="tiff_lzw"),
        "tiff-rgba": file(rgba, "TIFF"),
        "tiff-rgba-opaque": file(opaque, "TIFF"),
        "tiff-cmyk": file(small.convert("CMYK"), "TIFF"),
        "tiff-grey": file(small.convert("L"), "TIFF"),
        "tiff-palette": file(small.quantize(32), "TIFF"),
        "tiff-1-bit": file(small.convert("1"), "TIFF", compression="group4"),
        "tiff-16-bit-grey": file(
            Image.fromarray(sixteen[:, :, 0].astype(np.uint16)), "TIFF"
        ),
        "tiff-16-bit": tiff16(sixteen, cmyk=False),
        "tiff-16-bit-cmyk": tiff16(
            np.dstack([65535 - sixteen, np.zeros((90, 120), ">u2")]), cmyk=True
        ),
        "tiff-pages": file(rgb, "TIFF", save_all=True, append_images=[small, rgba]),
        "tiff-metadata": file(
            cornered(200, 150), "TIFF", icc_profile=matrix_profile("p3"),
            tiffinfo={271: "SecretCameraMaker", 274: 6},
        ),
        "avif": file(rgb, "AVIF", quality=80),
        "avif-rgba": file(rgba, "AVIF", quality=80),
        "avif-metadata": file(
            cornered(200, 150), "AVIF", quality=90, exif=exif(gps=True),
            icc_profile=matrix_profile("p3"), xmp=xmp,
        ),
        "heic": file(rgb, "HEIF", quality=80),
        "heic-odd": file(photo(301, 201), "HEIF", quality=80),
        "heic-grey": file(small.convert("L"), "HEIF", quality=80),
        "heic-rgba": file(rgba, "HEIF", quality=80),
        "heic-metadata": file(
            cornered(200, 150), "HEIF", quality=90, exif=exif(6, gps=True),
            icc_profile=matrix_profile("p3"), xmp=xmp,
        ),
        "gif": file(small.quantize(64), "GIF"),
        "gif-clear": file(small.quantize(32), "GIF", transparency=3),
        "webp": file(rgb, "WEBP", quality=85),
        "webp-large": file(photo(1600, 1200), "WEBP", quality=80),
        "webp-alpha": file(rgba, "WEBP", quality=85),
        "webp-lossless": file(small, "WEBP", lossless=True),
        "webp-lossless-alpha": file(rgba, "WEBP", lossless=True),
        "webp-opaque-alpha": opaque_alpha_webp(photo(300, 200), lossless=False),
        "webp-lossless-opaque-alpha": opaque_alpha_webp(small, lossless=True),
        "webp-metadata": file(
            cornered(200, 150), "WEBP", lossless=True,
            exif=exif(8, gps=True), icc_profile=matrix_profile("p3"), xmp=xmp,
        ),
    }  # fmt: skip


@cache
def animations() -> dict[str, bytes]:
    """Files of several frames, by name; `animation_times` tells how long each is shown."""
    opaque = [photo(90, 60, seed) for seed in range(1, 6)]
    clear = [alpha_ramp(90, 60).rotate(90 * turn) for turn in range(5)]
    same = [opaque[n] for n in (0, 0, 0, 1, 2)]
    times = list(animation_times())

    def frames(pictures: list[Image.Image], image_format: str, **options: Any) -> bytes:
        options = {"duration": times, "loop": 3, **options}
        return file(pictures[0], image_format, save_all=True, append_images=pictures[1:], **options)

    return {
        "gif": frames(opaque, "GIF"),
        "gif-clear": frames(clear, "GIF", disposal=2),
        "gif-for-ever": frames(opaque, "GIF", loop=0),
        "gif-once": frames(opaque, "GIF", loop=None),
        "webp": frames(opaque, "WEBP", lossless=True),
        "webp-lossy": frames(opaque, "WEBP", quality=80),
        "webp-clear": frames(clear, "WEBP", lossless=True),
        "webp-equal-frames": frames(same, "WEBP", lossless=True, kmax=1),
        "webp-for-ever": frames(opaque, "WEBP", loop=0),
    }


def animation_times() -> tuple[int, ...]:
    """Milliseconds. Those under 20 are what programs like to round up."""
    return (0, 10, 20, 250, 1010)
