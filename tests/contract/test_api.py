"""The HTTP contract on every home, as clients meet it."""

import hashlib
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import pictures
from tests.contract.client import READ_WRITE, Client

MISSING = "upload-20200101_000000-00000000.png"


def test_an_upload_is_answered_with_its_id_and_urls(client: Client) -> None:
    answer = client.send("POST", "/upload", pictures.png(), Content_Type="image/png")
    assert answer.status == 201
    assert answer.json["message"] == "Image uploaded successfully"
    image_id = answer.json["image_id"]
    assert re.fullmatch(r"upload-\d{8}_\d{6}-[0-9a-f]{8}\.png", image_id)
    assert answer.json["s3_url"].startswith("http")
    assert answer.headers["location"] == f"/get-image-metadata/{image_id}"
    assert client.row(image_id)["s3_url"] == answer.json["s3_url"]


def test_the_row_is_there_with_the_answer(client: Client) -> None:
    data = pictures.jpeg(640, 480)
    row = client.row(client.upload(data))
    known = {"image-id", "bucket", "content_type", "created_date", "height", "image_format"}
    known |= {"s3_url", "size_bytes", "uploaded_at", "width", "status", "owner", "sha256"}
    assert known <= row.keys()
    assert (row["width"], row["height"], row["image_format"]) == (640, 480, "JPEG")
    assert row["size_bytes"] == len(data)
    assert abs(row["uploaded_at"] - time.time()) < 60
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["created_date"])


def test_the_format_is_told_by_the_bytes(client: Client) -> None:
    image_id = client.upload(pictures.png(), "image/jpeg")
    assert image_id.endswith(".png")
    assert client.row(image_id)["content_type"] == "image/png"


def test_the_original_comes_back_byte_for_byte(client: Client) -> None:
    data = pictures.jpeg()
    answer = client.original(client.upload(data))
    assert (answer.status, answer.body) == (200, data)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'


@pytest.mark.parametrize("accept", ["", "*/*", "image/*", "image/avif,image/webp,*/*;q=0.8"])
def test_the_processed_image_comes_for_any_accept_but_json(client: Client, accept: str) -> None:
    image_id = client.upload(pictures.png(), "image/png")
    headers = {"Accept": accept} if accept else {}
    answer = client.processed(image_id, **headers)
    assert answer.status == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.body.startswith(b"\x89PNG")
    assert answer.headers["link"] == f'</get-image-metadata/{image_id}>; rel="describedby"'
    row = client.row(image_id)
    assert answer.headers["x-image-id"] == image_id
    assert answer.headers["x-image-width"] == str(row["processed"]["width"])
    assert answer.headers["x-image-original-height"] == str(row["height"])
    assert answer.headers["etag"] == f'"{hashlib.sha256(answer.body).hexdigest()}"'
    assert "private" in answer.headers["cache-control"]


def test_json_is_answered_with_the_row_and_its_renditions(client: Client) -> None:
    image_id = client.upload(pictures.png(), "image/png")
    answer = client.processed(image_id, Accept="application/json")
    assert answer.status == 200
    assert answer.json["renditions"] == {"processed": f"/get-processed-image/{image_id}"}
    assert answer.json["image-id"] == image_id


def test_what_a_client_has_is_not_sent_again(client: Client) -> None:
    image_id = client.upload(pictures.png(), "image/png")
    for path, accept in (
        (f"/get-processed-image/{image_id}?wait=20", "image/*"),
        (f"/get-image-metadata/{image_id}", "image/*"),
    ):
        first = client.send("GET", path, Accept=accept)
        assert first.status == 200
        etag = first.headers["etag"]
        again = client.send("GET", path, Accept=accept, If_None_Match=f'"other", {etag}')
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", etag)
        other = client.send("GET", path, Accept=accept, If_None_Match='"other"')
        assert other.status == 200


def test_an_image_not_ready_says_when_to_ask_again(client: Client) -> None:
    home = client.under_test.home
    image_id = client.upload(pictures.jpeg(4000, 3000), "image/jpeg")
    answer = client.send("GET", f"/get-processed-image/{image_id}")
    if answer.status == 409:  # a quick home may be done
        assert answer.problem == (409, "not_ready")
        assert int(answer.headers["retry-after"]) >= 1
    assert client.processed(image_id).status == 200
    assert home.catalogue.get(image_id).status == "processed"


