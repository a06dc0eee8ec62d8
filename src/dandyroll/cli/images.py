"""`dandyroll show`, `list`, `delete` and `retry`: the images on a server."""

import argparse
import json
from collections.abc import Callable, Iterable

import dandyroll
from dandyroll.cli.report import print_error, print_json
from dandyroll.cli.server import add_server_options, open_client
from dandyroll.cli.subcommands import Subcommands, count
from dandyroll.models import STATUSES, Row


def add_commands(commands: Subcommands) -> None:
    show = commands.add_parser("show", help="what is known of an image")
    show.add_argument("image_id", metavar="ID")
    show.set_defaults(command=_show)

    list_ = commands.add_parser("list", help="your images, newest first")
    list_.add_argument("--status", choices=STATUSES, help="only those")
    list_.add_argument("--limit", type=count, metavar="N", help="at most so many")
    list_.set_defaults(command=_list)

    delete = commands.add_parser("delete", help="delete images: original, renditions and row")
    delete.add_argument("image_ids", nargs="+", metavar="ID")
    delete.set_defaults(command=_delete)

    retry = commands.add_parser("retry", help="have failed images processed anew")
    which = retry.add_mutually_exclusive_group(required=True)
    which.add_argument("image_ids", nargs="*", default=[], metavar="ID")
    which.add_argument("--all-failed", action="store_true", help="all of yours that failed")
    retry.set_defaults(command=_retry)

    for command in (show, list_, delete, retry):
        add_server_options(command)
        help_ = "one JSON object a line, for machines"
        command.add_argument("--json", action="store_true", help=help_)


def _show(options: argparse.Namespace) -> int:
    with open_client(options) as client:

        def show(image_id: str) -> None:
            row = client.metadata(image_id).to_json()
            if options.json:
                print_json(row)
            else:
                print(json.dumps(row, indent=2))

        return _each([options.image_id], show)


def _list(options: argparse.Namespace) -> int:
    with open_client(options) as client:

        def list_(_: str) -> None:
            for row in client.list(status=options.status, limit=options.limit):
                if options.json:
                    print_json(row.to_json())
                else:
                    print(_line(row), flush=True)

        return _each([""], list_)


def _delete(options: argparse.Namespace) -> int:
    with open_client(options) as client:

        def delete(image_id: str) -> None:
            client.delete(image_id)
            if options.json:
                print_json({"image-id": image_id, "state": "deleted"})
            else:
                print(f"{image_id}  deleted", flush=True)

        return _each(options.image_ids, delete)


def _retry(options: argparse.Namespace) -> int:
    with open_client(options) as client:

        def retry(image_id: str) -> None:
            row = client.retry(image_id)
            if options.json:
                print_json(row.to_json())
            else:
                print(_line(row), flush=True)

        if not options.all_failed:
            return _each(options.image_ids, retry)
        # All of them first: those tried again leave the list while it is being read.
        failed: list[str] = []
        code = _each(
            [""], lambda _: failed.extend(r.image_id for r in client.list(status="failed"))
        )
        return code or _each(failed, retry)


def _each(image_ids: Iterable[str], do: Callable[[str], None]) -> int:
    """Do it to each, say which failed and why, go on with the next; the exit code."""
    code = 0
    for image_id in image_ids:
        try:
            do(image_id)
        except dandyroll.ClientError as error:
            print_error(f"{image_id}: {error}" if image_id else str(error))
            code = 1
    return code


def _line(row: Row) -> str:
    size = f"{row.width}×{row.height}" if row.width else "?"
    parts = [row.image_id, f"{row.status:9}", row.created_date, size, f"{row.size_bytes} bytes"]
    if row.error:
        parts.append(row.error["code"])
    return "  ".join(parts)
