"""How much memory a picture will take, from its structure alone, and whether a worker has it.

The figures are the growth of a fresh worker's peak (VmHWM) a pixel, as
`python -m tests.imaging.memory` measures it at 12 and 38 megapixels, with room above, and with
the file's own bytes, which are held twice, taken off. `tests/imaging/test_budget.py` holds a
picture of each kind to them, at its limit.
"""

from dandyroll.errors import TooManyPixels
from dandyroll.imaging.readers import Structure
from dandyroll.models import Limits

BASE_BYTES = 80_000_000
"""A worker that has processed a small picture: 41 to 60 MB, by format."""

BYTES_PER_PIXEL = {
    "JPEG": 1,
    "progressive JPEG": 9,  # 6.8 measured in RGB; every coefficient of CMYK is 8
    "8-bit PNG": 2,
    "8-bit PNG with alpha": 6,
    "16-bit PNG": 3,
    "16-bit PNG with alpha": 11,
    "interlaced 8-bit PNG": 5,
    "interlaced 8-bit PNG with alpha": 10,
    "interlaced 16-bit PNG": 9,
    "interlaced 16-bit PNG with alpha": 19,
    "WebP": 5,
    "lossless WebP": 6,
    "GIF": 9,
    "animation": 14,
    "8-bit TIFF": 9,  # 1.1 measured in small strips; of one strip, all of it
    "16-bit TIFF": 18,
    "AVIF": 18,
    "deep AVIF": 40,
    "HEIC": 12,
    "deep HEIC": 40,
    "SVG": 1,  # it is drawn elsewhere, at the size of its rendition
}
"""By `Structure.kind`, rounded up. Animations by the pixels of all their frames."""


def weigh(structure: Structure, file_bytes: int, limits: Limits) -> None:
    """Raise `TooManyPixels` where the picture has more than it may, or than memory allows."""
    pixels, frames, limit = structure.width * structure.height, "", limits.max_pixels
    if structure.animation:
        frames = f" x {len(structure.animation.delays_ms)} frames"
        pixels *= len(structure.animation.delays_ms)
        limit = limits.max_animation_pixels
    came = f"{structure.width} x {structure.height}{frames} = {pixels}"
    if pixels > limit:
        raise TooManyPixels(f"Expected at most {limit} pixels in {_a(structure.kind)}; got {came}.")
    affordable = affordable_pixels(structure.kind, file_bytes, limits.memory_bytes)
    if pixels > affordable:
        raise TooManyPixels(
            f"Expected at most {affordable} pixels in {_a(structure.kind)}, for which "
            f"{limits.memory_bytes >> 20} MiB of memory suffice; got {came}."
        )


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aAi8" else f"a {kind}"


def affordable_pixels(kind: str, file_bytes: int, memory_bytes: int) -> int:
    """The most pixels that a worker with so much memory can process, of that kind."""
    return max(0, memory_bytes - BASE_BYTES - 2 * file_bytes) // BYTES_PER_PIXEL[kind]
