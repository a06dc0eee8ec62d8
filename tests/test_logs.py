"""Log lines: whole JSON objects that carry what is bound around them, and never a key."""

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dandyroll.api_keys import mint_api_key
from dandyroll.logs import JsonFormatter, TextFormatter, bound, note, noted, relay, start_logging

KEY = mint_api_key("shop", frozenset({"read"}), 1_900_000_000)


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger of our own that writes JSON into the text beside it."""
    logger, text = logging.getLogger("dandyroll.worker"), io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(JsonFormatter())
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield logger, text
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


Log = tuple[logging.Logger, io.StringIO]


def lines(text: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.getvalue().splitlines()]


def test_a_line_has_its_parts(log: Log) -> None:
    log[0].info("Done in %d", 3, extra={"event": "ready", "ms": 3, "code": ""})
    (line,) = lines(log[1])
    assert list(line) == ["time", "level", "event", "message", "ms"]
    assert (line["level"], line["event"], line["message"]) == ("info", "ready", "Done in 3")
    assert line["time"].endswith("Z")


def test_without_an_event_the_loggers_name_is_it(log: Log) -> None:
    log[0].info("x")
    assert lines(log[1])[0]["event"] == "worker"


def test_what_is_bound_and_noted_is_on_every_line_within(log: Log) -> None:
    with bound(trace_id="t"):
        thread = threading.Thread(target=note, kwargs={"owner": "lost"})
        thread.start()
        thread.join()
        note(owner="shop")
        log[0].info("inside", extra={"owner": "told"})
        with bound(image_id="i"):
            log[0].info("deeper")
        assert noted("owner") == "shop"
    note(owner="nobody")
    log[0].info("outside")
    inside, deeper, outside = lines(log[1])
    assert (inside["trace_id"], inside["owner"]) == ("t", "told")
    assert (deeper["owner"], deeper["image_id"]) == ("shop", "i")
    assert not {"trace_id", "owner", "image_id"} & set(outside)


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_a_key_is_blotted_out_wherever_it_stands(formatter: logging.Formatter) -> None:
    try:
        raise ValueError(f"bad header {KEY}")
    except ValueError:
        record = logging.LogRecord("x", 40, "", 0, "saw %s", (KEY[:40],), sys.exc_info())
    record.__dict__["header"] = {"x-api-key": KEY}
    text = formatter.format(record)
    assert "dr1O***" in text
    assert KEY[5:20] not in text
    assert KEY[-32:] not in text


def test_text_is_one_line_for_people(log: Log) -> None:
    record = logging.makeLogRecord(
        {"msg": "a\nb", "levelname": "INFO", "created": 0.5, "ms": 3, "route": "/x"}
    )
    assert TextFormatter().format(record) == "00:00:00.500Z info    a\\nb ms=3"


def test_a_worker_is_heard_but_not_trusted(log: Log) -> None:
    said = [
        json.dumps({"level": "error", "message": "%s", "event": "e", "time": "x", "trace_id": "t"}),
        json.dumps({"level": "info", "message": "x", "pid": 1, "args": "y", "deep": [1]}),
        "free(): invalid pointer",
        '["no", "object"]',
        json.dumps({"level": "no level", "message": "x"}),
        "",
        "x" * 20_000,
    ]
    relay(io.BytesIO("\n".join(said).encode() + b"\n\xff"), 77)
    found = lines(log[1])
    assert all(line["pid"] == 77 for line in found)
    assert (found[0]["level"], found[0]["message"], found[0]["trace_id"]) == ("error", "%s", "t")
    assert not {"args", "deep"} & set(found[1])
    assert (found[2]["level"], found[2]["event"]) == ("warning", "worker_stderr")
    assert found[2]["message"] == "free(): invalid pointer"
    assert [line["level"] for line in found[3:5]] == ["warning", "warning"]
    assert max(len(line["message"]) for line in found) <= 8_192


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("log_format", "stream", "is_json"),
    [
        ("auto", io.StringIO(), True),
        ("auto", Terminal(), False),
        ("json", Terminal(), True),
        ("text", io.StringIO(), False),
    ],
)
def test_a_terminal_gets_text(
    log_format: str, stream: io.StringIO, is_json: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, ours = logging.getLogger(), logging.getLogger("dandyroll")
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(logging, "logThreads", True)
    level = root.level
    try:
        start_logging("info", log_format, stream)
        ours.info("hello")
        ours.debug("too quiet")
        logging.getLogger("elsewhere").info("too quiet")
    finally:
        root.setLevel(level)
        ours.setLevel(logging.NOTSET)
        logging.captureWarnings(False)
        logging.logProcesses = logging.logMultiprocessing = True
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("{") is is_json
    assert "hello" in line
