"""Errors as clients see them: `application/problem+json` (RFC 9457)."""

import json

from dandyroll.api.http import Response
from dandyroll.errors import DandyrollError


def problem(error: DandyrollError, trace_id: str) -> Response:
    """The problem document: a stable `code`, a `message` for people, the `trace_id` for us."""
    document = {
        "type": f"urn:dandyroll:error:{error.code}",
        "title": " ".join((type(error).__doc__ or "").split()),
        "status": error.status,
        "code": error.code,
        "message": error.message,
        "trace_id": trace_id,
    }
    headers = {"Content-Type": "application/problem+json", "Cache-Control": "no-store"}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    return Response(error.status, json.dumps(document).encode() + b"\n", headers)
