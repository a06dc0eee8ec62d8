"""One picture through the pipeline from file to file, without a server or a catalogue."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dandyroll.errors import StoreUnavailable
from dandyroll.fingerprint import Fingerprint
from dandyroll.formats import named_as_it_is
from dandyroll.imaging.header import read_header
from dandyroll.keys import original_key
from dandyroll.models import Job, Limits
from dandyroll.pipeline import run
from dandyroll.policy import DEFAULT


@dataclass(frozen=True)
class OneFile:
    """An object store whose one original is `source`, and whose one rendition is `target`.

    The rendition's name gets a further suffix where it is of another type: `a.heic.jpg`.
    """

    source: Path
    target: Path

    def get(self, key: str) -> bytes:
        try:
            return self.source.read_bytes()
        except OSError as error:
            raise StoreUnavailable(f"Cannot be read: {error.strerror}.") from error

    def put(self, key: str, data: bytes, content_type: str, *, if_absent: bool = False) -> None:
        temporary = self.target.with_name(f".{self.target.name}.{os.getpid()}")
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            temporary.replace(named_as_it_is(self.target, content_type))
        except OSError as error:
            raise StoreUnavailable(f"Cannot be written: {error.strerror}.") from error
        finally:
            temporary.unlink(missing_ok=True)

    def fingerprint(self, key: str) -> Fingerprint:
        return Fingerprint.of(self.get(key))

    def delete(self, key: str) -> None:
        self.target.unlink(missing_ok=True)

    def list(self, prefix: str) -> Iterator[str]:
        yield from ()


def process_file(source: Path, target: Path, limits: Limits) -> Path:
    """Run the pipeline under the default policy; the target is written whole or not at all.

    Returns the target as it was named. Raises what the header and the stages raise, and
    `StoreUnavailable` for the files.
    """
    files = OneFile(source, target)
    key = original_key(source.name)
    header = read_header(files.get(key), limits)
    done = run(Job(source.name, DEFAULT.id, key, header.image_format), files, limits)
    if done.changes.processed is None:
        raise AssertionError("A run of all stages makes the rendition.")
    return named_as_it_is(target, done.changes.processed.content_type)
