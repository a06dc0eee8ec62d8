"""The object store as files: an object is a file under the root, named by its key.

A write goes to a temporary file, is fsynced, and takes its name in one step; then the folder
is fsynced, so that the name survives a power cut too. Temporary files left by a crash are the
only rubbish there can be, and `sweep` removes them.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from dandyroll.errors import Conflict, NotFound, StoreUnavailable
from dandyroll.local.faults import fault

_TEMPORARY = ".tmp"


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
            _sync_folder(path.parent)
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
            raise StoreUnavailable("The object could not be read.", retry_after_s=5) from error

    def delete(self, key: str) -> None:
        path = self._path(key)
        try:
            path.unlink()
            _sync_folder(path.parent)
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

    def sweep(self) -> int:
        """Remove what a crash left half written; to be called while nothing is being written."""
        left = list(self._temporary.iterdir())
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key).parts
        if not parts or key.startswith("/") or {"..", _TEMPORARY} & set(parts) or "\0" in key:
            raise NotFound("No object has such a key.")
        return self._root.joinpath(*parts)


def _unwritten() -> StoreUnavailable:
    return StoreUnavailable("The object could not be stored.", retry_after_s=5)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
