"""Tickets whose time is up: what became of them, settled by the sweep.

Bytes that came, while the server died before its row said so, go their way after all. A row whose
bytes never came is removed.
"""

import hashlib
from collections.abc import Callable

from dandyroll.api.delete_image import remove_image
from dandyroll.errors import DandyrollError, NotFound
from dandyroll.intake import learned
from dandyroll.keys import original_key
from dandyroll.local.upkeep import Upkeep
from dandyroll.pipeline import record_failure

_MOST = 500  # in one sweep; the next one goes on


def settle_tickets(upkeep: Upkeep, now: float, stop: Callable[[], bool]) -> int:
    """How many there were. A PUT may last as long as the ticket, and begin at its very end."""
    settings = upkeep.home.settings
    before = int(now) - 2 * settings.ticket_lifetime_s - settings.sweep_min_age_s
    sql = """
        SELECT "image-id" FROM "image-metadata"
        WHERE status = 'awaiting' AND row ->> '$.sha256' IS NULL AND uploaded_at < ? LIMIT ?
    """
    found = upkeep.database.read().execute(sql, (before, _MOST)).fetchall()
    settled = 0
    for (image_id,) in found:
        if stop():
            break
        _settle(upkeep, str(image_id))
        settled += 1
    return settled


def _settle(upkeep: Upkeep, image_id: str) -> None:
    key = original_key(image_id)
    try:
        data = upkeep.objects.get(key)
    except NotFound:
        remove_image(upkeep.home, image_id)
        return
    try:
        header = upkeep.home.probe(data)
    except DandyrollError as error:
        if not error.retryable:
            upkeep.objects.delete(key)
            record_failure(image_id, error, upkeep.catalogue)
        return
    changes = learned(header, hashlib.sha256(data).hexdigest(), len(data))
    upkeep.catalogue.upload_arrived(image_id, changes)
    upkeep.queue.put(image_id)
