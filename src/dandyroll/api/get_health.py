"""`GET /health`: whether the home can take uploads, for load balancers and people."""

from dandyroll import __version__
from dandyroll.api.http import Request, Response, json_response
from dandyroll.ports import Home


def get_health(home: Home, request: Request) -> Response:
    """200 with `status: ok`, the version, and what the home tells of itself."""
    report = {"status": "ok", "version": __version__, **home.health()}
    return json_response(200, report, Cache_Control="no-store")
