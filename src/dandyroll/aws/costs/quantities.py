"""How much of everything that AWS bills a plan uses in a month.

Exact in decimal. Traffic is taken to come at random, evenly over the month.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Literal

from dandyroll.aws.costs import usage
from dandyroll.aws.costs.plan import Plan
from dandyroll.aws.costs.usage import FUNCTIONS, Function

Kind = Literal["work", "storage", "delivery", "standing"]
"""`work` grows with images and reads, `storage` with what is kept of them, `delivery` with the
bytes that leave AWS, `standing` with nothing."""


@dataclass(frozen=True)
class Quantity:
    """So much at the price of that name."""

    price: str
    item: str
    amount: Decimal
    kind: Kind
    note: str = ""


@dataclass(frozen=True)
class _Month:
    """A plan worked out as far as all its lines need it: how often each function is called."""

    plan: Plan
    images: Decimal
    reads: Decimal
    passage: tuple[str, ...]
    calls: Mapping[str, Decimal]

    def asked(self, what: str) -> Decimal:
        """The sum of one of the fields of `usage.Calls` over all calls."""
        return _sum(n * getattr(FUNCTIONS[name].calls, what) for name, n in self.calls.items())


def quantities(plan: Plan) -> Iterator[Quantity]:
    """Every line of the bill, those too that come to nothing."""
    month = _month(plan)
    requests = month.images + month.calls[usage.READ]
    note = "uploads, and reads or with a CDN one URL an image"
    yield Quantity("api-request", "requests", requests, "work", note)
    yield from _functions(month)
    yield from _workflow(month)
    yield from _bucket(month)
    yield from _table(month)
    yield from _messages(month)
    yield from _watching(month)
    yield from _delivery(month)


def _month(plan: Plan) -> _Month:
    images, reads = Decimal(plan.images), plan.images * plan.reads
    passage = usage.DIRECT if plan.size_bytes <= usage.MAX_DIRECT_BYTES else usage.BY_TICKET
    calls = dict.fromkeys(passage, images)
    calls[usage.READ] = min(images, reads) if plan.cdn else reads
    calls |= dict.fromkeys(usage.ON_STREAM, images)
    calls |= {name: Decimal(runs) for name, runs in usage.RUNS_A_MONTH.items()}
    return _Month(plan, images, reads, passage, calls)


def _functions(month: _Month) -> Iterator[Quantity]:
    yield Quantity("lambda-request", "requests", _sum(month.calls.values()), "work")
    spent = _sum(n * gb_s(month.plan, name, n) for name, n in month.calls.items())
    note = "CPU measured, waits assumed; cold starts where calls are rare"
    price = f"lambda-{month.plan.architecture}"
    yield Quantity(price, "memory and time", spent, "work", note)


def _workflow(month: _Month) -> Iterator[Quantity]:
    if month.plan.workflow == "standard":
        transitions = month.images * (usage.STAGES + 1)
        note = "into each state, and to the end"
        yield Quantity("transition", "transitions", transitions, "work", note)
        return
    yield Quantity("express-request", "executions", month.images, "work")
    stages = month.passage[1:]
    each_s = _sum(seconds(month.plan, name, month.images) for name in stages)
    each_s += Decimal(usage.STATE_MS * usage.STAGES) / 1000
    billed_s = each_s.quantize(Decimal("0.1"), ROUND_CEILING)
    amount = month.images * billed_s * usage.EXPRESS_MIB / 1024
    note = f"{billed_s} s each, at {usage.EXPRESS_MIB} MiB"
    yield Quantity("express-duration", "memory and time", amount, "work", note)


def _bucket(month: _Month) -> Iterator[Quantity]:
    plan, sizes = month.plan, object_sizes(month.plan)
    kept = month.images * plan.keep_months
    older = max(Decimal(0), kept - month.images) if plan.infrequent_access else Decimal(0)
    note = f"months kept: {plan.keep_months:f}"
    now = _gb((kept - older) * sizes["original"])
    yield Quantity("s3-storage", "originals", now, "storage", note)
    then = _gb(older * sizes["original"])
    yield Quantity("s3-infrequent", "originals over 30 days old", then, "storage")
    moved = month.images if older else Decimal(0)
    yield Quantity("s3-transition", "moves to infrequent access", moved, "storage")
    renditions = _gb(kept * sizes["rendition"])
    yield Quantity("s3-storage", "renditions", renditions, "storage", note)
    days = Decimal(usage.HANDOVER_DAYS)
    scratch = _gb(month.images * sizes["hand-over"]) * days / usage.MONTH_DAYS
    note = f"between the stages; gone after {days} days"
    yield Quantity("s3-storage", "hand-over", scratch, "work", note)
    by_client = month.images if month.passage is usage.BY_TICKET else 0
    puts = month.asked("s3_puts") + by_client + _listings(month)
    note = "original, hand-over, rendition; the sweep's listings"
    yield Quantity("s3-put", "PUTs and listings", puts, "work", note)
    gets = month.asked("s3_gets") + (month.reads if plan.cdn else 0)
    yield Quantity("s3-get", "GETs", gets, "work", "by stages and reads; no read is cached")


def _listings(month: _Month) -> Decimal:
    """Those of a sweep beyond its first, where there is more than fits into one."""
    keys = month.images * usage.LISTED_DAYS / usage.MONTH_DAYS
    each = min(keys / usage.KEYS_A_LISTING, Decimal(usage.LISTINGS_A_RUN)) - 1
    return max(each, Decimal(0)) * usage.RUNS_A_MONTH["sweep"]


def _table(month: _Month) -> Iterator[Quantity]:
    cold = _sum(n * cold_share(n) * FUNCTIONS[name].cold_writes for name, n in month.calls.items())
    writes = month.asked("write_units") + month.asked("index_units") + cold
    note = "of the table and of its two indexes"
    yield Quantity("write", "write units", writes, "work", note)
    yield Quantity("read", "read units", month.asked("read_units"), "work", "consistent")
    note = "none: Lambda's own are free"
    yield Quantity("stream-read", "stream reads", Decimal(0), "work", note)
    item = usage.ROW_BYTES + usage.INDEX_BYTES + 2 * usage.ITEM_OVERHEAD_BYTES
    rows = _gb(month.images * month.plan.keep_months * item)
    yield Quantity("table-storage", "rows", rows, "storage", "with the index")
    yield Quantity("table-backup", "point-in-time recovery", rows, "storage")
    callers = [*month.calls.values(), month.asked("publishes")]
    keys = _sum(min(n, Decimal(usage.KMS_CALLS_A_MONTH)) for n in callers)
    note = "for table and topic; at most one in 5 minutes for each function"
    yield Quantity("kms-request", "requests", keys, "work", note)


def _messages(month: _Month) -> Iterator[Quantity]:
    note = "3 objects created, 2 deleted; that AWS bills them is assumed"
    yield Quantity("event", "the bucket's events", month.images * usage.EVENTS, "work", note)
    runs = _sum(map(Decimal, usage.RUNS_A_MONTH.values()))
    yield Quantity("schedule", "runs", runs, "standing")
    note = "none while nothing is lost"
    yield Quantity("sqs-request", "dead letters", Decimal(0), "work", note)
    note = "of images settled; alarms that go off are not counted"
    yield Quantity("sns-publish", "notices", month.asked("publishes"), "work", note)


def _watching(month: _Month) -> Iterator[Quantity]:
    plan = month.plan
    logged = _gb(_sum(n * _log_bytes(FUNCTIONS[name]) for name, n in month.calls.items()))
    note = "our lines, measured; Lambda's own, assumed"
    yield Quantity("log-ingest", "logs written", logged, "work", note)
    kept = logged * plan.log_retention_days / usage.MONTH_DAYS
    note = f"of {plan.log_retention_days} days, uncompressed"
    yield Quantity("log-storage", "logs kept", kept, "work", note)
    hours = {"always": Decimal(1), "images": 1 - none_in(month.images, usage.HOUR_S)}
    series = _sum(hours.get(when, Decimal(0)) for when in usage.SERIES.values())
    note = f"of {len(usage.SERIES)}: hours in which there is nothing to write of one are free"
    yield Quantity("metric", "our own metrics", series, "standing", note)
    methods, note = Decimal(usage.METHOD_METRICS), "off; the stage's own are free"
    yield Quantity("metric", "API metrics by method", methods, "standing", note)
    alarms, boards = usage.ALARMS * plan.alarms, usage.DASHBOARDS * plan.dashboard
    yield Quantity("alarm", "alarms", Decimal(alarms), "standing")
    yield Quantity("dashboard", "dashboards", Decimal(boards), "standing")
    traced = (count for name, count in month.calls.items() if name not in usage.UNTRACED)
    begun = _sum(traced) - (usage.STAGES - 1) * month.images  # an execution is one
    note = f"of all that begins, one in {1 / plan.trace_rate:.0f}" if plan.trace_rate else "off"
    yield Quantity("trace", "traces", begun * plan.trace_rate, "work", note)


def _delivery(month: _Month) -> Iterator[Quantity]:
    out = _gb(month.reads * object_sizes(month.plan)["rendition"])
    by_cdn = int(month.plan.cdn)
    yield Quantity("transfer", "to the internet", out * (1 - by_cdn), "delivery")
    yield Quantity("cdn-transfer", "to the internet", out * by_cdn, "delivery")
    yield Quantity("cdn-request", "requests", month.reads * by_cdn, "delivery")


# --- one call ----------------------------------------------------------------------------------


def object_sizes(plan: Plan) -> Mapping[str, Decimal]:
    """Bytes of the objects of one image, by the names in `Function.moves`."""
    handover = plan.megapixels * 10**6 * usage.HANDOVER_BYTES_A_PIXEL
    return {
        "original": Decimal(plan.size_bytes),
        "hand-over": min(handover, Decimal(usage.HANDOVER_BYTES)),
        "rendition": Decimal(min(plan.size_bytes, usage.RENDITION_BYTES)),
    }


def gb_s(plan: Plan, name: str, calls: Decimal) -> Decimal:
    """Gigabytes times seconds of one call, of so many a month."""
    return Decimal(_memory_mib(plan, FUNCTIONS[name])) / 1024 * seconds(plan, name, calls)


def seconds(plan: Plan, name: str, calls: Decimal) -> Decimal:
    """How long one call takes, of so many a month: CPU, waits, and its part in cold starts."""
    function, sizes = FUNCTIONS[name], object_sizes(plan)
    asked = function.calls
    moved = _sum(sizes[thing] for thing in function.moves)
    cpu_ms = function.cpu_ms + function.cpu_ms_a_megapixel * plan.megapixels
    cpu_ms += function.cpu_ms_a_megabyte * moved / 10**6
    cpu_ms += function.cold_ms * cold_share(calls)
    share = min(Decimal(1), Decimal(_memory_mib(plan, function)) / usage.FULL_CPU_MIB)
    waits_ms = asked.s3_puts * usage.S3_PUT_MS + asked.s3_gets * usage.S3_GET_MS
    waits_ms += (asked.read_units + asked.write_units) * usage.TABLE_MS
    return (cpu_ms * usage.CPU_FACTOR / share + waits_ms + moved / usage.BYTES_A_MS) / 1000


def cold_share(calls: Decimal) -> Decimal:
    """The part of so many calls a month that finds no function waiting.

    Of calls that come at random: those with no other in the time that an idle one is kept.
    """
    return none_in(calls, usage.KEPT_S)


def none_in(calls: Decimal, span_s: int) -> Decimal:
    """How likely it is that of so many calls a month none falls into a span of that length."""
    return (-calls * span_s / usage.MONTH_S).exp()


def _memory_mib(plan: Plan, function: Function) -> int:
    chosen = plan.memory_mib if function.sees_pictures else None
    return chosen or function.memory_mib


def _log_bytes(function: Function) -> int:
    lines = function.log_lines + usage.PLATFORM_LOG_LINES
    return function.log_bytes + usage.PLATFORM_LOG_BYTES + lines * usage.LINE_OVERHEAD_BYTES


def _gb(size_bytes: Decimal) -> Decimal:
    return size_bytes / 2**30


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))
