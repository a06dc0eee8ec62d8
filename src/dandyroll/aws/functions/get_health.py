"""`get-health`: answers `GET /health`."""

from typing import Any

from dandyroll.api.get_health import get_health
from dandyroll.aws.gateway import serve


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return serve(get_health, event)
