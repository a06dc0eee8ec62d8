"""Listing, deletion and retry on every home."""

import time

import pytest

from tests import pictures
from tests.contract.client import Client


def listed(client: Client, query: str = "") -> list[str]:
    answer = client.send("GET", f"/images{query}")
    assert answer.status == 200, answer.body
    return [row["image-id"] for row in answer.json["images"]]


def walk(client: Client, query: str, cursor: str | None = "") -> list[str]:
    """The ids of all pages from the cursor on, in order."""
    found: list[str] = []
    while cursor is not None:
        answer = client.send("GET", f"/images?{query}&cursor={cursor}")
        assert answer.status == 200, answer.body
        found += [row["image-id"] for row in answer.json["images"]]
        cursor = answer.json["cursor"]
    return found


def test_a_new_image_is_listed_with_its_whole_row(client: Client) -> None:
    image_id = client.upload(pictures.png(), "image/png")
    deadline_s = time.monotonic() + 5
    while listed(client) != [image_id] and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert client.processed(image_id).status == 200
    answer = client.send("GET", "/images")
    assert answer.json == {"images": [client.row(image_id)], "cursor": None}


def test_the_newest_come_first_and_pages_meet_each_once(client: Client) -> None:
    ids = [client.upload(pictures.png(8, 8, seed=seed), "image/png") for seed in range(7)]

    assert walk(client, "limit=3") == ids[::-1]
    first = client.send("GET", "/images?limit=3").json
    later = client.upload(pictures.png(8, 8, seed=99), "image/png")
    assert later not in walk(client, "limit=2", first["cursor"])
    assert walk(client, "limit=2")[0] == later


def test_an_owner_sees_their_own_and_an_admin_all(client: Client) -> None:
    other = Client.new(client.under_test)
    admin = Client.new(client.under_test, frozenset({"admin"}))
    mine = client.upload(pictures.png(8, 8), "image/png")
    theirs = other.upload(pictures.png(8, 8), "image/png")
    assert (listed(client), listed(other)) == ([mine], [theirs])
    assert {mine, theirs} <= set(listed(admin, "?limit=500"))


def test_a_status_narrows_the_list(client: Client) -> None:
    good = client.upload(pictures.png(), "image/png")
    bad = client.upload(pictures.broken_png(), "image/png")
    for image_id in (good, bad):
        client.processed(image_id)
    assert listed(client, "?status=processed") == [good]
    assert listed(client, "?status=failed") == [bad]
    assert listed(client, "?status=resized") == []


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=x", "status=done", "cursor=!", "cursor=aGFsbG8"]
)
def test_a_bad_question_is_refused(client: Client, query: str) -> None:
    assert client.send("GET", f"/images?{query}").problem == (400, "bad_parameter")


def test_a_deleted_image_is_gone_with_all_that_was_made_of_it(client: Client) -> None:
    image_id = client.upload(pictures.png(), "image/png")
    assert client.processed(image_id).status == 200
    for _ in range(2):
        answer = client.send("DELETE", f"/images/{image_id}")
        assert (answer.status, answer.body) == (204, b"")
    for path in (f"/get-image-metadata/{image_id}", f"/get-processed-image/{image_id}"):
        assert client.send("GET", path).problem == (404, "not_found")
    objects = client.under_test.home.objects
    assert [key for key in objects.list("") if image_id in key] == []
    assert listed(client) == []


def test_an_image_deleted_on_its_way_stays_deleted(client: Client) -> None:
    ids = [client.upload(pictures.jpeg(3000, 2000, seed)) for seed in range(4)]
    for image_id in ids:
        assert client.send("DELETE", f"/images/{image_id}").status == 204
    last = client.upload(pictures.jpeg(), "image/jpeg")
    assert client.processed(last).status == 200
    for image_id in ids:
        assert client.send("GET", f"/get-image-metadata/{image_id}").status == 404
        left = [k for k in client.under_test.home.objects.list("FINAL-IMAGES/") if image_id in k]
        assert left == []


def test_nobody_deletes_what_is_not_theirs(client: Client) -> None:
    image_id = client.upload(pictures.png(), "image/png")
    other = Client.new(client.under_test)
    assert other.send("DELETE", f"/images/{image_id}").status == 204
    reader = Client.new(client.under_test, frozenset({"read"}), client.owner)
    assert reader.send("DELETE", f"/images/{image_id}").problem == (403, "scope")
    assert client.row(image_id)["image-id"] == image_id


def test_deleting_a_name_no_image_has_is_no_error(client: Client) -> None:
    for name in ("nothing.png", "..%2f..", "%00"):
        assert client.send("DELETE", f"/images/{name}").status in (204, 404)


def test_a_failed_image_can_be_tried_again(client: Client) -> None:
    image_id = client.upload(pictures.broken_png(), "image/png")
    client.processed(image_id)
    assert client.row(image_id)["status"] == "failed"
    answer = client.send("POST", f"/images/{image_id}/retry")
    assert answer.status == 202
    assert answer.json["status"] == "uploaded"
    assert "error" not in answer.json
    assert client.processed(image_id).problem == (409, "image_failed")
    assert client.row(image_id)["error"]["code"] == "corrupt_image"


def test_retrying_what_has_not_failed_changes_nothing(client: Client) -> None:
    image_id = client.upload(pictures.png(), "image/png")
    assert client.processed(image_id).status == 200
    before = client.row(image_id)
    assert client.send("POST", f"/images/{image_id}/retry").json == before
    other = Client.new(client.under_test)
    assert other.send("POST", f"/images/{image_id}/retry").problem == (404, "not_found")
