"""`GET /metrics`: what the server counts, for Prometheus and `dandyroll top`.

Open to this machine itself, and to keys with the scope `admin`. A proxy on this machine makes
the whole world look like it; so nothing that may have come through one is taken for local.
"""

from collections.abc import Callable, Sequence
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from starlette.requests import Request as AsgiRequest
from starlette.responses import Response as AsgiResponse
from starlette.routing import Route as AsgiRoute

from dandyroll.api.access import API_KEY_HEADER, authorise
from dandyroll.api.http import Request
from dandyroll.api.problem import problem
from dandyroll.errors import DandyrollError
from dandyroll.local import metrics
from dandyroll.local.exposition import CONTENT_TYPE, Reading, exposition
from dandyroll.logs import noted

_FROM_A_PROXY = ("forwarded", "via", "x-forwarded-", "x-real-ip")
"""How the headers begin that proxies add. One that adds none is told by the other two rules."""


def metrics_route(
    readings: Sequence[Reading], public_url: str, admit: Callable[[str], object]
) -> AsgiRoute:
    """The route, for a server that clients reach at `public_url`.

    `admit` lets a valid key in; it raises for another.
    """

    async def endpoint(request: AsgiRequest) -> AsgiResponse:
        try:
            if not is_from_this_machine(request, public_url):
                _authorise(request, admit)
        except DandyrollError as error:
            refused = problem(error, str(noted("trace_id")))
            return AsgiResponse(refused.body, refused.status, dict(refused.headers))
        body = exposition(metrics.all_metrics(readings))
        return AsgiResponse(
            body, headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"}
        )

    route = AsgiRoute("/metrics", endpoint, methods=["GET"])
    route.methods = {"GET"}
    return route


def is_from_this_machine(request: AsgiRequest, public_url: str) -> bool:
    """Whether somebody on this machine asks, and not the world through a proxy or a browser.

    The peer must be a loopback address, no header may come from a proxy, and both the `Host`
    asked for and `public_url` must name this machine: a server behind a proxy has another URL,
    and a page that lures a browser here has its own name in `Host`.
    """
    peer = request.client.host if request.client else ""
    if not _is_loopback(peer) or any(name.startswith(_FROM_A_PROXY) for name in request.headers):
        return False
    asked_for = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    public = urlsplit(public_url).hostname or ""
    return _is_loopback(asked_for) and (_is_loopback(public) or _is_any_address(public))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _is_any_address(host: str) -> bool:
    return host in ("0.0.0.0", "::")  # noqa: S104 - compared, not listened on


def _authorise(request: AsgiRequest, admit: Callable[[str], object]) -> None:
    value = request.headers.get(API_KEY_HEADER, "")
    admit(value)
    authorise(Request("GET", "/metrics", headers={API_KEY_HEADER: value}), "admin")
