"""How an image comes in: from bytes and their header to a row that says what they are."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from dandyroll.errors import Conflict, StoreUnavailable
from dandyroll.formats import EXTENSIONS, FORMATS
from dandyroll.keys import image_id_of, mint_image_id, next_image_id
from dandyroll.models import Changes, Header, Row, isoformat
from dandyroll.ports import Home

_IDS = 5  # that may be taken before we think the catalogue is at fault

ADOPTED_OWNER = "adopted"
"""Owns what was put straight into the object store: only `admin` keys see it."""


def new_row(home: Home, image_id: str, header: Header, data: bytes, owner: str, trace: str) -> Row:
    """The row an image starts with: `awaiting`, under the policy that is current now."""
    now = datetime.now(UTC)
    return Row(
        image_id=image_id,
        bucket=home.bucket,
        content_type=header.content_type,
        created_date=isoformat(now),
        height=header.height,
        image_format=header.image_format,
        s3_url=home.s3_url(image_id),
        size_bytes=len(data),
        uploaded_at=int(now.timestamp()),
        width=header.width,
        owner=owner,
        sha256=hashlib.sha256(data).hexdigest(),
        policy=home.policy.id,
        status="awaiting",
        frames=header.frames,
        pages=header.pages,
        page=1 if header.pages else None,
        ledger={"trace_id": trace},
    )


def adopt(home: Home, key: str, trace: str) -> Row:
    """Give an object that was put straight under `uploaded/` its row.

    Raises what `home.probe` raises, `Conflict` if there is a row, `NotFound` if the object is
    gone.
    """
    image_id = image_id_of(key)
    data = home.objects.get(key)
    row = new_row(home, image_id, home.probe(data), data, ADOPTED_OWNER, trace)
    home.catalogue.create(row)
    return row


def learned(header: Header, sha256: str, size_bytes: int) -> Changes:
    """What a ticket's row learns when its bytes have come."""
    return Changes(
        content_type=header.content_type,
        image_format=header.image_format,
        size_bytes=size_bytes,
        width=header.width,
        height=header.height,
        sha256=sha256,
        frames=header.frames,
        pages=header.pages,
        page=1 if header.pages else None,
    )


def awaited_row(home: Home, content_type: str, size_bytes: int, owner: str, trace: str) -> Row:
    """The row of a ticket: what it says is what was declared, until the bytes are there."""
    now = datetime.now(UTC)
    image_format = FORMATS[content_type]
    image_id = mint_image_id(now, EXTENSIONS[image_format])
    return Row(
        image_id=image_id,
        bucket=home.bucket,
        content_type=content_type,
        created_date=isoformat(now),
        image_format=image_format,
        s3_url=home.s3_url(image_id),
        size_bytes=size_bytes,
        uploaded_at=int(now.timestamp()),
        owner=owner,
        policy=home.policy.id,
        status="awaiting",
        ledger={"trace_id": trace},
    )


def under_free_id(home: Home, row: Row, store: Callable[[Row], Row]) -> Row:
    """What `store` returns for the row under an id that was free, its own or one after it.

    `store` raises `Conflict` where the id is taken. Raises `StoreUnavailable` when too many are.
    """
    for _ in range(_IDS):
        try:
            return store(row)
        except Conflict:
            image_id = next_image_id(row.image_id)
            row = replace(row, image_id=image_id, s3_url=home.s3_url(image_id))
    raise StoreUnavailable(f"{_IDS} new image ids in a row were taken.", retry_after_s=1)
