"""`dandyroll upload`: files and folders to a server, several at once; renditions back."""

import argparse
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import dandyroll
from dandyroll.cli.report import Report
from dandyroll.cli.server import add_server_options, server_settings
from dandyroll.cli.subcommands import Subcommands, count
from dandyroll.cli.uploaded import Uploaded, default_record
from dandyroll.formats import named_as_it_is
from dandyroll.local.process import find_pictures
from dandyroll.models import Row


def add_commands(commands: Subcommands) -> None:
    command = commands.add_parser("upload", help="upload files and folders to a server")
    command.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="pictures or folders")
    add_server_options(command)
    command.add_argument("--wait", action="store_true", help="until each is processed")
    command.add_argument("--out", type=Path, metavar="DIR", help="wait, and fetch them to there")
    command.add_argument(
        "--timeout", type=count, default=600, metavar="S", help="how long to wait (%(default)s s)"
    )
    command.add_argument(
        "--concurrency", type=count, default=4, metavar="N", help="so many at once (%(default)s)"
    )
    command.add_argument(
        "--record", type=Path, metavar="FILE", help=f"what was uploaded ({default_record()})"
    )
    command.add_argument("--json", action="store_true", help="one JSON object a line, for machines")
    command.set_defaults(command=_upload)


@dataclass(frozen=True)
class Outcome:
    """What became of one file: `present` where the server had it already.

    `file` is the rendition. `code`, `message` and `trace_id` say why it failed.
    """

    path: Path
    name: Path
    state: Literal["planned", "uploaded", "present", "failed"] = "planned"
    image_id: str = ""
    status: str = ""
    file: str = ""
    code: str = ""
    message: str = ""
    trace_id: str = ""


def _upload(options: argparse.Namespace) -> int:
    settings = server_settings(options)
    uploaded = Uploaded(options.record or default_record(), settings.url, settings.key)
    planned = [Outcome(path, name) for path, name in find_pictures(options.paths, options.out)]
    with (
        dandyroll.Client(settings.url, settings.key) as client,
        Report("uploading", len(planned), as_json=options.json) as report,
    ):
        for outcome in _each(client, uploaded, planned, options):
            report.add(outcome.state, _line(outcome), _facts(outcome))
    return report.end("uploaded", "present")


def _each(
    client: "dandyroll.Client",
    uploaded: Uploaded,
    planned: list[Outcome],
    options: argparse.Namespace,
) -> Iterator[Outcome]:
    """Outcomes as they come."""
    targets: dict[Path, Path] = {}
    to_do: list[Outcome] = []
    for outcome in planned:
        first = targets.setdefault(outcome.name, outcome.path)
        if options.out and first != outcome.path:
            yield _failed(outcome, "same_name", f"It has the same name as {first}.")
        else:
            to_do.append(outcome)
    with ThreadPoolExecutor(options.concurrency) as threads:
        tasks = [threads.submit(_one, client, uploaded, outcome, options) for outcome in to_do]
        try:
            for task in as_completed(tasks):
                yield task.result()
        except BaseException:  # Ctrl-C: what is begun is finished, the rest is not begun
            threads.shutdown(cancel_futures=True)
            raise


def _one(
    client: "dandyroll.Client", uploaded: Uploaded, outcome: Outcome, options: argparse.Namespace
) -> Outcome:
    try:
        outcome = _sent(client, uploaded, outcome)
        if options.wait or options.out:
            row = client.wait(outcome.image_id, timeout_s=options.timeout)
            outcome = replace(outcome, status=row.status)
            if options.out:
                target = _target(options.out / outcome.name, row)
                if not _is_rendition(target, row):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    client.fetch_to(outcome.image_id, target)
                outcome = replace(outcome, file=str(target))
    except dandyroll.Problem as problem:
        return replace(_failed(outcome, problem.code, problem.message), trace_id=problem.trace_id)
    except dandyroll.ClientError as error:
        return _failed(outcome, "unreachable", str(error))
    except OSError as error:
        return _failed(outcome, "file", f"{error.strerror}: {error.filename}")
    return outcome


def _sent(client: "dandyroll.Client", uploaded: Uploaded, outcome: Outcome) -> Outcome:
    """Upload the file, unless the server has its bytes from us already."""
    source = dandyroll.measure(outcome.path)
    known = uploaded.find(source.sha256)
    row = _row(client, known) if known else None
    if row and row.sha256 == source.sha256:
        return replace(outcome, state="present", image_id=row.image_id, status=row.status)
    image_id = client.upload(source)
    uploaded.add(source.sha256, image_id)
    return replace(outcome, state="uploaded", image_id=image_id, status="uploaded")


def _row(client: "dandyroll.Client", image_id: str) -> Row | None:
    try:
        return client.metadata(image_id)
    except dandyroll.Problem as problem:
        if problem.code != "not_found":
            raise
        return None


def _target(path: Path, row: Row) -> Path:
    return named_as_it_is(path, row.processed.content_type) if row.processed else path


def _is_rendition(path: Path, row: Row) -> bool:
    """Whether the file is there as it would be fetched; what is not told apart is fetched."""
    if row.processed is None or not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == row.processed.etag


def _failed(outcome: Outcome, code: str, message: str) -> Outcome:
    return replace(outcome, state="failed", status="", code=code, message=message)


def _line(outcome: Outcome) -> str:
    if outcome.state == "failed":
        return f"{outcome.path}: {outcome.code}: {outcome.message}"
    return f"{outcome.image_id}  {outcome.status}  {outcome.path}"


def _facts(outcome: Outcome) -> dict[str, str]:
    return {
        "path": str(outcome.path),
        "image-id": outcome.image_id,
        "status": outcome.status,
        "file": outcome.file,
        "code": outcome.code,
        "message": outcome.message,
        "trace_id": outcome.trace_id,
    }
