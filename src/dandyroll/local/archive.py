"""What a backup is written into: a folder, or a tar file. On disk once it is finished."""

import hashlib
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from dandyroll.local.objects import sync_folder

OBJECTS = "objects"

_CHUNK = 1 << 20


class Archive(Protocol):
    """Counts the objects it holds and their bytes."""

    objects: int
    size_bytes: int

    def add_object(self, key: str, source: Path, size_bytes: int, sha256: str) -> bool:
        """Copy the object; False, and nothing kept, where it is not there or not as said."""

    def add_file(self, name: str, source: Path) -> None:
        """Copy a file to the archive's top."""

    def finish(self) -> None:
        """Bring it to disk."""


class FolderArchive:
    """A folder that only its owner may read; unchanged objects are linked from an earlier one."""

    def __init__(self, root: Path, previous: Path | None = None) -> None:
        self.objects = self.size_bytes = 0
        self._root, self._previous = root, previous
        root.mkdir(mode=0o700)
        self._folders = {root}

    def add_object(self, key: str, source: Path, size_bytes: int, sha256: str) -> bool:
        target = self._root / OBJECTS / key
        self._make_folder(target.parent)
        earlier = self._previous / OBJECTS / key if self._previous else None
        unchanged = earlier is not None and _digest(earlier) == (size_bytes, sha256)
        linked = earlier is not None and unchanged and _link(earlier, target)
        if not linked and not _copy(source, target, (size_bytes, sha256)):
            return False
        self.objects += 1
        self.size_bytes += size_bytes
        return True

    def add_file(self, name: str, source: Path) -> None:
        _copy(source, self._root / name, None)

    def finish(self) -> None:
        for folder in self._folders:
            sync_folder(folder)

    def _make_folder(self, folder: Path) -> None:
        if folder not in self._folders:
            self._make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
            self._folders.add(folder)


class TarArchive:
    """One tar file, not compressed: pictures are already."""

    def __init__(self, file: IO[bytes]) -> None:
        self.objects = self.size_bytes = 0
        self._file = file
        self._tar = tarfile.TarFile(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)

    def add_object(self, key: str, source: Path, size_bytes: int, sha256: str) -> bool:
        with _opened(source) as file:
            if file is None or os.fstat(file.fileno()).st_size != size_bytes:
                return False
            if _digest_of(file) != (size_bytes, sha256):
                return False
            file.seek(0)
            self._add(f"{OBJECTS}/{key}", file)
        self.objects += 1
        self.size_bytes += size_bytes
        return True

    def add_file(self, name: str, source: Path) -> None:
        with source.open("rb") as file:
            self._add(name, file)

    def finish(self) -> None:
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())

    def _add(self, name: str, file: IO[bytes]) -> None:
        info = self._tar.gettarinfo(arcname=name, fileobj=file)
        info.mode, info.uid, info.gid, info.uname, info.gname = 0o600, 0, 0, "", ""
        self._tar.addfile(info, file)
        forget_members(self._tar)


def forget_members(tar: tarfile.TarFile) -> None:
    """Keep the tar file from remembering each of a million files that it has passed."""
    vars(tar)["members"] = []


def _copy(source: Path, target: Path, expected: tuple[int, str] | None) -> bool:
    """Copy and fsync; False, and no target, where the bytes are not what is expected."""
    with _opened(source) as file:
        if file is None:
            return False
        digest, size_bytes = hashlib.sha256(), 0
        target.unlink(missing_ok=True)  # what an attempt before this one copied
        with target.open("xb") as copy:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size_bytes += len(chunk)
                copy.write(chunk)
            copy.flush()
            os.fsync(copy.fileno())
    if expected is None or (size_bytes, digest.hexdigest()) == expected:
        return True
    target.unlink()
    return False


def _link(earlier: Path, target: Path) -> bool:
    """False where it cannot be: on another disk, or without hard links."""
    try:
        os.link(earlier, target)
    except OSError:
        return False
    return True


def _digest(path: Path) -> tuple[int, str] | None:
    with _opened(path) as file:
        return None if file is None else _digest_of(file)


def _digest_of(file: IO[bytes]) -> tuple[int, str]:
    digest, size_bytes = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        size_bytes += len(chunk)
    return size_bytes, digest.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes] | None]:
    try:
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    with file:
        yield file
