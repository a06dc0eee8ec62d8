"""AWS that refuses, throttles, or does what it is asked and then loses the answer."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError
from botocore.httpsession import URLLib3Session

from dandyroll.aws.cloud import Cloud

Fault = Callable[[AWSPreparedRequest, URLLib3Session], AWSResponse]
"""What becomes of a request; the session would send it."""


@dataclass(frozen=True)
class FaultyCloud(Cloud):
    """`faults`, by operation: what becomes of its tries, one after the other; then it works."""

    faults: Mapping[str, Iterator[Fault]] = field(default_factory=dict)

    @classmethod
    def on(cls, cloud: Cloud, faults: Mapping[str, Iterator[Fault]]) -> "FaultyCloud":
        return cls(**asdict(cloud), faults=faults)

    def client(self, service: str) -> Any:
        client = super().client(service)
        client.meta.events.register_first("before-send", self._meddle)
        return client

    def _meddle(self, request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse | None:
        operation = event_name.rpartition(".")[2]
        fault = next(self.faults.get(operation, iter(())), None)
        sender = URLLib3Session(verify=self.ca_bundle or True)
        return fault(request, sender) if fault else None


def refused(status: int, code: str) -> Fault:
    """Nothing is done; AWS says why."""
    return lambda request, _: answered(request, status, {"message": code}, code)


def lost(request: AWSPreparedRequest, sender: URLLib3Session) -> AWSResponse:
    """It is done, and nobody hears of it."""
    sender.send(request)
    raise ReadTimeoutError(endpoint_url=request.url)


def interrupted(request: AWSPreparedRequest, sender: URLLib3Session) -> AWSResponse:
    """Ctrl-C, after it was done."""
    sender.send(request)
    raise KeyboardInterrupt


def answered(
    request: AWSPreparedRequest, status: int, body: Mapping[str, Any], error: str = ""
) -> AWSResponse:
    headers = HTTPHeaders()
    headers["Content-Type"], headers["x-amzn-errortype"] = "application/json", error
    raw = _Raw(json.dumps(body).encode())
    return AWSResponse(request.url, status, headers, raw)


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()
