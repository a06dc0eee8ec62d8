"""What an image uses of AWS: counted, measured or assumed, and which of the three it is.

Counted on the emulator by `tests/aws/test_cost.py`, which fails when the code asks for more or
less: requests and units of each function, the length of its log lines. Read off the template, and
compared by the same test: memory, alarms, what runs by the clock. Measured: CPU milliseconds, by
`benchmarks/lambda_cpu.py`, whose table goes in here. Assumed: what only AWS could tell, at the end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

MEASURED = "2026-11-23, Intel Xeon (x86_64), Python 3.11, medians of 3 rounds"
"""When, on what and how the CPU times were measured."""


@dataclass(frozen=True)
class Calls:
    """What one call of a function asks of AWS, in the units that AWS bills.

    `s3_puts` are PUTs and listings. `read_units` are of 4 KiB, a query's or a batch's rounded up;
    `write_units` of the table and `index_units` of its indexes, 1 KiB each; `publishes` are SNS's.
    """

    s3_puts: int = 0
    s3_gets: int = 0
    read_units: int = 0
    write_units: int = 0
    index_units: int = 0
    publishes: int = 0


@dataclass(frozen=True)
class Function:
    """One call of a function.

    `cpu_ms` and what it grows by are warm, on a whole CPU; `cold_ms` comes on top of a first call,
    as do `cold_writes`. `moves` names the objects it reads and writes. `log_bytes` are those of our
    own lines in the log.
    """

    memory_mib: int
    calls: Calls
    moves: tuple[str, ...]
    log_bytes: int
    cpu_ms: Decimal
    cold_ms: int
    cpu_ms_a_megapixel: Decimal = Decimal(0)
    cpu_ms_a_megabyte: Decimal = Decimal(0)
    cold_writes: int = 0
    log_lines: int = 1
    sees_pictures: bool = False


FUNCTIONS: Mapping[str, Function] = MappingProxyType({
    "upload-image": Function(
        memory_mib=1769,
        calls=Calls(s3_puts=1, read_units=1, write_units=2, index_units=3),
        moves=("original",), log_bytes=296,
        cpu_ms=Decimal("4.1"), cpu_ms_a_megabyte=Decimal("6.0"), cold_ms=239, cold_writes=2,
        sees_pictures=True,
    ),
    "create-upload": Function(
        memory_mib=1024,
        calls=Calls(write_units=1, index_units=2),
        moves=(), log_bytes=297,
        cpu_ms=Decimal("1.6"), cold_ms=239, cold_writes=2,
    ),
    "new-size-image": Function(
        memory_mib=1769,
        calls=Calls(s3_puts=1, s3_gets=1, read_units=2, write_units=1, index_units=1),
        moves=("original", "hand-over"), log_bytes=272,
        cpu_ms=Decimal("38.2"), cpu_ms_a_megapixel=Decimal("4.3"), cold_ms=305,
        sees_pictures=True,
    ),
    # The same, of what came by a ticket: nobody has looked at its bytes before.
    "new-size-image, ticket": Function(
        memory_mib=1769,
        calls=Calls(s3_puts=1, s3_gets=2, read_units=3, write_units=2, index_units=4),
        moves=("original", "original", "hand-over"), log_bytes=272,
        cpu_ms=Decimal("38.2"), cpu_ms_a_megapixel=Decimal("4.3"), cold_ms=305,
        sees_pictures=True,
    ),
    "add-watermark": Function(
        memory_mib=1769,
        calls=Calls(s3_puts=1, s3_gets=1, read_units=1, write_units=1, index_units=2),
        moves=("hand-over", "rendition"), log_bytes=276,
        cpu_ms=Decimal("50.4"), cold_ms=305,
        sees_pictures=True,
    ),
    "get-processed-image": Function(
        memory_mib=1024,
        calls=Calls(s3_gets=1, read_units=1),
        moves=("rendition",), log_bytes=319,
        cpu_ms=Decimal("1.8"), cpu_ms_a_megabyte=Decimal("2.1"), cold_ms=244,
    ),
    # For one image: at higher rates one call takes several.
    "publish-events": Function(
        memory_mib=512,
        calls=Calls(publishes=1),
        moves=(), log_lines=2, log_bytes=630,
        cpu_ms=Decimal("2.2"), cold_ms=230,
    ),
    # Finding nothing that was lost.
    "sweep": Function(
        memory_mib=512,
        calls=Calls(s3_puts=1, read_units=21, write_units=1),
        moves=(), log_lines=2, log_bytes=485,
        cpu_ms=Decimal("102"), cold_ms=264,
    ),
})  # fmt: skip

DIRECT = ("upload-image", "new-size-image", "add-watermark")
BY_TICKET = ("create-upload", "new-size-image, ticket", "add-watermark")
READ = "get-processed-image"
"""The functions that an upload goes through, and the one that answers a read."""

ON_STREAM: tuple[str, ...] = ("publish-events",)
"""Those that the table's stream calls, once for each image that is settled."""

