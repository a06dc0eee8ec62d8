"""`dandyroll copy`: the images of one home into another."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dandyroll.cli.report import Report
from dandyroll.cli.subcommands import (
    Subcommands,
    add_config_option,
    add_stack_options,
    find_stack,
)
from dandyroll.copying.copy_images import Outcome, copy_images
from dandyroll.local.config import read_settings
from dandyroll.local.copying import open_source, open_target
from dandyroll.ports import Home
from dandyroll.settings import BadSetting, Settings

AWS = "aws"


def add_commands(commands: Subcommands) -> None:
    command = commands.add_parser("copy", help="copy all images from one home to the other")
    help_ = "`aws`, from --data to the AWS home; or a data folder, from the AWS home into that"
    command.add_argument("--to", required=True, metavar="aws|DIR", help=help_)
    command.add_argument("--data", type=Path, metavar="DIR", help="what to copy to AWS (./data)")
    add_stack_options(command)
    how = command.add_mutually_exclusive_group()
    how.add_argument(
        "--dry-run", action="store_true", help="say what would be copied; write nothing"
    )
    how.add_argument("--verify", action="store_true", help="compare the two homes; write nothing")
    add_config_option(command)
    command.add_argument("--json", action="store_true", help="one JSON object a line, for machines")
    command.set_defaults(command=_copy)


def _copy(options: argparse.Namespace) -> int:
    """0 where all that the source has settled is at the target (or would be), byte for byte."""
    write = not (options.dry_run or options.verify)
    wanting = {"failed", "unsettled"} | ({"missing"} if options.verify else set())
    doing = "copying" if write else "comparing"
    is_whole = True
    settings = _settings(options)
    with _ends(options, settings, write) as (source, target):
        with Report(doing, None, as_json=options.json) as report:
            outcomes = copy_images(source, target, settings.max_upload_bytes, write=write)
            for outcome in outcomes:
                is_whole = is_whole and outcome.state not in wanting
                report.add(outcome.state, _line(outcome), _facts(outcome))
        report.end("copied", "present", "missing", "unsettled", "awaiting", "deleted")
    return 0 if is_whole else 1


def _settings(options: argparse.Namespace) -> Settings:
    """Those of the local end. Raises `BadSetting`."""
    if options.to == AWS:
        return read_settings(options.config, data_dir=options.data)
    if "://" in options.to:
        raise BadSetting(f"--to: expected aws, or a data folder of this machine; got {options.to}.")
    if options.data is not None:
        raise BadSetting("--data: expected with --to aws only; a folder is copied to from AWS.")
    return read_settings(options.config, data_dir=Path(options.to))


@contextmanager
def _ends(
    options: argparse.Namespace, settings: Settings, write: bool
) -> Iterator[tuple[Home, Home]]:
    if options.to == AWS:
        with open_source(settings) as source:
            yield source, _aws_home(options)
        return
    source = _aws_home(options)
    with open_target(settings, write=write) as target:
        yield source, target


def _aws_home(options: argparse.Namespace) -> Home:
    stack = find_stack(options)  # which says so where the extra `aws` is not installed
    from dandyroll.aws.copying import open_end

    return open_end(stack)


def _line(outcome: Outcome) -> str:
    if outcome.state in ("copied", "present"):
        return ""
    words = [outcome.image_id, outcome.code or outcome.state, outcome.message]
    return ": ".join(word for word in words if word)


def _facts(outcome: Outcome) -> dict[str, str]:
    return {"image-id": outcome.image_id, "code": outcome.code, "message": outcome.message}
