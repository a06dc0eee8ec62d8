"""Draw Dandyroll's own mark: `python scripts/draw_mark.py [file.png]`.

A dandy roll is the wire-covered cylinder that presses a watermark into wet paper. The mark is
geometry only, no font: light, half transparent, with a soft dark edge, so that it can be read
on bright and on dark pictures. The same bytes come out every time with one version of Pillow.
"""

import sys
from math import cos, pi, sin
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter

WIDTH, HEIGHT = 800, 200
FINE = 4  # drawn so many times larger, then scaled down: Pillow's shapes have hard edges
OUTPUT = Path(__file__).parents[1] / "src/dandyroll/marks/dandyroll.png"

LIGHT, LIGHT_ALPHA = (255, 255, 255), 0.80
DARK, DARK_ALPHA = (16, 20, 28), 0.62

Point = tuple[float, float]

LETTER_WIDTH, LETTER_HEIGHT, STROKE = 43.0, 68.0, 9.0
LETTERS_LEFT, LETTERS_TOP, ADVANCE = 232.0, 66.0, 62.0


def arc(cx: float, cy: float, rx: float, ry: float, start: float, end: float) -> list[Point]:
    """Points along an ellipse; angles in degrees, clockwise from three o'clock."""
    angles = [start + (end - start) * n / 60 for n in range(61)]
    return [(cx + rx * cos(a * pi / 180), cy + ry * sin(a * pi / 180)) for a in angles]


# Each letter's strokes in a unit square, y downwards.
STROKES: dict[str, list[list[Point]]] = {
    "A": [[(0, 1), (0.5, 0), (1, 1)], [(0.19, 0.66), (0.81, 0.66)]],
    "D": [[(0.42, 0), (0.06, 0), (0.06, 1), (0.42, 1), *arc(0.42, 0.5, 0.54, 0.5, 90, -90)]],
    "L": [[(0.14, 0), (0.14, 1), (0.9, 1)]],
    "N": [[(0.05, 1), (0.05, 0), (0.95, 1), (0.95, 0)]],
    "O": [arc(0.5, 0.5, 0.54, 0.5, 0, 360)],
    "R": [
        [(0.08, 1), (0.08, 0), (0.55, 0), *arc(0.58, 0.28, 0.34, 0.28, -90, 90), (0.08, 0.56)],
        [(0.5, 0.56), (0.95, 1)],
    ],
    "Y": [[(0.02, 0), (0.5, 0.52), (0.98, 0)], [(0.5, 0.52), (0.5, 1)]],
}


def draw_line(draw: ImageDraw.ImageDraw, points: list[Point], width: float, fill: int) -> None:
    """A line with round joints and ends; points and width in the mark's own pixels."""
    big = [(x * FINE, y * FINE) for x, y in points]
    radius = width * FINE / 2
    draw.line(big, fill=fill, width=round(2 * radius))
    for x, y in big:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def draw_word(draw: ImageDraw.ImageDraw, word: str) -> None:
    for n, letter in enumerate(word):
        left = LETTERS_LEFT + n * ADVANCE
        for stroke in STROKES[letter]:
            points = [(left + x * LETTER_WIDTH, LETTERS_TOP + y * LETTER_HEIGHT) for x, y in stroke]
            draw_line(draw, points, STROKE, 255)


def draw_roll(draw: ImageDraw.ImageDraw) -> None:
    """The cylinder on its axle: laid wires along it, chain wires around it."""
    left, right, middle, radius, depth = 54.0, 162.0, 100.0, 74.0, 21.0
    draw_line(draw, [(14, middle), (left - depth, middle)], 10, 255)
    draw_line(draw, [(right + depth, middle), (204, middle)], 10, 255)
    for n in range(1, 8):  # laid wires crowd towards the rims, as on a real cylinder
        y = middle - radius * cos(n * pi / 8)
        bulge = depth * sin(n * pi / 8)
        draw_line(draw, [(left - bulge, y), (right - bulge, y)], 3.6, 205)
    for x in (left + 36, left + 72):
        draw_line(draw, arc(x, middle, depth, radius, 90, 270), 3.6, 205)
    draw_line(draw, [(left, middle - radius), (right, middle - radius)], 7, 255)
    draw_line(draw, [(left, middle + radius), (right, middle + radius)], 7, 255)
    draw_line(draw, arc(left, middle, depth, radius, 90, 270), 7, 255)
    draw_line(draw, arc(right, middle, depth, radius, 0, 360), 7, 255)
    draw_line(draw, arc(right, middle, 4, 11, 0, 360), 6, 255)


def draw_mark() -> Image.Image:
    """The mark as an RGBA picture of `WIDTH` x `HEIGHT`."""
    shape = Image.new("L", (WIDTH * FINE, HEIGHT * FINE), 0)
    draw = ImageDraw.Draw(shape)
    draw_roll(draw)
    draw_word(draw, "DANDYROLL")
    shape = shape.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    edge = shape.filter(ImageFilter.MaxFilter(7)).filter(ImageFilter.GaussianBlur(2.6))
    light = shape.point(lambda value: round(value * LIGHT_ALPHA))
    around = ImageChops.multiply(edge, ImageChops.invert(shape))  # beneath, it would grey the light
    dark = around.point(lambda value: round(value * DARK_ALPHA))
    # Light over dark, by the rule of compositing, so that the two make one straight-alpha layer.
    alpha = ImageChops.screen(light, dark)
    colours = []
    for bright, dim in zip(LIGHT, DARK, strict=True):
        band = [
            round((a * bright + (255 - a) * b / 255 * dim) / both) if both else dim
            for a, b, both in zip(light.tobytes(), dark.tobytes(), alpha.tobytes(), strict=True)
        ]
        colours.append(Image.frombytes("L", shape.size, bytes(min(255, v) for v in band)))
    return Image.merge("RGBA", (*colours, alpha))


if __name__ == "__main__":
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    draw_mark().save(output, optimize=True)
    print(f"{output}: {output.stat().st_size} bytes")
