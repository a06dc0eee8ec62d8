"""What lies under a folder: the kind of its file system, and whether it does what we rely on."""

import fcntl
import os
import tempfile
from pathlib import Path

NETWORK = frozenset({
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "webdav",
    "afpfs", "virtiofs",
})  # fmt: skip
VOLATILE = frozenset({"tmpfs", "ramfs", "overlay"})

_ESCAPES = ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\"))


def file_system(folder: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> str:
    """The kind as the kernel names it (`ext4`, `nfs4`); "" where it does not say (not Linux)."""
    try:
        lines = mountinfo.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    best, kind = -1, ""
    for line in lines:
        before, _, after = line.partition(" - ")
        mount = before.split()[4]
        for escaped, plain in _ESCAPES:
            mount = mount.replace(escaped, plain)
        inside = folder == Path(mount) or Path(mount) in folder.parents
        if inside and len(mount) >= best:  # of two mounted at one place the later one counts
            best, kind = len(mount), after.split()[0]
    return kind


def try_writes(folder: Path) -> str:
    """Write, fsync, link and lock in a folder of our own there; what failed, "" if nothing did."""
    step = "writing fails"
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder) as scratch:
            path = Path(scratch) / "a"
            with path.open("wb") as file:
                file.write(b"dandyroll")
                file.flush()
                step = "fsync fails"
                os.fsync(file.fileno())
                step = "locks fail"
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                step = "hard links fail"
                os.link(path, Path(scratch) / "b")
                step = "folders cannot be synced"
                descriptor = os.open(scratch, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
    except OSError as error:
        return f"{step} ({error.strerror})"
    return ""
