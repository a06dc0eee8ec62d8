"""What `dandyroll verify` finds wrong, in either home."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "catalogue-damaged",  # SQLite finds its file in disorder
    "row-unlisted",  # AWS: it lacks what listings find it by
    "image-gone",  # AWS: a row without original and rendition
    "row-unreadable",  # a row is not what this version writes
    "original-missing",  # the row is there, the original is not
    "original-changed",  # its size or SHA-256 is not the row's
    "rendition-missing",  # the row says processed, the rendition is not there
    "rendition-changed",  # its size or ETag is not the row's
    "job-missing",  # the row is on its way but nothing takes it further
    "job-ownerless",  # a job without a row
    "original-ownerless",  # an original without a row
    "original-misnamed",  # a file under uploaded/ that no image can be
    "original-left",  # its row says that it was deleted
    "rendition-ownerless",  # a rendition without a row
    "temporary-file",  # left half written
]


@dataclass(frozen=True)
class Finding:
    """One thing wrong. `what` is an image id, a key or a file; `says` adds what was expected.

    `repaired` is what was done about it, None where nothing was.
    """

    kind: Kind
    what: str
    says: str
    repaired: str | None = None
