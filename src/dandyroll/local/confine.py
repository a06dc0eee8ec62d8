"""What a worker may do: work on pictures, and as little else as the system lets us say.

It works on strangers' bytes with libraries written in C. If one of them can be made to run
a stranger's code, that code finds no network, no other program, no file to write but
renditions, and no right it could gain. An ordinary user can do all of this to their own
process; where the system lacks a part (macOS, an old Linux), the others hold without it.
"""

import ctypes
import logging
import resource
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from dandyroll.local.landlock import allow_writes_only_in, landlock_abi
from dandyroll.local.seccomp import has_seccomp, refuse_calls

log = logging.getLogger("dandyroll.confine")

NONE = "none"

_PR_SET_NO_NEW_PRIVS = 38
_OTHER_MAPPINGS_BYTES = 1_000_000_000  # libraries, stacks and reserves: address space, no memory
_OOM_SCORE = "500"  # of two processes the kernel could kill for memory, not the server
_WRITABLE_FILES = (Path("/dev/null"), Path("/proc/self/clear_refs"))  # the second: `ledger.Meter`


def confine(memory_bytes: int, writable: Iterable[Path]) -> dict[str, str]:
    """Confine this process for good; what holds now, named as `confinement` names it.

    To be called while the process has one thread. It may then have at most `memory_bytes`
    (what goes beyond fails as if the machine had no more) and write no larger file, and may
    write only inside the folders `writable`, which must exist.
    """
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    holds = confinement()
    if not _limit("RLIMIT_DATA" if sys.platform == "linux" else "RLIMIT_AS", memory_bytes):
        holds["memory"] = NONE
    if sys.platform == "linux":  # shared mappings are no data, but address space
        _limit("RLIMIT_AS", memory_bytes + _OTHER_MAPPINGS_BYTES)
    _limit("RLIMIT_FSIZE", memory_bytes)
    _limit("RLIMIT_CORE", 1)  # 1 rather than 0, which core handlers behind a pipe do not heed
    if holds["privileges"] == NONE:
        return holds
    _no_new_privileges()
    if holds["writes"] != NONE:
        files = [path for path in _WRITABLE_FILES if path.exists()]
        _try(holds, "writes", lambda: allow_writes_only_in(writable, files))
    if holds["network"] != NONE:
        _try(holds, "network", refuse_calls)
    return holds


def confinement() -> dict[str, str]:
    """What holds workers on this system, by what it keeps in bounds; `none` where nothing does."""
    linux = sys.platform == "linux"
    abi = landlock_abi()
    return {
        "memory": "RLIMIT_DATA" if linux else "RLIMIT_AS",
        "cpu": "RLIMIT_CPU",
        "time": "killed by the server",
        "file size": "RLIMIT_FSIZE",
        "core dumps": "RLIMIT_CORE",
        "privileges": "no_new_privs" if linux else NONE,
        "writes": f"Landlock {abi}" if abi else NONE,
        "network": "seccomp" if has_seccomp() else NONE,
    }


def limit_cpu(more_s: float) -> None:
    """Let the process be killed (SIGXCPU) when it has used so much more CPU time."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    until_s = int(time.process_time() + more_s) + 1
    if hard != resource.RLIM_INFINITY:
        until_s = min(until_s, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (until_s, hard))


def _limit(name: str, most: int) -> bool:
    which = getattr(resource, name)
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    try:
        resource.setrlimit(which, (most, most))
    except (OSError, ValueError):  # macOS knows some limits only by name
        return False
    return True


def _no_new_privileges() -> None:
    zero = ctypes.c_ulong(0)
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero)


def _try(holds: dict[str, str], name: str, restrict: Callable[[], None]) -> None:
    try:
        restrict()
    except OSError as error:
        log.warning("Expected %s to hold a worker's %s: %s", holds[name], name, error)
        holds[name] = NONE
