"""Log lines: one JSON object each on stderr, or text for people.

Modules log with the standard library; fields go into `extra`. What every line of a request or a
job should carry is `bound` around it, or noted within it. A line never holds an API key.
"""

import json
import logging
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import IO, Any

from dandyroll.models import isoformat

_ROOT = logging.getLogger()
_OURS = "dandyroll"

_API_KEY = re.compile(r"dr1O\w{8,}")  # looser than a key, so that a part of one goes as well
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_SAID_BY_MESSAGE = frozenset({"event", "method", "route", "status"})  # left out of text lines
_LONGEST_LINE = 8_192
_ENCODER = json.JSONEncoder(separators=(",", ":"), default=str)  # not one anew each line

_fields: ContextVar[dict[str, Any] | None] = ContextVar("log_fields", default=None)


@contextmanager
def bound(**fields: Any) -> Iterator[dict[str, Any]]:
    """Give every line logged within these fields, and those that are noted within."""
    inner = {**(_fields.get() or {}), **fields}
    token = _fields.set(inner)
    try:
        yield inner
    finally:
        _fields.reset(token)


def note(**fields: Any) -> None:
    """Add to the fields of the `bound` we are in, seen by all its lines from now on.

    Threads that the work was handed to share them. Does nothing outside any.
    """
    inner = _fields.get()
    if inner is not None:
        inner.update(fields)


def noted(name: str) -> Any:
    """A field of the `bound` we are in; None if it has none of that name."""
    return (_fields.get() or {}).get(name)


def start_logging(level: str, log_format: str, stream: IO[str] | None = None) -> None:
    """Send all of this process's log lines, warnings and last words to the stream (stderr).

    `level` is for our own lines; libraries speak from `warning` on. `log_format` is `json`,
    `text`, or `auto`: text for a terminal.
    """
    stream = stream or sys.stderr
    as_text = log_format == "text" or (log_format == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    _ROOT.handlers[:] = [handler]
    _ROOT.setLevel(logging.WARNING)
    logging.getLogger(_OURS).setLevel(level.upper())
    logging.captureWarnings(True)
    # What the formatters do not print need not be found out for every line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


class JsonFormatter(logging.Formatter):
    """`time`, `level`, `event` and `message` first, then the fields, then any `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "event": _event(record),
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return without_keys(_ENCODER.encode(line))


class TextFormatter(logging.Formatter):
    """One line for people: time, level, message, fields; an exception's lines below it."""

    def format(self, record: logging.LogRecord) -> str:
        fields = fields_of(record)
        exception = fields.pop("exception", "")
        told = [f"{name}={value}" for name, value in fields.items() if name not in _SAID_BY_MESSAGE]
        message = record.getMessage().replace("\n", "\\n")
        line = " ".join([_time(record)[11:], f"{record.levelname.lower():<7}", message, *told])
        if record.exc_info:
            exception = self.formatException(record.exc_info)
        return without_keys(f"{line}\n{exception}" if exception else line)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What is bound, and the record's own `extra`, which goes before it; no empty ones."""
    own = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
    own.pop("event", None)
    fields = {**(_fields.get() or {}), **own}
    return {name: value for name, value in fields.items() if value not in (None, "")}


def without_keys(text: str) -> str:
    """The text with every API key, or the beginning of one, blotted out."""
    return _API_KEY.sub("dr1O***", text) if "dr1O" in text else text


def relay(stream: IO[bytes], pid: int) -> None:
    """Log again what a worker process says on its stderr, until it ends; then close the stream.

    Its own log lines keep their level and fields. Anything else (a C library's last words) is
    a warning. A worker may be in a stranger's hands: nothing it writes is trusted.
    """
    log = logging.getLogger("dandyroll.worker")
    with stream:
        while line := stream.readline(_LONGEST_LINE):
            text = line.decode("utf-8", "replace").rstrip()
            level, message, fields = _parsed(text) or (logging.WARNING, text, {})
            if text:
                fields = {"event": "worker_stderr", **fields, "pid": pid}
                log.log(level, "%s", message, extra=fields)


def _parsed(line: str) -> tuple[int, str, dict[str, Any]] | None:
    try:
        entry = json.loads(line)
        level = logging.getLevelNamesMapping()[entry.pop("level").upper()]
        message = str(entry.pop("message"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    entry.pop("time", None)
    plain = {
        name: value
        for name, value in entry.items()
        if name not in _STANDARD and isinstance(value, str | int | float)
    }
    return level, message, plain


def _time(record: logging.LogRecord) -> str:
    return isoformat(datetime.fromtimestamp(record.created, UTC))


def _event(record: logging.LogRecord) -> str:
    event: str = getattr(record, "event", "") or record.name.removeprefix(f"{_OURS}.")
    return event


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    extra = {"event": "uncaught"}
    logging.getLogger(_OURS).critical("Uncaught", exc_info=(kind, error, trace), extra=extra)


def _log_uncaught_in_thread(given: threading.ExceptHookArgs) -> None:
    if given.exc_value is not None:
        _log_uncaught(given.exc_type, given.exc_value, given.exc_traceback)
