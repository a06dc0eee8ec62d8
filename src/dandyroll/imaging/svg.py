"""Draw an SVG, in a process of its own that may neither grow nor last."""

import os
import subprocess
import sys

from dandyroll.errors import CorruptImage, TooComplex
from dandyroll.imaging.readers.svg import parse
from dandyroll.imaging.vips import pyvips

TIMEOUT_S = 10


def draw(data: bytes, max_width_px: int, max_height_px: int) -> pyvips.Image:
    """The drawing as large as fits the box, four bands, in memory.

    It has no pixels of its own, so it is drawn at the size it is wanted in, larger than stated
    too. What is drawn is what `readers.svg` has written anew. Raises what `parse` raises,
    `TooComplex` where it takes too long, `CorruptImage`.
    """
    drawing = parse(data)
    width, height = drawing.size
    scale = min(max_width_px / width, max_height_px / height)
    width_px, height_px = max(1, round(width * scale)), max(1, round(height * scale))
    return _drawn(drawing.text(width_px, height_px), width_px, height_px)


def _drawn(text: bytes, width: int, height: int) -> pyvips.Image:
    command = [sys.executable, "-m", "dandyroll.imaging.draw_svg", str(TIMEOUT_S)]
    # Nothing of our environment but where our modules are: keys and settings are not its business.
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, env=environment, timeout=2 * TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise _too_slow() from None
    if -done.returncode in (9, 24):  # SIGXCPU, or SIGKILL after it
        raise _too_slow()
    if done.returncode or len(done.stdout) != width * height * 4:
        raise CorruptImage("The SVG file cannot be drawn.")
    pixels = pyvips.Image.new_from_memory(done.stdout, width, height, 4, "uchar")
    return pixels.copy(interpretation="srgb")  # an operation keeps the bytes alive


def _too_slow() -> TooComplex:
    return TooComplex(f"Expected an SVG that is drawn within {TIMEOUT_S} s; got one that is not.")
