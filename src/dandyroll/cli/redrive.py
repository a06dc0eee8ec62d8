"""`dandyroll redrive`: what was lost or failed on AWS, started again."""

import argparse
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from dandyroll.cli.moments import since
from dandyroll.cli.report import print_error, print_json
from dandyroll.cli.subcommands import Subcommands, add_stack_options, find_stack

if TYPE_CHECKING:
    from dandyroll.aws.redrive import Redriven


def add_commands(commands: Subcommands) -> None:
    command = commands.add_parser("redrive", help="AWS: start again what was lost")
    command.add_argument(
        "--failed", action="store_true", help="also images that failed by no fault of theirs"
    )
    command.add_argument(
        "--since", type=since, metavar="7d", default=0, help="of those, only younger; or a date"
    )
    command.add_argument(
        "--sweep", action="store_true", help="also sweep at once, through the whole bucket"
    )
    add_stack_options(command)
    command.add_argument("--json", action="store_true", help="one JSON object, for machines")
    command.set_defaults(command=_redrive)


def _redrive(options: argparse.Namespace) -> int:
    if options.since and not options.failed:
        raise ValueError("--since: expected --failed beside it; got none.")
    stack = find_stack(options)
    # Imported here: they need the extra aws, without which every other command starts.
    from dandyroll.aws.home import open_upkeep
    from dandyroll.aws.redrive import messages_left, redrive_events, redrive_failed
    from dandyroll.aws.sweep import sweep

    upkeep = open_upkeep(stack.settings(), stack.cloud)
    queue, url = stack.cloud.client("sqs"), stack.output("LostEventsUrl")
    bucket = stack.output("BucketName")
    counts = {"events": _each(redrive_events(queue, url, bucket, upkeep.executions))}
    # One that cannot be started is hidden for a while: the next run does not meet it.
    left, hidden = messages_left(queue, url)
    counts["events"]["left"] = left
    if options.failed:
        counts["failed_images"] = _each(redrive_failed(upkeep, options.since))
    failed = sum(count["failed"] for count in counts.values())
    if left:
        print_error(f"{url}: {left} messages left, {hidden} of them hidden for up to 2 minutes")
    if options.sweep:
        swept = sweep(upkeep, int(time.time()), every_key=True)
        counts["swept"] = Counter(asdict(swept))
        failed += swept.stuck
    if options.json:
        print_json(counts)
    else:
        for what, count in counts.items():
            says = ", ".join(f"{number} {state}" for state, number in count.items())
            print(f"{what}: {says}".replace("_", " "))
    return 1 if failed or left else 0


def _each(found: "Iterable[Redriven]") -> Counter[str]:
    counts = Counter({"started": 0, "failed": 0})
    for redriven in found:
        counts[redriven.state] += 1
        if redriven.state == "failed":
            print_error(f"{redriven.what}: {redriven.error}")
    return counts
