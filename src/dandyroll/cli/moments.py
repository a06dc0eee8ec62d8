"""`30d` or `2027-01-31`: since when or until when, as the command line takes it."""

import argparse
import re
import time
from datetime import UTC, datetime

_UNITS_S = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}


def expiry(text: str) -> int:
    """`30d`, `12h`, `1y` from now, or a date such as `2027-01-31`; in epoch seconds."""
    expires_at = _moment(text, 1)
    if expires_at <= time.time():
        raise argparse.ArgumentTypeError(f"expected an expiry that is still to come; got {text!r}")
    return expires_at


def since(text: str) -> int:
    """`30m`, `12h`, `7d` ago, or a date such as `2026-10-31`; in epoch seconds."""
    began_at = _moment(text, -1)
    if began_at > time.time():
        raise argparse.ArgumentTypeError(f"expected a moment that has been; got {text!r}")
    return began_at


def _moment(text: str, direction: int) -> int:
    span = re.fullmatch(r"([0-9]{1,6})([mhdwy])", text)
    if span:
        return int(time.time()) + direction * int(span[1]) * _UNITS_S[span[2]]
    try:
        return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a span such as 30d, 12h or 1y, or a date such as 2027-01-31; got {text!r}"
        ) from None
