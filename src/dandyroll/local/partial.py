"""A place to write what gets its name only once it is whole."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PARTIAL = ".dandyroll-partial"


@contextmanager
def partial_folder(to: Path) -> Iterator[Path]:
    """A folder beside `to` to write in, gone afterwards; one that a crash left is removed."""
    for left in to.parent.glob(f".*{_PARTIAL}"):
        with _locked(left) as lock:
            if lock is not None:
                shutil.rmtree(left, ignore_errors=True)
    scratch = to.parent / f".{to.name}.{secrets.token_hex(4)}{_PARTIAL}"
    scratch.mkdir(mode=0o700)
    with _locked(scratch):
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[int | None]:
    """Its descriptor while the folder is locked; None where another process has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    except BlockingIOError:
        yield None
    finally:
        os.close(descriptor)
