"""The opaque cursor of a listing: where in newest-first order a page ended."""

import base64
import binascii
import re

from dandyroll.errors import BadParameter

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def encode_cursor(created_date: str, image_id: str) -> str:
    """The cursor of a page that ended with the row of this date and id.

    There need be no such row: what comes before it in the order of the two is what is left.
    """
    place = f"{created_date}|{image_id}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[str, str]:
    """`created_date` and `image_id` of a page's last row; `BadParameter` for any other text."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        place = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        place = ""
    created_date, found, image_id = place.partition("|")
    if not found or not _DATE.match(created_date) or len(cursor) > 400:
        raise BadParameter("Expected a cursor that a page of this listing gave.")
    return created_date, image_id
