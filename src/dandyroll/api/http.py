"""Requests and responses, as far as the contract needs them. A home's adapter fills them in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dandyroll.errors import BadParameter


@dataclass(frozen=True)
class Request:
    """`params` are the path's, `headers` have lower case names, `body` is whole."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    trace_id: str = ""

    def number(self, name: str, *, least: int, most: int, default: int) -> int:
        """The query parameter `name` as a whole number; `BadParameter` outside its bounds."""
        text = self.query.get(name, str(default))
        if text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most:
            return int(text)
        raise BadParameter(f"Expected {name} to be {least} to {most}; got {text[:40]!r}.")

    def accepts_json(self) -> bool:
        """Whether the client asks for JSON rather than for an image: the first type decides."""
        return self._first_accepted().startswith("application/json")

    def accepts_image(self) -> bool:
        return self._first_accepted().startswith("image/")

    def _first_accepted(self) -> str:
        return self.headers.get("accept", "").split(",")[0].strip().lower()

    def has_etag(self, etag: str) -> bool:
        """Whether `If-None-Match` names the (unquoted) strong tag, or any."""
        tags = {tag.strip() for tag in self.headers.get("if-none-match", "").split(",")}
        return bool(tags & {f'"{etag}"', f'W/"{etag}"', "*"})


@dataclass(frozen=True)
class Response:
    """`headers` in the case they are sent in; `Content-Length` is the adapter's."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(status: int, value: Any, **headers: str) -> Response:
    """The value as JSON; header names are given with `_` for `-`."""
    body = json.dumps(value, separators=(",", ":")).encode() + b"\n"
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(status, body, {"Content-Type": "application/json", **named})
