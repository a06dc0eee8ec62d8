"""`dandyroll process`: pictures from files to files, without a server."""

import argparse
from pathlib import Path

from dandyroll.cli.report import Report
from dandyroll.cli.subcommands import Subcommands, add_config_option
from dandyroll.local.config import read_settings
from dandyroll.local.process import Outcome, plan, process


def add_commands(commands: Subcommands) -> None:
    command = commands.add_parser("process", help="process files without a server")
    command.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="pictures or folders")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="where they go")
    command.add_argument("--workers", type=int, metavar="N", help="worker processes (one a core)")
    command.add_argument("--force", action="store_true", help="make again what is there already")
    command.add_argument("--json", action="store_true", help="one JSON object a line, for machines")
    add_config_option(command)
    command.set_defaults(command=_process)


def _process(options: argparse.Namespace) -> int:
    settings = read_settings(options.config, workers=options.workers)
    planned = plan(options.paths, options.out)
    with Report("processing", len(planned), as_json=options.json) as report:
        for outcome in process(planned, options.out, settings, force=options.force):
            report.add(outcome.state, _line(outcome), _facts(outcome))
    return report.end("processed", "skipped")


def _line(outcome: Outcome) -> str:
    if outcome.state != "failed":
        return ""
    return f"{outcome.source}: {outcome.code}: {outcome.message}"


def _facts(outcome: Outcome) -> dict[str, str]:
    return {
        "source": str(outcome.source),
        "target": str(outcome.target),
        "code": outcome.code,
        "message": outcome.message,
    }
