"""`python -m ministack`, with one fault of it mended.

Values in a patch are strings, also where a boolean is meant. The emulator keeps the string, and
takes a key whose `enabled` is "false" for one that is.
"""

import runpy
from typing import Any

from ministack.services import apigateway_v1

_patch = apigateway_v1._apply_patch


def _apply_patch(patched: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    _patch(patched, operations)
    if isinstance(patched.get("enabled"), str):
        patched["enabled"] = patched["enabled"] == "true"
    return patched


apigateway_v1._apply_patch = _apply_patch
runpy.run_module("ministack", run_name="__main__")
