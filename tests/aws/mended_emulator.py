"""`python -m ministack`, with faults of it mended.

Values in a patch are strings, also where a boolean is meant. The emulator keeps the string, and
takes a key whose `enabled` is "false" for one that is.

Of an absent object it says 404 to everyone. S3 says 403 to whom may not list the bucket, and may do
so to whom may list a prefix of it alone, as all our functions: here it does. The account itself, as
which the tests ask, may do all.

With TLS it opens port 443 beside its own, which needs rights and can be had once; and it does not
speak plain HTTP any more, so that nobody could see it refused.
"""

import os
import runpy
from collections.abc import Callable
from typing import Any

from hypercorn.config import Config
from ministack import app
from ministack.services import apigateway_v1, s3

_patch = apigateway_v1._apply_patch


def _apply_patch(patched: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    _patch(patched, operations)
    if isinstance(patched.get("enabled"), str):
        patched["enabled"] = patched["enabled"] == "true"
    return patched


apigateway_v1._apply_patch = _apply_patch


_read = {name: getattr(s3, name) for name in ("_get_object", "_head_object")}


def _denied_if_absent(name: str) -> Callable[..., Any]:
    def read(bucket: str, key: str, headers: dict[str, str], query: Any = None) -> Any:
        found = _read[name](bucket, key, headers, query)
        if found[0] != 404 or "Credential=test/" in headers.get("authorization", ""):
            return found
        status, said, body = s3._error("AccessDenied", "Access Denied", 403)
        return status, said, body if name == "_get_object" else b""

    return read


for name in _read:
    setattr(s3, name, _denied_if_absent(name))
app._port_is_bindable = lambda host, port: False  # what it asks before it takes 443
if plain := os.environ.get("PLAIN_HTTP_BIND"):
    Config._insecure_bind = [plain]  # Hypercorn's own, beside a port with TLS
runpy.run_module("ministack", run_name="__main__")
