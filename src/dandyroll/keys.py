"""Image ids and object keys: mint, parse, nothing else.

An id is safe in a URL, a file name and an object key as it stands, so no home ever escapes one.
"""

import hashlib
import re
import secrets
from datetime import UTC, datetime

from dandyroll.errors import NotFound

ORIGINALS = "uploaded/"
RENDITIONS = "FINAL-IMAGES/"
HANDOVERS = "hand-over/"  # what one stage leaves for the next; expires in a day

_IMAGE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_STAMP = "%Y%m%d_%H%M%S"
_MINTED = re.compile(r"upload-[0-9]{8}_[0-9]{6}-[0-9a-f]{8}\.[a-z0-9]+")


def mint_image_id(now: datetime, extension: str) -> str:
    """A new id such as `upload-20250929_222931-cc1d9991.png`.

    Eight hex digits do collide in practice: whoever stores one creates it only if absent,
    and takes the next on `Conflict`.
    """
    return f"{first_of(now)}-{secrets.token_hex(4)}.{extension}"


def first_of(moment: datetime) -> str:
    """What comes, in the order of characters, before every id minted from that second on."""
    return "upload-" + moment.astimezone(UTC).strftime(_STAMP)


def is_minted(image_id: str) -> bool:
    """Whether the id is of the form that `mint_image_id` gives."""
    return _MINTED.fullmatch(image_id) is not None


def next_image_id(image_id: str) -> str:
    """The id to take where that one is taken, with other digits.

    Always the same one, so that an upload tried again meets what its first try has stored.
    """
    stem, _, extension = image_id.rpartition(".")
    digits = hashlib.sha256(image_id.encode()).hexdigest()[:8]
    return f"{stem[:-8]}{digits}.{extension}"


def parse_image_id(file_name: str) -> str:
    """The name as an image id; `NotFound` for any name that no image can have."""
    if not _IMAGE_ID.fullmatch(file_name) or ".." in file_name:
        raise NotFound("No image has that name.")
    return file_name


def original_key(image_id: str) -> str:
    return ORIGINALS + image_id


def rendition_key(image_id: str) -> str:
    return RENDITIONS + image_id


def handover_key(image_id: str, stage: str) -> str:
    return f"{HANDOVERS}{stage}/{image_id}.tif"


def image_id_of(original: str) -> str:
    """The image id of a key under `uploaded/`; `NotFound` if it is not one."""
    if not original.startswith(ORIGINALS):
        raise NotFound(f"Expected a key under {ORIGINALS}.")
    return parse_image_id(original.removeprefix(ORIGINALS))
