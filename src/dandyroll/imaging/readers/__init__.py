"""What a file says of itself, read from its bytes without a decoder: one module a format.

Each has `read(data) -> Structure`, which takes time linear in the file's length and raises
nothing but `CorruptImage`, `TruncatedImage`, `UnsupportedFormat`,
`UnsupportedAnimation` and `TooComplex`.
"""

from dataclasses import dataclass

from dandyroll.models import Animation

MAX_PARTS = 1_000_000  # segments or chunks: a file of nothing but tiny ones is no picture


@dataclass(frozen=True)
class Structure:
    """A file by its own words. `width` and `height` in pixels, as stored; `mode` is Pillow's.

    `kind` is the file's row in `budget.BYTES_PER_PIXEL`: what decoding it takes. `ends` is
    false where the file stops before the picture does. `animation` is there where it has more
    than one frame, `pages` counts a TIFF's. `oddities` is true where a JPEG's header makes
    libjpeg warn though the picture is sound. `profile` is an ICC profile that the file implies
    without holding one.
    """

    width: int
    height: int
    mode: str
    kind: str
    ends: bool
    animation: Animation | None = None
    pages: int | None = None
    oddities: bool = False
    profile: bytes | None = None
