"""`dandyroll serve`: the local home as a server."""

import argparse
from dataclasses import replace
from pathlib import Path

from dandyroll.cli.subcommands import Subcommands
from dandyroll.local.demo import demo_text
from dandyroll.local.home import open_home
from dandyroll.local.serve import listen, serve
from dandyroll.logs import start_logging
from dandyroll.settings import Settings


def add_commands(commands: Subcommands) -> None:
    command = commands.add_parser("serve", help="run the server")
    command.add_argument("--data", type=Path, metavar="DIR", help="the data folder (./data)")
    command.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on (%(default)s)"
    )
    command.add_argument("--port", type=int, default=8000, help="the port (%(default)s)")
    command.add_argument("--workers", type=int, metavar="N", help="worker processes (one a core)")
    command.add_argument("--demo", action="store_true", help="print a new key and commands to try")
    command.set_defaults(command=_serve)


def _serve(options: argparse.Namespace) -> int:
    settings = Settings.from_env(data_dir=options.data, workers=options.workers)
    start_logging(settings.log_level, settings.log_format)
    with listen(options.host, options.port) as listening:
        host = f"[{options.host}]" if ":" in options.host else options.host
        url = f"http://{host}:{listening.getsockname()[1]}"
        settings = replace(settings, public_url=settings.public_url or url)
        with open_home(settings) as local:
            if options.demo:
                print(demo_text(local.database, settings.data_dir, url), flush=True)
            else:
                print(f"Dandyroll is at {url}", flush=True)
            serve(local, listening)
    return 0
