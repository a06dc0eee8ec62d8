"""Golden renditions: what the pipeline made of the corpus when somebody last looked at it.

    python -m tests.imaging.goldens            compare, and say which differ
    python -m tests.imaging.goldens --write    make them again; look at every one that changed

Compared as pixels, with a stated tolerance: an encoder may shift a bit, a picture may not.
A golden that is missing is a failure, never made on the fly.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from dandyroll.imaging.decode import decode
from dandyroll.imaging.encode import encode
from dandyroll.imaging.header import read_header
from dandyroll.models import Limits
from dandyroll.policy import DEFAULT
from dandyroll.stages.add_watermark import add_watermark
from dandyroll.stages.update_size import update_size
from tests.imaging.corpus import animations, corpus, open_file

FOLDER = Path(__file__).parent / "goldens"
POLICY = replace(DEFAULT, max_width_px=160, max_height_px=160)
SUFFIX = {"AVIF": "avif", "JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif"}
TOLERANCE = {"AVIF": 2, "JPEG": 2, "PNG": 0, "WEBP": 2, "GIF": 0}
"""The largest difference of any channel of any pixel, of 255."""


def sources() -> dict[str, bytes]:
    return corpus() | {f"animated-{name}": animations()[name] for name in ("gif-clear", "webp")}


def render(name: str) -> tuple[str, bytes]:
    """The corpus file's rendition, and the format it is in."""
    data = sources()[name]
    header = read_header(data, Limits())
    picture, _ = decode(data, header, POLICY.max_width_px, POLICY.max_height_px)
    picture = add_watermark(update_size(picture, POLICY), POLICY)
    return picture.image_format, encode(picture, POLICY.encoding)


def path_of(name: str, image_format: str) -> Path:
    return FOLDER / f"{name}.{SUFFIX[image_format]}"


def complaint(name: str) -> str | None:
    """What is wrong with today's rendition, or None if it is the golden one."""
    image_format, data = render(name)
    path = path_of(name, image_format)
    if not path.exists():
        return f"{path.name} is missing: make it with `make golden`, look at it, commit it"
    with open_file(data) as ours, open_file(path.read_bytes()) as golden:
        if (ours.mode, ours.size) != (golden.mode, golden.size):
            return f"expected {golden.mode} {golden.size}; got {ours.mode} {ours.size}"
        frames = [getattr(image, "n_frames", 1) for image in (ours, golden)]
        if frames[0] != frames[1]:
            return f"expected {frames[1]} frames; got {frames[0]}"
        difference = max(_difference(ours, golden, number) for number in range(frames[0]))
    if difference > TOLERANCE[image_format]:
        return f"expected at most {TOLERANCE[image_format]} of difference; got {difference}"
    return None


def _difference(ours: Image.Image, golden: Image.Image, frame: int) -> int:
    for image in (ours, golden):
        image.seek(frame)
    pair = [np.asarray(image.convert("RGBA")).astype(int) for image in (ours, golden)]
    return int(np.abs(pair[0] - pair[1]).max())


def write() -> None:
    FOLDER.mkdir(exist_ok=True)
    wanted = set()
    for name in sorted(sources()):
        wrong = complaint(name)
        image_format, data = render(name)
        path = path_of(name, image_format)
        wanted.add(path)
        if wrong:
            path.write_bytes(data)
            print(f"wrote {path.name}: {wrong}")
    for stale in set(FOLDER.iterdir()) - wanted:
        stale.unlink()
        print(f"removed {stale.name}")


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        write()
    else:
        wrongs = {name: wrong for name in sorted(sources()) if (wrong := complaint(name))}
        for wrong_name, wrong_text in wrongs.items():
            print(f"{wrong_name}: {wrong_text}")
        sys.exit(bool(wrongs))
