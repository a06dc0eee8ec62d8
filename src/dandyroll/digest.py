"""The words of a mail: one message for many events, so that a bad night is not a thousand of them.

Each home sends it in its own way.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dandyroll.events import Event

_LINES = 100  # images named in one message; the rest is counted


@dataclass(frozen=True)
class Digest:
    """A message of plain text: `text` ends with a line end, `subject` has none."""

    subject: str
    text: str


def digest(events: Sequence[Event], rest: str) -> Digest:
    """One message about at least one event; `rest` says where those are that it only counts."""
    kinds = Counter(event.type.removeprefix("image.") for event in events)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    noun = "image" if len(events) == 1 else "images"
    lines = [_line(event) for event in events[:_LINES]]
    if len(events) > _LINES:
        lines += ["", f"and {len(events) - _LINES} more: {rest}"]
    return Digest(f"Dandyroll: {noun} {counts}", "\n".join([*lines, ""]))


def _line(event: Event) -> str:
    row = event.data
    what = f"{event.created_at}  {event.type}  {row['owner']}  {row['image-id']}"
    error = row.get("error")
    return f"{what}  {error['code']}: {error['message']}" if error else what
