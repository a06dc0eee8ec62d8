"""`GET /get-processed-image/{file-name}`: the finished picture, or why there is none (yet)."""

import time
from typing import Any

from dandyroll.api.access import authorise, owned_row
from dandyroll.api.answers import image_response
from dandyroll.api.http import Request, Response, json_response
from dandyroll.api_keys import ApiKey
from dandyroll.errors import ImageFailed, NotReady
from dandyroll.keys import parse_image_id
from dandyroll.models import SETTLED, Rendition, Row
from dandyroll.ports import Home

_RETRY_AFTER_S = 1
_FIRST_LOOK_S, _LONGEST_PAUSE_S = 0.05, 0.5


def get_processed_image(home: Home, request: Request) -> Response:
    """The processed bytes, or with `Accept: application/json` the row with rendition URLs.

    Raises `Forbidden`, `Scope`, `NotFound`, `BadParameter`, and until there is a picture
    `NotReady` or `ImageFailed`.
    """
    key = authorise(request, "read")
    image_id = parse_image_id(request.params["file-name"])
    wait_s = request.number("wait", least=0, most=home.settings.max_wait_s, default=0)
    row = _settled_row(home, key, image_id, wait_s)
    processed = _processed(row)
    describedby = f'</get-image-metadata/{image_id}>; rel="describedby"'
    if request.accepts_json():
        document = {**row.to_json(), **_urls(home, row, processed)}
        return json_response(200, document, Cache_Control="private, no-cache", Vary="Accept")
    return image_response(
        home,
        request,
        key=processed.key,
        size_bytes=processed.size_bytes,
        content_type=processed.content_type,
        etag=processed.etag,
        version=row.rendition_version(),
        Link=describedby,
        X_Image_Id=image_id,
        X_Image_Width=str(processed.width),
        X_Image_Height=str(processed.height),
        X_Image_Policy=row.policy,
        X_Image_Original_Width=str(row.width),
        X_Image_Original_Height=str(row.height),
    )


def _urls(home: Home, row: Row, processed: Rendition) -> dict[str, Any]:
    """Where the rendition is: for who has a key, and where the home is delivered from, for all."""
    urls = {"renditions": {"processed": f"/get-processed-image/{row.image_id}"}}
    signed = home.delivery and home.delivery.url(processed.key, row.rendition_version())
    if not signed:
        return urls
    return {
        **urls,
        "signed_renditions": {"processed": signed.url},
        "signed_until": signed.expires_at,
    }


def _settled_row(home: Home, key: ApiKey, image_id: str, wait_s: int) -> Row:
    deadline_s = time.monotonic() + wait_s
    pause_s = _FIRST_LOOK_S
    while True:
        row = owned_row(home, key, image_id)
        left_s = deadline_s - time.monotonic()
        if row.status in SETTLED or left_s <= 0:
            return row
        time.sleep(min(pause_s, left_s))
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _processed(row: Row) -> Rendition:
    if row.processed is not None:
        return row.processed
    if row.error is not None:
        raise ImageFailed(f"Not processed: {row.error['code']}: {row.error['message']}")
    raise NotReady(f"The image is {row.status}.", retry_after_s=_RETRY_AFTER_S)
