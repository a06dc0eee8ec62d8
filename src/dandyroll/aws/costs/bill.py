"""The monthly bill, line by line: the quantities at their prices.

Nothing is rounded but each line's dollars, to a millionth, half to even; a total is the sum of
its lines.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from dandyroll.aws.costs.plan import Plan
from dandyroll.aws.costs.prices import FREE, PRICES, REGION, TABLE_DATE
from dandyroll.aws.costs.quantities import Kind, quantities

_MILLIONTH = Decimal("0.000001")


@dataclass(frozen=True)
class Line:
    """`quantity` units, of which `free` cost nothing, at `unit_usd`: `usd` in all.

    `price` is the price's name in `PRICES`.
    """

    service: str
    item: str
    quantity: Decimal
    unit: str
    unit_usd: Decimal
    free: Decimal
    usd: Decimal
    kind: Kind
    note: str
    price: str


def bill(plan: Plan, *, free_tier: bool = False) -> tuple[Line, ...]:
    """Every line, those too that come to nothing. `free_tier`: less what is free for ever."""
    left = {name: Decimal(units) for name, units in FREE.items()} if free_tier else {}
    lines = []
    for used in quantities(plan):
        price = PRICES[used.price]
        free = min(used.amount, left.get(used.price, Decimal(0)))
        if free:
            left[used.price] -= free  # of several lines at one price the first has it
        usd = ((used.amount - free) * price.usd).quantize(_MILLIONTH, ROUND_HALF_EVEN)
        lines.append(
            Line(
                price.service,
                used.item,
                used.amount,
                price.unit,
                price.usd,
                free,
                usd,
                used.kind,
                used.note,
                used.price,
            )
        )
    return tuple(lines)


def total_usd(lines: Iterable[Line], *, without: tuple[Kind, ...] = ()) -> Decimal:
    """The sum of the lines, but for those of the kinds left out."""
    return sum((line.usd for line in lines if line.kind not in without), Decimal(0))


def savings(plan: Plan, *, free_tier: bool = False) -> list[tuple[str, Decimal]]:
    """What each choice taken otherwise would save a month; negative where it costs more."""
    now = total_usd(bill(plan, free_tier=free_tier))
    return [
        (change, now - total_usd(bill(other, free_tier=free_tier)))
        for change, other in _otherwise(plan)
    ]


def _otherwise(plan: Plan) -> Iterator[tuple[str, Plan]]:
    workflow = "standard" if plan.workflow == "express" else "express"
    yield f"{workflow} workflow", replace(plan, workflow=workflow)
    architecture = "x86_64" if plan.architecture == "arm64" else "arm64"
    yield f"{architecture} functions", replace(plan, architecture=architecture)
    for memory in (1024, 3008):
        if memory != plan.memory_mib:
            yield f"{memory} MiB where pictures are seen", replace(plan, memory_mib=memory)
    for days in (7, 365):
        if days != plan.log_retention_days:
            yield f"logs kept for {days} days", replace(plan, log_retention_days=days)
    for rate, text in ((0, "no X-Ray traces"), (1, "X-Ray traces of everything")):
        if rate != plan.trace_rate:
            yield text, replace(plan, trace_rate=Decimal(rate))
    for name, text in _SWITCHES:
        has: bool = getattr(plan, name)
        switched: dict[str, Any] = {name: not has}
        yield f"{'no ' if has else ''}{text}", replace(plan, **switched)


_SWITCHES = (
    ("alarms", "alarms"),
    ("dashboard", "dashboard"),
    ("cdn", "reads by CloudFront"),
    ("infrequent_access", "infrequent access for originals over 30 days old"),
)


def as_json(plan: Plan, *, free_tier: bool) -> dict[str, object]:
    """The bill as `--json` gives it; `total_usd` is that of the lines."""
    lines = bill(plan, free_tier=free_tier)
    saved = savings(plan, free_tier=free_tier)
    return {
        "total_usd": float(total_usd(lines)),
        "total_without_free_tier_usd": float(total_usd(bill(plan))),
        "total_with_free_tier_usd": float(total_usd(bill(plan, free_tier=True))),
        "free_tier": free_tier,
        **{field.name: _plain(getattr(plan, field.name)) for field in fields(plan)},
        "lines": [
            {field.name: _plain(getattr(line, field.name)) for field in fields(line)}
            for line in lines
        ],
        "savings": [{"change": change, "usd": float(usd)} for change, usd in saved],
        "estimate": True,
        "region": REGION,
        "prices_of": TABLE_DATE,
    }


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else value
