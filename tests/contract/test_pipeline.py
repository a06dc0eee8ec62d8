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
from dandyroll.models import Changes, Job, Limits
from dandyroll.pipeline import RETRY, STAGES, record, record_failure, run, stage_name
from dandyroll.ports import Home
from tests import pictures
from tests.contract.client import Client

LIMITS = Limits()


@pytest.fixture(params=["jpeg", "png", "webp"])
def picture(request: pytest.FixtureRequest) -> bytes:
    return {"jpeg": pictures.jpeg(), "png": pictures.png(), "webp": pictures.webp()}[request.param]


MORE = {  # what comes in, as what it comes out, and what the row says beside
    "gif": (pictures.in_format("GIF"), "image/gif", "image/png", {}),
    "animated-gif": (pictures.animated("GIF"), "image/gif", "image/gif", {"frames": 3}),
    "animated-webp": (pictures.animated("WEBP"), "image/webp", "image/webp", {"frames": 3}),
    "tiff": (pictures.in_format("TIFF"), "image/tiff", "image/jpeg", {"pages": 1, "page": 1}),
    "tiff-pages": (pictures.pages(), "image/tiff", "image/jpeg", {"pages": 2, "page": 1}),
    "avif": (pictures.in_format("AVIF"), "image/avif", "image/avif", {}),
    "svg": (pictures.SVG, "image/svg+xml", "image/png", {}),
}


@pytest.mark.parametrize("name", MORE)
def test_every_format_comes_out(client: Client, name: str) -> None:
    data, content_type, rendered_type, facts = MORE[name]
    image_id = client.upload(data, content_type)
    answer = client.processed(image_id)
    assert (answer.status, answer.headers["content-type"]) == (200, rendered_type), answer.body
    row = client.row(image_id)
    assert row["content_type"] == content_type
    assert row["processed"]["content_type"] == rendered_type
    found = {name: row.get(name) for name in ("frames", "pages", "page", "declared_type")}
    assert {key: value for key, value in found.items() if value is not None} == facts
    with Image.open(io.BytesIO(answer.body)) as image:
        assert getattr(image, "n_frames", 1) == facts.get("frames", 1)
        assert row["processed"]["height"] == image.height


@pytest.mark.parametrize("name", MORE)
def test_every_format_is_the_same_apart_and_fused(home: Home, name: str) -> None:
    job = _job(home, MORE[name][0], "formats.bin")
    run(job, home.objects, LIMITS)
    together = home.objects.get(rendition_key(job.image_id))
    for stage in STAGES:
        job = Job.from_json(json.loads(json.dumps(job.to_json())))
        job = run(job, home.objects, LIMITS, (stage,))
    assert home.objects.get(rendition_key(job.image_id)) == together


@pytest.mark.parametrize(
    ("declared", "noted"),
    [("image/png", "image/png"), ("text/plain; charset=utf-8", "text/plain"),
     ("image/jpeg", None), ("image/jpg", None), ("application/octet-stream", None)],
)  # fmt: skip
def test_a_declared_type_that_disagrees_is_noted(
    client: Client, declared: str, noted: str | None
) -> None:
    row = client.row(client.upload(pictures.jpeg(), declared))
    assert (row["content_type"], row.get("declared_type")) == ("image/jpeg", noted)


def test_heic_becomes_jpeg_or_is_a_typed_refusal(client: Client) -> None:
    data = pictures.heic()
    if "no-heic" in client.under_test.differences:
        answer = client.send("POST", "/upload", data, Content_Type="image/heic")
        assert answer.problem == (415, "unsupported_format")
        answer = client.send("POST", "/upload", b"no picture", Content_Type="image/heic")
        assert answer.problem == (415, "unsupported_format")
        assert "AVIF or SVG" in answer.json["message"]
        return
    image_id = client.upload(data, "image/heic")
    answer = client.processed(image_id)
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")


def test_creator_and_copyright_are_kept(client: Client) -> None:
    image_id = client.upload(pictures.jpeg(credit=("Ada", "(c) Ada")), "image/jpeg")
    exif = Image.open(io.BytesIO(client.processed(image_id).body)).getexif()
    assert (exif[0x013B], exif[0x8298]) == ("Ada", "(c) Ada")
    assert 0x010F not in exif and not exif.get_ifd(0x8825)


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
    fused = run(job, home.objects, LIMITS)
    together = home.objects.get(rendition_key(job.image_id))
    home.objects.delete(rendition_key(job.image_id))
    for stage in STAGES:
        job = Job.from_json(json.loads(json.dumps(job.to_json())))
        job = run(job, home.objects, LIMITS, (stage,))
    assert home.objects.get(rendition_key(job.image_id)) == together
    assert job.changes.processed == fused.changes.processed
    assert replace(job.changes, ledger={}) == replace(fused.changes, ledger={})


def test_every_stage_run_twice_gives_the_same(home: Home, picture: bytes) -> None:
    job = _job(home, picture, "twice.bin")
    for stage in STAGES:
        once = run(job, home.objects, LIMITS, (stage,))
        left = home.objects.get(once.key)
        again = run(job, home.objects, LIMITS, (stage,))
        assert home.objects.get(again.key) == left
        assert replace(again.changes, ledger={}) == replace(once.changes, ledger={})
        job = again


def test_a_job_survives_its_own_json(home: Home) -> None:
    job = _job(home, pictures.png(), "json.bin")
    for made in (job, run(job, home.objects, LIMITS)):
        assert Job.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_a_deleted_image_stays_deleted(home: Home) -> None:
    job = run(_job(home, pictures.png(), "gone.bin"), home.objects, LIMITS)
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
