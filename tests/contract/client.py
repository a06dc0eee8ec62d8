"""A small client for the contract suite: one owner, one key."""

import itertools
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

READ_WRITE = frozenset({"read", "write"})

_numbers = itertools.count()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value

    @property
    def problem(self) -> tuple[int, str]:
        """Status and code of an answer that must be a problem document."""
        assert self.headers["content-type"] == "application/problem+json", self.body
        assert self.json["status"] == self.status
        assert self.json["message"]
        return self.status, self.json["code"]


@dataclass(frozen=True)
class Client:
    under_test: Any
    owner: str
    key: str

    @classmethod
    def new(cls, under_test: Any, scopes: frozenset[str] = READ_WRITE, owner: str = "") -> "Client":
        owner = owner or f"owner{os.getpid()}x{next(_numbers)}"
        key = under_test.create_key(owner, scopes, int(time.time()) + 3600)
        return cls(under_test, owner, key)

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """A request with the client's key; header names are given with `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send_bare(method, path, {"x-api-key": self.key, **named}, body)

    def send_bare(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        return Answer(*self.under_test.request(method, path, headers, body))

    def upload(self, data: bytes, content_type: str = "image/jpeg", **headers: str) -> str:
        """Upload what must be accepted; its image id."""
        answer = self.send("POST", "/upload", data, Content_Type=content_type, **headers)
        assert answer.status == 201, answer.body
        image_id: str = answer.json["image_id"]
        return image_id

    def row(self, image_id: str) -> dict[str, Any]:
        answer = self.send("GET", f"/get-image-metadata/{image_id}")
        assert answer.status == 200, answer.body
        return answer.json

    def original(self, image_id: str) -> Answer:
        return self.send("GET", f"/get-image-metadata/{image_id}", Accept="image/*")

    def processed(self, image_id: str, timeout_s: float = 90, **headers: str) -> Answer:
        """What the image comes to, waited for as the contract offers."""
        path = f"/get-processed-image/{image_id}?wait=20"
        deadline_s = time.monotonic() + timeout_s
        while True:
            answer = self.send("GET", path, **headers)
            settled = answer.status != 409 or answer.json["code"] != "not_ready"
            if settled or time.monotonic() > deadline_s:
                return answer
