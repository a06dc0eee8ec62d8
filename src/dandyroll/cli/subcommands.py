"""What every group of commands is given, and the types it reads."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dandyroll.aws.stack import Stack, operators_cloud
from dandyroll.settings import Settings

if TYPE_CHECKING:  # argparse's own class is generic for type checkers alone
    Subcommands = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Subcommands = argparse._SubParsersAction


def add_config_option(command: argparse.ArgumentParser) -> None:
    help_ = "settings (./dandyroll.toml, or the data folder's)"
    command.add_argument("--config", type=Path, metavar="FILE", help=help_)


def add_stack_options(command: argparse.ArgumentParser) -> None:
    """`--stack` and `--region`, for commands that work on the AWS home."""
    command.add_argument("--stack", metavar="NAME", help="of the AWS home (dandyroll)")
    command.add_argument("--region", metavar="REGION", help="where it is (as AWS's own tools know)")


def add_aws_option(command: argparse.ArgumentParser) -> None:
    """`--aws`, `--stack` and `--region`, for commands that work on either home."""
    command.add_argument("--aws", action="store_true", help="in the AWS home, not a data folder")
    add_stack_options(command)


def find_stack(options: argparse.Namespace) -> Stack:
    """The stack that the options or `DANDYROLL_STACK` name; raises `BadSetting`, `CloudError`."""
    name = options.stack or Settings.from_env().stack
    return Stack.find(name, operators_cloud(options.region))


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1; got {text!r}")
    return int(text)
