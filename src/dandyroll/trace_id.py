"""The id that follows one request from its answer to its log lines, its row and its spans.

A caller that traces its own work sends W3C Trace Context, and we go on under its id.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping

TRACE_ID_HEADER = "X-Trace-Id"

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_X_RAY = re.compile(r"1-([0-9a-f]{8})-([0-9a-f]{24})")


def mint_trace_id() -> str:
    """A new id: 32 hexadecimal digits."""
    return secrets.token_hex(16)


def parse_traceparent(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """Trace id and span id (32 and 16 hexadecimal digits) of the caller, or None.

    A header that breaks a rule of the W3C is as good as none. Header names are lower case.
    """
    match = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    if match is None:
        return None
    version, trace_id, span_id, more = match.groups()
    if (
        version == "ff"
        or (version == "00" and more)
        or not (int(trace_id, 16) and int(span_id, 16))
    ):
        return None
    return trace_id, span_id


def as_w3c(trace_id: str) -> str:
    """Any home's trace id as 32 hexadecimal digits, the same ones each time.

    X-Ray's `1-68db0a4b-0123…` has them inside, and so has a UUID.
    """
    match = _X_RAY.fullmatch(trace_id)
    digits = "".join(match.groups()) if match else trace_id.replace("-", "")
    if re.fullmatch("[0-9a-f]{32}", digits) and int(digits, 16):
        return digits
    return hashlib.sha256(trace_id.encode()).hexdigest()[:32]
