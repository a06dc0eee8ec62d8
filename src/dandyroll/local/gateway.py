"""The ASGI adapter, and what API Gateway does in the other home: prove keys, bound bodies.

Handlers are synchronous and run in threads; bodies are read here, and only so many at once.
"""

import asyncio
from collections.abc import Awaitable, Callable

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as AsgiRequest
from starlette.responses import Response as AsgiResponse
from starlette.routing import Route as AsgiRoute

from dandyroll.api import http
from dandyroll.api.access import API_KEY_HEADER
from dandyroll.api.problem import problem
from dandyroll.api.routes import ROUTES, Route, answer, no_such_route
from dandyroll.api.upload import too_large
from dandyroll.api_keys import parse_api_key
from dandyroll.errors import BodyTimeout, DandyrollError
from dandyroll.local.admission import Admission
from dandyroll.local.page import page_routes
from dandyroll.local.tickets import Tickets
from dandyroll.local.turns import Turns, steady
from dandyroll.logs import note, noted
from dandyroll.ports import Home
from dandyroll.trace_id import mint_trace_id

_BODIES = 16  # uploads read into memory at once; the next ones wait in their sockets
_BODIES_OF_A_KEY = 4
_FILES = 8  # ticketed files written to disk at once
_FILES_OF_AN_OWNER = 4
_SILENCE_S = 10  # an upload of which nothing comes for so long gives up its turn
_THREADS = 32
_WAITING_THREADS = 64  # for `?wait=`: they sleep, and must not keep others waiting

Endpoint = Callable[[AsgiRequest], Awaitable[AsgiResponse]]


def create_app(home: Home, admission: Admission, tickets: Tickets) -> Starlette:
    """The whole API as an ASGI application, one Starlette route for each of `ROUTES`."""
    gateway = Gateway(home, admission, tickets)
    app = Starlette(
        routes=[
            *(gateway.route(route) for route in ROUTES),
            AsgiRoute("/uploads/{file_name}", gateway.put_upload, methods=["PUT"]),
            *page_routes(),
        ],
        exception_handlers={HTTPException: gateway.unknown},
    )
    app.router.redirect_slashes = False
    return app


class Gateway:
    """Turns ASGI requests into ours and our responses into ASGI's."""

    def __init__(self, home: Home, admission: Admission, tickets: Tickets) -> None:
        self._home = home
        self._admission = admission
        self._tickets = tickets
        self._bodies = Turns(_BODIES, _BODIES_OF_A_KEY)
        self._files = Turns(_FILES, _FILES_OF_AN_OWNER)
        self._threads = CapacityLimiter(_THREADS)
        self._waiting_threads = CapacityLimiter(_WAITING_THREADS)

    def route(self, route: Route) -> AsgiRoute:
        async def endpoint(request: AsgiRequest) -> AsgiResponse:
            return await self._answer(route, request)

        path = route.path.replace("{file-name}", "{file_name}")
        asgi_route = AsgiRoute(path, endpoint, methods=[route.method])
        asgi_route.methods = {route.method}  # no HEAD of Starlette's own making
        return asgi_route

    async def put_upload(self, request: AsgiRequest) -> AsgiResponse:
        """The URL of a ticket: its signature is all the leave it takes."""
        try:
            image_id, size_bytes = self._tickets.check(
                request.path_params["file_name"], request.query_params, request.headers
            )
            owner = self._home.catalogue.get(image_id).owner
            lifetime_s = self._home.settings.ticket_lifetime_s
            async with self._files.turn(owner), asyncio.timeout(lifetime_s):
                body = steady(aiter(request.stream()), _SILENCE_S)
                await self._tickets.receive(image_id, size_bytes, body)
        except DandyrollError as error:
            return _to_asgi(problem(error, _trace_id()))
        except TimeoutError:
            return _to_asgi(problem(BodyTimeout("The ticket ended meanwhile."), _trace_id()))
        except ClientDisconnect:
            return AsgiResponse(status_code=400)  # nobody is there to read it
        return AsgiResponse(status_code=200)

    async def unknown(self, request: AsgiRequest, error: Exception) -> AsgiResponse:
        try:
            self._admission.admit_anyone()
        except DandyrollError as over:
            return _to_asgi(problem(over, _trace_id()))
        return _to_asgi(answer(no_such_route, self._home, _from_asgi(request, b"")))

    async def _answer(self, route: Route, request: AsgiRequest) -> AsgiResponse:
        if not route.needs_key:  # nor is it throttled: who asks after our health must learn it
            return await self._handle(route, request)
        key = request.headers.get(API_KEY_HEADER, "")
        try:
            name = self._admission.admit(key)
        except DandyrollError as error:
            return _to_asgi(problem(error, _trace_id()))
        if facts := parse_api_key(key):
            note(owner=facts.owner)
        response = await self._handle(route, request, name)
        self._admission.note(name, response.status_code, _uploaded_bytes(route, request))
        return response

    async def _handle(self, route: Route, request: AsgiRequest, name: str = "") -> AsgiResponse:
        if route.method in ("GET", "DELETE"):
            limiter = self._waiting_threads if "wait" in request.query_params else self._threads
            return await self._in_thread(route, _from_asgi(request, b""), limiter)
        async with self._bodies.turn(name):
            try:
                body = await self._read_body(request)
            except DandyrollError as error:
                return _to_asgi(problem(error, _trace_id()))
            except ClientDisconnect:
                return AsgiResponse(status_code=400)  # nobody is there to read it
            request.state.body_bytes = len(body)
            return await self._in_thread(route, _from_asgi(request, body), self._threads)

    async def _in_thread(
        self, route: Route, request: http.Request, limiter: CapacityLimiter
    ) -> AsgiResponse:
        response = await to_thread.run_sync(
            answer, route.handler, self._home, request, limiter=limiter
        )
        return _to_asgi(response)

    async def _read_body(self, request: AsgiRequest) -> bytes:
        max_bytes = self._home.settings.max_direct_bytes
        declared = request.headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > max_bytes:
            raise too_large(int(declared), max_bytes)
        timeout_s = self._home.settings.body_timeout_s
        chunks: list[bytes] = []
        got_bytes = 0
        try:
            async with asyncio.timeout(timeout_s):
                async for chunk in steady(aiter(request.stream()), _SILENCE_S):
                    got_bytes += len(chunk)
                    if got_bytes > max_bytes:
                        raise too_large(got_bytes, max_bytes)
                    chunks.append(chunk)
        except TimeoutError:
            raise BodyTimeout(f"Expected the whole body within {timeout_s} s.") from None
        return b"".join(chunks)


def _uploaded_bytes(route: Route, request: AsgiRequest) -> int | None:
    return getattr(request.state, "body_bytes", 0) if route.path == "/upload" else None


def _from_asgi(request: AsgiRequest, body: bytes) -> http.Request:
    return http.Request(
        method=request.method,
        path=request.url.path,
        params={name.replace("_", "-"): value for name, value in request.path_params.items()},
        query=dict(request.query_params),
        headers=dict(request.headers),
        body=body,
        trace_id=_trace_id(),
    )


def _to_asgi(response: http.Response) -> AsgiResponse:
    return AsgiResponse(response.body, response.status, dict(response.headers))


def _trace_id() -> str:
    """The one the request is logged under; a new one where nobody logs it."""
    return noted("trace_id") or mint_trace_id()
