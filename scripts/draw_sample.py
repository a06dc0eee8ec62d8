"""Draw the sample picture of the first run: mountains at dusk, with the GPS tags of a phone.

    python scripts/draw_sample.py src/dandyroll/web/sample.jpg

Deterministic; needs Pillow and numpy.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH_PX, HEIGHT_PX = 1920, 1280


def noise(random: np.random.Generator, points: int, octaves: int, width: int) -> np.ndarray:
    """A ridge: one value a column, from 0 to about 1, rough at every scale."""
    total = np.zeros(width)
    for octave in range(octaves):
        count = points * 2**octave + 1
        values = random.random(count) * 0.5**octave
        total += np.interp(np.linspace(0, count - 1, width), np.arange(count), values)
    return total / 2


def draw() -> Image.Image:
    random = np.random.default_rng(7)
    down = np.linspace(0, 1, HEIGHT_PX)[:, None, None]
    top, low = np.array([38, 58, 110]), np.array([250, 176, 120])
    sky = top + (low - top) * np.clip(down * 1.5, 0, 1) ** 1.3
    picture = np.repeat(sky, WIDTH_PX, axis=1)
    y, x = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
    distance = np.hypot(x - WIDTH_PX * 0.68, y - HEIGHT_PX * 0.5)
    glow = np.exp(-distance / 260)[..., None]
    picture = picture + glow * np.array([120, 90, 40])
    picture[distance < 62] = (255, 236, 190)
    ridges = 5
    for ridge in range(ridges):
        nearness = ridge / (ridges - 1)
        height = (
            0.50 + 0.10 * ridge - 0.20 * noise(random, 5 + 2 * ridge, 7, WIDTH_PX)
        ) * HEIGHT_PX
        colour = np.array([136, 110, 132]) * (1 - nearness) + np.array([18, 26, 38]) * nearness
        below = y > height[None, :]
        depth = np.clip((y - height[None, :]) / 420, 0, 1)[..., None]
        shaded = colour + (1 - nearness) * depth * np.array([60, 40, 30])
        picture = np.where(below[..., None], shaded, picture)
    grain = random.normal(0, 2.2, (HEIGHT_PX, WIDTH_PX, 1))
    return Image.fromarray(np.clip(picture + grain, 0, 255).astype(np.uint8))


def main(path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Dandyroll", "Sample camera"
    exif.get_ifd(0x8825).update({1: "N", 2: (46.0, 33.0, 12.0), 3: "E", 4: (7.0, 59.0, 0.0)})
    draw().save(path, "JPEG", quality=84, exif=exif, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
