"""Rows for tests that need no pictures."""

import itertools

from dandyroll.local.catalogue import SqliteCatalogue
from dandyroll.models import Changes, Row, Status
from dandyroll.pipeline import first_job

_numbers = itertools.count()

REASON = {"code": "corrupt_image", "message": "Expected pixels."}


def uploaded(catalogue: SqliteCatalogue, owner: str = "shop") -> str:
    """An image that has just been accepted; its id."""
    image_id = f"upload-20261123_120000-{next(_numbers):08x}.jpg"
    row = Row(
        image_id=image_id,
        bucket="local",
        content_type="image/jpeg",
        created_date="2026-11-23T12:00:00.000Z",
        height=10,
        image_format="JPEG",
        s3_url=f"http://127.0.0.1/get-image-metadata/{image_id}",
        size_bytes=100,
        uploaded_at=1795435200,
        width=10,
        owner=owner,
        sha256="0" * 64,
        policy="policy-0",
        status="uploaded",
    )
    catalogue.accept(row, first_job(row))
    return image_id


def settled(catalogue: SqliteCatalogue, owner: str = "shop", status: Status = "processed") -> str:
    """An image that has gone its way, and so has an event; its id."""
    image_id = uploaded(catalogue, owner)
    catalogue.advance(image_id, status, Changes(error=REASON if status == "failed" else None))
    return image_id
