"""Run the local home as a server until it is told to stop."""

import os
import signal
import socket

import uvicorn

from dandyroll.local.access_log import observed
from dandyroll.local.gateway import create_app
from dandyroll.local.home import LocalHome, write_address
from dandyroll.local.metrics_page import metrics_route
from dandyroll.local.tls import Tls
from dandyroll.settings import BadSetting

_STOP_S = 10  # how long open requests may take to end


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
        http="httptools",
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
