"""CPU of the whole pipeline against the least that does the job (`reference.py`).

    python benchmarks/pipeline_cpu.py [rounds]

Both run on the same generated pictures, alternated file by file; the figures are medians of
CPU time (not of the clock), summed by class. The pictures are kept in build/benchmark-pictures.
"""

import io
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from reference import make_reference

from dandyroll.imaging.decode import decode
from dandyroll.imaging.encode import encode
from dandyroll.imaging.header import read_header
from dandyroll.models import Limits
from dandyroll.policy import DEFAULT
from dandyroll.stages.add_watermark import add_watermark
from dandyroll.stages.update_size import update_size

PICTURES = Path(__file__).parents[1] / "build" / "benchmark-pictures"

SIZES = {
    "0.3 MP": (640, 480), "0.8 MP": (1024, 768),
    "2 MP": (1600, 1200), "2 MP, upright": (1200, 1600),
    "4 MP": (2304, 1728), "6 MP": (3000, 2000), "8 MP": (3264, 2448), "12 MP": (4000, 3000),
    "12 MP, upright": (3000, 4000), "24 MP": (6000, 4000),
}  # fmt: skip


def main(rounds: int) -> None:
    files = {path.name: path.read_bytes() for path in pictures()}
    reference = make_reference(DEFAULT)
    ours: dict[str, list[float]] = {name: [] for name in files}
    theirs: dict[str, list[float]] = {name: [] for name in files}
    for number in range(rounds + 1):
        for turn, (name, data) in enumerate(files.items()):
            pair = [(ours, pipeline), (theirs, reference)]
            for times, render in pair if (turn + number) % 2 else reversed(pair):
                spent = cpu_ms(render, data)
                if number:  # the first round warms up
                    times[name].append(spent)
    report(files, {n: statistics.median(t) for n, t in ours.items()},
           {n: statistics.median(t) for n, t in theirs.items()})  # fmt: skip


def pipeline(data: bytes) -> bytes:
    """What the runner does between its store and its store."""
    header = read_header(data, Limits())
    picture, _ = decode(data, header, DEFAULT.max_width_px, DEFAULT.max_height_px)
    for stage in (update_size, add_watermark):
        picture = stage(picture, DEFAULT)
    return encode(picture, DEFAULT.encoding)


def cpu_ms(render: Callable[[bytes], bytes], data: bytes) -> float:
    began = time.process_time()
    render(data)
    return (time.process_time() - began) * 1000


def report(files: dict[str, bytes], ours: dict[str, float], theirs: dict[str, float]) -> None:
    print(f"{'class':24}{'files':>6}{'ours, ms':>11}{'least, ms':>11}{'ratio':>8}")
    classes = dict.fromkeys(name.split(" ")[0] for name in files)
    for label in (*classes, "all"):
        names = [name for name in files if label in ("all", name.split(" ")[0])]
        a, b = sum(ours[name] for name in names), sum(theirs[name] for name in names)
        print(f"{label:24}{len(names):6}{a:11.1f}{b:11.1f}{a / b:8.3f}")


# --- the pictures -------------------------------------------------------------------------------


def pictures() -> list[Path]:
    """The paths of the generated pictures, which are made where they are missing."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    done = PICTURES / "complete"
    if not done.exists():
        for name, data in generate():
            (PICTURES / name).write_bytes(data)
        done.touch()
    return sorted(path for path in PICTURES.iterdir() if path != done)


def generate() -> Iterator[tuple[str, bytes]]:
    """Some fifty pictures: phones' and cameras' JPEGs for the most part, as people upload."""
    for number, (label, size) in enumerate(SIZES.items()):
        picture = photo(*size, seed=number)
        for quality in (75, 92):
            yield f"jpeg {label} q{quality}.jpg", encoded(picture, "JPEG", quality=quality)
        progressive = encoded(picture, "JPEG", quality=85, progressive=True)
        yield f"jpeg-progressive {label}.jpg", progressive
        if size[0] * size[1] < 7_000_000 or label == "12 MP":
            yield f"webp {label}.webp", encoded(picture, "WEBP", quality=82, method=2)
            yield f"png {label}.png", encoded(picture, "PNG", compress_level=4)
        if size[0] * size[1] < 3_000_000:
            faded = picture.convert("RGBA")
            faded.putalpha(Image.linear_gradient("L").resize(size))
            yield f"png-alpha {label}.png", encoded(faded, "PNG", compress_level=4)
            yield f"webp-alpha {label}.webp", encoded(faded, "WEBP", quality=82, method=2)
    opaque = photo(1600, 1200, seed=50).convert("RGBA")
    yield "png-opaque-alpha 2 MP.png", encoded(opaque, "PNG", compress_level=4)


def photo(width: int, height: int, seed: int) -> Image.Image:
    """Smooth noise at several scales and a little grain: compresses about as a photograph does."""
    rng = np.random.default_rng(seed)
    total = np.full((height, width, 3), 128, np.float32)
    for cells, weight in ((3, 80), (9, 50), (40, 30), (160, 15), (640, 8)):
        small = rng.uniform(-1, 1, (cells, cells, 3)).astype(np.float32)
        for band in range(3):
            layer = Image.fromarray(small[:, :, band])
            smooth = layer.resize((width, height), Image.Resampling.BICUBIC)
            total[:, :, band] += weight * np.asarray(smooth)
    total += rng.normal(0, 2, (height, width, 1)).astype(np.float32)
    return Image.fromarray(total.clip(0, 255).astype(np.uint8))


def encoded(picture: Image.Image, image_format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, image_format, **options)
    return out.getvalue()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
