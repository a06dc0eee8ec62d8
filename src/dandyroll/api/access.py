"""Who may do what. The gateway has proven the key by now; its facts are read here."""

import time

from dandyroll.api.http import Request
from dandyroll.api_keys import ApiKey, parse_api_key
from dandyroll.errors import Forbidden, NotFound, Scope
from dandyroll.logs import note
from dandyroll.models import Row
from dandyroll.ports import Home

API_KEY_HEADER = "x-api-key"

FORBIDDEN = "Expected a valid API key in the x-api-key header."


def authorise(request: Request, scope: str) -> ApiKey:
    """The caller's key, if it has not expired and opens this route.

    Raises `Forbidden` or `Scope`. `admin` opens every route.
    """
    key = parse_api_key(request.headers.get(API_KEY_HEADER, ""))
    if key is None or key.expires_at <= time.time():
        raise Forbidden(FORBIDDEN)
    if scope not in key.scopes and "admin" not in key.scopes:
        raise Scope(f"Expected a key with the scope {scope}; got one with {sorted(key.scopes)}.")
    return key


def owned_row(home: Home, key: ApiKey, image_id: str) -> Row:
    """The image's row; `NotFound` alike for one that is not there and one of another owner."""
    row = home.catalogue.get(image_id)
    if row.owner != key.owner and "admin" not in key.scopes:
        raise NotFound("No image has that name.")
    note(image_id=image_id)
    return row
