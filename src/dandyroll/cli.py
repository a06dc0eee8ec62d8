"""The `dandyroll` command."""

import argparse
import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dandyroll import __version__
from dandyroll.errors import DandyrollError
from dandyroll.local.api_keys import create_api_key, list_api_keys, revoke_api_key
from dandyroll.local.demo import demo_text
from dandyroll.local.home import open_database, open_home
from dandyroll.local.process import plan, process
from dandyroll.local.quota import quota_of, set_quota
from dandyroll.local.serve import listen, serve
from dandyroll.local.usage_report import print_usage, usage_report
from dandyroll.models import isoformat
from dandyroll.settings import BadSetting, Settings

_UNITS_S = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code: 0 done, 1 some of it failed, 2 it was asked wrongly."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
    except (BadSetting, DandyrollError, ValueError) as error:
        print(f"dandyroll: {error}", file=sys.stderr)
        return 2
    return code


def _serve(options: argparse.Namespace) -> int:
    settings = Settings.from_env(data_dir=options.data, workers=options.workers)
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


def _keys_create(options: argparse.Namespace) -> int:
    scopes = frozenset(options.scope.split(","))
    database = open_database(_data_dir(options))
    try:
        value = create_api_key(database, options.name, scopes, options.expires)
        if options.max_uploads_per_day is not None or options.max_stored_bytes is not None:
            set_quota(database, options.name, options.max_uploads_per_day, options.max_stored_bytes)
        print(value)
    finally:
        database.close()
    return 0


def _keys_list(options: argparse.Namespace) -> int:
    database = open_database(_data_dir(options))
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


def _keys_revoke(options: argparse.Namespace) -> int:
    database = open_database(_data_dir(options))
    try:
        key = revoke_api_key(database, options.key)
    finally:
        database.close()
    print(f"revoked {key.name} of {key.owner}", file=sys.stderr)
    return 0


def _keys_quota(options: argparse.Namespace) -> int:
    database = open_database(_data_dir(options))
    try:
        set_quota(database, options.owner, options.max_uploads_per_day, options.max_stored_bytes)
        quota = quota_of(database, options.owner)
    finally:
        database.close()
    print(f"uploads a day: {quota.max_uploads_per_day or 'no limit'}")
    print(f"stored bytes: {quota.max_stored_bytes or 'no limit'}, of which {quota.stored_bytes}")
    return 0


def _keys_usage(options: argparse.Namespace) -> int:
    database = open_database(_data_dir(options))
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


def _process(options: argparse.Namespace) -> int:
    settings = Settings.from_env(workers=options.workers)
    planned = plan(options.paths, options.out)
    console = Console(stderr=True)
    columns = (TextColumn("processing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    failed = 0
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=len(planned))
        for outcome in process(planned, options.out, settings):
            progress.advance(bar)
            if outcome.error:
                failed += 1
                line = f"{outcome.source}: {outcome.error}"
                progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
    done = len(planned) - failed
    console.print(f"{done} processed, {failed} failed", highlight=False)
    return 1 if failed or not planned else 0


def _data_dir(options: argparse.Namespace) -> Path:
    return Settings.from_env(data_dir=options.data).data_dir


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0; got {text!r}")
    return int(text)


def _expiry(text: str) -> int:
    """`30d`, `12h`, `1y` from now, or a date such as `2027-01-31`; in epoch seconds."""
    span = re.fullmatch(r"([0-9]{1,6})([mhdwy])", text)
    if span:
        return int(time.time()) + int(span[1]) * _UNITS_S[span[2]]
    try:
        return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a span such as 30d, 12h or 1y, or a date such as 2027-01-31; got {text!r}"
        ) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dandyroll", description=__doc__)
    parser.add_argument("--version", action="version", version=f"dandyroll {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve_ = commands.add_parser("serve", help="run the server")
    serve_.add_argument("--data", type=Path, metavar="DIR", help="the data folder (./data)")
    serve_.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on (%(default)s)"
    )
    serve_.add_argument("--port", type=int, default=8000, help="the port (%(default)s)")
    serve_.add_argument("--workers", type=int, metavar="N", help="worker processes (one a core)")
    serve_.add_argument("--demo", action="store_true", help="print a new key and commands to try")
    serve_.set_defaults(command=_serve)

    keys = commands.add_parser("keys", help="make, list and revoke API keys")
    keys_commands = keys.add_subparsers(required=True, metavar="COMMAND")
    create = keys_commands.add_parser("create", help="print a new key: it is shown only once")
    create.add_argument("--name", required=True, metavar="OWNER", help="letters a-z and digits")
    create.add_argument("--expires", required=True, type=_expiry, metavar="30d", help="or a date")
    create.add_argument(
        "--scope", default="read,write", help="out of read, write, admin (%(default)s)"
    )
    create.set_defaults(command=_keys_create)
    quota = keys_commands.add_parser("quota", help="limit what an owner may upload and keep")
    quota.add_argument("owner", metavar="OWNER")
    quota.set_defaults(command=_keys_quota)
    for command in (create, quota):
        for limit, says in (("uploads-per-day", "in UTC"), ("stored-bytes", "of originals")):
            says += ", with all keys of the owner; 0: no limit"
            command.add_argument(f"--max-{limit}", type=_count, metavar="N", help=says)
    usage = keys_commands.add_parser("usage", help="what each key has done")
    usage.add_argument("--json", action="store_true", help="for machines")
    usage.set_defaults(command=_keys_usage)
    list_ = keys_commands.add_parser("list", help="the keys, newest first")
    list_.set_defaults(command=_keys_list)
    revoke = keys_commands.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("key", help="the key itself, or its name as listed")
    revoke.set_defaults(command=_keys_revoke)
    for command in (create, list_, revoke, quota, usage):
        command.add_argument("--data", type=Path, metavar="DIR", help="the data folder (./data)")

    process_ = commands.add_parser("process", help="process files without a server")
    process_.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="pictures or folders")
    process_.add_argument("--out", type=Path, required=True, metavar="DIR", help="where they go")
    process_.add_argument("--workers", type=int, metavar="N", help="worker processes (one a core)")
    process_.set_defaults(command=_process)
    return parser


if __name__ == "__main__":
    sys.exit(main())
