"""Events of the gateway as requests, responses as its results.

The events are as the emulator makes them, and for AWS as its documents show them.
"""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from dandyroll.api.http import Response, json_response
from dandyroll.api.problem import problem
from dandyroll.aws.gateway import to_request, to_result
from dandyroll.errors import NotFound

EVENTS = Path(__file__).with_name("events")


def event(name: str, **changed: Any) -> dict[str, Any]:
    return {**json.loads((EVENTS / f"{name}.json").read_text("utf-8")), **changed}


def test_a_get_becomes_a_request() -> None:
    request = to_request(event("emulator-get"))
    assert (request.method, request.body) == ("GET", b"")
    assert request.path == "/get-processed-image/upload-20250929_222931-cc1d9991.png"
    assert request.params == {"file-name": "upload-20250929_222931-cc1d9991.png"}
    assert request.headers["x-api-key"] == "dr1O"


def test_of_several_query_values_the_last_wins() -> None:
    assert to_request(event("emulator-get")).query == {"wait": "20"}
    assert to_request(event("aws-get")).query == {}


def test_an_upload_comes_as_the_bytes_that_were_sent() -> None:
    request = to_request(event("emulator-upload"))
    assert request.body == b"\x89PNG\r\n\x1a\n\xff\x00"
    assert request.headers["content-type"] == "image/png"


def test_a_body_as_text_is_taken_too() -> None:
    sent = event("emulator-upload", body="höflich", isBase64Encoded=False)
    assert to_request(sent).body == "höflich".encode()
    assert to_request(event("emulator-upload", body=None, isBase64Encoded=False)).body == b""


def test_header_names_are_lower_case() -> None:
    assert to_request(event("aws-get")).headers["accept"] == "image/*"


def test_path_parameters_are_decoded_once() -> None:
    name = "upload-20250929_222931-cc1d9991.png"
    assert to_request(event("aws-get")).params == {"file-name": name}
    twice = event("aws-get", pathParameters={"file-name": "a%252fb%00"})
    assert to_request(twice).params == {"file-name": "a%2fb\0"}


def test_the_trace_id_is_x_rays_or_else_the_requests() -> None:
    assert to_request(event("aws-get")).trace_id == "1-68db0a4b-0123456789abcdef01234567"
    untraced = event("emulator-get")
    assert to_request(untraced).trace_id == untraced["requestContext"]["requestId"]


@pytest.mark.parametrize("sent", ["", "Root=", "Root=1 2", f"Root={'1' * 65}", "nonsense", "\n"])
def test_a_made_up_trace_id_is_not_taken(sent: str) -> None:
    made_up = event("aws-get", headers={"X-Amzn-Trace-Id": sent})
    assert to_request(made_up).trace_id == "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"


def test_bytes_go_out_in_base64() -> None:
    result = to_result(Response(200, b"\xff\xd8\xff", {"Content-Type": "image/jpeg"}))
    assert result["isBase64Encoded"] is True
    assert base64.b64decode(result["body"]) == b"\xff\xd8\xff"
    assert result["headers"] == {"Content-Type": "image/jpeg"}


@pytest.mark.parametrize(
    "response", [json_response(200, {"a": 1}), problem(NotFound("No."), "t"), Response(304)]
)
def test_text_and_nothing_go_out_as_they_are(response: Response) -> None:
    result = to_result(response)
    assert result["isBase64Encoded"] is False
    assert (result["statusCode"], result["body"]) == (response.status, response.body.decode())