@pytest.mark.parametrize("wait", ["-1", "abc", "21", "1e9", "9" * 50])
def test_a_bad_wait_is_refused(client: Client, wait: str) -> None:
    answer = client.send("GET", f"/get-processed-image/{MISSING}?wait={wait}")
    assert answer.problem == (400, "bad_parameter")


# --- who may do what


def test_without_a_good_key_there_is_nothing(client: Client) -> None:
    under_test = client.under_test
    revoked = under_test.create_key("revoked", READ_WRITE, int(time.time()) + 3600)
    under_test.revoke_key(revoked)
    expired = under_test.create_key("expired", READ_WRITE, int(time.time()) - 1)
    unknown = client.key[:-1] + ("a" if client.key[-1] != "a" else "b")
    longer = re.sub(r"E\d{10}", "E9999999999", client.key)
    image_id = client.upload(pictures.png(), "image/png")
    for key in ("", "nonsense", unknown, longer, revoked, expired):
        headers = {"x-api-key": key, "content-type": "image/png"} if key else {}
        for method, path in (
            ("POST", "/upload"),
            ("GET", f"/get-image-metadata/{image_id}"),
            ("GET", f"/get-processed-image/{image_id}"),
        ):
            body = pictures.png() if method == "POST" else b""
            answer = client.send_bare(method, path, headers, body)
            assert answer.status == 403, key
            if "aws-gateway-responses" not in under_test.differences:
                assert answer.problem == (403, "forbidden")


def test_a_key_opens_only_what_its_scopes_say(client: Client) -> None:
    image_id = client.upload(pictures.png(), "image/png")
    writer = Client.new(client.under_test, frozenset({"write"}), client.owner)
    reader = Client.new(client.under_test, frozenset({"read"}), client.owner)
    assert reader.send("POST", "/upload", pictures.png()).problem == (403, "scope")
    assert writer.send("GET", f"/get-image-metadata/{image_id}").problem == (403, "scope")
    assert writer.send("GET", f"/get-processed-image/{image_id}").problem == (403, "scope")
    assert reader.row(image_id)["image-id"] == image_id


def test_owners_are_kept_apart(client: Client) -> None:
    image_id = client.upload(pictures.png(), "image/png")
    other = Client.new(client.under_test)
    admin = Client.new(client.under_test, frozenset({"admin"}))
    for path in (f"/get-image-metadata/{image_id}", f"/get-processed-image/{image_id}"):
        assert other.send("GET", path).problem == (404, "not_found")
    assert admin.row(image_id)["owner"] == client.owner


# --- names and paths


@pytest.mark.parametrize(
    "name",
    [
        MISSING,
        "..",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e%2fcatalogue.db",
        "a%2fb",
        "a%00b.png",
        "%00",
        "a%5cb",
        "%ff%fe",
        ".tmp",
        "x" * 9_000,
        "'%20OR%201=1--",
    ],
)
@pytest.mark.parametrize("route", ["/get-image-metadata/", "/get-processed-image/"])
def test_a_name_no_image_has_is_not_found(client: Client, route: str, name: str) -> None:
    answer = client.send("GET", route + name)
    assert answer.status == 404, answer.body
    if "aws-gateway-responses" not in client.under_test.differences:
        assert answer.problem == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/nothing"), ("GET", "/upload"), ("DELETE", "/upload"), ("PUT", "/x/y")],
)
def test_an_unknown_route_is_not_found(client: Client, method: str, path: str) -> None:
    if path == "/" and client.under_test.name == "local":
        return
    answer = client.send(method, path)
    if "aws-gateway-responses" not in client.under_test.differences:
        assert answer.problem == (404, "not_found")


def test_health_needs_no_key(client: Client) -> None:
    answer = client.send_bare("GET", "/health", {})
    assert (answer.status, answer.json["status"]) == (200, "ok")


# --- what is not an image


