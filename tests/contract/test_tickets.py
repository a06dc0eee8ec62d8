"""Tickets for large files on every home: a signed URL takes exactly what was announced."""

import json
import urllib.parse
from typing import Any

import pytest

from tests import pictures
from tests.contract.client import Answer, Client


def ticket(client: Client, size_bytes: int, content_type: str = "image/jpeg") -> dict[str, Any]:
    answer = announce(client, {"content_type": content_type, "size_bytes": size_bytes})
    assert answer.status == 201, answer.body
    return answer.json


def announce(client: Client, document: object) -> Answer:
    return client.send("POST", "/uploads", json.dumps(document).encode())


def put(client: Client, given: dict[str, Any], body: bytes, **headers: str) -> Answer:
    """Redeem the ticket: its URL and headers, and no key."""
    url = urllib.parse.urlsplit(given["url"])
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    path = f"{url.path}?{url.query}"
    return client.send_bare(given["method"], path, {**given["headers"], **named}, body)


def test_a_ticket_takes_a_file_into_the_pipeline(client: Client) -> None:
    data = pictures.jpeg(5000, 4000)
    given = ticket(client, len(data))
    image_id = given["image_id"]
    assert client.row(image_id)["status"] == "awaiting"
    assert client.send("GET", f"/get-processed-image/{image_id}").problem == (409, "not_ready")
    assert put(client, given, data).status in (200, 204)
    assert client.processed(image_id).status == 200
    row = client.row(image_id)
    assert (row["width"], row["height"], row["size_bytes"]) == (5000, 4000, len(data))
    assert client.original(image_id).body == data


def test_what_the_bytes_are_counts_not_what_was_declared(client: Client) -> None:
    data = pictures.png()
    given = ticket(client, len(data), "image/jpeg")
    assert put(client, given, data).status in (200, 204)
    answer = client.processed(given["image_id"])
    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")


def test_bytes_that_are_no_image_fail_with_a_code(client: Client) -> None:
    data = b"This is no picture at all." * 9
    given = ticket(client, len(data))
    put(client, given, data)
    assert client.processed(given["image_id"]).problem == (409, "image_failed")
    assert client.row(given["image_id"])["error"]["code"] == "unsupported_format"


def test_a_ticket_is_good_once(client: Client) -> None:
    data = pictures.jpeg()
    given = ticket(client, len(data))
    assert put(client, given, data).status in (200, 204)
    assert put(client, given, data).status in (409, 412)
    assert client.processed(given["image_id"]).status == 200


def test_a_ticket_is_good_for_what_was_announced_alone(client: Client) -> None:
    data = pictures.jpeg()
    given = ticket(client, len(data))
    longer = put(client, given, data + b"x", Content_Length=str(len(data) + 1))
    other_type = put(client, given, data, Content_Type="text/html")
    url = given["url"]
    forged = put(client, {**given, "url": url[:-1] + ("0" if url[-1] != "0" else "1")}, data)
    other = ticket(client, len(data))["image_id"]
    moved = put(client, {**given, "url": url.replace(given["image_id"], other)}, data)
    assert {answer.status for answer in (longer, other_type, forged, moved)} == {403}
    assert client.row(given["image_id"])["status"] == "awaiting"
    assert put(client, given, data).status in (200, 204)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([], (400, "bad_parameter")),
        ({"content_type": "image/jpeg"}, (400, "bad_parameter")),
        ({"content_type": "image/jpeg", "size_bytes": "7"}, (400, "bad_parameter")),
        ({"content_type": "image/jpeg", "size_bytes": 0}, (400, "bad_parameter")),
        ({"content_type": "image/jpeg", "size_bytes": True}, (400, "bad_parameter")),
        ({"content_type": "text/html", "size_bytes": 7}, (415, "unsupported_format")),
        ({"content_type": ["image/jpeg"], "size_bytes": 7}, (415, "unsupported_format")),
        ({"content_type": "image/jpeg", "size_bytes": 100_000_001}, (413, "body_too_large")),
    ],
)
def test_a_bad_announcement_is_refused(
    client: Client, document: object, expected: tuple[int, str]
) -> None:
    assert announce(client, document).problem == expected


def test_a_ticket_is_for_what_the_home_takes(client: Client) -> None:
    answer = announce(client, {"content_type": "image/heic", "size_bytes": 7})
    refused = announce(client, {"content_type": "text/html", "size_bytes": 7})
    if "no-heic" in client.under_test.differences:
        assert answer.problem == (415, "unsupported_format")
        assert "image/avif" in refused.json["message"]
        assert "image/heic" not in answer.json["message"] + refused.json["message"]
    else:
        assert answer.status == 201
        assert "image/heic" in refused.json["message"]


def test_a_reader_gets_no_ticket(client: Client) -> None:
    reader = Client.new(client.under_test, frozenset({"read"}))
    document = {"content_type": "image/jpeg", "size_bytes": 7}
    assert announce(reader, document).problem == (403, "scope")


def test_a_refused_ticket_cannot_be_tried_again(client: Client) -> None:
    data = b"This is no picture at all." * 9
    given = ticket(client, len(data))
    put(client, given, data)
    client.processed(given["image_id"])
    answer = client.send("POST", f"/images/{given['image_id']}/retry")
    assert (answer.status, answer.json["status"]) == (202, "failed")
    assert answer.json["error"]["code"] == "unsupported_format"
