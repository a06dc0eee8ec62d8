"""The opaque cursor of a listing: where in newest-first order a page ended."""

import base64
import binascii

from dandyroll.errors import BadParameter
from dandyroll.models import Row


def encode_cursor(row: Row) -> str:
    """The cursor of the page whose last row this is."""
    place = f"{row.created_date}|{row.image_id}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[str, str]:
    """`created_date` and `image_id` of a page's last row; `BadParameter` for any other text."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        place = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        place = ""
    created_date, found, image_id = place.partition("|")
    if not found or len(cursor) > 400:
        raise BadParameter("Expected a cursor that a page of this listing gave.")
    return created_date, image_id
