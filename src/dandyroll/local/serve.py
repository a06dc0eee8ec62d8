"""Run the local home as a server until it is told to stop."""

import uvicorn

from dandyroll.local.api_keys import is_valid_api_key
from dandyroll.local.gateway import create_app
from dandyroll.local.home import LocalHome

_STOP_S = 10  # how long open requests may take to end


def serve(local: LocalHome, host: str, port: int) -> None:
    """Listen until SIGINT or SIGTERM; the home is still open afterwards."""
    app = create_app(local.home, lambda value: is_valid_api_key(local.database, value))
    uvicorn.run(
        app,
        host=host,
        port=port,
        http="httptools",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_S,
    )
