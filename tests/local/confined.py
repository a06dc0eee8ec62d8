"""What a confined process tries to do, and what came of it; run by `test_confine.py`.

    python tests/local/confined.py ALLOWED_FOLDER OUTSIDE_FOLDER MEMORY_BYTES USER_NUMBER

With a number other than 0 it becomes that user first, whom all it has loaded by then serves.
Prints JSON: of each try `done`, or the name of what it was refused with.
"""

import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import dandyroll.local.worker  # noqa: F401 - all that a worker has loaded when it confines itself
from dandyroll.local.confine import confine, limit_cpu


def main(allowed: Path, outside: Path, memory_bytes: int, user: int) -> None:
    if user != 0:
        _become(user)
    threads = len(list(Path("/proc/self/task").iterdir()))
    holds = confine(memory_bytes, [allowed])
    parent = os.getppid()
    there = outside / "there"
    tries: dict[str, Callable[[], object]] = {
        "write inside": lambda: (allowed / "new").write_bytes(b"new"),
        "replace inside": lambda: (allowed / "new").replace(allowed / "newer"),
        "remove inside": lambda: (allowed / "newer").unlink(),
        "read outside": there.read_bytes,
        "write outside": lambda: (outside / "new").write_bytes(b"new"),
        "overwrite outside": lambda: there.write_bytes(b"new"),
        "truncate outside": lambda: os.truncate(there, 0),
        "remove outside": there.unlink,
        "make a folder outside": lambda: (outside / "folder").mkdir(),
        "move in from outside": lambda: there.replace(allowed / "there"),
        "link inside to outside": lambda: os.link(there, allowed / "linked"),
        "write to /tmp": lambda: Path(f"/tmp/confined-{os.getpid()}").write_bytes(b"new"),
        "IPv4": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        "IPv4 datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "IPv6": lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM),
        "Unix socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "io_uring": lambda: _call(425, 1, ctypes.create_string_buffer(120)),
        "start a program": lambda: subprocess.run(["/bin/true"], check=True),
        "become a program": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606 - must fail
        "fork": _fork,
        "signal the server": lambda: os.kill(parent, 0),
        "signal the group": lambda: os.kill(0, 0),
        "signal itself": lambda: os.kill(os.getpid(), 0),
        "limits of the server": lambda: resource.prlimit(parent, resource.RLIMIT_NOFILE),
        "raise its memory": lambda: resource.setrlimit(resource.RLIMIT_DATA, (-1, -1)),
        "file in memory": lambda: os.memfd_create("new"),
        "new namespace": lambda: _call(272 if os.uname().machine == "x86_64" else 97, 0x10000000),
        "start a thread": _thread,
        "too much memory": lambda: bytes(memory_bytes),
        "memory in bounds": lambda: bytes(memory_bytes // 4),
        "too large a file": lambda: os.truncate(allowed / "large", memory_bytes + 1),
        "reset its peak": lambda: Path("/proc/self/clear_refs").write_text("5"),
        "limit its CPU": lambda: limit_cpu(60),
    }
    (allowed / "large").write_bytes(b"")
    print(
        json.dumps(
            {
                "threads": threads,
                "holds": holds,
                "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
                "no_new_privs": "NoNewPrivs:\t1" in Path("/proc/self/status").read_text(),
                "tries": {name: _outcome(attempt) for name, attempt in tries.items()},
            }
        )
    )


def _become(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # /proc/self is the user's own, as had they started it


def _outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except (OSError, MemoryError, ValueError) as error:
        return type(error).__name__
    return "done"


def _call(number: int, *arguments: object) -> None:
    if ctypes.CDLL(None, use_errno=True).syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _thread() -> None:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()


if __name__ == "__main__":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
