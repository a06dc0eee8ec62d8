"""The language in which an exchange with the server is written.

An exchange is a generator: it yields steps, is sent what came of each, and returns its result.
It does no I/O itself, so there is one of each, and two small drivers, `Client` and
`AsyncClient`, that take the steps.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dandyroll.client.source import Source

T = TypeVar("T")


@dataclass(frozen=True)
class Send:
    """Send this request; what comes of it is an `Answer` or a `NoAnswer`.

    A `Source` is streamed from its start. With `into`, the body of a 200 is written to that
    file, replacing what is there, and the answer's own body is empty.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | Source = b""
    into: Path | None = None


@dataclass(frozen=True)
class Pause:
    """Wait so long; nothing comes of it."""

    seconds: float


@dataclass(frozen=True)
class Call:
    """Call this, which touches the disk; its result comes of it, what it raises is raised."""

    function: Callable[[], Any]


@dataclass(frozen=True)
class Answer:
    """Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class NoAnswer:
    """The connection failed before the answer was whole."""

    reason: str


Step = Send | Pause | Call

Exchange = Generator[Step, Any, T]
