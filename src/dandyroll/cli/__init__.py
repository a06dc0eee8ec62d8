"""The `dandyroll` command. Each group of commands has its file here, with its `add_commands`."""

import argparse
import io
import os
import sys
from collections.abc import Sequence

import apsw

import dandyroll
from dandyroll.aws.stack import CloudError
from dandyroll.cli import (
    cdn,
    copy,
    cost,
    deploy,
    images,
    keeping,
    keys,
    process,
    redrive,
    serve,
    top,
    upload,
    webhooks,
)
from dandyroll.errors import DandyrollError
from dandyroll.settings import BadSetting

_GROUPS = (
    *(serve, keys, webhooks, process, upload, images, keeping, copy, top),
    *(deploy, cdn, redrive, cost),
)

_BROKEN_PIPE = 141  # as shells say it of SIGPIPE
_INTERRUPTED = 130  # as shells say it of Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code: 0 done, 1 some of it failed, 2 it was asked wrongly."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names need not be UTF-8
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
        sys.stdout.flush()
    except BrokenPipeError:  # such as `| head`, which has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        print("dandyroll: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except (BadSetting, CloudError, DandyrollError, ValueError, OSError, apsw.Error) as error:
        print(f"dandyroll: {error}", file=sys.stderr)
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dandyroll", description="Pictures in, renditions out.")
    parser.add_argument("--version", action="version", version=f"dandyroll {dandyroll.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in _GROUPS:
        group.add_commands(commands)
    return parser
