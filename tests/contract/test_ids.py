"""Ids that are taken: who comes second takes the next, and what is there stays as it was."""

import hashlib
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime

from dandyroll.keys import mint_image_id, next_image_id, parse_image_id
from dandyroll.models import Claim
from dandyroll.ports import Home
from tests import pictures
from tests.contract.client import Client
from tests.contract.test_catalogue import new_row


def test_the_next_id_is_another_and_always_the_same() -> None:
    first = mint_image_id(datetime(2025, 9, 29, 22, 29, 31, tzinfo=UTC), "png")
    second = parse_image_id(next_image_id(first))
    assert second == next_image_id(first) != first
    assert len({first, second, next_image_id(second)}) == 3
    assert (second[:-13], second[-4:]) == (first[:-13], ".png")
    assert second[:-12] == "upload-20250929_222931-"


def test_an_upload_whose_id_another_has_takes_the_next(home: Home, client: Client) -> None:
    """And keeps it when it is sent again: the claim still names the one that was taken."""
    body, key, now = pictures.png(), str(uuid.uuid4()), int(time.time())
    taken = replace(new_row(), image_id=mint_image_id(datetime.now(UTC), "png"))
    home.catalogue.create(taken)
    fingerprint = hashlib.sha256(body).hexdigest()
    broken_off = Claim(client.owner, key, "gone", fingerprint, taken.image_id, now, now + 600)
    home.catalogue.claim(broken_off, now)

    image_id = client.upload(body, "image/png", Idempotency_Key=key)
    assert image_id == next_image_id(taken.image_id)
    assert client.upload(body, "image/png", Idempotency_Key=key) == image_id
    assert client.processed(image_id).status == 200
    assert client.original(image_id).body == body
    assert home.catalogue.get(taken.image_id) == taken
