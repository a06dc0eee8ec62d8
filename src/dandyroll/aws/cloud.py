"""Where AWS is and as whom we call it: the variables that Lambda and the AWS tools set."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self


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

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        return cls(
            region=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION", "us-east-1"),
            endpoint_url=environ.get("AWS_ENDPOINT_URL", ""),
            ca_bundle=environ.get("AWS_CA_BUNDLE", ""),
            access_key_id=environ.get("AWS_ACCESS_KEY_ID", ""),
            secret_access_key=environ.get("AWS_SECRET_ACCESS_KEY", ""),
            session_token=environ.get("AWS_SESSION_TOKEN", ""),
        )

    def certificates(self) -> bytes | None:
        return Path(self.ca_bundle).read_bytes() if self.ca_bundle else None
