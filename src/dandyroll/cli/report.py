"""What a command that does many things says: a bar, a line for each, a sum at the end."""

import json
import sys
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Report:
    """Outcomes as they come. The bar, failures and the sum go to stderr.

    Results go to stdout: as lines for people, or with `as_json` each outcome, failures too, as
    one JSON object a line. `total` is None where nobody knows how many there will be.
    """

    def __init__(self, doing: str, total: int | None, *, as_json: bool) -> None:
        self._as_json = as_json
        self._console = Console(stderr=True)
        columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=self._console)
        self._task = self._progress.add_task("", total=total)
        self._total = total
        self._states: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def add(self, state: str, line: str, facts: Mapping[str, Any]) -> None:
        """One outcome. `line` is for people; empty: nothing but the bar moves."""
        self._states[state] += 1
        self._progress.advance(self._task)
        if self._as_json:
            present = {name: value for name, value in facts.items() if value not in (None, "")}
            print(json.dumps({"state": state, **present}), flush=True)
        elif line and state != "failed":
            print(line, flush=True)
        if line and state == "failed":
            self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def end(self, *states: str) -> int:
        """Print the sum, of these states and of failures; the exit code."""
        counts = [f"{self._states[state]} {state}" for state in states if self._states[state]]
        counts = counts or [f"0 {states[0]}"]
        counts.append(f"{self._states['failed']} failed")
        self._console.print(", ".join(counts), highlight=False)
        return 1 if self._states["failed"] or self._total == 0 else 0


def print_json(value: Any) -> None:
    """One JSON object on one line."""
    print(json.dumps(value), flush=True)


def print_error(text: str) -> None:
    print(f"dandyroll: {text}", file=sys.stderr, flush=True)
