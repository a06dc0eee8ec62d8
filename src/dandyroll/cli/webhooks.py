"""`dandyroll webhooks`: who is told of events, and what became of the telling."""

import argparse
import json
import re
import sys
import time
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dandyroll.cli.subcommands import Subcommands, add_config_option, count
from dandyroll.events import EVENT_TYPES, NotDelivered, new_event
from dandyroll.local.config import read_settings
from dandyroll.local.database import Database
from dandyroll.local.delivery_log import (
    Delivery,
    list_deliveries,
    replay,
    replay_failed,
    replay_since,
)
from dandyroll.local.home import open_kept_database
from dandyroll.local.notify import notifier
from dandyroll.local.receivers import (
    MAIL,
    Receiver,
    add_webhook,
    find_receiver,
    list_receivers,
    remove_webhook,
)
from dandyroll.models import isoformat
from dandyroll.settings import Settings

_UNITS_S = {"m": 60, "h": 3_600, "d": 86_400}


def add_commands(commands: Subcommands) -> None:
    """Add `webhooks` and its commands to the parser."""
    webhooks = commands.add_parser("webhooks", help="tell other programs of events")
    own = webhooks.add_subparsers(required=True, metavar="COMMAND")

    add = own.add_parser("add", help="send events to a URL; prints the secret, only once")
    add.add_argument("url", metavar="URL", help="https://…; http only to this machine")
    add.add_argument("--owner", help="only this owner's events (everyone's)")
    add.add_argument(
        "--events", default=",".join(EVENT_TYPES), help="with commas between (%(default)s)"
    )
    add.add_argument("--allow-http", action="store_true", help="http to other machines too")
    add.set_defaults(command=_add)
    list_ = own.add_parser("list", help="who is told of events")
    list_.set_defaults(command=_list)
    remove = own.add_parser("remove", help="send it nothing more")
    remove.add_argument("id", metavar="ID")
    remove.set_defaults(command=_remove)
    test = own.add_parser("test", help="send the event webhook.test now, and show the answer")
    test.add_argument("id", metavar="ID")
    test.set_defaults(command=_test)

    deliveries = own.add_parser(
        "deliveries", help="what was delivered and what was not, newest first"
    )
    deliveries.add_argument("--failed", action="store_true", help="whose last try has failed")
    deliveries.add_argument("--limit", type=count, default=100, help="at most (%(default)s)")
    deliveries.set_defaults(command=_deliveries)
    for command in (list_, deliveries):
        command.add_argument("--json", action="store_true", help="a JSON object a line")
    replay_ = own.add_parser("replay", help="deliver again")
    which = replay_.add_mutually_exclusive_group(required=True)
    which.add_argument("delivery", type=count, nargs="?", metavar="DELIVERY", help="its number")
    which.add_argument("--failed", action="store_true", help="all whose last try has failed")
    which.add_argument(
        "--since", type=_since, metavar="2h", help="all events since then, to everyone they are for"
    )
    replay_.set_defaults(command=_replay)
    for command in (add, list_, remove, test, deliveries, replay_):
        command.add_argument("--data", type=Path, metavar="DIR", help="the data folder (./data)")
        add_config_option(command)


def _add(options: argparse.Namespace) -> int:
    with _database(options) as database:
        events = options.events.split(",")
        added = add_webhook(
            database, options.url, options.owner, events, allow_http=options.allow_http
        )
    print(f"id:     {added.id}\nsecret: {added.secret}")
    print("The secret is shown only now; the receiver needs it.", file=sys.stderr)
    return 0


def _list(options: argparse.Namespace) -> int:
    with _database(options) as database:
        for receiver in list_receivers(database.read()):
            if options.json:
                print(json.dumps(_public(receiver)))
            else:
                print(_receiver_line(receiver))
    return 0


def _remove(options: argparse.Namespace) -> int:
    with _database(options) as database:
        remove_webhook(database, options.id)
    print(f"removed {options.id}", file=sys.stderr)
    return 0


def _test(options: argparse.Namespace) -> int:
    settings = _settings(options)
    with _database(options) as database:
        receiver = find_receiver(database, options.id)
    if receiver.id == MAIL:
        raise ValueError("mail: expected a webhook; mail is sent by the server alone.")
    event = new_event("webhook.test", {}, time.time())
    try:
        answer = notifier(receiver, settings, time.time).publish([event])
    except NotDelivered as error:
        print(f"dandyroll: {receiver.url}: {error.message}", file=sys.stderr)
        return 1
    print(answer)
    return 0


def _deliveries(options: argparse.Namespace) -> int:
    with _database(options) as database:
        for delivery in list_deliveries(database, failed=options.failed, limit=options.limit):
            print(json.dumps(_dated(delivery)) if options.json else _delivery_line(delivery))
    return 0


def _replay(options: argparse.Namespace) -> int:
    with _database(options) as database:
        now, replayed = time.time(), 1
        if options.failed:
            replayed = replay_failed(database, now)
        elif options.since is not None:
            replayed = replay_since(database, options.since, now)
        else:
            replay(database, options.delivery, now)
    print(f"{replayed} to be delivered again, by the server that runs here", file=sys.stderr)
    return 0


def _database(options: argparse.Namespace) -> "closing[Database]":
    return closing(open_kept_database(_settings(options).data_dir))


def _settings(options: argparse.Namespace) -> Settings:
    return read_settings(options.config, data_dir=options.data)


def _public(receiver: Receiver) -> dict[str, Any]:
    facts = asdict(receiver)
    del facts["secret"]
    return facts


def _receiver_line(receiver: Receiver) -> str:
    whose = f"owner {receiver.owner}" if receiver.owner else "all owners"
    state = "ok"
    if receiver.failures:
        state = f"{receiver.failures} failures in a row, next try {_date(receiver.paused_until)}"
    return f"{receiver.id}  {receiver.url}  {whose}  {','.join(receiver.events)}  {state}"


def _delivery_line(delivery: Delivery) -> str:
    state = delivery.state
    if delivery.state == "pending" and delivery.tries:
        state = f"next try {_date(delivery.due_at)}"
    what = f"{_date(delivery.created_at)}  {delivery.type}  {delivery.image_id}"
    return (
        f"{delivery.number}  {what}  {delivery.webhook}  {state}  "
        f"{delivery.tries} tries  {delivery.answer or '-'}"
    )


def _dated(delivery: Delivery) -> dict[str, Any]:
    facts = asdict(delivery)
    for name in ("created_at", "due_at", "tried_at"):
        facts[name] = None if facts[name] is None else _date(facts[name])
    return facts


def _date(moment: float) -> str:
    return isoformat(datetime.fromtimestamp(moment, UTC))


def _since(text: str) -> float:
    """`90m`, `2h`, `3d` ago, or an ISO 8601 date or time (UTC unless it says); epoch seconds."""
    span = re.fullmatch(r"([0-9]{1,6})([mhd])", text)
    if span:
        return time.time() - int(span[1]) * _UNITS_S[span[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a span such as 2h, or a time such as 2027-01-31T08:00; got {text!r}"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
