"""Where AWS is and as whom we call it: the variables that Lambda and the AWS tools set."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

_CONNECT_S, _READ_S, _ATTEMPTS = 2, 4, 4


@dataclass(frozen=True)
class Cloud:
    """Empty parts are left to each client's own defaults.

    `endpoint_url` is for a stand-in of AWS; the certificates in `ca_bundle` are trusted beside
    the usual ones.
    """

    region: str
    endpoint_url: str = ""
    ca_bundle: str = ""
    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    read_timeout_s: int = _READ_S

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ, **given: Any) -> Self:
        """What the variables say, but for what is `given`."""
        found = {
            "region": environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION", "us-east-1"),
            "endpoint_url": environ.get("AWS_ENDPOINT_URL", ""),
            "ca_bundle": environ.get("AWS_CA_BUNDLE", ""),
            "access_key_id": environ.get("AWS_ACCESS_KEY_ID", ""),
            "secret_access_key": environ.get("AWS_SECRET_ACCESS_KEY", ""),
            "session_token": environ.get("AWS_SESSION_TOKEN", ""),
        }
        return cls(**{**found, **given})

    def client(self, service: str) -> Any:
        """A client of that AWS service. Making one takes 150 ms; it asks nothing of AWS yet."""
        # Imported here, for functions that are done without; and a session of botocore's own,
        # since through boto3 the same client takes 40 ms longer.
        from botocore.config import Config
        from botocore.session import get_session

        return get_session().create_client(
            service,
            region_name=self.region,
            endpoint_url=self.endpoint_url or None,
            verify=self.ca_bundle or None,
            aws_access_key_id=self.access_key_id or None,
            aws_secret_access_key=self.secret_access_key or None,
            aws_session_token=self.session_token or None,
            config=Config(
                connect_timeout=_CONNECT_S,
                read_timeout=self.read_timeout_s,
                retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                max_pool_connections=32,
                s3={"addressing_style": "path"} if self.endpoint_url else {},
            ),
        )

    def bucket_url(self, bucket: str) -> str:
        """Where the bucket's objects are to be had, by whoever has leave."""
        if self.endpoint_url:
            return f"{self.endpoint_url.rstrip('/')}/{bucket}"
        return f"https://{bucket}.s3.{self.region}.amazonaws.com"

    def certificates(self) -> bytes | None:
        return Path(self.ca_bundle).read_bytes() if self.ca_bundle else None
