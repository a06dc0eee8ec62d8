"""Named points in the write path at which a test can make the server or a worker fail or die.

`DANDYROLL_FAULT=object-renamed=kill` ends the process there as `kill -9` would;
`...=fail` raises `StoreUnavailable` there. At the points inside a worker there is also `hang`,
and `swell`, which takes memory without end. `worker-decoding=kill@.png` does it only to images
with `.png` in their name. Without the setting a point costs one comparison.
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
WorkerPoint = Literal[
    "worker-probing",  # a worker is about to read a header
    "worker-decoding",  # a worker is about to load a picture
]

_WAYS = {
    **dict.fromkeys(get_args(Point), ("kill", "fail")),
    **dict.fromkeys(get_args(WorkerPoint), ("kill", "fail", "hang", "spin", "swell")),
}
_SWELL_BYTES = 1 << 26

_tripped: dict[str, tuple[str, str]] = {}


def arm(setting: str) -> None:
    """Read the setting `fault`; `BadSetting` if it names no point or no way to fail."""
    _tripped.clear()
    if not setting:
        return
    point, _, rest = setting.partition("=")
    way, _, part_of_name = rest.partition("@")
    if way not in _WAYS.get(point, ()):
        raise BadSetting(
            "DANDYROLL_FAULT: expected POINT=kill or =fail, in a worker also =hang, =spin or "
            f"=swell, and POINT of {', '.join(_WAYS)}; got {setting!r}."
        )
    _tripped[point] = way, part_of_name


def for_workers(setting: str) -> str:
    """The setting as workers are to have it: empty where the point is the server's own."""
    return setting if setting.partition("=")[0] in get_args(WorkerPoint) else ""


def fault(point: Point | WorkerPoint, name: str = "") -> None:
    """Fail here if a test asked for it, for all images or for those named so."""
    way, part_of_name = _tripped.get(point, ("", ""))
    if not way or part_of_name not in name:
        return
    if way == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif way == "hang":
        signal.pause()
    elif way == "spin":
        while True:
            pass
    elif way == "swell":
        taken: list[bytes] = []
        while True:
            taken.append(bytes(_SWELL_BYTES))
    else:
        raise StoreUnavailable(f"Fault point {point}.")
