"""One trace id from a request to its answer, its row and its errors."""

import re

import pytest

from tests import pictures
from tests.contract.client import Client

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_the_callers_trace_id_is_answered_and_stands_in_the_row(client: Client) -> None:
    traceparent = f"00-{TRACE}-b7ad6b7169203331-01"
    answer = client.send("POST", "/upload", pictures.jpeg(), traceparent=traceparent)
    assert answer.headers["x-trace-id"] == TRACE
    image_id = answer.json["image_id"]
    assert client.processed(image_id).status == 200
    assert client.row(image_id)["ledger"]["trace_id"] == TRACE


@pytest.mark.parametrize("traceparent", ["", "nonsense", f"00-{'0' * 32}-b7ad6b7169203331-01"])
def test_without_a_good_one_a_new_id_is_answered(client: Client, traceparent: str) -> None:
    answers = [
        client.send("POST", "/upload", pictures.jpeg(), traceparent=traceparent) for _ in range(2)
    ]
    first, second = (answer.headers["x-trace-id"] for answer in answers)
    assert re.fullmatch("[0-9a-f-]{32,36}", first)
    assert first != second
    assert client.row(answers[0].json["image_id"])["ledger"]["trace_id"] == first


def test_an_error_has_the_trace_id_it_was_answered_under(client: Client) -> None:
    answer = client.send("GET", "/get-image-metadata/nothing.jpg")
    assert answer.problem == (404, "not_found")
    assert answer.json["trace_id"] == answer.headers["x-trace-id"]
