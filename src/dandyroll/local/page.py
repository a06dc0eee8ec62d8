"""What a browser gets: the page, the contract to read. It needs nothing from anywhere else."""

import json
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dandyroll.api.openapi import openapi
from dandyroll.api.reference import reference_page

_POLICY = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; "
_HEADERS = {
    "Content-Security-Policy": _POLICY + "img-src blob: data:; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def page_routes() -> list[Route]:
    html, script = "text/html; charset=utf-8", "text/javascript; charset=utf-8"
    return [
        _static("/", (files("dandyroll") / "web" / "index.html").read_bytes(), html),
        _static("/page.js", (files("dandyroll") / "web" / "page.js").read_bytes(), script),
        _static("/docs", reference_page(openapi()).encode(), html),
        _static("/openapi.json", json.dumps(openapi()).encode(), "application/json"),
    ]


def _static(path: str, content: bytes, content_type: str) -> Route:
    async def endpoint(request: Request) -> Response:
        return Response(content, headers={**_HEADERS, "Content-Type": content_type})

    return Route(path, endpoint, methods=["GET"])
