"""The client against a real server."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dandyroll import Problem
from tests import pictures
from tests.client.both import KINDS, open_client
from tests.contract.client import Client as RawClient
from tests.local.served_home import ServedHome, open_served_home

pytestmark = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    with open_served_home(tmp_path_factory.mktemp("client"), workers=1) as served:
        yield served


def new_key(served: ServedHome, owner: str = "shop", scopes: str = "read write") -> str:
    return served.create_key(owner, frozenset(scopes.split()), int(time.time()) + 600)


@pytest.fixture
def client(served: ServedHome, kind: str) -> Iterator[Any]:
    with open_client(kind, served.url, new_key(served)) as client:
        yield client


def test_a_picture_goes_up_and_its_rendition_comes_down(
    client: Any, kind: str, tmp_path: Path
) -> None:
    data = pictures.jpeg(1600, 1000, seed=KINDS.index(kind) * 5)
    image_id = client.upload(data)
    row = client.wait(image_id)
    assert (row.status, row.width, row.image_id) == ("processed", 1600, image_id)
    assert client.metadata(image_id) == row
    processed = client.fetch(image_id)
    assert processed[:2] == b"\xff\xd8" and len(processed) == row.processed.size_bytes
    assert client.fetch_to(image_id, tmp_path / "a.jpg").read_bytes() == processed
    assert client.original(image_id) == data
    assert client.original_to(image_id, str(tmp_path / "b.jpg")).read_bytes() == data
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.jpg", "b.jpg"]


def test_the_same_bytes_are_the_same_image_unless_told_otherwise(
    client: Any, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(pictures.png(seed=20 + KINDS.index(kind) * 5))
    first = client.upload(path)
    assert client.upload(str(path)) == first
    with path.open("rb") as file:
        assert client.upload(file) == first
    assert client.upload(path, idempotency_key=f"once-more-{kind}") != first


def test_an_image_on_its_way_is_waited_for(client: Any, kind: str) -> None:
    image_id = client.upload(pictures.jpeg(3000, 2000, seed=30 + KINDS.index(kind) * 5))
    assert client.fetch(image_id)[:2] == b"\xff\xd8"


def test_who_does_not_want_to_wait_is_told_so(client: Any, kind: str, served: ServedHome) -> None:
    # Its bytes never come, so it cannot be ready however quick the workers are.
    raw = RawClient(served, "shop", new_key(served))
    announced = raw.send("POST", "/uploads", b'{"content_type": "image/png", "size_bytes": 9}')
    with pytest.raises(Problem) as caught:
        client.wait(announced.json["image_id"], timeout_s=0)
    assert (caught.value.status, caught.value.code) == (409, "not_ready")
    assert caught.value.retry_after_s and caught.value.trace_id


def test_a_failed_image_says_why(client: Any) -> None:
    image_id = client.upload(pictures.broken_png())
    with pytest.raises(Problem, match="corrupt_image") as caught:
        client.fetch(image_id)
    assert caught.value.code == "image_failed"
    assert client.metadata(image_id).error["code"] == "corrupt_image"


def test_refusals_come_with_their_codes(served: ServedHome, client: Any, kind: str) -> None:
    for call, status, code in (
        (lambda: client.upload(b"no picture"), 415, "unsupported_format"),
        (lambda: client.upload(b""), 400, "empty_body"),
        (lambda: client.metadata("nothing.jpg"), 404, "not_found"),
        (lambda: client.metadata("../health"), 404, "not_found"),
    ):
        with pytest.raises(Problem) as caught:
            call()
        assert (caught.value.status, caught.value.code) == (status, code)
    reader = new_key(served, scopes="read")
    with open_client(kind, served.url, reader) as other, pytest.raises(Problem, match="scope"):
        other.upload(pictures.png())


def test_the_server_may_restart_under_a_client(served: ServedHome, client: Any, kind: str) -> None:
    image_id = client.upload(pictures.png(seed=50 + KINDS.index(kind) * 5))
    served.restart()
    assert client.wait(image_id).status == "processed"
