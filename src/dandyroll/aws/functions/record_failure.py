"""`record-failure`: what the state machine calls when a stage has failed for good."""

import logging
from dataclasses import replace
from typing import Any

from dandyroll.aws.failures import error_of
from dandyroll.aws.home import this_home
from dandyroll.aws.tickets import discard_unread
from dandyroll.errors import Conflict, DandyrollError, NotFound
from dandyroll.intake import ADOPTED_OWNER, new_row
from dandyroll.keys import image_id_of
from dandyroll.models import Header, Row
from dandyroll.pipeline import record_failure
from dandyroll.ports import Home

log = logging.getLogger("dandyroll.aws")

_UNREAD = Header("", "application/octet-stream", "", 0, 0)


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
        row = _unread_row(home, image_id, event["size_bytes"], trace_id)
        _record_refused(home, row, error)


def _unread_row(home: Home, image_id: str, size_bytes: int, trace_id: str) -> Row:
    """For what was put straight into the store and is no image: all we know of it."""
    row = new_row(home, image_id, _UNREAD, b"", ADOPTED_OWNER, trace_id)
    return replace(row, size_bytes=size_bytes, sha256="")


def _record_refused(home: Home, row: Row, error: DandyrollError) -> None:
    try:
        home.catalogue.create(row)
    except Conflict:  # another delivery of the event was quicker
        log.info("recorded already", extra={"image_id": row.image_id})
    record_failure(row.image_id, error, home.catalogue)
