"""`dandyroll keys`: make, list, limit and revoke API keys."""

import argparse
import json
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from dandyroll.cli.subcommands import Subcommands, add_config_option
from dandyroll.local.api_keys import create_api_key, list_api_keys, revoke_api_key
from dandyroll.local.config import read_settings
from dandyroll.local.database import Database
from dandyroll.local.home import CATALOGUE, open_database, open_kept_database
from dandyroll.local.quota import quota_of, set_quota
from dandyroll.local.usage_report import print_usage, usage_report
from dandyroll.models import isoformat

_UNITS_S = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}


def add_commands(commands: Subcommands) -> None:
    keys = commands.add_parser("keys", help="make, list and revoke API keys")
    keys_commands = keys.add_subparsers(required=True, metavar="COMMAND")
    create = keys_commands.add_parser("create", help="print a new key: it is shown only once")
    create.add_argument("--name", required=True, metavar="OWNER", help="letters a-z and digits")
    create.add_argument("--expires", required=True, type=_expiry, metavar="30d", help="or a date")
    create.add_argument(
        "--scope", default="read,write", help="out of read, write, admin (%(default)s)"
    )
    create.set_defaults(command=_create)
    quota = keys_commands.add_parser("quota", help="limit what an owner may upload and keep")
    quota.add_argument("owner", metavar="OWNER")
    quota.set_defaults(command=_quota)
    for command in (create, quota):
        for limit, says in (("uploads-per-day", "in UTC"), ("stored-bytes", "of originals")):
            says += ", with all keys of the owner; 0: no limit"
            command.add_argument(f"--max-{limit}", type=_limit, metavar="N", help=says)
    usage = keys_commands.add_parser("usage", help="what each key has done")
    usage.add_argument("--json", action="store_true", help="for machines")
    usage.set_defaults(command=_usage)
    list_ = keys_commands.add_parser("list", help="the keys, newest first")
    list_.set_defaults(command=_list)
    revoke = keys_commands.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("key", help="the key itself, or its name as listed")
    revoke.set_defaults(command=_revoke)
    for command in (create, list_, revoke, quota, usage):
        command.add_argument("--data", type=Path, metavar="DIR", help="the data folder (./data)")
        add_config_option(command)


def _create(options: argparse.Namespace) -> int:
    scopes = frozenset(options.scope.split(","))
    data_dir = _data_dir(options)
    if not (data_dir / CATALOGUE).is_file():  # perhaps a mistyped one, perhaps the first key
        print(f"dandyroll: {data_dir} is a new data folder", file=sys.stderr)
    database = open_database(data_dir)
    try:
        value = create_api_key(database, options.name, scopes, options.expires)
        if options.max_uploads_per_day is not None or options.max_stored_bytes is not None:
            set_quota(database, options.name, options.max_uploads_per_day, options.max_stored_bytes)
        print(value)
    finally:
        database.close()
    return 0


def _list(options: argparse.Namespace) -> int:
    database = _database(options)
    try:
        for key in list_api_keys(database):
            state = "revoked" if key.revoked_at else "valid"
            if key.expires_at <= time.time():
                state = "expired"
            expires = isoformat(datetime.fromtimestamp(key.expires_at, UTC))
            print(f"{key.name}  {key.owner}  {','.join(key.scopes)}  {expires}  {state}")
    finally:
        database.close()
    return 0


def _revoke(options: argparse.Namespace) -> int:
    database = _database(options)
    try:
        key = revoke_api_key(database, options.key)
    finally:
        database.close()
    print(f"revoked {key.name} of {key.owner}", file=sys.stderr)
    return 0


def _quota(options: argparse.Namespace) -> int:
    database = _database(options)
    try:
        set_quota(database, options.owner, options.max_uploads_per_day, options.max_stored_bytes)
        quota = quota_of(database, options.owner)
    finally:
        database.close()
    print(f"uploads a day: {quota.max_uploads_per_day or 'no limit'}")
    print(f"stored bytes: {quota.max_stored_bytes or 'no limit'}, of which {quota.stored_bytes}")
    return 0


def _usage(options: argparse.Namespace) -> int:
    database = _database(options)
    try:
        report = usage_report(database, int(time.time()))
    finally:
        database.close()
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        console = Console(highlight=False)
        print_usage(report, console if console.is_terminal else Console(width=200))
    return 0


def _database(options: argparse.Namespace) -> Database:
    return open_kept_database(_data_dir(options))


def _data_dir(options: argparse.Namespace) -> Path:
    return read_settings(options.config, data_dir=options.data).data_dir


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0; got {text!r}")
    return int(text)


def _expiry(text: str) -> int:
    """`30d`, `12h`, `1y` from now, or a date such as `2027-01-31`; in epoch seconds."""
    expires_at = _moment(text)
    if expires_at <= time.time():
        raise argparse.ArgumentTypeError(f"expected an expiry that is still to come; got {text!r}")
    return expires_at


def _moment(text: str) -> int:
    span = re.fullmatch(r"([0-9]{1,6})([mhdwy])", text)
    if span:
        return int(time.time()) + int(span[1]) * _UNITS_S[span[2]]
    try:
        return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a span such as 30d, 12h or 1y, or a date such as 2027-01-31; got {text!r}"
        ) from None
