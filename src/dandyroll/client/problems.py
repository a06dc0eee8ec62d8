"""What a call can raise beside what the disk raises (`OSError`).

ClientError
├─ Problem        the server answered, and said no
├─ Unreachable    no answer came, however often we asked
└─ SourceChanged  the file was written to while it was being uploaded
"""

import json
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_SHOWN = 200  # characters of an answer that is not ours


class ClientError(Exception):
    """The root: never raised itself."""


class Problem(ClientError):
    """The server's problem document: see the table of errors in docs/contract.md.

    `code` is stable and what to branch on; `http_502` and the like where the answer was not
    Dandyroll's own, but a proxy's. `retry_after_s` is set where the server named a time.
    """

    def __init__(
        self, status: int, code: str, message: str, trace_id: str, retry_after_s: float | None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.trace_id = trace_id
        self.retry_after_s = retry_after_s


class Unreachable(ClientError):
    """The connection failed each time it was tried; the message says how it failed last."""


class SourceChanged(ClientError):
    """The file is no longer what it was when the upload began. Nothing was accepted."""


def problem_of(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    """The problem that an answer states. Header names are lower case."""
    retry_after_s = _seconds(headers.get("retry-after", ""))
    try:
        document = json.loads(body)
        code, message = str(document["code"]), str(document["message"])
    except (ValueError, KeyError, TypeError):
        kind = headers.get("content-type", "no type")
        text = " ".join(body.decode("utf-8", "replace").split())[:_SHOWN]
        message = f"Expected an answer of Dandyroll's; got {status} with {kind}: {text}"
        return Problem(status, f"http_{status}", message, "", retry_after_s)
    return Problem(status, code, message, str(document.get("trace_id", "")), retry_after_s)


def _seconds(retry_after: str) -> float | None:
    """`Retry-After` in either of its forms, as seconds from now."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
