"""What every group of commands is given, and the types it reads."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # argparse's own class is generic for type checkers alone
    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Subcommands = argparse._SubParsersAction


def add_config_option(command: argparse.ArgumentParser) -> None:
    help_ = "settings (./dandyroll.toml, or the data folder's)"
    command.add_argument("--config", type=Path, metavar="FILE", help=help_)


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1; got {text!r}")
    return int(text)
