"""What this computer has uploaded where, so that a rerun uploads nothing twice.

The server's idempotency keys hold for a day, and only spare a second image; this record holds
for good, and spares sending the bytes. It is believed only as far as the server agrees.
"""

import os
from pathlib import Path

from dandyroll.api_keys import parse_api_key
from dandyroll.journal import append_to_journal, read_journal


def default_record() -> Path:
    """Where the record is kept if nobody says: in the user's state folder (XDG)."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "dandyroll" / "uploads.jsonl"


class Uploaded:
    """The images that the key's owner has on one server, by the content of their originals."""

    def __init__(self, path: Path, url: str, key: str) -> None:
        facts = parse_api_key(key.strip())
        self._path, self._url = path, url.rstrip("/")
        self._owner = facts.owner if facts else ""
        self._image_ids: dict[str, str] = {}
        for entry in read_journal(path):
            if (entry.get("url"), entry.get("owner")) == (self._url, self._owner):
                self._image_ids[str(entry.get("sha256"))] = str(entry.get("image_id"))

    def find(self, sha256: str) -> str | None:
        return self._image_ids.get(sha256)

    def add(self, sha256: str, image_id: str) -> None:
        """Raises `OSError`."""
        self._image_ids[sha256] = image_id
        entry = {"url": self._url, "owner": self._owner, "sha256": sha256, "image_id": image_id}
        append_to_journal(self._path, entry)
