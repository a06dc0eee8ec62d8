"""`python -m ministack`, with faults of it mended.

Values in a patch are strings, also where a boolean is meant. The emulator keeps the string, and
takes a key whose `enabled` is "false" for one that is.

With TLS it opens port 443 beside its own, which needs rights and can be had once; and it does not
speak plain HTTP any more, so that nobody could see it refused.
"""

import os
import runpy
from typing import Any

from hypercorn.config import Config
from ministack import app
from ministack.services import apigateway_v1

_patch = apigateway_v1._apply_patch


def _apply_patch(patched: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    _patch(patched, operations)
    if isinstance(patched.get("enabled"), str):
        patched["enabled"] = patched["enabled"] == "true"
    return patched


apigateway_v1._apply_patch = _apply_patch
app._port_is_bindable = lambda host, port: False  # what it asks before it takes 443
if plain := os.environ.get("PLAIN_HTTP_BIND"):
    Config._insecure_bind = [plain]  # Hypercorn's own, beside a port with TLS
runpy.run_module("ministack", run_name="__main__")
