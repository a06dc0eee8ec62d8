"""Around the whole ASGI application: a trace id, a log line and the counts of every request.

The line has the route's template, never the path or the query: those may hold what is secret.
"""

import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dandyroll.local import metrics
from dandyroll.logs import bound
from dandyroll.trace_id import TRACE_ID_HEADER, mint_trace_id, parse_traceparent

log = logging.getLogger("dandyroll.request")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_QUIET = frozenset({"/health", "/metrics"})  # asked for every few seconds: only at level debug
_NO_ROUTE = "unknown"
_HEADER = TRACE_ID_HEADER.lower().encode()


class Exchange:
    """One request and its answer, as they pass by."""

    def __init__(self, receive: Receive, send: Send, trace_id: str) -> None:
        self._receive, self._send = receive, send
        self._trace_id = trace_id.encode()
        self.status, self.code = 500, ""
        self.bytes_in = self.bytes_out = 0
        self._is_problem = False

    async def receive(self) -> Message:
        message = await self._receive()
        self.bytes_in += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message["headers"]
            self._is_problem = (b"content-type", b"application/problem+json") in headers
            message = {**message, "headers": [*headers, (_HEADER, self._trace_id)]}
        else:
            body = message.get("body", b"")
            self.bytes_out += len(body)
            if self._is_problem:
                self.code = json.loads(body)["code"]
        await self._send(message)


def observed(app: ASGIApp) -> ASGIApp:
    """The application, with every request answered under a trace id, logged and counted."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        start_s = time.perf_counter()
        caller = parse_traceparent(_traceparent(scope))
        trace_id = caller[0] if caller else mint_trace_id()
        exchange = Exchange(receive, send, trace_id)
        with bound(trace_id=trace_id):
            try:
                await app(scope, exchange.receive, exchange.send)
            finally:
                _tell(scope, exchange, time.perf_counter() - start_s)

    return application


def _tell(scope: Scope, exchange: Exchange, seconds: float) -> None:
    route, method, status = _template(scope), scope["method"], str(exchange.status)
    method = method if method in _METHODS else "OTHER"
    metrics.REQUESTS.inc(route, method, status)
    metrics.REQUEST_SECONDS.observe(seconds, route)
    metrics.BYTES.inc("in", by=exchange.bytes_in)
    metrics.BYTES.inc("out", by=exchange.bytes_out)
    level = logging.DEBUG if route in _QUIET else logging.INFO
    if log.isEnabledFor(level):
        extra = {
            "event": "request",
            "method": method,
            "route": route,
            "status": exchange.status,
            "code": exchange.code,
            "ms": round(seconds * 1000, 1),
            "bytes_in": exchange.bytes_in,
            "bytes_out": exchange.bytes_out,
        }
        log.log(level, "%s %s %s", method, route, status, extra=extra)


def _template(scope: Scope) -> str:
    """The route's template as the contract writes it; one word for all that is no route."""
    route: Any = scope.get("route")
    return _NO_ROUTE if route is None else route.path.replace("{file_name}", "{file-name}")


def _traceparent(scope: Scope) -> Mapping[str, str]:
    sent = [value for name, value in scope["headers"] if name == b"traceparent"]
    return {"traceparent": sent[0].decode("latin-1")} if len(sent) == 1 else {}
