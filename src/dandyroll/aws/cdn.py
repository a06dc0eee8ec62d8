"""Renditions through CloudFront: URLs signed for it, and what it is told to forget.

Functions learn of the distribution from Parameter Store and not from their environment: it stands
before the API and the API before them, and no stack can be made in a circle. Why the URLs are as
they are: docs/decisions/0029.
"""

import base64
import json
import logging
import time
import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from dandyroll.aws.cloud import Cloud
from dandyroll.errors import StoreUnavailable
from dandyroll.keys import RENDITIONS
from dandyroll.models import SignedUrl

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

log = logging.getLogger("dandyroll.aws")

KEYS = ("key-a", "key-b")
"""The places for a signing key. There are two so that one can be changed while the other signs."""

URL_LIFETIME_S = 300
_KEPT_S = 300  # how long a process trusts what it has read; a change of keys waits for it
_SAFE = str.maketrans("+=/", "-_~")  # base64 as CloudFront takes it in a URL


@dataclass(frozen=True)
class Distribution:
    """What the template leaves in Parameter Store: `key` is the one of `KEYS` that signs now, and
    `key_id` what CloudFront calls it."""

    id: str
    domain: str
    key_id: str
    key: str

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises `ValueError` where the text does not say all of it."""
        value = json.loads(text)
        if not isinstance(value, dict) or set(value) != set(cls.__annotations__):
            raise ValueError(f"Expected {', '.join(cls.__annotations__)}; got {text[:200]!r}.")
        return cls(**value)

    def resource(self, key: str, version: str) -> str:
        """The URL that is signed. The version is in it, and so in the key of every cached copy."""
        return f"https://{self.domain}{cached_path(key, version)}"


@dataclass(frozen=True)
class Signer:
    """A distribution and the private key that it trusts."""

    distribution: Distribution
    private_key: "EllipticCurvePrivateKey"

    def sign(self, key: str, version: str, expires_at: int) -> str:
        """The object's URL with a canned policy: good for anyone until `expires_at`."""
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.hashes import SHA256

        resource = self.distribution.resource(key, version)
        signature = self.private_key.sign(canned_policy(resource, expires_at), ECDSA(SHA256()))
        text = base64.b64encode(signature).decode().translate(_SAFE)
        return (
            f"{resource}&Expires={expires_at}&Signature={text}"
            f"&Key-Pair-Id={self.distribution.key_id}&Hash-Algorithm=SHA256"
        )


class CloudFront:
    """`ports.Delivery` by the distribution that `place` in Parameter Store tells of."""

    def __init__(self, place: str, cloud: Cloud) -> None:
        self._place = place
        self._cloud = cloud
        self._signer: Signer | None = None
        self._read_again_s = 0.0

    @cached_property
    def _parameters(self) -> Any:
        return self._cloud.client("ssm")

    @cached_property
    def _cloudfront(self) -> Any:
        return self._cloud.client("cloudfront")

    def url(self, key: str, version: str) -> SignedUrl | None:
        """As the port has it; None while the distribution or its key is not to be had, too."""
        if not key.startswith(RENDITIONS):  # it serves nothing else
            return None
        signer = self._current_signer()
        if signer is None:
            return None
        expires_at = int(time.time()) + URL_LIFETIME_S
        return SignedUrl(signer.sign(key, version, expires_at), expires_at)

    def forget(self, key: str, version: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            distribution = self._distribution()
            if distribution is None:  # not made yet, so there are no copies
                return
            # The exact path: of those with a wildcard only 15 may be under way at once.
            self._cloudfront.create_invalidation(
                DistributionId=distribution.id,
                InvalidationBatch={
                    "Paths": {"Quantity": 1, "Items": [cached_path(key, version)]},
                    "CallerReference": uuid.uuid4().hex,  # a try of botocore's own keeps it
                },
            )
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailable("The CDN was not told.", retry_after_s=5) from error

    def _current_signer(self) -> Signer | None:
        now_s = time.monotonic()
        if now_s >= self._read_again_s:
            self._signer = self._read_signer()
            self._read_again_s = now_s + _KEPT_S
        return self._signer

    def _read_signer(self) -> Signer | None:
        """None where there is none yet, or where the log says what is wrong with it."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            distribution = self._distribution()
            if distribution is None:
                return None
            pem = self._read(distribution.key)
            if pem is None:
                raise ValueError(f"Expected a private key at {self._place}/{distribution.key}.")
            return Signer(distribution, load_private_key(pem))
        except (BotoCoreError, ClientError, ValueError):
            log.exception("the CDN's URLs cannot be signed: the store's own are given")
            return None

    def _distribution(self) -> Distribution | None:
        text = self._read("distribution")
        return None if text is None else Distribution.from_json(text)

    def _read(self, name: str) -> str | None:
        return read_parameter(self._parameters, f"{self._place}/{name}")


def read_parameter(client: Any, name: str) -> str | None:
    """The value at that name in Parameter Store, decrypted; None if there is none."""
    try:
        value: str = client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    except client.exceptions.ParameterNotFound:
        return None
    return value


def cached_path(key: str, version: str) -> str:
    """What a copy is kept under: keys and versions are safe in a URL as they stand."""
    return f"/{key}?v={version}"


def canned_policy(resource: str, expires_at: int) -> bytes:
    """What is signed, to the byte as CloudFront makes it of the URL that it is asked for."""
    condition = {"DateLessThan": {"AWS:EpochTime": expires_at}}
    policy = {"Statement": [{"Resource": resource, "Condition": condition}]}
    return json.dumps(policy, separators=(",", ":")).encode()


def load_private_key(pem: str) -> "EllipticCurvePrivateKey":
    """Raises `ValueError` for what is no private key on the curve P-256."""
    # Imported here: 25 ms, which only who signs a URL should wait for.
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError("Expected an ECDSA key on the curve P-256; got another kind of key.")
    return key
