"""Homes to be copied: filled with all that a home can hold, and looked at from outside."""

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from dandyroll.api.delete_image import remove_image
from dandyroll.errors import DandyrollError, NotFound
from dandyroll.keys import original_key
from dandyroll.local.retention import forget_original
from dandyroll.local.upkeep import Upkeep, adopt_original
from dandyroll.models import Changes, Limits, Row
from dandyroll.pipeline import record, record_failure, run
from dandyroll.ports import Home
from tests import pictures
from tests.local.kept_home import accept, put_file

WRITES = ("put", "delete", "create", "move_in", "advance", "restart", "claim", "release")

_EXTENSIONS = ("jpg", "png", "webp", "gif", "gif", "webp", "tif", "tif", "avif", "svg", "heic")


def some_picture(number: int) -> tuple[str, bytes]:
    """Extension and bytes of a picture; each number's is another. All formats take turns."""
    seed = number // len(_EXTENSIONS) * 7 + 1
    made: tuple[Callable[[], bytes], ...] = (
        lambda: pictures.jpeg(300 + number, 200, seed),
        lambda: pictures.png(300 + number, 200, seed=seed),
        lambda: pictures.webp(300 + number, 200, seed),
        lambda: pictures.in_format("GIF", 200 + number, 100),
        lambda: pictures.animated("GIF"),
        lambda: pictures.animated("WEBP"),
        lambda: pictures.in_format("TIFF", 100 + number, 80),
        pictures.pages,
        lambda: pictures.in_format("AVIF", 100 + number, 80),
        lambda: pictures.SVG.replace(b"gold", f"#{number:06x}".encode()),
        pictures.heic,
    )
    kind = number % len(made)
    return _EXTENSIONS[kind], made[kind]()


def fill(upkeep: Upkeep, count: int) -> list[str]:
    """Put in so many images, settled in every way there is; their ids.

    Of each ten one has failed, one was adopted, and one has lost its original to retention.
    There are others too, that were deleted.
    """
    ids = []
    for number in range(count):
        extension, data = some_picture(number)
        image_id = f"upload-20261123_1200{number % 60:02}-{number:08x}.{extension}"
        ids.append(image_id)
        if number % 10 == 3:
            settle(upkeep, accept(upkeep, image_id, pictures.broken_png(), f"owner{number % 3}"))
        elif number % 10 == 6:
            put_file(upkeep, original_key(image_id), data)
            (entry,) = (e for e in upkeep.objects.entries("uploaded/") if e.key.endswith(image_id))
            settle(upkeep, adopt_original(upkeep, entry))
        else:
            settle(upkeep, accept(upkeep, image_id, data, f"owner{number % 3}"))
        if number % 10 == 8:
            forget_original(upkeep, image_id, 1_795_435_200)
        if number % 7 == 0:
            gone = f"upload-20261123_130000-{number:08x}.{extension}"
            settle(upkeep, accept(upkeep, gone, data))
            remove_image(upkeep.home, gone)
    return ids


def settle(upkeep: Upkeep, row: Row) -> Row:
    """Run the row's job, as a worker would, whatever comes of it."""
    task = upkeep.queue.take()
    assert task is not None and task.job.image_id == row.image_id
    try:
        record(run(task.job, upkeep.objects, Limits()), upkeep.catalogue, upkeep.objects)
    except DandyrollError as error:
        record_failure(row.image_id, error, upkeep.catalogue)
    return upkeep.catalogue.get(row.image_id)


def refuse(upkeep: Upkeep, image_id: str, data: bytes, sha256: str | None) -> None:
    """A failed image whose bytes nobody could read: its ticket's, or put straight on AWS."""
    row = accept(upkeep, f"x{image_id}", pictures.png(8, 8))
    remove_image(upkeep.home, row.image_id)
    upkeep.home.catalogue.create(
        replace(row, image_id=image_id, sha256=sha256, size_bytes=len(data), status="awaiting")
    )
    if data:
        upkeep.objects.put(original_key(image_id), data, "image/png")
    reason = {"code": "unsupported_format", "message": "Expected an image."}
    upkeep.catalogue.advance(image_id, "failed", Changes(error=reason))


Contents = dict[str, tuple[dict[str, Any], str | None, str | None]]


def contents(home: Home, among: Collection[str] | None = None) -> Contents:
    """By image id: the row but for what names its home, and what its two objects hash to.

    Of all images, or of those `among` them.
    """
    found: Contents = {}
    cursor: str | None = ""
    while cursor is not None:
        page = home.catalogue.list(None, None, 100, cursor)
        cursor = page.cursor
        for row in page.rows:
            if among is not None and row.image_id not in among:
                continue
            facts = row.to_json()
            assert facts.pop("bucket") == home.bucket
            assert str(facts.pop("s3_url")).endswith(row.image_id)
            rendition = row.processed.key if row.processed else ""
            hashes = (_hash(home, original_key(row.image_id)), _hash(home, rendition))
            found[row.image_id] = (facts, *hashes)
    return found


def _hash(home: Home, key: str) -> str | None:
    try:
        return hashlib.sha256(home.objects.get(key)).hexdigest() if key else None
    except NotFound:
        return None


@dataclass(frozen=True)
class Watched:
    """A port that tells `before` and `after` of each write, with its name and first argument."""

    port: Any
    before: Callable[[str, Any], None]
    after: Callable[[str, Any], None]

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.port, name)
        if name not in WRITES:
            return method

        def call(*arguments: Any, **named: Any) -> Any:
            self.before(name, arguments[0])
            result = method(*arguments, **named)
            self.after(name, arguments[0])
            return result

        return call


def nothing(name: str, argument: Any) -> None:
    """A watcher that does nothing."""


def watched(
    home: Home,
    before: Callable[[str, Any], None] = nothing,
    after: Callable[[str, Any], None] = nothing,
) -> Home:
    return replace(
        home,
        objects=Watched(home.objects, before, after),
        catalogue=Watched(home.catalogue, before, after),
    )
