"""Named points in the write path at which a test can make the server fail or die.

`DANDYROLL_FAULT=object-renamed=kill` ends the process there as `kill -9` would;
`...=fail` raises `StoreUnavailable` there. Without the setting a point costs one comparison.
"""

import os
import signal
from typing import Literal, get_args

from dandyroll.errors import StoreUnavailable
from dandyroll.settings import BadSetting

Point = Literal[
    "object-written",  # the temporary file is on disk, not yet renamed
    "object-renamed",  # the object is there, its row is not
    "commit-begun",  # a transaction is complete but for its commit
    "commit-done",  # committed; nobody has been told
    "job-taken",  # a worker is about to be given a job
    "job-finished",  # the rendition is stored, the row does not say so
]

_tripped: dict[str, str] = {}


def arm(setting: str) -> None:
    """Read the setting `fault`; `BadSetting` if it names no point or no way to fail."""
    _tripped.clear()
    if not setting:
        return
    point, _, way = setting.partition("=")
    if point not in get_args(Point) or way not in ("kill", "fail"):
        expected = ", ".join(get_args(Point))
        raise BadSetting(f"DANDYROLL_FAULT: expected POINT=kill or =fail, POINT of {expected}.")
    _tripped[point] = way


def fault(point: Point) -> None:
    """Fail here if a test asked for it."""
    way = _tripped.get(point)
    if way == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif way == "fail":
        raise StoreUnavailable(f"Fault point {point}.")
