"""`GET /openapi.json` and `GET /docs`: the contract, for programs and for people."""

from dandyroll.api.http import Request, Response, json_response
from dandyroll.api.openapi import openapi
from dandyroll.api.reference import reference_page
from dandyroll.ports import Home

_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def get_reference(home: Home, request: Request) -> Response:
    """The OpenAPI document, or at any other path the page made from it. Needs no key."""
    if request.path.endswith(".json"):
        return json_response(200, openapi())
    return Response(200, reference_page(openapi()).encode(), _HEADERS)
