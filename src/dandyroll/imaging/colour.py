"""Colour: from whatever a file holds to 8-bit sRGB."""

import struct
from contextlib import suppress

from dandyroll.imaging.vips import DECODE_ERRORS, pyvips

_PROFILE = "icc-profile-data"

_SRGB_COLORANTS = {
    b"rXYZ": (0.4361, 0.2225, 0.0139),
    b"gXYZ": (0.3851, 0.7169, 0.0971),
    b"bXYZ": (0.1431, 0.0606, 0.7141),
}
_COLORANT_TOLERANCE = 0.003
_SRGB_HALF = 0.2140  # linear light of an encoded 0.5: tells the sRGB curve from gamma 1.8 or 2.2
_SRGB_TENTH = 0.0100  # of 0.1; pure gamma 2.2 gives 0.0063
_CURVE_TOLERANCE = 0.0015


def to_srgb(pixels: pyvips.Image) -> pyvips.Image:
    """The picture as 8-bit sRGB: three bands, and a fourth where it has alpha. Lazy.

    An embedded profile is followed unless it is sRGB itself: going through it costs as much
    CPU as half the job. A profile that is broken, or for another kind of picture, is ignored,
    as browsers do. CMYK without one is taken to be for a common press.
    """
    is_cmyk = pixels.interpretation == "cmyk"
    if is_cmyk or (pixels.get_typeof(_PROFILE) and not is_srgb(pixels.get(_PROFILE))):
        with suppress(*DECODE_ERRORS):
            pixels = pixels.icc_transform(
                "srgb",
                embedded=True,
                input_profile="cmyk" if is_cmyk else "srgb",  # where the embedded one is no use
                intent="relative",
                black_point_compensation=True,
            )
    if pixels.interpretation != "srgb":
        pixels = pixels.colourspace("srgb")
    if pixels.format != "uchar":
        pixels = pixels.cast("uchar")
    return pixels


def is_srgb(profile: bytes) -> bool:
    """Whether an ICC profile means sRGB, by its colorants and its curve.

    Not by its name: "Display P3 Gamut with sRGB Transfer" is one that Chrome writes.
    """
    try:
        tags = _tags(profile)
        return (
            profile[16:20] == b"RGB "
            and b"A2B0" not in tags
            and all(_is_near(tags[name], xyz) for name, xyz in _SRGB_COLORANTS.items())
            and all(_is_srgb_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
        )
    except (KeyError, struct.error, TypeError, ValueError, ArithmeticError):
        return False  # a tag missing, cut short, or of numbers that make no curve


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    tags = {}
    for n in range(min(count, 100)):
        name, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * n)
        tags[name] = profile[offset : offset + size]
    return tags


def _is_near(tag: bytes, xyz: tuple[float, float, float]) -> bool:
    values = struct.unpack_from(">3i", tag, 8)
    return all(
        abs(value / 65536 - wanted) < _COLORANT_TOLERANCE
        for value, wanted in zip(values, xyz, strict=True)
    )


def _is_srgb_curve(tag: bytes) -> bool:
    return (
        abs(_linear(tag, 0.5) - _SRGB_HALF) < _CURVE_TOLERANCE
        and abs(_linear(tag, 0.1) - _SRGB_TENTH) < _CURVE_TOLERANCE
    )


def _linear(tag: bytes, encoded: float) -> float:
    """The linear light that a `curv` table or the usual `para` function gives for a value."""
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count < 2:
            gamma = struct.unpack_from(">H", tag, 12)[0] / 256 if count else 1.0
            return float(encoded**gamma)
        position = encoded * (count - 1)
        below = int(position)
        low, high = struct.unpack_from(">2H", tag, 12 + 2 * below)
        return float(low + (high - low) * (position - below)) / 65535
    if tag[:4] == b"para" and struct.unpack_from(">H", tag, 8)[0] == 3:
        g, a, b, c, d = (value / 65536 for value in struct.unpack_from(">5i", tag, 12))
        return float((a * encoded + b) ** g if encoded >= d else c * encoded)
    raise ValueError("a curve of another kind")
