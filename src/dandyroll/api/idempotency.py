"""`Idempotency-Key`: the same upload sent twice is one upload.

Scope: the owner of the API key. Lifetime: a day. Fingerprint: SHA-256 of the body.
"""

import logging
import re
import secrets
from dataclasses import dataclass

from dandyroll.errors import (
    BadParameter,
    IdempotencyMismatch,
    NotFound,
    StoreUnavailable,
    UploadInFlight,
)
from dandyroll.models import Claim, Row, rank
from dandyroll.ports import Catalogue

log = logging.getLogger("dandyroll.api")

HEADER = "idempotency-key"

_LIFETIME_S = 24 * 60 * 60
_LEASE_S = 35  # longer than a request can run: 29 s at API Gateway, 30 s in the function
_RETRY_AFTER_S = 2
_KEY = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True)
class Claimed:
    """How a request with an idempotency key goes on: `row` is set if it was answered before."""

    claim: Claim
    row: Row | None = None


def claim_upload(
    catalogue: Catalogue, owner: str, key: str, fingerprint: str, image_id: str, now: int
) -> Claimed:
    """Claim the key for an upload that would be `image_id`.

    Returns the claim to go on under (with an earlier try's `image_id`, where one broke off),
    and the finished upload's row if there is one. Raises `BadParameter`, `IdempotencyMismatch`
    or `UploadInFlight`.
    """
    if not _KEY.fullmatch(key):
        raise BadParameter("Expected an Idempotency-Key of 1 to 255 visible ASCII characters.")
    holder = secrets.token_hex(8)
    claim = catalogue.claim(
        Claim(owner, key, holder, fingerprint, image_id, now + _LEASE_S, now + _LIFETIME_S), now
    )
    if claim.fingerprint != fingerprint:
        raise IdempotencyMismatch("Expected the body this Idempotency-Key was first used with.")
    row = accepted_row(catalogue, claim)
    if row is not None:
        return Claimed(claim, row)
    if claim.holder != holder:
        raise UploadInFlight(
            "An upload with this Idempotency-Key is under way.", retry_after_s=_RETRY_AFTER_S
        )
    return Claimed(claim)


def accepted_row(catalogue: Catalogue, claim: Claim) -> Row | None:
    """The row of the claim's upload under the claim's id, once it was accepted.

    None where there is none yet, and where another upload had that id before.
    """
    try:
        row = catalogue.get(claim.image_id)
    except NotFound:
        return None
    is_its_own = (row.owner, row.sha256) == (claim.owner, claim.fingerprint)
    return row if is_its_own and rank(row.status) >= rank("uploaded") else None


def end_claim(catalogue: Catalogue, claim: Claim) -> None:
    """Let others have the key. Where the catalogue does not answer, the lease ends by itself:
    that must not hide how the upload went."""
    try:
        catalogue.release(claim)
    except StoreUnavailable as error:
        log.warning("the lease of an Idempotency-Key is left to end: %s", error.message)
