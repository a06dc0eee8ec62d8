"""What must be true of every accepted upload, whatever happened to the home meanwhile."""

import hashlib

from tests.contract.client import Client


def assert_invariant(client: Client, image_id: str, body: bytes, timeout_s: float = 90) -> str:
    """Settled with a rendition or a code; one row; the original byte for byte. Its status."""
    answer = client.processed(image_id, timeout_s)
    row = client.row(image_id)
    assert client.original(image_id).body == body
    assert row["sha256"] == hashlib.sha256(body).hexdigest()
    assert row["owner"] == client.owner
    objects = client.under_test.home.objects
    renditions = list(objects.list(f"FINAL-IMAGES/{image_id}"))
    if row["status"] == "processed":
        assert answer.status == 200, answer.body
        assert hashlib.sha256(answer.body).hexdigest() == row["processed"]["etag"]
        assert renditions == [row["processed"]["key"]]
    else:
        assert answer.problem == (409, "image_failed"), answer.body
        assert row["status"] == "failed"
        assert row["error"]["code"]
        assert renditions == []
    return str(row["status"])
