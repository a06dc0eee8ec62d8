"""`record-failure`: what the state machine calls when a stage has failed for good."""

import logging
from typing import Any

from dandyroll.aws.failures import error_of
from dandyroll.aws.home import this_home
from dandyroll.aws.tickets import discard_unread, unread_row
from dandyroll.errors import Conflict, DandyrollError, NotFound
from dandyroll.keys import image_id_of
from dandyroll.models import Row
from dandyroll.pipeline import record_failure
from dandyroll.ports import Home

log = logging.getLogger("dandyroll.aws")


def handler(event: dict[str, Any], context: object) -> None:
    """`event`: `key` and `size_bytes` of the object, `trace_id`, and the `error` caught."""
    home, key, trace_id = this_home(), event["key"], event["trace_id"]
    error = error_of(event["error"])
    log.error("failed: %s", error.code, extra={**event, "image_id": key.rpartition("/")[2]})
    try:
        image_id = image_id_of(key)
    except NotFound:  # a name that no image can have: the log is all there can be
        return
    failed = record_failure(image_id, error, home.catalogue)
    if failed is not None:
        discard_unread(home, failed, error)
    elif key in home.objects.list(key):
        row = unread_row(home, image_id, event["size_bytes"], trace_id)
        _record_refused(home, row, error)


def _record_refused(home: Home, row: Row, error: DandyrollError) -> None:
    try:
        home.catalogue.create(row)
    except Conflict:  # another delivery of the event was quicker
        log.info("recorded already", extra={"image_id": row.image_id})
    record_failure(row.image_id, error, home.catalogue)
