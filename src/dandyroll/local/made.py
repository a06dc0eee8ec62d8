"""What `dandyroll process` has made already, so that a rerun makes only what is missing."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from dandyroll.journal import append_to_journal, read_journal

JOURNAL = ".dandyroll.jsonl"
"""In the output folder, one line for each picture made: the hashes of source and target."""

_Line = tuple[str, str, str]  # source's hash, policy, target's hash


@dataclass
class Made:
    """The pictures in the folder `out` that were made under one policy.

    Told by content alone, never by dates: a source that changed, a target that was edited, cut
    off or deleted, another policy: each is made again.
    """

    out: Path
    policy: str

    def __post_init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        for entry in read_journal(self.out / JOURNAL):
            try:
                line = entry["source_sha256"], entry["policy"], entry["target_sha256"]
                self._lines[entry["target"]] = line
            except KeyError:
                continue

    def has(self, target: Path, source_sha256: str) -> bool:
        """Whether the target is there and is what that source becomes. Raises `OSError`."""
        line = self._lines.get(self._name(target))
        if line is None or line[:2] != (source_sha256, self.policy) or not target.is_file():
            return False
        return sha256_of(target) == line[2]

    def knows(self, target: Path) -> bool:
        """Whether the target was ever made here, from whatever source."""
        return self._name(target) in self._lines

    def add(self, target: Path, source_sha256: str) -> None:
        """Note that the target was made from that source. Raises `OSError`."""
        name, target_sha256 = self._name(target), sha256_of(target)
        entry = {
            "target": name,
            "source_sha256": source_sha256,
            "policy": self.policy,
            "target_sha256": target_sha256,
        }
        append_to_journal(self.out / JOURNAL, entry)
        self._lines[name] = (source_sha256, self.policy, target_sha256)

    def _name(self, target: Path) -> str:
        return target.relative_to(self.out).as_posix()


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
