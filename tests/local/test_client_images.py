"""The client and its commands against a real server: tickets, list, delete, retry."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dandyroll import Problem
from tests import pictures
from tests.client.both import KINDS, open_client
from tests.local.served_home import ServedHome, open_served_home
from tests.local.test_cli_upload import Person


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    with open_served_home(tmp_path_factory.mktemp("images"), workers=1) as served:
        yield served


@pytest.fixture
def client(served: ServedHome, kind: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Of an owner that has no images yet."""
    owner = f"c{abs(hash(request.node.name)) % 10**9}"
    key = served.create_key(owner, frozenset({"read", "write"}), int(time.time()) + 600)
    with open_client(kind, served.url, key) as client:
        yield client


def large_png(path: Path) -> Path:
    """A picture of noise, which nothing compresses: some 7 MB."""
    Image.effect_noise((3000, 2500), 80).save(path, "PNG", compress_level=1)
    assert path.stat().st_size > 4_500_000
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_file_goes_by_ticket(client: Any, tmp_path: Path) -> None:
    path = large_png(tmp_path / "large.png")
    image_id = client.upload(path)
    row = client.wait(image_id)
    assert (row.status, row.width, row.size_bytes) == ("processed", 3000, path.stat().st_size)
    assert client.original_to(image_id, tmp_path / "back.png").read_bytes() == path.read_bytes()
    assert [row.image_id for row in client.list()] == [image_id]  # and nothing half-made


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_file_that_is_no_picture_is_refused(client: Any) -> None:
    with pytest.raises(Problem) as caught:
        client.upload(b"\x89PNG" + bytes(5_000_000))
    assert caught.value.status in (415, 422)


@pytest.mark.parametrize("kind", KINDS)
def test_images_are_listed_newest_first_and_deleted(client: Any) -> None:
    ids = [client.upload(pictures.png(20, 20, seed=n)) for n in range(5)]
    for image_id in ids:
        client.wait(image_id)
    assert {row.image_id for row in client.list(status="processed")} == set(ids)
    listed = [row.image_id for row in client.list()]
    assert sorted(listed) == sorted(ids)
    assert [row.image_id for row in client.list(limit=2)] == listed[:2]
    for _ in range(2):  # the second time there is nothing there
        client.delete(ids[0])
    assert [row.image_id for row in client.list()] == [i for i in listed if i != ids[0]]
    with pytest.raises(Problem, match="not_found"):
        client.fetch(ids[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_image_is_processed_anew(client: Any) -> None:
    image_id = client.upload(pictures.broken_png())
    with pytest.raises(Problem, match="image_failed"):
        client.wait(image_id)
    assert [row.image_id for row in client.list(status="failed")] == [image_id]
    assert client.retry(image_id).status != "failed"
    with pytest.raises(Problem, match="image_failed"):
        client.wait(image_id)  # it is still broken, and was looked at again


def test_the_commands_on_images(served: ServedHome, tmp_path: Path) -> None:
    person = Person(served, tmp_path / "home", "commands")
    (tmp_path / "a.jpg").write_bytes(pictures.jpeg())
    (tmp_path / "b.png").write_bytes(pictures.broken_png())
    large_png(tmp_path / "c.png")
    paths = tmp_path / "a.jpg", tmp_path / "b.png", tmp_path / "c.png"
    a, b, c = person.upload(*paths, "--wait")
    assert [outcome["state"] for outcome in (a, b, c)] == ["uploaded", "failed", "uploaded"]
    assert [o["state"] for o in person.upload(*paths)] == ["present"] * 3
    listed = person.run("list", "--json").stdout.splitlines()
    assert len(listed) == 3
    failed = person.run("list", "--status", "failed", "--limit", "5").stdout
    assert failed.split()[:2] == [b["image-id"], "failed"] and "corrupt_image" in failed
    retried = person.run("retry", "--all-failed")
    assert retried.returncode == 0
    assert [line.split()[0] for line in retried.stdout.splitlines()] == [b["image-id"]]
    ids = [json.loads(row)["image-id"] for row in listed]
    assert person.run("delete", *ids, "nothing.jpg").returncode == 0
    assert person.run("list").stdout == ""
