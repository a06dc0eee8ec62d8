"""How an upload is made durable at home: the object, then its row and job in one transaction.

A crash in between leaves an object that nobody was told of; an upload tried again under its
idempotency key finds it and goes on.
"""

from dataclasses import replace

from dandyroll.errors import Conflict, QuotaExceeded, StorageQuotaExceeded
from dandyroll.keys import original_key
from dandyroll.local import metrics
from dandyroll.local.catalogue import SqliteCatalogue
from dandyroll.local.objects import FileObjectStore
from dandyroll.local.queue import Queue
from dandyroll.logs import note
from dandyroll.models import Row
from dandyroll.pipeline import first_job
from dandyroll.spans import accept_span


def accept(
    objects: FileObjectStore, catalogue: SqliteCatalogue, queue: Queue, row: Row, data: bytes
) -> Row:
    """Keeps the promise of `ports.Home.accept`."""
    with accept_span(row.image_id):
        accepted = _store(objects, catalogue, row, data)
    queue.put(row.image_id)
    note(image_id=row.image_id)
    metrics.UPLOADS.inc(row.image_format)
    return accepted


def _store(objects: FileObjectStore, catalogue: SqliteCatalogue, row: Row, data: bytes) -> Row:
    catalogue.check_quota(row)  # a first look, before the bytes are written for nothing
    uploaded = replace(row, status="uploaded")
    key = original_key(row.image_id)
    ours = True
    try:
        objects.put(key, data, row.content_type, if_absent=True)
    except Conflict:
        if objects.get(key) != data:
            raise
        ours = False
    try:
        catalogue.accept(uploaded, first_job(uploaded))
    except (Conflict, QuotaExceeded, StorageQuotaExceeded):
        # Not what another put there, nor what another try of it was faster to have accepted.
        if ours and not catalogue.has(row.image_id, row.sha256):
            objects.delete(key)
        raise
    return uploaded


def retry(catalogue: SqliteCatalogue, queue: Queue, row: Row) -> Row:
    """Keeps the promise of `ports.Home.retry`."""
    restarted = catalogue.restart(row.image_id)
    queue.put(row.image_id)
    return restarted
