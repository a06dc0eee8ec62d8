"""Every home tells its contract, to whoever asks."""

import json

from dandyroll.api.openapi import openapi
from tests.contract.client import Client


def test_the_openapi_document_is_there_without_a_key(client: Client) -> None:
    answer = client.send_bare("GET", "/openapi.json", {})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == json.loads(json.dumps(openapi()))


def test_the_page_runs_no_script(client: Client) -> None:
    answer = client.send_bare("GET", "/docs", {"Accept": "text/html"})
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"<h1>Dandyroll" in answer.body
    assert b"<h2>POST /upload</h2>" in answer.body
    assert "default-src 'none'" in answer.headers["content-security-policy"]
