"""`dandyroll keys`: make, list, limit and revoke API keys, in either home."""

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from dandyroll.api_keys import StoredKey
from dandyroll.aws.api_keys import delete_api_key
from dandyroll.cli.key_homes import add_home_options, find_keys_stack, open_keys, open_keys_database
from dandyroll.cli.moments import expiry
from dandyroll.cli.report import print_json
from dandyroll.cli.subcommands import Subcommands
from dandyroll.local.quota import quota_of, set_quota
from dandyroll.models import isoformat

_NO_QUOTAS = "Expected no quota with --aws: the AWS home has none. Its usage plan limits rates."


def add_commands(commands: Subcommands) -> None:
    keys = commands.add_parser("keys", help="make, list and revoke API keys")
    keys_commands = keys.add_subparsers(required=True, metavar="COMMAND")
    create = keys_commands.add_parser("create", help="print a new key: it is shown only once")
    create.add_argument("--name", required=True, metavar="OWNER", help="letters a-z and digits")
    create.add_argument("--expires", required=True, type=expiry, metavar="30d", help="or a date")
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
    list_.add_argument("--json", action="store_true", help="a JSON object a line")
    list_.set_defaults(command=_list)
    revoke = keys_commands.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("key", help="the key itself, or its name as listed")
    revoke.add_argument(
        "--delete", action="store_true", help="with --aws: and list it no more, nor its usage"
    )
    revoke.set_defaults(command=_revoke)
    for command in (create, list_, revoke, quota, usage):
        add_home_options(command)


def _create(options: argparse.Namespace) -> int:
    limits = (options.max_uploads_per_day, options.max_stored_bytes)
    limited = limits != (None, None)
    if options.aws and limited:
        raise ValueError(_NO_QUOTAS)
    scopes = frozenset(options.scope.split(","))
    with open_keys(options, may_make=True) as keys:
        value = keys.create(options.name, scopes, options.expires)
    if limited:
        with open_keys_database(options) as database:
            set_quota(database, options.name, *limits)
    print(value)
    return 0


def _list(options: argparse.Namespace) -> int:
    with open_keys(options) as keys:
        found, now = keys.list_all(), time.time()
    for key in found:
        if options.json:
            print_json(_facts(key, now))
        else:
            scopes, expires = ",".join(key.scopes), _date(key.expires_at)
            print(f"{key.name}  {key.owner}  {scopes}  {expires}  {key.state(now)}")
    return 0


def _revoke(options: argparse.Namespace) -> int:
    if not options.delete:
        with open_keys(options) as keys:
            key = keys.revoke(options.key)
    elif options.aws:
        key = delete_api_key(find_keys_stack(options), options.key)
    else:
        raise ValueError("Expected --aws with --delete: at home a revoked key stays listed.")
    print(
        f"{'deleted' if options.delete else 'revoked'} {key.name} of {key.owner}", file=sys.stderr
    )
    return 0


def _quota(options: argparse.Namespace) -> int:
    if options.aws:
        raise ValueError(_NO_QUOTAS)
    with open_keys_database(options) as database:
        set_quota(database, options.owner, options.max_uploads_per_day, options.max_stored_bytes)
        quota = quota_of(database, options.owner)
    print(f"uploads a day: {quota.max_uploads_per_day or 'no limit'}")
    print(f"stored bytes: {quota.max_stored_bytes or 'no limit'}, of which {quota.stored_bytes}")
    return 0


def _usage(options: argparse.Namespace) -> int:
    with open_keys(options) as keys:
        report = keys.usage()
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        console = Console(highlight=False)
        keys.print_usage(report, console if console.is_terminal else Console(width=200))
    return 0


def _facts(key: StoredKey, now: float) -> dict[str, Any]:
    return {
        "key": key.name,
        "owner": key.owner,
        "scopes": key.scopes,
        "created_at": _date(key.created_at),
        "expires_at": _date(key.expires_at),
        "revoked_at": None if key.revoked_at is None else _date(key.revoked_at),
        "state": key.state(now),
    }


def _date(moment: float) -> str:
    return isoformat(datetime.fromtimestamp(moment, UTC))


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0; got {text!r}")
    return int(text)
