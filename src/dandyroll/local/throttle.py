"""Token buckets: how many requests a key, and the whole API, may make.

A bucket holds at most `burst` tokens and gains `per_s` of them a second; a request takes one.
In memory: a server that starts anew starts with full buckets. No clock and no lock in here:
the caller says what time it is, and calls from one thread.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass, field

from dandyroll.errors import TooManyRequests

MOST_BUCKETS = 10_000


@dataclass(frozen=True)
class Rate:
    """`per_s` 0 means no limit. A burst of less than one request would allow none: it is one."""

    per_s: int
    burst: int


@dataclass(frozen=True)
class Bucket:
    """`tokens` it held at `at_s`."""

    tokens: float
    at_s: float


def full(rate: Rate, now_s: float) -> Bucket:
    return Bucket(max(1, rate.burst), now_s)


def refilled(bucket: Bucket, rate: Rate, now_s: float) -> Bucket:
    """The bucket as it is by now; time that seems to run backwards adds nothing."""
    gained = rate.per_s * max(0.0, now_s - bucket.at_s)
    return Bucket(min(max(1, rate.burst), bucket.tokens + gained), max(now_s, bucket.at_s))


def wait_s(bucket: Bucket, rate: Rate) -> int:
    """Whole seconds until the bucket holds a token; 0 if it does."""
    if rate.per_s == 0 or bucket.tokens >= 1:
        return 0
    return max(1, math.ceil((1 - bucket.tokens) / rate.per_s))


@dataclass
class Throttle:
    """The bucket of the whole API and those of keys in use.

    A key over its own rate takes nothing from the whole API, so it cannot crowd out others.
    Of more than `most_buckets` keys at once, the one not seen for longest loses its bucket
    and starts with a full one when it comes back.
    """

    key_rate: Rate
    api_rate: Rate
    now_s: float
    most_buckets: int = MOST_BUCKETS
    keys: OrderedDict[str, Bucket] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self.api = full(self.api_rate, self.now_s)

    def check_api(self, now_s: float) -> None:
        """Raises `TooManyRequests` if the whole API is over its rate; takes no token yet."""
        self.api = refilled(self.api, self.api_rate, now_s)
        _raise_unless_ready("the whole API", self.api, self.api_rate)

    def take(self, key: str | None, now_s: float) -> None:
        """Count a request of the valid key, or of none. Raises `TooManyRequests`."""
        self.check_api(now_s)
        if key is not None and self.key_rate.per_s > 0:
            bucket = self.keys.get(key) or full(self.key_rate, now_s)
            bucket = refilled(bucket, self.key_rate, now_s)
            _raise_unless_ready("a key", bucket, self.key_rate)
            self.keys[key] = Bucket(bucket.tokens - 1, bucket.at_s)
            self.keys.move_to_end(key)
            if len(self.keys) > self.most_buckets:
                self.keys.popitem(last=False)
        if self.api_rate.per_s > 0:
            self.api = Bucket(self.api.tokens - 1, self.api.at_s)


def _raise_unless_ready(whose: str, bucket: Bucket, rate: Rate) -> None:
    if after_s := wait_s(bucket, rate):
        raise TooManyRequests(
            f"Expected at most {rate.per_s} requests a second of {whose}, or {rate.burst} at once.",
            retry_after_s=after_s,
        )
