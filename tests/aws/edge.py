"""The CDN under test: the emulator's data plane, and before it what it leaves out of CloudFront.

It looks at no signature; here each is checked with openssl, by the public half of the key as the
template's parameter has it. It refuses to call an API by AWS's own name; here the origin is given
the emulator's address.
"""

import base64
import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.aws.emulated_home import DEFAULTS, Answer, EmulatedHome
from tests.aws.emulator import STAGE

_BASE64 = str.maketrans("-_~", "+=/")
_ADDED = ("Expires", "Signature", "Key-Pair-Id", "Hash-Algorithm")


@dataclass(frozen=True)
class Edge:
    """`keys` are public halves by their ids at CloudFront, as template parameters spell them."""

    aws: EmulatedHome
    id: str
    domain: str
    keys: Mapping[str, str]
    scratch: Path

    def ask(
        self,
        url: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        scheme: str = "https",
        signed: bool = True,
    ) -> Answer:
        """One request to the distribution; a path stands for a URL of it.

        Without `signed`, as if the distribution asked for no signatures.
        """
        parts = urlsplit(url)
        assert parts.netloc in ("", self.domain), url
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        private = signed and parts.path.startswith("/FINAL-IMAGES/")
        if private and not self.is_signed(url):
            return 403, {}, b"Refused by the edge: MissingKey or no good signature."
        connection = self.aws.emulator.connection()
        try:
            sent = {"Host": self.domain, "X-Forwarded-Proto": scheme, **(headers or {})}
            connection.request(method, target, body=body or None, headers=sent)
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, named, answer.read()
        finally:
            connection.close()

    def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """As `EmulatedHome.request`, through the distribution: what a test's client needs."""
        sent = {**DEFAULTS, **{name.lower(): v for name, v in (headers or {}).items()}}
        return self.ask(path, method, sent, body)

    def create_key(self, owner: str, scopes: frozenset[str], expires_at: int) -> str:
        return self.aws.create_key(owner, scopes, expires_at)

    def is_signed(self, url: str) -> bool:
        """Whether CloudFront would let it pass: a canned policy, by a trusted key, not expired."""
        base, _, query = url.partition("?")
        pairs = parse_qsl(query, keep_blank_values=True)
        given = {name: value for name, value in pairs if name in _ADDED}
        if set(given) != set(_ADDED) or given["Hash-Algorithm"] != "SHA256":
            return False
        own = "&".join(f"{name}={value}" for name, value in pairs if name not in _ADDED)
        resource = f"{base}?{own}" if own else base
        expires_at = given["Expires"]
        policy = (
            '{"Statement":[{"Resource":"' + resource + '","Condition":{"DateLessThan":'
            '{"AWS:EpochTime":' + expires_at + "}}}]}"
        )
        key = self.keys.get(given["Key-Pair-Id"])
        in_time = expires_at.isdigit() and int(expires_at) > time.time()
        return in_time and key is not None and self._verifies(key, policy, given["Signature"])

    def _verifies(self, key: str, policy: str, signature: str) -> bool:
        lines = ["-----BEGIN PUBLIC KEY-----", *key.split(","), "-----END PUBLIC KEY-----", ""]
        public, signed = self.scratch / "public.pem", self.scratch / "signature"
        public.write_text("\n".join(lines))
        signed.write_bytes(base64.b64decode(signature.translate(_BASE64)))
        command = ["openssl", "dgst", "-sha256", "-verify", str(public), "-signature", str(signed)]
        return subprocess.run(command, input=policy.encode(), capture_output=True).returncode == 0

    def invalidated(self) -> list[str]:
        """The paths that were to be forgotten, in the order they came."""
        client = self.aws.emulator.client("cloudfront")
        listed = client.list_invalidations(DistributionId=self.id)["InvalidationList"]
        found = [
            client.get_invalidation(DistributionId=self.id, Id=item["Id"])["Invalidation"]
            for item in listed.get("Items", [])
        ]
        found.sort(key=lambda invalidation: invalidation["CreateTime"])
        return [path for one in found for path in one["InvalidationBatch"]["Paths"]["Items"]]


def facts(aws: EmulatedHome) -> dict[str, Any]:
    """What the template left in Parameter Store."""
    name = f"{aws.outputs['CdnParameters']}/distribution"
    told = aws.emulator.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    found: dict[str, Any] = json.loads(told)
    return found


def open_edge(aws: EmulatedHome, key: str, scratch: Path) -> Edge:
    told = facts(aws)
    _call_the_emulator(aws, told["id"])
    return Edge(aws, told["id"], told["domain"], {told["key_id"]: key}, scratch)


def _call_the_emulator(aws: EmulatedHome, distribution: str) -> None:
    client = aws.emulator.client("cloudfront")
    found = client.get_distribution_config(Id=distribution)
    config = found["DistributionConfig"]
    (api,) = [origin for origin in config["Origins"]["Items"] if origin["Id"] == "api"]
    assert api["DomainName"].startswith(f"{aws.outputs['ApiId']}.execute-api.")
    assert api["OriginPath"] == f"/{STAGE}"
    api["DomainName"] = "127.0.0.1"
    api["OriginPath"] = f"/_aws/execute-api/{aws.outputs['ApiId']}/{STAGE}"
    api["CustomOriginConfig"] |= {
        "HTTPPort": urlsplit(aws.emulator.plain.endpoint_url).port,
        "HTTPSPort": 443,  # the template leaves it to CloudFormation
        "OriginProtocolPolicy": "http-only",
    }
    client.update_distribution(Id=distribution, IfMatch=found["ETag"], DistributionConfig=config)
