"""`get-reference`: answers `GET /openapi.json` and `GET /docs`."""

from typing import Any

from dandyroll.api.get_reference import get_reference
from dandyroll.aws.gateway import serve


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return serve(get_reference, event)
