"""The contract suite fails for an adapter that breaks a promise: each of these, one at a time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.broken import BROKEN

CONTRACT = Path(__file__).parent / "contract"


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_adapter_fails_the_suite(name: str) -> None:
    files = [str(CONTRACT / f"test_{port}.py") for port in ("objects", "catalogue")]
    options = ["-q", "-x", "-k", "local", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command = [sys.executable, "-m", "pytest", *files, *options, "--broken", name]
    plain = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    done = subprocess.run(command, capture_output=True, text=True, env=plain)
    assert done.returncode == 1, done.stdout
    assert "1 failed" in done.stdout
