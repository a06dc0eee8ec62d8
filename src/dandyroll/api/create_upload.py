"""`POST /uploads`: a ticket for a file too large for `POST /upload`."""

import json
from collections.abc import Sequence

from dandyroll.api.access import authorise
from dandyroll.api.http import Request, Response, json_response
from dandyroll.errors import BadParameter, BodyTooLarge, UnsupportedFormat
from dandyroll.formats import CONTENT_TYPES
from dandyroll.intake import awaited_row, under_free_id
from dandyroll.models import Row
from dandyroll.ports import Home


def create_upload(home: Home, request: Request) -> Response:
    """A row that is `awaiting` its bytes, and leave to put them.

    The body is `{"content_type": "image/jpeg", "size_bytes": 31415926}`. Raises `Forbidden`,
    `Scope`, `BadParameter`, `UnsupportedFormat`, `BodyTooLarge`, `StoreUnavailable`.
    """
    key = authorise(request, "write")
    content_type, size_bytes = _declared(request.body, home.formats)
    most_bytes = home.settings.max_upload_bytes
    if size_bytes > most_bytes:
        raise BodyTooLarge(f"Expected at most {most_bytes} bytes; {size_bytes} are announced.")
    row = awaited_row(home, content_type, size_bytes, key.owner, request.trace_id)
    row = under_free_id(home, row, lambda row: _created(home, row))
    ticket = home.ticket(row)
    document = {
        "image_id": row.image_id,
        "url": ticket.url,
        "method": ticket.method,
        "headers": ticket.headers,
        "expires_at": ticket.expires_at,
    }
    return json_response(201, document, Location=f"/get-image-metadata/{row.image_id}")


def _created(home: Home, row: Row) -> Row:
    home.catalogue.create(row)
    return row


def _declared(body: bytes, formats: Sequence[str]) -> tuple[str, int]:
    try:
        document = json.loads(body)
        content_type, size_bytes = document["content_type"], document["size_bytes"]
    except (ValueError, KeyError, TypeError):
        raise BadParameter('Expected {"content_type": "image/jpeg", "size_bytes": 123}.') from None
    if type(size_bytes) is not int or size_bytes < 1:
        raise BadParameter("Expected size_bytes to be a whole number of at least 1.")
    taken = [CONTENT_TYPES[name] for name in formats]
    if content_type not in taken:
        raise UnsupportedFormat(f"Expected a content_type out of {', '.join(taken)}.")
    return content_type, size_bytes
