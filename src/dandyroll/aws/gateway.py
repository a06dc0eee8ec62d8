"""API Gateway's proxy events (REST, payload 1.0) as our requests, and our responses as its."""

import base64
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from dandyroll.api.http import Request, Response
from dandyroll.api.routes import Handler, answer
from dandyroll.aws.home import this_home
from dandyroll.spans import flush_spans
from dandyroll.trace_id import TRACE_ID_HEADER, parse_traceparent

log = logging.getLogger("dandyroll.aws")

_TRACE = re.compile(r"(?:^|;)\s*Root=([0-9A-Za-z-]{1,64})(?:;|$)")
_TEXT = ("application/json", "application/problem+json", "text/")


def serve(handler: Handler, event: Mapping[str, Any]) -> dict[str, Any]:
    """The event answered by one of the routes' handlers; one line about it in the log."""
    start_s = time.perf_counter()
    request = to_request(event)
    response = answer(handler, this_home(), request)
    flush_spans()
    about = {
        "trace_id": request.trace_id,
        "image_id": _image_id(request, response),
        "status": response.status,
        "ms": round((time.perf_counter() - start_s) * 1000),
    }
    log.info("%s %s: %d", request.method, event["resource"], response.status, extra=about)
    headers = {**response.headers, TRACE_ID_HEADER: request.trace_id}
    return to_result(replace(response, headers=headers))


def _image_id(request: Request, response: Response) -> str:
    """The image asked for, or the new one; of what a stranger asks for only the beginning."""
    new = response.headers.get("Location", "").rpartition("/")[2] if response.status == 201 else ""
    return new or request.params.get("file-name", "")[:128]


def to_request(event: Mapping[str, Any]) -> Request:
    """The request in the event.

    A REST API hands path parameters over as they came, percent-encoded, and query parameters
    decoded. Of several values the last wins.
    """
    headers = {name.lower(): text for name, text in (event.get("headers") or {}).items()}
    queries = event.get("multiValueQueryStringParameters") or {}
    params = event.get("pathParameters") or {}
    return Request(
        method=event["httpMethod"],
        path=event["path"],
        params={name: unquote(text) for name, text in params.items()},
        query={name: values[-1] for name, values in queries.items() if values},
        headers=headers,
        body=_body(event),
        trace_id=_trace_id(headers, event),
    )


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()


def _trace_id(headers: Mapping[str, str], event: Mapping[str, Any]) -> str:
    """The caller's if it sent one; else X-Ray's, since the functions after this one log it too."""
    caller = parse_traceparent(headers)
    if caller is not None:
        return caller[0]
    match = _TRACE.search(headers.get("x-amzn-trace-id", ""))
    return match.group(1) if match else str(event["requestContext"]["requestId"])


def to_result(response: Response) -> dict[str, Any]:
    """The response as the gateway takes it: text as text, anything else in base64."""
    content_type = response.headers.get("Content-Type", "")
    is_text = content_type.startswith(_TEXT) or not response.body
    body = response.body.decode() if is_text else base64.b64encode(response.body).decode()
    return {
        "statusCode": response.status,
        "headers": dict(response.headers),
        "body": body,
        "isBase64Encoded": not is_text,
    }
