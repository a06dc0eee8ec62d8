"""`dandyroll top`: a server at work, live in a terminal."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dandyroll.local.catalogue import SqliteCatalogue
from dandyroll.local.home import open_database, read_address
from dandyroll.local.scrape import Between, Scrape, fetch, fetch_latest, parse_exposition
from dandyroll.models import Row
from dandyroll.settings import BadSetting

_WINDOW_S = 60
LATEST = 8
"""How many of the last images are shown."""

_STATUS_STYLES = {"processed": "green", "failed": "red"}


@dataclass(frozen=True)
class Source:
    """Where a view gets what it shows: the text of `/metrics`, and the newest rows."""

    name: str
    metrics: Callable[[], bytes]
    latest: Callable[[], Sequence[Row]]


def remote_source(url: str, key: str) -> Source:
    """A server by its URL; the key needs the scope `admin` unless the server is this machine's.

    Raises `BadSetting` for what is no URL.
    """
    if not url.startswith(("http://", "https://")):
        raise BadSetting(f"--url: expected a URL of http or https; got {url!r}.")
    return Source(url, lambda: fetch(url, "/metrics", key), lambda: fetch_latest(url, key, LATEST))


@contextmanager
def folder_source(data_dir: Path, key: str) -> Iterator[Source]:
    """The server of a data folder on this machine. Raises `BadSetting` if it has had none."""
    url = read_address(data_dir)
    database = open_database(data_dir)
    catalogue = SqliteCatalogue(database)
    try:
        yield Source(
            url,
            lambda: fetch(url, "/metrics", key, ours=True),
            lambda: list(catalogue.list(None, None, LATEST, "").rows),
        )
    finally:
        database.close()


def show(source: Source, console: Console, every_s: float, once: bool) -> None:
    """Print one frame, or a live one until Ctrl-C. Raises what the source raises."""
    scrapes: deque[Scrape] = deque()
    if once:
        console.print(_next_frame(source, scrapes))
        return
    try:
        with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
            while True:
                live.update(_next_frame(source, scrapes), refresh=True)
                time.sleep(every_s)
    except KeyboardInterrupt:
        return


def _next_frame(source: Source, scrapes: deque[Scrape]) -> RenderableType:
    now_s = time.time()
    later = parse_exposition(source.metrics().decode(), now_s)
    started_s = later.total("process_start_time_seconds")
    if scrapes and started_s > scrapes[-1].at_s:  # another server: its counts begin anew
        scrapes.clear()
    while scrapes and scrapes[0].at_s < now_s - _WINDOW_S:
        scrapes.popleft()
    earlier = scrapes[0] if scrapes else Scrape(started_s, {})
    scrapes.append(later)
    return frame(source.name, Between(earlier, later), source.latest())


def frame(name: str, between: Between, latest: Sequence[Row]) -> RenderableType:
    """One picture of the server: rates over the time between, counts since its start."""
    parts: list[RenderableType] = [
        _heading(name, between),
        Columns([_now(between), _work(between)], padding=(0, 4)),
        Columns([_steps(between), _failures(between.later)], padding=(0, 4)),
    ]
    if latest:
        parts.append(_latest(latest))
    return Group(*parts)


def _heading(name: str, between: Between) -> Text:
    later = between.later
    up_s = later.at_s - later.total("process_start_time_seconds")
    over_s = later.at_s - between.earlier.at_s
    version = next(iter(later.by("dandyroll_build_info", "version")), "")
    words = f"dandyroll {version} at {name}, up {_span(up_s)}; rates over {_span(over_s)}\n"
    return Text(words, style="bold")


def _now(between: Between) -> Table:
    later, table = between.later, _table("", "now")
    workers, running = later.total("dandyroll_workers"), later.total("dandyroll_jobs_running")
    table.add_row("queued", f"{later.total('dandyroll_jobs_queued'):.0f}")
    table.add_row("oldest", _span(later.total("dandyroll_job_age_seconds")))
    table.add_row("workers busy", f"{running:.0f} of {workers:.0f}")
    table.add_row("workers lost", f"{later.total('dandyroll_workers_killed_total'):.0f}")
    table.add_row("memory", f"{later.total('process_resident_memory_bytes') / 1e6:.0f} MB")
    return table


def _work(between: Between) -> Table:
    later, table = between.later, _table("", "a second", "in all")
    settled = "dandyroll_images_settled_total"
    for words, name, labels in (
        ("requests", "dandyroll_http_requests_total", {}),
        ("uploads", "dandyroll_uploads_total", {}),
        ("processed", settled, {"status": "processed"}),
        ("failed", settled, {"status": "failed"}),
    ):
        rate, total = between.rate(name, **labels), later.total(name, **labels)
        table.add_row(words, f"{rate:.1f}", f"{total:.0f}")
    for direction in ("in", "out"):
        labels = {"direction": direction}
        rate, total = (
            between.rate("dandyroll_bytes_total", **labels),
            later.total("dandyroll_bytes_total", **labels),
        )
        table.add_row(f"MB {direction}", f"{rate / 1e6:.2f}", f"{total / 1e6:.1f}")
    return table


def _steps(between: Between) -> Table:
    table = _table("step", "p50", "p95")
    stages = between.later.by("dandyroll_stage_seconds_count", "stage")
    for stage in stages:
        table.add_row(stage, *_quantiles(between, "dandyroll_stage_seconds", stage=stage))
    table.add_row("in the queue", *_quantiles(between, "dandyroll_queue_seconds"))
    for route in between.later.by("dandyroll_http_request_seconds_count", "route"):
        told = _quantiles(between, "dandyroll_http_request_seconds", route=route)
        if told != ["–", "–"]:
            table.add_row(route, *told)
    return table


def _failures(later: Scrape) -> Table:
    table = _table("failures and refusals", "in all")
    codes = later.by("dandyroll_images_settled_total", "code", status="failed")
    statuses = later.by("dandyroll_http_requests_total", "status")
    refused = {f"HTTP {status}": count for status, count in statuses.items() if status >= "400"}
    told = sorted({**codes, **refused}.items(), key=lambda pair: -pair[1])
    for words, count in told:
        table.add_row(words, f"{count:.0f}")
    if not told:
        table.add_row("none", "")
    return table


def _latest(rows: Sequence[Row]) -> Table:
    table = Table("last images", "owner", "status", "", box=None, pad_edge=False)
    for row in rows[:LATEST]:
        said = (row.error or {}).get("code", "")
        if row.processed is not None:
            said = f"{row.processed.width} × {row.processed.height}"
        status = Text(row.status, style=_STATUS_STYLES.get(row.status, ""))
        table.add_row(Text(row.image_id), Text(row.owner), status, Text(said))
    return table


def _table(first: str, *numbers: str) -> Table:
    table = Table(first, box=None, pad_edge=False)
    for head in numbers:
        table.add_column(head, justify="right")
    return table


def _quantiles(between: Between, name: str, **labels: str) -> list[str]:
    found = [between.quantile(part, name, **labels) for part in (0.5, 0.95)]
    return ["–" if seconds is None else _span(seconds) for seconds in found]


def _span(seconds: float) -> str:
    """`340 ms`, `12.3 s`, `2 h 5 min`: as exact as one wants to know it."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
