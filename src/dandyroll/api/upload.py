"""`POST /upload`: one image in the body; 201 once it is stored and sure to be processed."""

import hashlib
import time
from dataclasses import replace
from datetime import UTC, datetime

from dandyroll.api.access import authorise
from dandyroll.api.http import Request, Response, json_response
from dandyroll.api.idempotency import HEADER as IDEMPOTENCY_KEY
from dandyroll.api.idempotency import accepted_row, claim_upload, end_claim
from dandyroll.errors import BodyTooLarge, Conflict, EmptyBody, Multipart
from dandyroll.intake import new_row, under_free_id
from dandyroll.keys import mint_image_id
from dandyroll.models import Row
from dandyroll.ports import Home

_SAYS_NOTHING = {"", "image/*", "application/octet-stream", "application/x-www-form-urlencoded"}
_SAME_TYPES = {
    "image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png",
    "image/heif": "image/heic", "image/tif": "image/tiff", "image/svg": "image/svg+xml",
}  # fmt: skip


def upload(home: Home, request: Request) -> Response:
    """Check the body, store it with its row, answer.

    Raises `Forbidden`, `Scope`, `Multipart`, `EmptyBody`, `BodyTooLarge`, what the probe
    raises, what idempotency raises, what `Home.accept` does: then nothing was accepted.
    """
    key = authorise(request, "write")
    check_body(request, home.settings.max_direct_bytes)
    header = home.probe(request.body)
    image_id = mint_image_id(datetime.now(UTC), header.extension)
    row = new_row(home, image_id, header, request.body, key.owner, request.trace_id)
    row = replace(row, declared_type=declared_otherwise(request, header.content_type))
    idempotency_key = request.headers.get(IDEMPOTENCY_KEY)
    if idempotency_key is None:
        return _created(under_free_id(home, row, lambda row: home.accept(row, request.body)))
    return _created(_accept_once(home, row, request.body, idempotency_key))


def declared_otherwise(request: Request, content_type: str) -> str | None:
    """The `Content-Type` that the upload gave, where it is another than its bytes have.

    Not what says nothing: no type, any bytes, and what curl sends unasked.
    """
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared in _SAYS_NOTHING or _SAME_TYPES.get(declared, declared) == content_type:
        return None
    return "".join(c for c in declared if c.isascii() and c.isprintable())[:100] or None


def check_body(request: Request, max_bytes: int) -> None:
    """Refuse what cannot be one image: a form, nothing at all, too many bytes."""
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        raise Multipart(
            "Expected the image's bytes as the body; got a multipart form. "
            "With curl: --data-binary @picture.jpg -H 'Content-Type: image/jpeg'."
        )
    if not request.body:
        raise EmptyBody("Expected an image in the body; got 0 bytes.")
    if len(request.body) > max_bytes:
        raise too_large(len(request.body), max_bytes)


def too_large(got_bytes: int, max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"Expected at most {max_bytes} bytes in one upload; got {got_bytes}. "
        "Get a ticket for a larger file: POST /uploads."
    )


def _accept_once(home: Home, row: Row, data: bytes, key: str) -> Row:
    now, fingerprint = int(time.time()), hashlib.sha256(data).hexdigest()
    claimed = claim_upload(home.catalogue, row.owner, key, fingerprint, row.image_id, now)
    if claimed.row is not None:
        return claimed.row

    def store(row: Row) -> Row:
        try:
            return home.accept(row, data)
        except Conflict:  # perhaps with an earlier try of it, which came through after all
            claim = replace(claimed.claim, image_id=row.image_id)
            if (standing := accepted_row(home.catalogue, claim)) is None:
                raise
            return standing

    image_id = claimed.claim.image_id
    try:
        return under_free_id(
            home, replace(row, image_id=image_id, s3_url=home.s3_url(image_id)), store
        )
    finally:  # a failed try may be repeated at once, and a finished one after a deletion
        end_claim(home.catalogue, claimed.claim)


def _created(row: Row) -> Response:
    answer = {
        "message": "Image uploaded successfully",
        "image_id": row.image_id,
        "s3_url": row.s3_url,
    }
    return json_response(201, answer, Location=f"/get-image-metadata/{row.image_id}")
