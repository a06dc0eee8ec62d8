"""How much memory one picture takes, in a process of its own.

python -m tests.imaging.memory KIND WIDTH HEIGHT     measure a row of budget.BYTES_PER_PIXEL
python -m tests.imaging.memory                       measure them all, at 12 and 40 MP
"""

import json
import subprocess
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dandyroll.imaging.budget import BYTES_PER_PIXEL
from dandyroll.imaging.vips import pyvips
from dandyroll.models import Limits

FRAME = 400  # pixels a side of an animation's


def sample(kind: str, width: int, height: int) -> bytes:
    """A file of that kind and size: noise at an eighth of the size, as a picture's details are."""
    noise = [pyvips.Image.gaussnoise(width // 8 + 1, height // 8 + 1, mean=128, sigma=40, seed=n)
             for n in range(4)]  # fmt: skip
    small = noise[0].bandjoin(noise[1:]).cast("uchar").copy_memory()
    pixels = small.resize(8, kernel="linear").crop(0, 0, width, height)
    pixels = pixels.copy(interpretation="srgb").copy_memory()
    if "alpha" not in kind and kind not in ("lossless WebP", "AVIF", "deep AVIF"):
        pixels = pixels[:3]
    if "16-bit" in kind:
        pixels = (pixels.cast("ushort") * 257).cast("ushort").copy(interpretation="rgb16")
    if kind == "SVG":
        return b'<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d"/>' % (width, height)
    if "HEIC" in kind:
        import io

        import pillow_heif
        from PIL import Image

        pillow_heif.register_heif_opener()
        out = io.BytesIO()
        if kind == "deep HEIC":
            deep = (pixels.cast("ushort") * 257).cast("ushort").write_to_memory()
            made = pillow_heif.from_bytes("RGB;16", (width, height), deep)
            made.save(out, quality=50)
        else:
            Image.fromarray(pixels.numpy()).save(out, "HEIF", quality=50)
        return out.getvalue()
    if kind == "animation":
        pixels = pixels.copy()
        pixels.set_type(pyvips.GValue.gint_type, "page-height", FRAME)
    png = partial(pixels.pngsave_buffer, compression=1, interlace="interlaced" in kind)
    savers: dict[str, Any] = {
        "JPEG": partial(pixels.jpegsave_buffer, subsample_mode="off"),
        "progressive JPEG": partial(pixels.jpegsave_buffer, interlace=True, subsample_mode="off"),
        "WebP": partial(pixels.webpsave_buffer, effort=0),
        "lossless WebP": partial(pixels.webpsave_buffer, effort=0, lossless=True),
        "GIF": partial(pixels.gifsave_buffer, effort=1),
        "animation": partial(pixels.gifsave_buffer, effort=1),
        "8-bit TIFF": partial(pixels.tiffsave_buffer, compression="lzw", tile=False),
        "16-bit TIFF": partial(pixels.tiffsave_buffer, compression="lzw"),
        "AVIF": partial(pixels.heifsave_buffer, compression="av1", effort=0, Q=50),
    }
    savers["deep AVIF"] = partial(
        (pixels.cast("ushort") * 257).cast("ushort").copy(interpretation="rgb16").heifsave_buffer,
        compression="av1", effort=0, Q=50, bitdepth=10,
    )  # fmt: skip
    data = savers.get(kind, png)()
    return bytes(data)


def peak_bytes(path: Path, limits: Limits) -> int:
    """The peak (VmHWM) of a fresh process that takes the file through header and pipeline."""
    program = [sys.executable, "-m", "tests.imaging.memory", "--run", str(path)]
    done = subprocess.run(
        [*program, json.dumps(asdict(limits))],
        capture_output=True, text=True, check=False, env={"MALLOC_ARENA_MAX": "2"},
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    if done.returncode:
        raise AssertionError(done.stderr)
    return int(done.stdout)


def run(path: Path, limits: Limits) -> None:
    from dandyroll.imaging.decode import decode
    from dandyroll.imaging.encode import encode
    from dandyroll.imaging.header import read_header
    from dandyroll.policy import DEFAULT
    from dandyroll.stages.add_watermark import add_watermark
    from dandyroll.stages.update_size import update_size

    data = path.read_bytes()
    header = read_header(data, limits)
    picture, _ = decode(data, header, DEFAULT.max_width_px, DEFAULT.max_height_px)
    encode(add_watermark(update_size(picture, DEFAULT), DEFAULT), DEFAULT.encoding)
    status = Path("/proc/self/status").read_text()
    print(int(status.partition("VmHWM:")[2].split()[0]) * 1024)


def measure(kind: str, width: int, height: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        data = sample(kind, width, height)
        path.write_bytes(data)
        unlimited = Limits(10**10, 10**10, 10**13)
        peak = peak_bytes(path, unlimited)
        small = Path(folder) / "small"
        small.write_bytes(sample(kind, FRAME, 2 * FRAME))
        base = peak_bytes(small, unlimited)
        pixels = width * height
        print(f"{kind:34} {pixels / 1e6:5.1f} MP, file {len(data) / 1e6:6.1f} MB, peak "
              f"{peak / 1e6:7.1f} MB, of a small one {base / 1e6:6.1f} MB, a pixel "
              f"{(peak - base - 2 * len(data)) / pixels:5.1f} bytes", flush=True)  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(Path(sys.argv[2]), Limits(**json.loads(sys.argv[3])))
    elif sys.argv[1:]:
        measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    else:
        for name in BYTES_PER_PIXEL:
            for size in ((4000, 3200), (8000, 4800)):
                measure(
                    name, *((FRAME, size[0] * size[1] // FRAME) if name == "animation" else size)
                )
