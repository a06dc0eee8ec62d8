"""A colour profile from the numbers that AVIF and HEIC files name their colours by."""

import struct

_COLORANTS = {
    9: ((0.6734, 0.2790, -0.0019), (0.1656, 0.6753, 0.0300), (0.1251, 0.0456, 0.7969)),
    11: ((0.4863, 0.2267, -0.0008), (0.3239, 0.7103, 0.0432), (0.1541, 0.0630, 0.7826)),
    12: ((0.5151, 0.2412, -0.0011), (0.2919, 0.6922, 0.0419), (0.1572, 0.0666, 0.7841)),
}
"""By ITU-T H.273's number: BT.2020, DCI-P3, Display P3. XYZ of red, green, blue under D50."""

_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def matrix_profile(primaries: int) -> bytes | None:
    """An ICC profile with those primaries and sRGB's curve; None for all that pass as sRGB.

    The curves of the video standards are shown as sRGB's, as browsers do.
    """
    if primaries not in _COLORANTS:
        return None
    curve = b"para\0\0\0\0\0\3\0\0" + struct.pack(">5i", *map(_fixed, _SRGB_CURVE))
    text = b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 2, 28) + b"\0-\0\0"
    red, green, blue = (_xyz(colour) for colour in _COLORANTS[primaries])
    tags = {
        b"desc": text, b"cprt": text, b"wtpt": _xyz((0.9642, 1.0, 0.8249)),
        b"rXYZ": red, b"gXYZ": green, b"bXYZ": blue,
        b"rTRC": curve, b"gTRC": curve, b"bTRC": curve,
    }  # fmt: skip
    table, body = struct.pack(">I", len(tags)), b""
    begin = 132 + 12 * len(tags)
    for name, value in tags.items():
        table += struct.pack(">4sII", name, begin + len(body), len(value))
        body += value
    head = struct.pack(
        ">I4xI4s4s4s12x4s28x3i48x",
        begin + len(body), 0x04300000, b"mntr", b"RGB ", b"XYZ ", b"acsp",
        *map(_fixed, (0.9642, 1.0, 0.8249)),
    )  # fmt: skip
    return head + table + body


def _fixed(value: float) -> int:
    return round(value * 65536)


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *map(_fixed, values))