STAGES = 2
"""Task states of the state machine."""

MAX_DIRECT_BYTES = 4_500_000
"""Larger originals come by a ticket, in one PUT of the client's own."""

# --- stored ------------------------------------------------------------------------------------

HANDOVER_BYTES, HANDOVER_BYTES_A_PIXEL = 3_687_000, 3
"""What passes between the stages: at most, for the default policy's 1280 x 960, and a pixel of
smaller ones. Transparency adds a third."""

HANDOVER_DAYS = 3
"""One until it expires and one as an old version, each counted from the midnight after."""

RENDITION_BYTES = 165_000
"""Of a JPEG's, on average; measured with the CPU times."""

ROW_BYTES, INDEX_BYTES, ITEM_OVERHEAD_BYTES = 970, 170, 100
"""Of a processed image's item, of its entry in the index, and what DynamoDB adds to each. Past 1024
bytes, which an owner with a long name brings, the last write of an image costs two units."""

EVENTS = 5
"""The bucket tells EventBridge of every object created, three an image, and of both deletions of
the hand-over; the rule that matches one of them saves none of the others."""

# --- what stands, by the template --------------------------------------------------------------

ALARMS = 8
DASHBOARDS = 1
METHOD_METRICS = 0
"""API Gateway's metrics of each method, which cost as our own do; those of the stage are free."""

RUNS_A_MONTH: Mapping[str, int] = MappingProxyType({"sweep": 30 * 24 * 60 // 15})
"""Functions that run by the clock, and how often."""

LISTED_DAYS, KEYS_A_LISTING, LISTINGS_A_RUN = 2, 1000, 20
"""Of a sweep: it goes through the keys of the last days, and so far at most."""

SERIES: Mapping[str, Literal["always", "images", "faults"]] = MappingProxyType({
    "ImagesFailed": "faults",
    "ImagesFailedByUs": "faults",
    "ImagesProcessed": "images",
    "OldestUnprocessedSeconds": "always",
    "UploadsStartedAgain": "faults",
})  # fmt: skip
"""When each of our own metrics is written: an hour without a point of it is not billed."""

# --- assumed -----------------------------------------------------------------------------------

CPU_FACTOR = Decimal("1.5")
"""A CPU millisecond here is so many on Lambda: a slower core, and TLS, which was not measured."""

FULL_CPU_MIB = 1769
"""Memory that comes with one whole CPU; less has its share of one, as AWS documents."""

S3_PUT_MS, S3_GET_MS, TABLE_MS = 40, 25, 6
"""Waiting for the first byte of an answer."""

BYTES_A_MS = 80_000
"""Between a function and S3."""

KEPT_S = 300
"""How long Lambda keeps an idle function, of which AWS promises nothing."""

PLATFORM_LOG_LINES, PLATFORM_LOG_BYTES, LINE_OVERHEAD_BYTES = 2, 600, 26
"""Lambda's own `platform.start` and `platform.report` a call, as JSON with a trace; and what
CloudWatch adds to a line."""

STATE_MS = 50
"""Of an Express execution, beside each function it waits for."""

EXPRESS_MIB = 64
"""The least that an Express execution is billed with; ours hold a few kilobytes."""

UNTRACED = ("sweep", "publish-events", "mail-events")
"""Functions that X-Ray records nothing of: neither a request nor an execution calls them."""

KMS_CALLS_A_MONTH = 12 * 24 * 30
"""Of each function's role at most: DynamoDB keeps a table's key for five minutes, SNS a topic's."""

MONTH_DAYS = 30
MONTH_S = MONTH_DAYS * 24 * 60 * 60
HOUR_S = 60 * 60
