"""The page at `/`: static files, read once, that need nothing from anywhere else."""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_POLICY = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; "
_HEADERS = {
    "Content-Security-Policy": _POLICY + "img-src blob: data:; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def page_routes() -> list[Route]:
    return [
        _static("/", "index.html", "text/html; charset=utf-8"),
        _static("/page.js", "page.js", "text/javascript; charset=utf-8"),
    ]


def _static(path: str, name: str, content_type: str) -> Route:
    content = (files("dandyroll") / "web" / name).read_bytes()

    async def endpoint(request: Request) -> Response:
        return Response(content, headers={**_HEADERS, "Content-Type": content_type})

    return Route(path, endpoint, methods=["GET"])
