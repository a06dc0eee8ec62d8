"""`dandyroll cost`: what the AWS home will cost a month. Asks nothing of AWS."""

import argparse
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal

from dandyroll.aws.costs.bill import Line, as_json, bill, savings, total_usd
from dandyroll.aws.costs.plan import ARCHITECTURES, RETENTIONS_DAYS, WORKFLOWS, Plan
from dandyroll.aws.costs.prices import PRICES, REGION, TABLE_DATE
from dandyroll.cli.report import print_json
from dandyroll.cli.subcommands import Subcommands, count

_DOMINATING = 3
_DEFAULT = Plan()
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")


def add_commands(commands: Subcommands) -> None:
    help_ = "estimate what the AWS home costs a month"
    command = commands.add_parser("cost", help=help_, description=help_)
    command.set_defaults(command=_cost)
    add = command.add_argument
    add("--images", type=count, metavar="N", help="uploaded in a month (1000)")
    add("--reads", type=number, metavar="N", help="renditions fetched, for each image (1)")
    add("--size-bytes", type=count, metavar="N", help="of an original (3000000)")
    add("--megapixels", type=number, metavar="N", help="of an original (12)")
    add("--workflow", choices=WORKFLOWS, help="of the state machine (standard)")
    add("--architecture", choices=ARCHITECTURES, help="of the functions (arm64)")
    add("--memory", dest="memory_mib", type=count, metavar="MIB",
        help="of the functions that see pictures (1769)")  # fmt: skip
    add("--log-retention", dest="log_retention_days", type=count, metavar="DAYS",
        help=f"{', '.join(map(str, RETENTIONS_DAYS))} (30)")  # fmt: skip
    add("--keep-months", type=number, metavar="N", help="months of images that are stored (1)")
    add("--no-alarms", dest="alarms", action="store_false", default=None)
    add("--trace-rate", type=number, metavar="R", help="what X-Ray records of all, 0 to 1 (0.05)")
    add("--dashboard", action="store_true", default=None)
    add("--cdn", action="store_true", default=None, help="reads go by CloudFront")
    add("--infrequent-access", action="store_true", default=None,
        help="for originals over 30 days old")  # fmt: skip
    add("--free-tier", action="store_true", help="less what AWS gives every account for ever")
    add("--explain", action="store_true", help="every line, with what it counts and its price")
    add("--json", action="store_true", help="one JSON object")


def number(text: str) -> Decimal:
    """A number of 0 or more, with up to six decimals."""
    if not _NUMBER.fullmatch(text):
        raise argparse.ArgumentTypeError(f"expected a number of 0 or more; got {text!r}")
    return Decimal(text)


def _cost(options: argparse.Namespace) -> int:
    given = {name: getattr(options, name) for name in vars(_DEFAULT)}
    plan = Plan(**{name: value for name, value in given.items() if value is not None})
    if options.json:
        print_json(as_json(plan, free_tier=options.free_tier))
        return 0
    for line in report(plan, free_tier=options.free_tier, explain=options.explain):
        print(line)
    return 0


def report(plan: Plan, *, free_tier: bool, explain: bool) -> Iterator[str]:
    """The lines for people."""
    lines = bill(plan, free_tier=free_tier)
    yield f"Estimate for a month of {plan.images:,} images: {plan.megapixels:f} megapixels and"
    yield f"{plan.size_bytes:,} bytes each, read {plan.reads:f} times; {plan.workflow} workflow,"
    yield f"{plan.architecture}; US dollars, {REGION}, prices as gathered on {TABLE_DATE}."
    if free_tier:
        yield "The lines are less what AWS gives every account for ever."
    yield ""
    yield f"{'service':22}{'item':27}{'quantity':>15} {'unit':12}{'USD':>11}"
    for line in lines:
        if not explain and not line.usd:
            continue
        quantity = f"{line.quantity:,.3f}".removesuffix(".000")
        yield f"{line.service:22}{line.item:27}{quantity:>15} {line.unit:12}{line.usd:11,.4f}"
        if explain:
            yield from _explained(line)
    yield ""
    yield f"{'total':77}{total_usd(bill(plan)):11,.2f}"
    less = total_usd(bill(plan, free_tier=True))
    yield f"{'total, less what AWS gives every account for ever':77}{less:11,.2f}"
    yield ""
    yield from _dominating(lines)
    yield ""
    yield "Each choice taken otherwise, a month:"
    for change, usd in savings(plan, free_tier=free_tier):
        verb = "saves" if usd > 0 else "costs" if usd else "leaves it"
        yield f"  {change:50}{verb} {abs(usd):10,.2f}" if usd else f"  {change:50}{verb}"
    yield ""
    yield "Requests and log lines are counted, CPU times measured, waits and cold starts assumed:"
    yield "see docs/cost-analysis.md. AWS's own calculator and your bill have the last word."


def _explained(line: Line) -> Iterator[str]:
    price = PRICES[line.price]
    source = f"{price.source}, {price.as_of}{'' if price.is_confirmed else '; UNCONFIRMED'}"
    if line.note:
        yield f"    {line.note}"
    if line.free:
        yield f"    {line.free:,.3f} of it free"
    yield f"    ${price.usd.normalize():f} per {price.unit} ({source})"


def _dominating(lines: Iterable[Line]) -> Iterator[str]:
    costly = sorted(lines, key=lambda line: line.usd, reverse=True)
    total = total_usd(costly)
    if not total:
        yield "Nothing dominates: all of it is free."
        return
    yield "What dominates:"
    for line in costly[:_DOMINATING]:
        if line.usd:
            name = f"{line.service}, {line.item}"
            yield f"  {name:50}{line.usd / total:4.0%}"
