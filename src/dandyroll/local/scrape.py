"""Reading `/metrics` back: one scrape, and what has happened between two of them."""

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from dandyroll.errors import DandyrollError, StoreUnavailable
from dandyroll.models import Row

_TIMEOUT_S = 5
_SHOWN_BYTES = 200

Labels = Mapping[str, str]
Sample = tuple[Labels, float]


@dataclass(frozen=True)
class Scrape:
    """All samples by name, as they were at `at_s` (epoch seconds)."""

    at_s: float
    samples: Mapping[str, list[Sample]]

    def total(self, name: str, **labels: str) -> float:
        """The sum of the samples that have these labels; 0 if there are none."""
        return sum(value for found, value in self.samples.get(name, []) if _has(found, labels))

    def by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """The same, for each value of one label."""
        totals: dict[str, float] = {}
        for found, value in self.samples.get(name, []):
            if _has(found, labels):
                totals[found[label]] = totals.get(found[label], 0) + value
        return totals


@dataclass(frozen=True)
class Between:
    """What two scrapes of one server differ by; the earlier may be the server's start."""

    earlier: Scrape
    later: Scrape

    def rate(self, name: str, **labels: str) -> float:
        """Growth a second."""
        grown = self.later.total(name, **labels) - self.earlier.total(name, **labels)
        return max(0.0, grown) / max(0.001, self.later.at_s - self.earlier.at_s)

    def quantile(self, part: float, name: str, **labels: str) -> float | None:
        """The value in seconds that so large a part stayed under, told from a histogram.

        Straight lines are drawn between a bucket's bounds, as Prometheus does. None where
        nothing was observed.
        """
        counts = self.later.by(f"{name}_bucket", "le", **labels)
        before = self.earlier.by(f"{name}_bucket", "le", **labels)
        grown = sorted((float(le), total - before.get(le, 0)) for le, total in counts.items())
        if not grown or grown[-1][1] <= 0:
            return None
        rank = part * grown[-1][1]
        lower, below = 0.0, 0.0
        for bound, total in grown:
            if total >= rank and total > below:
                if bound == float("inf"):
                    return lower
                return lower + (bound - lower) * (rank - below) / (total - below)
            lower, below = bound, total
        return lower


def parse_exposition(text: str, at_s: float) -> Scrape:
    """Prometheus' text form, as `local.exposition` writes it."""
    samples: dict[str, list[Sample]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            head, _, value = line.rpartition(" ")
            name, _, inside = head.partition("{")
            samples.setdefault(name, []).append((_labels(inside), float(value)))
    return Scrape(at_s, samples)


def fetch(url: str, path: str, key: str, *, ours: bool = False) -> bytes:
    """The body of a GET. Raises `StoreUnavailable` for no answer or any but 200.

    `ours` is a server of this machine, found by its data folder: its certificate is for the
    name that others call it by, so it is not looked at.
    """
    connection = _connection(urlsplit(url), ours)
    try:
        headers = {"x-api-key": key} if key else {}
        connection.request("GET", urlsplit(url).path.rstrip("/") + path, headers=headers)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise StoreUnavailable(f"{url} does not answer: {error}.") from error
    finally:
        connection.close()
    if response.status != 200:
        raise StoreUnavailable(f"{url}{path} answered {response.status}: {_message(body)}")
    return body


def _connection(parts: SplitResult, ours: bool) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme != "https":
        return http.client.HTTPConnection(host, parts.port, timeout=_TIMEOUT_S)
    context = ssl.create_default_context()
    if ours:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, parts.port, timeout=_TIMEOUT_S, context=context)


def fetch_latest(url: str, key: str, limit: int) -> list[Row]:
    """The newest rows that the key may see; none where the server would not say."""
    try:
        page: dict[str, Any] = json.loads(fetch(url, f"/images?limit={limit}", key))
        return [Row.from_json(row) for row in page["images"]]
    except (DandyrollError, ValueError, KeyError, TypeError):
        return []


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:_SHOWN_BYTES].decode("utf-8", "replace")


def _labels(inside: str) -> dict[str, str]:
    """`a="b",c="d"}`: our label values hold neither quotes nor commas."""
    pairs = (pair.partition("=") for pair in inside.rstrip("}").split(",") if pair)
    return {name: value.strip('"') for name, _, value in pairs}


def _has(found: Labels, wanted: Labels) -> bool:
    return all(found.get(name) == value for name, value in wanted.items())
