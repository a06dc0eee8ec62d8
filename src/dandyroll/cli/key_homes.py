"""Where API keys are kept, in one shape: the local home's database, or a stack's API Gateway."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from dandyroll.api_keys import StoredKey
from dandyroll.aws import api_keys as aws_keys
from dandyroll.aws import usage_report as aws_usage
from dandyroll.aws.stack import Stack
from dandyroll.cli.subcommands import add_aws_option, add_config_option, find_stack
from dandyroll.local import api_keys as local_keys
from dandyroll.local import usage_report as local_usage
from dandyroll.local.config import read_settings
from dandyroll.local.database import Database
from dandyroll.local.home import CATALOGUE, open_database, open_kept_database


@dataclass(frozen=True)
class Keys:
    """A home's API keys. `create` takes owner, scopes and expiry, and gives the value."""

    create: Callable[[str, frozenset[str], int], str]
    list_all: Callable[[], list[StoredKey]]
    revoke: Callable[[str], StoredKey]
    usage: Callable[[], list[dict[str, Any]]]
    print_usage: Callable[[list[dict[str, Any]], Console], None]


def add_home_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", type=Path, metavar="DIR", help="the data folder (./data)")
    add_config_option(command)
    add_aws_option(command)


@contextmanager
def open_keys(options: argparse.Namespace, *, may_make: bool = False) -> Iterator[Keys]:
    """The keys of the home that the options mean. Raises `ValueError` where they mean two."""
    if options.aws:
        stack = find_keys_stack(options)
        yield Keys(
            create=lambda *facts: aws_keys.create_api_key(stack, *facts).value,
            list_all=partial(aws_keys.list_api_keys, stack),
            revoke=partial(aws_keys.revoke_api_key, stack),
            usage=lambda: aws_usage.usage_report(stack, int(time.time())),
            print_usage=aws_usage.print_usage,
        )
    else:
        with open_keys_database(options, may_make=may_make) as database:
            yield Keys(
                create=partial(local_keys.create_api_key, database),
                list_all=partial(local_keys.list_api_keys, database),
                revoke=partial(local_keys.revoke_api_key, database),
                usage=lambda: local_usage.usage_report(database, int(time.time())),
                print_usage=local_usage.print_usage,
            )


def find_keys_stack(options: argparse.Namespace) -> Stack:
    """The stack whose API Gateway has the keys."""
    refuse(options, ("data", "config"), "With --aws expected --stack and --region alone")
    return find_stack(options)


@contextmanager
def open_keys_database(
    options: argparse.Namespace, *, may_make: bool = False
) -> Iterator[Database]:
    """The local home's database, which is there already unless it may be made now."""
    refuse(options, ("stack", "region"), "Expected --aws")
    data_dir = read_settings(options.config, data_dir=options.data).data_dir
    if may_make and not (data_dir / CATALOGUE).is_file():  # a mistyped one, or the first key
        print(f"dandyroll: {data_dir} is a new data folder", file=sys.stderr)
    database = open_database(data_dir) if may_make else open_kept_database(data_dir)
    with closing(database):
        yield database


def refuse(options: argparse.Namespace, names: tuple[str, ...], expected: str) -> None:
    """Raise `ValueError` where one of these options, of the other home, is given."""
    given = [f"--{name}" for name in names if getattr(options, name) is not None]
    if given:
        raise ValueError(f"{expected}; got {' and '.join(given)}.")
