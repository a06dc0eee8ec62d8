"""The pipeline on every home: what comes out, and that twice, late and apart change nothing."""

import hashlib
import io
import json
import uuid
from dataclasses import replace

import pytest
from PIL import Image

from dandyroll.errors import CorruptImage, NotFound
from dandyroll.keys import handover_key, original_key, rendition_key
from dandyroll.models import Changes, Job
from dandyroll.pipeline import RETRY, STAGES, record, record_failure, run, stage_name
from dandyroll.ports import Home
from tests import pictures
from tests.contract.client import Client

MAX_PIXELS = 50_000_000


@pytest.fixture(params=["jpeg", "png", "webp"])
def picture(request: pytest.FixtureRequest) -> bytes:
    return {"jpeg": pictures.jpeg(), "png": pictures.png(), "webp": pictures.webp()}[request.param]


def test_an_upload_comes_out_resized_marked_and_bare(client: Client, picture: bytes) -> None:
    image_id = client.upload(picture)
    answer = client.processed(image_id)
    assert answer.status == 200, answer.body
    before, after = (Image.open(io.BytesIO(data)) for data in (picture, answer.body))
    assert after.format == before.format
    assert max(after.size) == min(1280, max(before.size))
    assert not after.getexif() and "icc_profile" not in after.info
    row = client.row(image_id)
    mark = row["processed"]["mark"]
    corner = (mark["left"], mark["top"])
    box = (*corner, corner[0] + mark["width"], corner[1] + mark["height"])
    plain = before.convert("RGBA").resize(after.size).crop(box)
    marked = after.convert("RGBA").crop(box)
    different = [
        sum(abs(a - b) for a, b in zip(one, other, strict=True)) > 60
        for one, other in zip(plain.get_flattened_data(), marked.get_flattened_data(), strict=True)
    ]
    assert sum(different) > len(different) / 20, "no mark to be seen"


def test_the_row_tells_it_all(client: Client) -> None:
    data = pictures.png()
    image_id = client.upload(data, "image/png")
    assert client.processed(image_id).status == 200
    row = client.row(image_id)
    assert row["image-id"] == image_id
    given = {
        "content_type": "image/png",
        "height": 200,
        "has_transparency": True,
        "image_format": "PNG",
        "mode": "RGBA",
        "size_bytes": len(data),
        "width": 300,
        "status": "processed",
        "sha256": hashlib.sha256(data).hexdigest(),
        "owner": client.owner,
    }
    assert {name: row[name] for name in given} == given
    assert {"bucket", "created_date", "s3_url", "uploaded_at", "policy"} <= row.keys()
    stages = {f"{stage.__name__}_ms" for stage in STAGES}
    others = {"cpu_ms", "peak_memory_kb", "bytes_in", "bytes_out", "trace_id"}
    assert stages | others <= row["ledger"].keys()


def test_a_picture_that_cannot_be_decoded_fails_with_a_code(client: Client) -> None:
    image_id = client.upload(pictures.broken_png(), "image/png")
    assert client.processed(image_id).problem == (409, "image_failed")
    row = client.row(image_id)
    assert (row["status"], row["error"]["code"]) == ("failed", "corrupt_image")
    assert client.original(image_id).body == pictures.broken_png()


def test_an_event_delivered_twice_changes_nothing(client: Client, home: Home) -> None:
    image_id = client.upload(pictures.jpeg())
    first = client.processed(image_id)
    before = home.catalogue.get(image_id)
    client.under_test.deliver(image_id)
    assert client.processed(image_id).body == first.body
    assert home.catalogue.get(image_id) == before


def test_stages_apart_and_fused_give_the_same_bytes(home: Home, picture: bytes) -> None:
    job = _job(home, picture, "apart.bin")
    fused = run(job, home.objects, MAX_PIXELS)
    together = home.objects.get(rendition_key(job.image_id))
    home.objects.delete(rendition_key(job.image_id))
    for stage in STAGES:
        job = Job.from_json(json.loads(json.dumps(job.to_json())))
        job = run(job, home.objects, MAX_PIXELS, (stage,))
    assert home.objects.get(rendition_key(job.image_id)) == together
    assert job.changes.processed == fused.changes.processed
    assert replace(job.changes, ledger={}) == replace(fused.changes, ledger={})


def test_every_stage_run_twice_gives_the_same(home: Home, picture: bytes) -> None:
    job = _job(home, picture, "twice.bin")
    for stage in STAGES:
        once = run(job, home.objects, MAX_PIXELS, (stage,))
        left = home.objects.get(once.key)
        again = run(job, home.objects, MAX_PIXELS, (stage,))
        assert home.objects.get(again.key) == left
        assert replace(again.changes, ledger={}) == replace(once.changes, ledger={})
        job = again


def test_a_job_survives_its_own_json(home: Home) -> None:
    job = _job(home, pictures.png(), "json.bin")
    for made in (job, run(job, home.objects, MAX_PIXELS)):
        assert Job.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_a_deleted_image_stays_deleted(home: Home) -> None:
    job = run(_job(home, pictures.png(), "gone.bin"), home.objects, MAX_PIXELS)
    assert record(job, home.catalogue, home.objects) is None
    with pytest.raises(NotFound):
        home.objects.get(rendition_key(job.image_id))
    assert record_failure(job.image_id, CorruptImage("no"), home.catalogue) is None
    with pytest.raises(NotFound):
        home.catalogue.get(job.image_id)


def test_a_late_failure_does_not_undo_a_processed_image(client: Client, home: Home) -> None:
    image_id = client.upload(pictures.png(), "image/png")
    assert client.processed(image_id).status == 200
    before = home.catalogue.get(image_id)
    assert record_failure(image_id, CorruptImage("late"), home.catalogue) == before
    assert home.catalogue.advance(image_id, "resized", Changes(mode="1")) == before


def test_hand_overs_lie_under_a_prefix_that_expires() -> None:
    key = handover_key("a.png", stage_name(STAGES[0]))
    assert key == "hand-over/update-size/a.png.tif"


def test_tries_are_counted_as_people_count_them() -> None:
    assert (RETRY.tries, [RETRY.wait_s(n) for n in (1, 2, 3, 9)]) == (3, [1, 2, 4, 20])


def _job(home: Home, data: bytes, name: str) -> Job:
    """A job on an original without a row, under a name that no workflow takes for an image's."""
    header = home.probe(data)
    image_id = f".{uuid.uuid4().hex}-{name}"
    home.objects.put(original_key(image_id), data, header.content_type)
    return Job(image_id, home.policy.id, original_key(image_id), header.image_format)
