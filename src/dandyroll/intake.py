"""How an image comes in: from bytes and their header to the first row."""

import hashlib
from datetime import UTC, datetime

from dandyroll.keys import image_id_of
from dandyroll.models import Header, Row, isoformat
from dandyroll.ports import Home

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
    """Give an object that was put straight under `uploaded/` its row; the row it has if it has one.

    Raises what `home.probe` raises, and `NotFound` if the object is gone.
    """
    image_id = image_id_of(key)
    data = home.objects.get(key)
    row = new_row(home, image_id, home.probe(data), data, ADOPTED_OWNER, trace)
    home.catalogue.create(row)
    return row
