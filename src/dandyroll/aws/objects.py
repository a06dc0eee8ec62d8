"""The object store on S3, through obstore: a client that is ready in a tenth of boto3's time.

obstore knows no versions. What deletes them is botocore's client, made when first needed.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    GenericError,
    PermissionDeniedError,
    PreconditionError,
)
from obstore.exceptions import NotFoundError as NoSuchObject
from obstore.store import S3Store

from dandyroll.aws.cloud import Cloud
from dandyroll.errors import Conflict, NotFound, StoreUnavailable
from dandyroll.fingerprint import Fingerprint

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, RetryConfig

_MD5 = re.compile("[0-9a-f]{32}")
_CONNECT_S, _REQUEST_S = 3, 20
# Together under API Gateway's 29 s, so that a caller gets our answer and not the gateway's.
_RETRY: "RetryConfig" = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=12),
    "backoff": {
        "init_backoff": timedelta(milliseconds=50),
        "max_backoff": timedelta(seconds=2),
        "base": 2,
    },
}


def open_store(bucket: str, cloud: Cloud, request_s: int = _REQUEST_S) -> S3Store:
    """A store on the bucket. Opening it asks nothing of S3."""
    client: ClientConfig = {
        "connect_timeout": timedelta(seconds=_CONNECT_S),
        "timeout": timedelta(seconds=request_s),
        "allow_http": cloud.endpoint_url.startswith("http:"),
    }
    certificates = cloud.certificates()
    if certificates is not None:
        client["root_certificate"] = certificates
    given: dict[str, Any] = {
        "endpoint": cloud.endpoint_url,
        "access_key_id": cloud.access_key_id,
        "secret_access_key": cloud.secret_access_key,
        "token": cloud.session_token,
    }
    return S3Store(
        bucket,
        region=cloud.region,
        client_options=client,
        retry_config=_RETRY,
        **{name: value for name, value in given.items() if value},
    )


@dataclass(frozen=True)
class Entry:
    """An object without its bytes; `changed_at` in epoch seconds.

    S3 dates an object that came in parts by the beginning of its first part.
    """

    key: str
    size_bytes: int
    changed_at: float


class S3ObjectStore:
    """`ports.ObjectStore` on one bucket. S3 itself is durable, whole and read-after-write.

    `request_s` is how long one object may take to come or go.
    """

    def __init__(self, bucket: str, cloud: Cloud, request_s: int = _REQUEST_S) -> None:
        self._bucket = bucket
        self._cloud = cloud
        self._store = open_store(bucket, cloud, request_s)

    @cached_property
    def _client(self) -> Any:
        return self._cloud.client("s3")

    def put(self, key: str, data: bytes, content_type: str, *, if_absent: bool = False) -> None:
        mode = "create" if if_absent else "overwrite"
        with _our_errors(key):
            # use_multipart: a large object in parts could not be conditional.
            obstore.put(
                self._store,
                key,
                data,
                attributes={"Content-Type": content_type},
                mode=mode,  # type: ignore[arg-type]  # obstore narrows it to literals
                use_multipart=False,
            )

    def get(self, key: str) -> bytes:
        with _our_errors(key), self._absent_or_denied(key):
            return bytes(obstore.get(self._store, key).bytes())

    def fingerprint(self, key: str) -> Fingerprint:
        """As the port has it: S3's ETag is the MD5 of what did not come in parts."""
        with _our_errors(key):
            found = obstore.head(self._store, key)
        etag = (found["e_tag"] or "").strip('"')
        return Fingerprint(found["size"], etag if _MD5.fullmatch(etag) else None, None)

    def delete(self, key: str) -> None:
        """As the port has it, and for good: with every version and what marks it as deleted."""
        with _clients_errors():
            pages = self._client.get_paginator("list_object_versions").paginate(
                Bucket=self._bucket, Prefix=key
            )
            for page in pages:
                for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                    if version["Key"] == key:
                        self._client.delete_object(
                            Bucket=self._bucket, Key=key, VersionId=version["VersionId"]
                        )
                if page.get("NextKeyMarker", key) != key:  # the key itself comes first
                    return

    def find(self, key: str) -> Entry | None:
        """The object as S3 knows it; None if there is none."""
        try:
            with _our_errors(key), self._absent_or_denied(key):
                found = obstore.head(self._store, key)
        except NotFound:
            return None
        return Entry(found["path"], found["size"], found["last_modified"].timestamp())

    def list(self, prefix: str) -> Iterator[str]:
        return (entry.key for entry in self.entries(prefix))

    def entries(self, prefix: str, after: str = "") -> Iterator[Entry]:
        """The objects that start with `prefix`, in the order of their keys, from `after` on."""
        # obstore takes whole folders as prefixes, S3 any characters of a key, as promised. So
        # ask for the folder, from just before the prefix on, and stop after the last match.
        came_to = max(prefix[:-1], after)
        with _our_errors(prefix):
            for found in self._listed(prefix[: prefix.rfind("/") + 1], came_to):
                if found["path"].startswith(prefix):
                    changed_at = found["last_modified"].timestamp()
                    yield Entry(found["path"], found["size"], changed_at)
                elif found["path"] > prefix:
                    return

    def _listed(self, folder: str, came_to: str) -> "Iterator[ObjectMeta]":
        # obstore asks again where it is refused, but not for a page that broke off.
        is_last_try = False
        while True:
            try:
                for page in obstore.list(self._store, folder or None, offset=came_to or None):
                    for found in page:
                        yield found
                        came_to, is_last_try = found["path"], False
                return
            except GenericError:
                if is_last_try:
                    raise
                is_last_try = True

    @contextmanager
    def _absent_or_denied(self, key: str) -> Iterator[None]:
        """Tell the two apart by listing. S3 calls an absent object denied to whom may not list
        the bucket; what it does for whom may list a prefix of it, as we, is not written."""
        try:
            yield
        except PermissionDeniedError:
            if key in self.list(key):
                raise
            raise NotFound(f"There is no object {key}.") from None

    def signed_url(self, key: str, expires_in_s: int) -> str:
        """A URL by which anyone may GET the object for so many seconds."""
        with _our_errors(key):
            return obstore.sign(self._store, "GET", key, timedelta(seconds=expires_in_s))


@contextmanager
def _our_errors(key: str) -> Iterator[None]:
    try:
        yield
    except (NoSuchObject, FileNotFoundError) as error:  # which of them depends on the call
        raise NotFound(f"There is no object {key}.") from error
    except (AlreadyExistsError, PreconditionError) as error:
        raise Conflict(f"There is an object {key} already.") from error
    except (BaseError, OSError) as error:
        raise StoreUnavailable("The object store did not answer.", retry_after_s=1) from error


@contextmanager
def _clients_errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise StoreUnavailable("The object store did not answer.", retry_after_s=1) from error
