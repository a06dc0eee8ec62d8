"""The tables of docs/cost-analysis.md, as `docs.py` puts them there: heads and rows of text."""

from dataclasses import replace
from decimal import Decimal

from dandyroll.aws.costs.bill import bill, savings, total_usd
from dandyroll.aws.costs.plan import Plan
from dandyroll.aws.costs.prices import FREE, PRICES
from dandyroll.aws.costs.quantities import gb_s, seconds
from dandyroll.aws.costs.usage import FUNCTIONS

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]

SCALES = (1_000, 10_000, 100_000, 1_000_000, 2_000_000)


def cost_tables() -> dict[str, Table]:
    """By the names of their markers."""
    return {
        "bill": bill_table(),
        "scaling": scaling_table(),
        "savings": savings_table(),
        "functions": functions_table(),
        "prices": prices_table(),
    }


def bill_table() -> Table:
    plan = Plan()
    rows = [
        (line.service, line.item, amount(line.quantity), line.unit, f"{line.usd:.4f}", line.note)
        for line in bill(plan)
    ]
    total, less = total_usd(bill(plan)), total_usd(bill(plan, free_tier=True))
    rows.append(("**total**", "", "", "", f"**{total:.2f}**", ""))
    rows.append(("less what is free for ever", "", "", "", f"{less:.2f}", ""))
    return ("service", "item", "quantity", "unit", "USD", "what it counts"), rows


def scaling_table() -> Table:
    rows = []
    for images in SCALES:
        for workflow in ("standard", "express"):
            plan = Plan(images=images, workflow=workflow)
            unread = replace(plan, reads=Decimal(0))
            dearest = max(bill(plan), key=lambda line: line.usd)
            rows.append(
                (
                    f"{images:,}",
                    workflow,
                    usd(total_usd(bill(unread), without=("storage",))),
                    usd(total_usd(bill(plan), without=("storage", "delivery"))),
                    usd(sum_of(plan, "storage")),
                    usd(sum_of(plan, "delivery")),
                    f"**{usd(total_usd(bill(plan)))}**",
                    usd(total_usd(bill(plan, free_tier=True))),
                    f"{dearest.service}, {dearest.item}",
                )
            )
    heads = ("images", "workflow", "uploads", "and one read each", "storage", "delivery",
             "**total**", "less what is free", "dearest")  # fmt: skip
    return heads, rows


def savings_table() -> Table:
    """What each choice taken otherwise saves, side by side."""
    million = Plan(images=1_000_000)
    express = replace(million, workflow="express")
    year = replace(express, keep_months=Decimal(12))
    plans = [Plan(), Plan(images=100_000), million, express, year]
    changes: dict[str, list[str]] = {}
    for position, plan in enumerate(plans):
        for change, saved in savings(plan):
            cells = changes.setdefault(change, ["–"] * len(plans))
            cells[position] = usd(saved)
    heads = ("taken otherwise", *(f"{p.images:,}, {p.workflow}" for p in plans[:-1]),
             f"the same, {year.keep_months} months kept")  # fmt: skip
    return heads, [(change, *cells) for change, cells in changes.items()]


def functions_table() -> Table:
    """What a call asks for, and how long it takes warm, and as the first after a pause."""
    plan, often, rare = Plan(), Decimal(10**9), Decimal(0)
    rows = []
    for name, function in FUNCTIONS.items():
        asked = function.calls
        rows.append(
            (
                f"`{name}`",
                str(asked.s3_puts),
                str(asked.s3_gets),
                str(asked.read_units),
                f"{asked.write_units} + {asked.index_units}",
                str(function.log_bytes),
                str(function.memory_mib),
                f"{seconds(plan, name, often) * 1000:.0f}",
                f"{seconds(plan, name, rare) * 1000:.0f}",
                f"{gb_s(plan, name, often):.3f}",
            )
        )
    heads = ("function", "PUTs", "GETs", "read units", "write units, and in the index",
             "bytes of log", "MiB", "ms warm", "ms cold", "GB-seconds warm")  # fmt: skip
    return heads, rows


def prices_table() -> Table:
    rows = []
    for name, price in PRICES.items():
        free = f"{FREE[name]:,}" if name in FREE else "–"
        confirmed = price.as_of if price.is_confirmed else f"{price.as_of}, **unconfirmed**"
        cost = f"{price.usd.normalize():f}"
        rows.append((f"`{name}`", price.service, price.unit, cost, free, price.source, confirmed))
    return ("price", "service", "unit", "USD", "free a month", "found on", "as of"), rows


def sum_of(plan: Plan, kind: str) -> Decimal:
    return sum((line.usd for line in bill(plan) if line.kind == kind), Decimal(0))


def usd(value: Decimal) -> str:
    return f"{round(value, 2) + 0:,.2f}"  # + 0: no -0.00


def amount(value: Decimal) -> str:
    return f"{value:,.3f}".removesuffix(".000")
