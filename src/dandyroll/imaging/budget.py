"""How much memory a picture will take, from its structure alone, and whether a worker has it.

The figures are the growth of a fresh worker's peak (VmHWM), measured by
`tests/imaging/test_budget.py` on pictures at the limit, with the file's own bytes taken off.
"""

from dandyroll.errors import TooManyPixels
from dandyroll.imaging.readers import Structure
from dandyroll.models import Limits

BASE_BYTES = 96_000_000
"""A worker that has decoded, marked and encoded a small picture of the hungriest format."""

BYTES_PER_PIXEL = {
    "JPEG": 1,
    "progressive JPEG": 8,
    "8-bit PNG": 1,
    "8-bit PNG with alpha": 9,
    "16-bit PNG": 2,
    "16-bit PNG with alpha": 17,
    "interlaced 8-bit PNG": 10,
    "interlaced 8-bit PNG with alpha": 10,
    "interlaced 16-bit PNG": 18,
    "interlaced 16-bit PNG with alpha": 18,
    "WebP": 2,
    "lossless WebP": 9,
    "GIF": 10,
    "animation": 10,
    "8-bit TIFF": 9,
    "16-bit TIFF": 18,
    "AVIF": 16,
    "HEIC": 16,
    "SVG": 1,
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
