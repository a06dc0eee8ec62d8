"""The route table: the one place that says which routes exist.

The local home's server and the OpenAPI document are built from it; the AWS home's template is
checked against it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from dandyroll.api.create_upload import create_upload
from dandyroll.api.delete_image import delete_image
from dandyroll.api.get_health import get_health
from dandyroll.api.get_image_metadata import get_image_metadata
from dandyroll.api.get_processed_image import get_processed_image
from dandyroll.api.http import Request, Response
from dandyroll.api.list_images import list_images
from dandyroll.api.problem import problem
from dandyroll.api.retry_image import retry_image
from dandyroll.api.upload import upload
from dandyroll.errors import DandyrollError, Internal, NotFound
from dandyroll.ports import Home
from dandyroll.spans import request_span

Handler = Callable[[Home, Request], Response]

log = logging.getLogger("dandyroll.api")


@dataclass(frozen=True)
class Route:
    """`function` is the AWS home's Lambda function.

    `needs_key` is whether the gateway asks for a key. `summary` says in a line what it does.
    """

    method: str
    path: str
    handler: Handler
    function: str
    summary: str
    needs_key: bool = True


ROUTES: tuple[Route, ...] = (
    Route("POST", "/upload", upload, "upload-image", "Take one image"),
    Route("POST", "/uploads", create_upload, "create-upload", "Give a ticket for a large file"),
    Route(
        "GET",
        "/get-image-metadata/{file-name}",
        get_image_metadata,
        "get-image-metadata",
        "Tell what is known of an image, or give its original",
    ),
    Route(
        "GET",
        "/get-processed-image/{file-name}",
        get_processed_image,
        "get-processed-image",
        "Give the processed image",
    ),
    Route("GET", "/images", list_images, "list-images", "List images, newest first"),
    Route(
        "DELETE",
        "/images/{file-name}",
        delete_image,
        "delete-image",
        "Delete all there is of an image",
    ),
    Route(
        "POST", "/images/{file-name}/retry", retry_image, "retry-image", "Try a failed image again"
    ),
    Route("GET", "/health", get_health, "get-health", "Tell whether it is well", needs_key=False),
)


def answer(handler: Handler, home: Home, request: Request) -> Response:
    """The handler's response, or the problem document of what it raised: never an exception."""
    name, told = _names(handler, request)
    with request_span(name, request.trace_id, request.headers, told) as answered:
        response = _answer(handler, home, request)
        answered(response.status)
    return response


def _answer(handler: Handler, home: Home, request: Request) -> Response:
    extra = {"event": "request_failed", "trace_id": request.trace_id}
    try:
        return handler(home, request)
    except DandyrollError as error:
        if error.status >= 500:
            line = "%s %s: %s", request.method, error.code, error.message
            log.error(*line, exc_info=error, extra={**extra, "code": error.code})
        return problem(error, request.trace_id)
    except Exception:
        log.exception("%s: unexpected", request.method, extra=extra)
        return problem(Internal("Something went wrong on our side."), request.trace_id)


def _names(handler: Handler, request: Request) -> tuple[str, dict[str, str | int]]:
    """A span's name and attributes: the route's template, never the path, which may be secret."""
    route = next((route for route in ROUTES if route.handler is handler), None)
    if route is None:
        return "unknown", {}
    told = {"http.request.method": route.method, "http.route": route.path}
    return f"{route.method} {route.path}", {**told, "http.request.body.size": len(request.body)}


def no_such_route(home: Home, request: Request) -> Response:
    """What an unknown path or method gets."""
    raise NotFound(f"There is no route {request.method} {request.path[:200]}.")
