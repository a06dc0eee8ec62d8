"""`GET /get-image-metadata/{file-name}`: the row; with `Accept: image/*` the raw original."""

from dandyroll.api.access import authorise, owned_row
from dandyroll.api.answers import image_response
from dandyroll.api.http import Request, Response, json_response
from dandyroll.errors import NotFound
from dandyroll.keys import original_key, parse_image_id
from dandyroll.ports import Home


def get_image_metadata(home: Home, request: Request) -> Response:
    """The row as JSON, or the bytes exactly as they were uploaded.

    Raises `Forbidden`, `Scope`, `NotFound`.
    """
    key = authorise(request, "read")
    row = owned_row(home, key, parse_image_id(request.params["file-name"]))
    if not request.accepts_image():
        return json_response(200, row.to_json(), Cache_Control="private, no-cache")
    if row.sha256 is None and row.status == "failed":
        raise NotFound("The bytes of the image were refused, or never came: there are none.")
    if row.sha256 is None:
        raise NotFound("The bytes of the image have not come.")
    if row.original_deleted_at is not None:
        raise NotFound("The original was deleted when its time was up; the row and rendition stay.")
    return image_response(
        home,
        request,
        key=original_key(row.image_id),
        size_bytes=row.size_bytes,
        content_type=row.content_type,
        etag=row.sha256,
        version=row.sha256,
    )
