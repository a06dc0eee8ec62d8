"""A file of JSON lines that only grows: what was done, so that it need not be done again.

Losing the last lines in a crash costs doing that work again, no more.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """The entries, oldest first; none if there is no file. A line that is not whole is left out."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:  # a crash cut it off
            continue
        if isinstance(entry, dict):
            yield entry


def append_to_journal(path: Path, entry: Mapping[str, Any]) -> None:
    """Add one entry in one write: several processes may, and none's line ends up in another's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The line break goes before: what a crash cut off is then a line of its own.
    line = b"\n" + json.dumps(entry, separators=(",", ":")).encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
