"""`dandyroll restore`: a backup back into a new data folder, verified before it has its name."""

import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from dandyroll.errors import StoreUnavailable
from dandyroll.findings import Finding
from dandyroll.local.archive import OBJECTS, forget_members
from dandyroll.local.backup import FORMAT, NOTE
from dandyroll.local.config import FILE_NAME
from dandyroll.local.home import CATALOGUE, open_upkeep
from dandyroll.local.objects import sync_folder
from dandyroll.local.partial import partial_folder
from dandyroll.local.verify import verify
from dandyroll.settings import BadSetting, Settings

_DELETED = ("original-ownerless", "original-left", "rendition-ownerless")


@dataclass(frozen=True)
class Restored:
    """What was restored; `findings` are what `verify` says of it."""

    images: int
    findings: tuple[Finding, ...]


def restore(source: Path, data_dir: Path) -> Restored:
    """Make a data folder out of a backup: whole, or not at all.

    Damage that the backup carries is told, and does not keep the rest from coming back. Raises
    `BadSetting` where it is asked wrongly or `source` is no whole backup, `StoreUnavailable`
    where the folder cannot be written.
    """
    if data_dir.exists() and (not data_dir.is_dir() or any(data_dir.iterdir())):
        raise BadSetting(f"--data {data_dir}: expected a new or empty folder; it holds something.")
    if data_dir.is_mount():
        raise BadSetting(f"--data {data_dir}: expected a folder inside the mounted disk, not it.")
    try:
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        with partial_folder(data_dir) as scratch:
            whole = scratch / "whole"
            whole.mkdir(mode=0o700)
            _unpack(source, whole)
            images = _check_note(source, whole / NOTE)
            findings = _verify(whole)
            whole.rename(data_dir)
            sync_folder(data_dir.parent)
    except tarfile.TarError as error:
        raise BadSetting(f"--from {source}: expected a whole backup ({error}).") from None
    except OSError as error:
        raise StoreUnavailable(f"The data folder could not be written: {error}.") from error
    return Restored(images, findings)


def _unpack(source: Path, whole: Path) -> None:
    folders = {whole}
    for name, file in _members(source):
        path = PurePosixPath(name)
        known = path.parts[:1] == (OBJECTS,) or name in (CATALOGUE, FILE_NAME, NOTE)
        if not known or path.is_absolute() or ".." in path.parts:
            raise BadSetting(f"--from {source}: expected a backup of ours; it holds {name!r}.")
        target = whole.joinpath(*path.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        folders |= {target.parent, target.parent.parent} if target.parent != whole else set()
        with target.open("wb") as copy:  # of a name that comes twice the later one counts
            shutil.copyfileobj(file, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
    for folder in folders:
        sync_folder(folder)


def _members(source: Path) -> Iterator[tuple[str, IO[bytes]]]:
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.is_file():
                with path.open("rb") as file:
                    yield path.relative_to(source).as_posix(), file
        return
    try:
        with tarfile.open(source, "r:") as tar:
            while (member := tar.next()) is not None:
                forget_members(tar)
                content = tar.extractfile(member) if member.isreg() else None
                if content is None:
                    raise BadSetting(f"--from {source}: expected plain files in it.")
                yield member.name, content
    except FileNotFoundError:
        raise BadSetting(f"--from {source}: there is no such backup.") from None


def _check_note(source: Path, note: Path) -> int:
    try:
        facts = json.loads(note.read_text("utf-8"))
        found, images = facts["format"], int(facts["images"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        raise BadSetting(
            f"--from {source}: expected a whole backup; its {NOTE} is not there."
        ) from (None)
    if found != FORMAT:
        raise BadSetting(f"--from {source}: expected backup format {FORMAT}; got {found}.")
    note.unlink()
    return images


def _verify(whole: Path) -> tuple[Finding, ...]:
    """What is wrong with it, but for what was deleted while the backup ran: that is deleted."""
    with open_upkeep(Settings(data_dir=whole, sweep_min_age_s=0)) as upkeep:
        found = []
        for finding in verify(upkeep, repair=False):
            if finding.kind in _DELETED:
                upkeep.objects.delete(finding.what)
            else:
                found.append(finding)
        return tuple(found)
