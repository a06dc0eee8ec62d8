"""What tells an object's bytes from others, so that two stores can be compared without fetching."""

import hashlib
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Fingerprint:
    """Size and hashes, in hex. A hash is None where the store would have to fetch the bytes for it.

    An `md5` may be a hash of something else (S3's ETag under a KMS key): where two are equal, so
    are the bytes; where they differ, only the bytes can tell.
    """

    size_bytes: int
    md5: str | None
    sha256: str | None

    @classmethod
    def of(cls, data: bytes) -> Self:
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return cls(len(data), md5, hashlib.sha256(data).hexdigest())

    def matches(self, other: "Fingerprint") -> bool | None:
        """Whether the two are of the same bytes; None where they do not tell."""
        if self.size_bytes != other.size_bytes:
            return False
        if self.sha256 is not None and other.sha256 is not None:
            return self.sha256 == other.sha256
        return True if self.md5 is not None and self.md5 == other.md5 else None
