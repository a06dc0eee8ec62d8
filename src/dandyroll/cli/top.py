"""`dandyroll top`: a server at work, live in the terminal."""

import argparse
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from dandyroll.cli.subcommands import Subcommands, add_config_option
from dandyroll.local.config import read_settings
from dandyroll.local.top import folder_source, remote_source, show


def add_commands(commands: Subcommands) -> None:
    command = commands.add_parser("top", help="watch a server at work, live")
    where = command.add_mutually_exclusive_group()
    where.add_argument("--data", type=Path, metavar="DIR", help="its data folder (./data)")
    where.add_argument("--url", metavar="URL", help="or where it is (DANDYROLL_URL)")
    command.add_argument(
        "--key", metavar="KEY", help="with scope admin, if it is far (better in DANDYROLL_KEY)"
    )
    command.add_argument(
        "--every", type=_pause_s, default=2.0, metavar="S", help="seconds (%(default)s)"
    )
    command.add_argument("--once", action="store_true", help="print one frame and end")
    add_config_option(command)
    command.set_defaults(command=_top)


def _top(options: argparse.Namespace) -> int:
    settings = read_settings(
        options.config, data_dir=options.data, url=options.url, key=options.key
    )
    with ExitStack() as resources:
        if settings.url and options.data is None:
            source = remote_source(settings.url, settings.key)
        else:  # a key in the environment is another server's
            source = resources.enter_context(folder_source(settings.data_dir, options.key or ""))
        show(source, Console(), options.every, options.once)
    return 0


def _pause_s(text: str) -> float:
    seconds = float(text)
    if not 0.1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"expected 0.1 to 3600 seconds; got {text!r}")
    return seconds
