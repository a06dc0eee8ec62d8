"""Draw an SVG, in a process of its own that may neither grow nor last.

A worker of the local home may start no process: it draws by itself, confined as it is.
"""

import os
import resource
import signal
import subprocess
import sys
import time

from dandyroll.errors import CorruptImage, TooComplex
from dandyroll.imaging.readers.svg import parse
from dandyroll.imaging.vips import DECODE_ERRORS, pyvips

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
    except OSError:  # a worker that is confined may start none, and is as confined as it would be
        return _drawn_here(text)
    if -done.returncode in (signal.SIGXCPU, signal.SIGKILL):
        raise _too_slow()
    if done.returncode or len(done.stdout) != width * height * 4:
        raise CorruptImage("The SVG file cannot be drawn.")
    pixels = pyvips.Image.new_from_memory(done.stdout, width, height, 4, "uchar")
    return pixels.copy(interpretation="srgb")  # an operation keeps the bytes alive


def _drawn_here(text: bytes) -> pyvips.Image:
    """In this process, which the kernel ends where the drawing takes longer than it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    until_s = int(time.process_time()) + TIMEOUT_S + 1
    if soft != resource.RLIM_INFINITY:
        until_s = min(until_s, soft)
    resource.setrlimit(resource.RLIMIT_CPU, (until_s, hard))
    pyvips.operation_block_set("VipsForeignLoadSvg", False)
    try:
        return pyvips.Image.svgload_buffer(text).copy_memory()
    except DECODE_ERRORS as error:
        raise CorruptImage("The SVG file cannot be drawn.") from error
    finally:
        pyvips.operation_block_set("VipsForeignLoadSvg", True)
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _too_slow() -> TooComplex:
    return TooComplex(f"Expected an SVG that is drawn within {TIMEOUT_S} s; got one that is not.")
