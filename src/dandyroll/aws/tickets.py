"""Tickets on AWS: a signed URL to S3 itself, and what is made of the bytes that come there.

What the server does at home. The signature covers key, length, type and that there must be no
object yet, so the URL is good for that one file alone, once.
"""

import hashlib
import time
from dataclasses import replace

from dandyroll.aws.cloud import Cloud
from dandyroll.errors import DandyrollError, NotFound, OriginalMissing
from dandyroll.intake import ADOPTED_OWNER, learned, new_row
from dandyroll.keys import original_key
from dandyroll.models import Changes, Header, Row, Ticket
from dandyroll.ports import Home

_UNREAD = Header("", "application/octet-stream", "", 0, 0)


def give_ticket(cloud: Cloud, bucket: str, lifetime_s: int, row: Row) -> Ticket:
    """Keeps the promise of `ports.Home.ticket`; asks nothing of AWS."""
    # Imported here: the one function that needs it has loaded botocore for the table anyway.
    from botocore.auth import S3SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    headers = {
        "Content-Type": row.content_type,
        "Content-Length": str(row.size_bytes),
        "If-None-Match": "*",
    }
    url = cloud.bucket_url(bucket) + "/" + original_key(row.image_id)
    request = AWSRequest(method="PUT", url=url, headers=headers)
    credentials = Credentials(
        cloud.access_key_id, cloud.secret_access_key, cloud.session_token or None
    )
    expires_at = int(time.time()) + lifetime_s
    S3SigV4QueryAuth(credentials, "s3", cloud.region, expires=lifetime_s).add_auth(request)
    return Ticket(str(request.url), "PUT", headers, expires_at)


def is_unread(row: Row) -> bool:
    """Whether nobody has looked at the image's bytes yet: the row tells what was declared."""
    return not row.sha256


def unread_row(home: Home, image_id: str, size_bytes: int, trace_id: str) -> Row:
    """For what was put straight into the store, where nobody could look at it: all we know.

    Its `sha256` is empty: what is no image stays there, as nobody was told that it was refused.
    """
    row = new_row(home, image_id, _UNREAD, b"", ADOPTED_OWNER, trace_id)
    return replace(row, size_bytes=size_bytes, sha256="")


def read_original(home: Home, row: Row) -> Changes:
    """What the bytes turn out to be.

    Raises `OriginalMissing` where there are none, and what the probe raises.
    """
    try:
        data = home.objects.get(original_key(row.image_id))
    except NotFound:
        raise OriginalMissing("Expected the image's bytes; there are none.") from None
    return learned(home.probe(data), hashlib.sha256(data).hexdigest(), len(data))


def discard_unread(home: Home, row: Row, error: DandyrollError) -> None:
    """Delete the bytes of a ticket that are at fault for the error, as those of a refused upload.

    Where the fault may be ours they stay, so that the image can be tried again.
    """
    if row.sha256 is None and error.status < 500:
        home.objects.delete(original_key(row.image_id))
