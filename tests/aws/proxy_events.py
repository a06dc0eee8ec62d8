"""API Gateway's proxy events, for handlers that are called without it."""

import base64
import json
from pathlib import Path
from typing import Any

_GET = Path(__file__).with_name("events") / "aws-get.json"


def proxy_event(
    method: str,
    resource: str,
    key: str,
    body: bytes = b"",
    content_type: str = "image/jpeg",
    name: str = "",
) -> dict[str, Any]:
    """The event of a request with that API key; `name` is put in for `{file-name}`."""
    event: dict[str, Any] = json.loads(_GET.read_text("utf-8"))
    event["headers"] |= {"x-api-key": key, "Accept": "*/*", "Content-Type": content_type}
    return {
        **event,
        "httpMethod": method,
        "resource": resource,
        "path": resource.replace("{file-name}", name),
        "pathParameters": {"file-name": name} if name else None,
        "body": base64.b64encode(body).decode() if body else None,
        "isBase64Encoded": bool(body),
    }
