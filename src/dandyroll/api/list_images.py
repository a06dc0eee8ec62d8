"""`GET /images`: the caller's rows, newest first, a page at a time."""

from dandyroll.api.access import authorise
from dandyroll.api.http import Request, Response, json_response
from dandyroll.errors import BadParameter
from dandyroll.models import STATUSES, Status
from dandyroll.ports import Home

_LIMIT, _MOST = 50, 500


def list_images(home: Home, request: Request) -> Response:
    """A page of rows and the cursor of the next, null after the last. `admin` sees all owners'.

    Raises `Forbidden`, `Scope`, `BadParameter`.
    """
    key = authorise(request, "read")
    owner = None if "admin" in key.scopes else key.owner
    limit = request.number("limit", least=1, most=_MOST, default=_LIMIT)
    page = home.catalogue.list(owner, _status(request), limit, request.query.get("cursor", ""))
    document = {"images": [row.to_json() for row in page.rows], "cursor": page.cursor}
    return json_response(200, document, Cache_Control="no-store")


def _status(request: Request) -> Status | None:
    text = request.query.get("status", "")
    if not text:
        return None
    for status in STATUSES:
        if status == text:
            return status
    raise BadParameter(f"Expected a status out of {', '.join(STATUSES)}; got {text[:40]!r}.")