def bad_bodies() -> dict[str, tuple[bytes, tuple[int, str]]]:
    whole = pictures.jpeg()
    return {
        "empty": (b"", (400, "empty_body")),
        "text": (b"This is no picture at all.\n" * 9, (415, "unsupported_format")),
        "bitmap": (b"BM" + bytes(50), (415, "unsupported_format")),
        "truncated jpeg": (whole[: len(whole) // 2], (422, "truncated_image")),
        "truncated png": (pictures.png()[:-20], (422, "truncated_image")),
        "truncated webp": (pictures.webp()[:-20], (422, "truncated_image")),
        "bomb": (pictures.claimed_png(60_000, 60_000), (422, "too_many_pixels")),
        "only a signature": (b"\x89PNG\r\n\x1a\n", (422, "truncated_image")),
    }


@pytest.mark.parametrize("name", list(bad_bodies()))
def test_what_is_no_image_is_refused_with_a_code(client: Client, name: str) -> None:
    body, expected = bad_bodies()[name]
    before = list(client.under_test.home.objects.list("uploaded/"))
    answer = client.send("POST", "/upload", body, Content_Type="image/jpeg")
    assert answer.problem == expected
    assert list(client.under_test.home.objects.list("uploaded/")) == before


def test_a_body_over_the_limit_is_refused(client: Client) -> None:
    limit = client.under_test.home.settings.max_direct_bytes
    body = pictures.jpeg() + bytes(limit)
    answer = client.send("POST", "/upload", body, Content_Type="image/jpeg")
    assert answer.problem == (413, "body_too_large")
    assert str(limit) in answer.json["message"]


def test_a_form_is_refused_with_the_way_to_do_it(client: Client) -> None:
    answer = client.send(
        "POST", "/upload", b"--x\r\n\r\n--x--", Content_Type="multipart/form-data; boundary=x"
    )
    assert answer.problem == (415, "multipart")
    assert "--data-binary" in answer.json["message"]


# --- once, however often it is sent


def test_a_repeated_upload_is_one_upload(client: Client) -> None:
    key = {"Idempotency_Key": str(uuid.uuid4())}
    first = client.upload(pictures.png(), "image/png", **key)
    assert client.upload(pictures.png(), "image/png", **key) == first
    other = client.upload(pictures.png(), "image/png", Idempotency_Key=str(uuid.uuid4()))
    assert other != first


def test_a_key_used_for_another_body_is_refused(client: Client) -> None:
    key = {"Idempotency_Key": "k"}
    client.upload(pictures.png(seed=1), "image/png", **key)
    answer = client.send("POST", "/upload", pictures.png(seed=2), **key)
    assert answer.problem == (422, "idempotency_mismatch")


def test_owners_do_not_share_idempotency_keys(client: Client) -> None:
    other = Client.new(client.under_test)
    key = {"Idempotency_Key": "shared"}
    first = client.upload(pictures.png(), "image/png", **key)
    assert other.upload(pictures.png(), "image/png", **key) != first


@pytest.mark.parametrize("key", ["", "x" * 256, "a b"])
def test_a_bad_idempotency_key_is_refused(client: Client, key: str) -> None:
    answer = client.send("POST", "/upload", pictures.png(), Idempotency_Key=key)
    assert answer.problem == (400, "bad_parameter")


def test_of_racing_repeats_one_uploads(client: Client) -> None:
    key, body = str(uuid.uuid4()), pictures.png()

    def send(_: int) -> tuple[int, str]:
        answer = client.send("POST", "/upload", body, Idempotency_Key=key)
        if answer.status == 201:
            return 201, answer.json["image_id"]
        assert "retry-after" in answer.headers
        return answer.problem

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(send, range(6)))
    uploaded = {image_id for status, image_id in answers if status == 201}
    assert len(uploaded) == 1
    assert {a for a in answers if a[0] != 201} <= {(409, "upload_in_flight")}
    assert client.upload(body, "image/png", Idempotency_Key=key) in uploaded


def test_every_problem_names_its_trace(client: Client) -> None:
    answer = client.send("GET", f"/get-image-metadata/{MISSING}")
    assert answer.json["trace_id"]
