"""`POST /images/{file-name}/retry`: have a failed image processed anew."""

from dandyroll.api.access import authorise, owned_row
from dandyroll.api.http import Request, Response, json_response
from dandyroll.errors import with_code
from dandyroll.keys import parse_image_id
from dandyroll.models import Row
from dandyroll.ports import Home


def retry_image(home: Home, request: Request) -> Response:
    """202 with the row: `uploaded` again where it had failed, else as it was.

    An upload whose bytes were refused stays failed: they were not kept.

    Raises `Forbidden`, `Scope`, `NotFound`.
    """
    key = authorise(request, "write")
    row = owned_row(home, key, parse_image_id(request.params["file-name"]))
    if row.status == "failed" and not was_refused(row):
        row = home.retry(row)
    location = f"/get-image-metadata/{row.image_id}"
    return json_response(202, row.to_json(), Location=location)


def was_refused(row: Row) -> bool:
    """Whether the upload's bytes were at fault and are not kept: there is nothing to try again."""
    fault = with_code(row.error["code"]) if row.error else None
    return row.sha256 is None and fault is not None and fault.status < 500
