"""`dandyroll serve`: the local home as a server."""

import argparse
from dataclasses import replace
from pathlib import Path

from dandyroll.cli.subcommands import Subcommands, add_config_option
from dandyroll.local.config import read_settings
from dandyroll.local.demo import demo_text
from dandyroll.local.home import open_home
from dandyroll.local.serve import listen, serve
from dandyroll.local.tls import check_exposure, read_tls, server_url
from dandyroll.logs import start_logging


def add_commands(commands: Subcommands) -> None:
    command = commands.add_parser("serve", help="run the server")
    command.add_argument("--data", type=Path, metavar="DIR", help="the data folder (./data)")
    add_config_option(command)
    command.add_argument("--host", help="the address to listen on (127.0.0.1)")
    command.add_argument("--port", type=int, help="the port (8000)")
    command.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate and chain, PEM")
    command.add_argument("--tls-key", type=Path, metavar="FILE", help="its key, PEM")
    command.add_argument(
        "--insecure", action="store_true", help="off loopback without TLS: a proxy in front has it"
    )
    command.add_argument("--workers", type=int, metavar="N", help="worker processes (one a core)")
    command.add_argument("--demo", action="store_true", help="print a new key and commands to try")
    command.set_defaults(command=_serve)


def _serve(options: argparse.Namespace) -> int:
    settings = read_settings(
        options.config,
        data_dir=options.data,
        host=options.host,
        port=options.port,
        workers=options.workers,
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
        allow_plain_http=options.insecure or None,
    )
    start_logging(settings.log_level, settings.log_format)
    check_exposure(settings)
    tls = read_tls(settings)
    with listen(settings.host, settings.port) as listening:
        url = server_url(settings.host, listening.getsockname()[1], tls)
        settings = replace(settings, public_url=settings.public_url or url)
        with open_home(settings) as local:
            if options.demo:
                print(demo_text(local.database, settings.data_dir, url), flush=True)
            else:
                print(f"Dandyroll is at {url}", flush=True)
            serve(local, listening, tls)
    return 0
