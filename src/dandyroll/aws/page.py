"""The page on AWS: its files in the bucket, from where only the CDN serves them."""

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from dandyroll.aws.stack import Stack, operators_errors

PREFIX = "web/"

_ASK_ANEW = "no-cache"  # their names stay the same from release to release
FILES: Mapping[str, tuple[str, str]] = {
    "sample.jpg": ("image/jpeg", "public, max-age=86400"),
    "page.js": ("text/javascript; charset=utf-8", _ASK_ANEW),
    "index.html": ("text/html; charset=utf-8", _ASK_ANEW),
}
"""Each file's type and `Cache-Control`, in the order they are put: what others name goes first."""


def publish_page(stack: Stack) -> tuple[str, ...]:
    """Put the page where the stack's CDN finds it; the keys that had changed.

    Does nothing for a stack without a CDN. Raises `CloudError`.
    """
    if "CdnUrl" not in stack.outputs:
        return ()
    bucket, client = stack.output("BucketName"), stack.cloud.client("s3")
    changed = []
    for name, (content_type, cache_control) in FILES.items():
        data = (files("dandyroll") / "web" / name).read_bytes()
        about = {
            "ContentType": content_type,
            "CacheControl": cache_control,
            "Metadata": {"sha256": hashlib.sha256(data).hexdigest()},
        }
        with operators_errors():
            if _about(client, bucket, PREFIX + name) != about:
                client.put_object(Bucket=bucket, Key=PREFIX + name, Body=data, **about)
                changed.append(PREFIX + name)
    return tuple(changed)


def _about(client: Any, bucket: str, key: str) -> dict[str, Any]:
    """What there is of the object, beside its bytes; nothing if it is not there."""
    from botocore.exceptions import ClientError

    try:
        head = client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
            return {}
        raise
    return {name: head.get(name) for name in ("ContentType", "CacheControl", "Metadata")}
