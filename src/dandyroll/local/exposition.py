"""Counters, histograms and readings, and Prometheus' text form of them (version 0.0.4).

Samples are kept a tuple of label values each. Label values come from fixed sets of ours (route
templates, error codes), never from a request: the number of samples is bounded.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Protocol

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Upper bounds of a histogram's buckets, in seconds."""

Labels = tuple[str, ...]


class Metric(Protocol):
    """What `exposition` can write."""

    def lines(self) -> Iterator[str]:
        """Its lines in the text form, the two that describe it first."""


@dataclass(frozen=True)
class Counter:
    """What only goes up. The name ends in `_total`; threads may share it."""

    name: str
    help: str
    labels: Labels = ()
    values: dict[Labels, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def inc(self, *labels: str, by: float = 1) -> None:
        with self.lock:
            self.values[labels] = self.values.get(labels, 0) + by

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self.help, "counter")
        with self.lock:
            values = dict(self.values)
        if not self.labels:
            values.setdefault((), 0)
        for labels, value in sorted(values.items()):
            yield _sample(self.name, zip(self.labels, labels, strict=True), value)


@dataclass(frozen=True)
class Reading:
    """What is looked up when it is asked for: a gauge, unless `kind` says `counter`."""

    name: str
    help: str
    read: Callable[[], float]
    kind: str = "gauge"
    labels: tuple[tuple[str, str], ...] = ()

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self.help, self.kind)
        yield _sample(self.name, self.labels, self.read())


@dataclass(frozen=True)
class Histogram:
    """Seconds, counted in buckets. `values` holds each bucket's own count, the sum last."""

    name: str
    help: str
    labels: Labels
    values: dict[Labels, list[float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def observe(self, seconds: float, *labels: str) -> None:
        with self.lock:
            counts = self.values.get(labels)
            if counts is None:
                counts = self.values[labels] = [0.0] * (len(SECONDS) + 2)
            counts[bisect_left(SECONDS, seconds)] += 1
            counts[-1] += seconds

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self.help, "histogram")
        with self.lock:
            values = {labels: list(counts) for labels, counts in self.values.items()}
        bounds = [*(f"{bound:g}" for bound in SECONDS), "+Inf"]
        for labels, counts in sorted(values.items()):
            named = tuple(zip(self.labels, labels, strict=True))
            totals = list(accumulate(counts[:-1]))
            for bound, total in zip(bounds, totals, strict=True):
                yield _sample(f"{self.name}_bucket", (*named, ("le", bound)), total)
            yield _sample(f"{self.name}_sum", named, counts[-1])
            yield _sample(f"{self.name}_count", named, totals[-1])


def exposition(metrics: Iterable[Metric]) -> bytes:
    """All of them in the text form."""
    return "".join(f"{line}\n" for metric in metrics for line in metric.lines()).encode()


def _head(name: str, help_: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {help_}"
    yield f"# TYPE {name} {kind}"


def _sample(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{name}{{{inside}}} {value}" if inside else f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
