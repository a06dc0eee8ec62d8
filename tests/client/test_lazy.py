"""Who does not use the client does not pay for it; and the two clients stay one interface."""

import inspect
import subprocess
import sys

import pytest

import dandyroll


def test_the_rest_of_dandyroll_imports_no_http_client() -> None:
    code = """
import sys, dandyroll, dandyroll.cli, dandyroll.local.worker, dandyroll.aws.functions.upload_image
assert "httpx2" not in sys.modules
assert dandyroll.Client is not None
assert "httpx2" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_name_of_the_client_is_found_and_no_other() -> None:
    for name in dandyroll._CLIENT:
        assert getattr(dandyroll, name).__name__ == name
    with pytest.raises(AttributeError, match="Klient"):
        _ = dandyroll.Klient


def test_both_clients_have_the_same_methods_with_the_same_parameters() -> None:
    def interface(client: type) -> dict[str, list[inspect.Parameter]]:
        methods = inspect.getmembers(client, inspect.isfunction)
        return {
            name: list(inspect.signature(method).parameters.values())
            for name, method in methods
            if not name.startswith("_") or name == "__init__"
        }

    assert interface(dandyroll.Client) == interface(dandyroll.AsyncClient)
