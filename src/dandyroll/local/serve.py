"""Run the local home as a server until it is told to stop."""

import os
import resource
import signal
import socket
from contextlib import suppress

import uvicorn

from dandyroll.local.access_log import observed
from dandyroll.local.gateway import create_app
from dandyroll.local.home import LocalHome, write_address
from dandyroll.local.metrics_page import metrics_route
from dandyroll.local.protocol import MAX_HEAD_BYTES, BoundedProtocol
from dandyroll.local.tls import Tls
from dandyroll.settings import BadSetting

_STOP_S = 10  # how long open requests may take to end
_CONCURRENCY = 512  # open connections, beyond which requests are answered 503
_OPEN_FILES = 65_536


def listen(host: str, port: int) -> socket.socket:
    """The server's socket, so that a taken port is known before anything is started.

    Port 0 takes any free one. Raises `BadSetting`.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error
        raise BadSetting(
            f"--host {host} --port {port}: cannot listen there: {reason}. "
            "Is another server running? Choose another --port."
        ) from None


def serve(local: LocalHome, listening: socket.socket, tls: Tls | None = None) -> None:
    """Answer requests until SIGINT or SIGTERM; the home is still open afterwards."""
    settings = local.home.settings
    host, port = listening.getsockname()[:2]
    write_address(settings.data_dir, "https" if tls else "http", host, port)
    app = create_app(local.home, local.admission, local.tickets)
    readings, admit = local.readings, local.admission.admit
    app.router.routes.append(metrics_route(readings, settings.public_url, admit))
    config = uvicorn.Config(
        observed(app),
        http=BoundedProtocol,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        limit_concurrency=_concurrency(),
        log_config=None,  # its lines go the way of ours
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # whom a peer claims to speak for opens nothing
        server_header=False,
        timeout_graceful_shutdown=_STOP_S,
        ssl_certfile=tls.cert if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    # Uvicorn raises the signal anew when it has stopped; the home must still be closed then.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        return


def _concurrency() -> int:
    """How many connections to serve, so that twice as many leave files to open for the work."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):  # the system may have a bound of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _CONCURRENCY if soft == resource.RLIM_INFINITY else min(_CONCURRENCY, soft // 4)
