"""Answers that carry an image: conditional, cacheable, redirected when too big to carry."""

from dandyroll.api.http import Request, Response
from dandyroll.ports import Home

_CACHE = "private, no-cache"  # may be kept, but is asked for anew: it can be deleted


def image_response(
    home: Home,
    request: Request,
    *,
    key: str,
    size_bytes: int,
    content_type: str,
    etag: str,
    version: str,
    **more: str,
) -> Response:
    """The object as a response: 200, 304 where the client has it, 303 where it is too big.

    `more` are further headers, named with `_` for `-`. Raises `NotFound` if the object is gone.
    """
    headers = {
        "ETag": f'"{etag}"',
        "Cache-Control": _CACHE,
        "Vary": "Accept",
        **{name.replace("_", "-"): text for name, text in more.items()},
    }
    if request.has_etag(etag):
        return Response(304, headers=headers)
    url = home.elsewhere(key, size_bytes, version)
    if url is not None:
        return Response(303, headers={**headers, "Cache-Control": "no-store", "Location": url})
    body = home.objects.get(key)
    safe = {"Content-Type": content_type, "X-Content-Type-Options": "nosniff"}
    return Response(200, body, {**headers, **safe})
