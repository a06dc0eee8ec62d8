"""Token buckets as arithmetic: the test says what time it is, and nobody waits."""

import pytest

from dandyroll.errors import TooManyRequests
from dandyroll.local.throttle import Bucket, Rate, Throttle, refilled, wait_s
from dandyroll.settings import Settings

NO_LIMIT = Rate(0, 0)


def throttle(key: Rate = NO_LIMIT, api: Rate = NO_LIMIT, most_buckets: int = 100) -> Throttle:
    return Throttle(key, api, now_s=0.0, most_buckets=most_buckets)


def admitted(bucket: Throttle, key: str | None, now_s: float, tries: int = 20_000) -> int:
    """How many of so many requests at that moment are let in."""
    done = 0
    for _ in range(tries):
        try:
            bucket.take(key, now_s)
        except TooManyRequests:
            return done
        done += 1
    return done


def retry_after_s(bucket: Throttle, key: str | None, now_s: float) -> int | None:
    with pytest.raises(TooManyRequests) as raised:
        bucket.take(key, now_s)
    return raised.value.retry_after_s


def test_the_defaults_are_the_contracts() -> None:
    settings = Settings()
    by_key = throttle(Rate(settings.key_requests_per_s, settings.key_burst))
    assert admitted(by_key, "a", 0) == 5_000
    assert admitted(by_key, "a", 1) == 100
    whole = throttle(api=Rate(settings.api_requests_per_s, settings.api_burst))
    assert admitted(whole, None, 0) == 5_000
    assert admitted(whole, None, 0.5) == 5_000  # 10,000 a second, but no more at once


def test_a_burst_and_then_the_rate() -> None:
    bucket = throttle(Rate(per_s=4, burst=10))
    assert admitted(bucket, "a", 0) == 10
    assert retry_after_s(bucket, "a", 0) == 1
    assert admitted(bucket, "a", 0.24) == 0
    assert admitted(bucket, "a", 0.25) == 1
    assert [admitted(bucket, "a", 1.25 + second) for second in range(5)] == [4] * 5
    assert admitted(bucket, "a", 1_000) == 10


def test_keys_have_buckets_of_their_own() -> None:
    bucket = throttle(Rate(1, 2))
    assert [admitted(bucket, key, 0) for key in "abca"] == [2, 2, 2, 0]


def test_a_key_over_its_rate_takes_nothing_from_the_others() -> None:
    bucket = throttle(Rate(1, 2), api=Rate(1, 5))
    assert admitted(bucket, "greedy", 0) == 2
    for _ in range(100):
        assert admitted(bucket, "greedy", 0) == 0
    assert admitted(bucket, "other", 0) == 2
    assert admitted(bucket, None, 0) == 1


def test_the_whole_api_over_its_rate_takes_nothing_from_a_key() -> None:
    bucket = throttle(Rate(1, 10), api=Rate(2, 4))
    assert admitted(bucket, None, 0) == 4
    assert retry_after_s(bucket, "a", 0) == 1
    assert admitted(bucket, "a", 2) == 4
    assert bucket.keys["a"].tokens == 6


def test_retry_after_is_when_it_works() -> None:
    slow = Rate(per_s=1, burst=1)
    bucket = Bucket(0.25, 0.0)
    after_s = wait_s(bucket, slow)
    assert after_s == 1
    assert wait_s(refilled(bucket, slow, after_s), slow) == 0


def test_no_limit_is_none() -> None:
    assert admitted(throttle(), "a", 0) == 20_000


def test_a_burst_of_none_still_lets_one_in_at_a_time() -> None:
    bucket = throttle(Rate(per_s=2, burst=0))
    assert [admitted(bucket, "a", now_s) for now_s in (0, 0.25, 0.5, 5)] == [1, 0, 1, 1]


def test_time_that_runs_backwards_gives_nothing() -> None:
    bucket = throttle(Rate(1, 2))
    assert admitted(bucket, "a", 100) == 2
    assert admitted(bucket, "a", 50) == 0
    assert admitted(bucket, "a", 101) == 1


def test_there_are_only_so_many_buckets() -> None:
    bucket = throttle(Rate(1, 2), most_buckets=3)
    for key in "abcade":
        bucket.take(key, 0)
    assert list(bucket.keys) == ["a", "d", "e"]  # b and c were not seen for longest
