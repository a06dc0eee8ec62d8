"""How long images are kept: the `keep_` settings, applied by the sweep. Age counts from upload."""

import logging
from collections.abc import Callable, Iterator

import apsw

from dandyroll.api.delete_image import remove_image
from dandyroll.keys import original_key
from dandyroll.local.upkeep import Upkeep
from dandyroll.models import Status

log = logging.getLogger("dandyroll.audit")

_DAY_S = 24 * 60 * 60
_BATCH = 500


def expire(upkeep: Upkeep, now: float, stop: Callable[[], bool]) -> tuple[int, int]:
    """Delete what is older than the settings keep it; how many images, how many originals."""
    settings = upkeep.home.settings
    images = originals = 0
    days: tuple[tuple[Status, int], ...] = (
        ("processed", settings.keep_processed_days),
        ("failed", settings.keep_failed_days),
    )
    for status, kept_days in days:
        for image_id in _older(upkeep, status, kept_days, now, stop):
            remove_image(upkeep.home, image_id)
            log.info("image deleted: its time was up", extra={"image_id": image_id})
            images += 1
    whole = "AND row ->> '$.original_deleted_at' IS NULL"
    for image_id in _older(upkeep, "processed", settings.keep_originals_days, now, stop, whole):
        if forget_original(upkeep, image_id, int(now)):
            log.info("original deleted: its time was up", extra={"image_id": image_id})
            originals += 1
    return images, originals


def forget_original(upkeep: Upkeep, image_id: str, now: int) -> bool:
    """Delete the original of a processed image, whose row says so from then on.

    The row comes first: an original that a crash leaves behind is deleted by the next sweep.
    """

    def operation(connection: apsw.Connection) -> bool:
        sql = """
            UPDATE "image-metadata" SET row = json_set(row, '$.original_deleted_at', ?)
            WHERE "image-id" = ? AND status = 'processed'
        """
        connection.execute(sql, (now, image_id))
        return connection.changes() == 1

    done = upkeep.database.write(operation)
    if done:
        upkeep.objects.delete(original_key(image_id))
    return done


def _older(
    upkeep: Upkeep, status: Status, days: int, now: float, stop: Callable[[], bool], also: str = ""
) -> Iterator[str]:
    if days == 0:
        return
    sql = f"""
        SELECT "image-id" FROM "image-metadata"
        WHERE status = ? AND uploaded_at < ? AND "image-id" > ? {also}
        ORDER BY "image-id" LIMIT ?
    """  # noqa: S608 - `also` is a literal above
    last = ""
    while not stop():
        bindings = (status, int(now) - days * _DAY_S, last, _BATCH)
        batch = [image_id for (image_id,) in upkeep.database.read().execute(sql, bindings)]
        for image_id in batch:
            if stop():
                return
            yield image_id
        if len(batch) < _BATCH:
            return
        last = batch[-1]
