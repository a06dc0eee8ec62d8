"""The object store as files: an object is a file under the root, named by its key.

A write goes to a temporary file, is fsynced, and takes its name in one step; then the folder
is fsynced, so that the name survives a power cut too. Temporary files left by a crash are the
only rubbish there can be, and `sweep` removes them.
"""

import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from dandyroll.errors import Conflict, NotFound, StoreUnavailable
from dandyroll.fingerprint import Fingerprint
from dandyroll.local.faults import fault

_TEMPORARY = ".tmp"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Entry:
    """A file in the store. `changed_at` is when it was last written, linked or renamed: epoch
    seconds, which unlike the time of modification no copying can set back."""

    key: str
    path: Path
    size_bytes: int
    changed_at: float


class FileObjectStore:
    """Keeps the promises of `ports.ObjectStore` in a folder on a local disk."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._temporary = root / _TEMPORARY
        self._temporary.mkdir(parents=True, exist_ok=True)

    def put(self, key: str, data: bytes, content_type: str, *, if_absent: bool = False) -> None:
        with self.incoming() as file:
            try:
                file.write(data)
            except OSError as error:
                raise _unwritten() from error
            self.keep(file, key, if_absent=if_absent)

    @contextmanager
    def incoming(self) -> Iterator[BinaryIO]:
        """A temporary file for an object that comes in parts; gone afterwards unless kept."""
        path = self._temporary / f"{os.getpid()}-{secrets.token_hex(8)}"
        try:
            file = path.open("xb")
        except OSError as error:
            raise _unwritten() from error
        try:
            with file:
                yield file
        finally:
            path.unlink(missing_ok=True)

    def keep(self, file: BinaryIO, key: str, *, if_absent: bool = False) -> None:
        """Make an incoming file the object of that key, as `put` promises it."""
        path = self._path(key)
        try:
            file.flush()
            os.fsync(file.fileno())
            fault("object-written")
            path.parent.mkdir(parents=True, exist_ok=True)
            if if_absent:
                os.link(file.name, path)  # unlike rename, fails where the name is taken
            else:
                Path(file.name).replace(path)
            sync_folder(path.parent)
        except FileExistsError:
            raise Conflict(f"There is an object {key} already.") from None
        except OSError as error:
            raise _unwritten() from error
        fault("object-renamed")

    def get(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise NotFound(f"There is no object {key}.") from None
        except OSError as error:
            raise _unread() from error

    def fingerprint(self, key: str) -> Fingerprint:
        md5, sha256, size_bytes = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
        try:
            with self._path(key).open("rb") as file:
                while chunk := file.read(_CHUNK):
                    md5.update(chunk)
                    sha256.update(chunk)
                    size_bytes += len(chunk)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise NotFound(f"There is no object {key}.") from None
        except OSError as error:
            raise _unread() from error
        return Fingerprint(size_bytes, md5.hexdigest(), sha256.hexdigest())

    def delete(self, key: str) -> None:
        path = self._path(key)
        try:
            path.unlink()
            sync_folder(path.parent)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise StoreUnavailable("The object could not be deleted.", retry_after_s=5) from error

    def list(self, prefix: str) -> Iterator[str]:
        folder = self._root.joinpath(*PurePosixPath(prefix.rpartition("/")[0]).parts)
        paths = (path for path in folder.rglob("*") if path.is_file())
        keys = (path.relative_to(self._root).as_posix() for path in paths)
        yield from sorted(
            key for key in keys if key.startswith(prefix) and not key.startswith(_TEMPORARY)
        )

    def folders(self, prefix: str) -> tuple[Path, ...]:
        """The folders that whoever stores objects under `prefix` must be able to write in."""
        folder = self._path(prefix)
        folder.mkdir(parents=True, exist_ok=True)
        return folder, self._temporary

    def entries(self, prefix: str) -> Iterator[Entry]:
        """What there is in a folder of the store (`uploaded/`), in no order, as it is walked."""
        yield from _walk(self._root / prefix, prefix)

    def temporary_files(self) -> Iterator[Entry]:
        """What is being written, or was left half written by a crash."""
        yield from _walk(self._temporary, f"{_TEMPORARY}/")

    def sweep(self, min_age_s: float = 0.0) -> int:
        """Remove what a crash left half written and nothing has written to for so long.

        With 0 to be called only while nothing is being written. How many there were.
        """
        now, removed = time.time(), 0
        for entry in self.temporary_files():
            if now - entry.changed_at >= min_age_s:
                entry.path.unlink(missing_ok=True)
                removed += 1
        return removed

    def path(self, key: str) -> Path:
        """The file that holds the object, if there is one."""
        return self._path(key)

    def sync(self, key: str) -> None:
        """Make an object durable that something else than `put` has written."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                os.fsync(file.fileno())
            sync_folder(path.parent)
        except OSError as error:
            raise StoreUnavailable("The object could not be synced.", retry_after_s=5) from error

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key).parts
        if not parts or key.startswith("/") or {"..", _TEMPORARY} & set(parts) or "\0" in key:
            raise NotFound("No object has such a key.")
        return self._root.joinpath(*parts)


def _unwritten() -> StoreUnavailable:
    return StoreUnavailable("The object could not be stored.", retry_after_s=5)


def _unread() -> StoreUnavailable:
    return StoreUnavailable("The object could not be read.", retry_after_s=5)


def _walk(folder: Path, prefix: str) -> Iterator[Entry]:
    try:
        found = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in found:
        key = prefix + entry.name
        with suppress(FileNotFoundError):  # deleted meanwhile
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(folder / entry.name, f"{key}/")
            elif entry.is_file(follow_symlinks=False):  # no link or pipe is an object
                stat = entry.stat(follow_symlinks=False)
                yield Entry(key, folder / entry.name, stat.st_size, stat.st_ctime)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
