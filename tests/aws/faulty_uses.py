"""What the functions do of AWS, each as one use that says itself whether all went well.

`clean` is the home as it is, `faulty` the same by a way on which one request meets a fault.
"""

import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from unittest.mock import patch

from dandyroll.api.create_upload import create_upload
from dandyroll.api.delete_image import delete_image
from dandyroll.api.get_image_metadata import get_image_metadata
from dandyroll.api.get_processed_image import get_processed_image
from dandyroll.api.http import Request, Response
from dandyroll.api.list_images import list_images
from dandyroll.api.retry_image import retry_image
from dandyroll.api.routes import Handler, answer
from dandyroll.api.upload import upload
from dandyroll.api_keys import mint_api_key
from dandyroll.aws.functions import record_failure
from dandyroll.aws.workflow import begin, go_on
from dandyroll.errors import NotFound
from dandyroll.intake import awaited_row, new_row
from dandyroll.keys import handover_key, mint_image_id, original_key, rendition_key
from dandyroll.models import Changes, Row
from dandyroll.pipeline import STAGES, first_job, run, stage_name
from dandyroll.ports import Home
from tests import pictures

DATA = pictures.png(90, 60)
_one_at_a_time = threading.Lock()
Use = Callable[[Home, Home], None]


def upload_with_a_key(clean: Home, faulty: Home) -> None:
    _upload(clean, faulty, {"idempotency-key": "k"})


def upload_without_one(clean: Home, faulty: Home) -> None:
    _upload(clean, faulty, {})


def _upload(clean: Home, faulty: Home, headers: dict[str, str]) -> None:
    owner = new_owner()
    response = ask(upload, faulty, owner, DATA, headers)
    image_id = json.loads(response.body)["image_id"]
    assert response.status == 201
    (row,) = rows(clean, owner)
    assert (row.image_id, row.status) == (image_id, "uploaded")
    assert clean.objects.get(original_key(image_id)) == DATA


def give_a_ticket(clean: Home, faulty: Home) -> None:
    owner = new_owner()
    announced = json.dumps({"content_type": "image/png", "size_bytes": len(DATA)}).encode()
    response = ask(create_upload, faulty, owner, announced)
    assert response.status == 201
    (row,) = rows(clean, owner)
    assert (row.image_id, row.status) == (json.loads(response.body)["image_id"], "awaiting")


def process_an_upload(clean: Home, faulty: Home) -> None:
    _process(clean, faulty, _stored(clean))


def process_what_came_by_ticket(clean: Home, faulty: Home) -> None:
    row = awaited_row(clean, "image/jpeg", len(DATA), new_owner(), "trace")
    clean.catalogue.create(row)
    clean.objects.put(original_key(row.image_id), DATA, "image/jpeg")
    _process(clean, faulty, row)


def process_what_was_put_straight(clean: Home, faulty: Home) -> None:
    row = replace(_a_row(clean), owner="adopted")
    clean.objects.put(original_key(row.image_id), DATA, "image/png")
    _process(clean, faulty, row)


def _process(clean: Home, faulty: Home, row: Row) -> None:
    event = {"key": original_key(row.image_id), "trace_id": "t"}
    job = begin(faulty, event, STAGES[0])
    go_on(faulty, {**event, "job": job}, STAGES[1])
    found = clean.catalogue.get(row.image_id)
    assert (found.status, found.owner) == ("processed", row.owner)
    assert found.processed is not None
    whole = run(first_job(replace(row, image_format="PNG")), clean.objects, clean.settings.limits)
    assert found.processed == whole.changes.processed


def fail_what_is_no_image(clean: Home, faulty: Home) -> None:
    """Put straight into the store, so that it has no row yet."""
    row = _a_row(clean)
    clean.objects.put(original_key(row.image_id), b"no picture", "image/png")
    _fail(faulty, row, "UnsupportedFormat")
    failed = clean.catalogue.get(row.image_id)
    assert (failed.status, failed.owner) == ("failed", "adopted")
    assert failed.error is not None
    assert failed.error["code"] == "unsupported_format"


def fail_what_came_by_ticket(clean: Home, faulty: Home) -> None:
    row = awaited_row(clean, "image/jpeg", 10, new_owner(), "trace")
    clean.catalogue.create(row)
    clean.objects.put(original_key(row.image_id), b"no picture", "image/jpeg")
    _fail(faulty, row, "CorruptImage")
    assert clean.catalogue.get(row.image_id).status == "failed"
    assert list(clean.objects.list(original_key(row.image_id))) == []


def _fail(faulty: Home, row: Row, error: str) -> None:
    event = {"key": original_key(row.image_id), "trace_id": "t", "size_bytes": 10}
    caught = {"Error": error, "Cause": "{}"}
    with _one_at_a_time, patch.object(record_failure, "this_home", lambda: faulty):
        record_failure.handler({**event, "error": caught}, None)


def delete_one(clean: Home, faulty: Home) -> None:
    row = _processed(clean)
    assert ask(delete_image, faulty, row.owner, name=row.image_id).status == 204
    for key in (original_key, rendition_key, lambda i: handover_key(i, stage_name(STAGES[0]))):
        assert list(clean.objects.list(key(row.image_id))) == []
    assert rows(clean, row.owner) == ()


def find_it_deleted_meanwhile(clean: Home, faulty: Home) -> None:
    row = _stored(clean)
    job = run(first_job(row), clean.objects, clean.settings.limits, STAGES[:1])
    clean.catalogue.delete(row.image_id)
    try:
        go_on(faulty, {"job": job.to_json(), "trace_id": "t"}, STAGES[1])
        raise AssertionError("Expected to hear that the image is gone; heard nothing.")
    except NotFound:
        assert list(clean.objects.list(rendition_key(row.image_id))) == []


def try_one_again(clean: Home, faulty: Home) -> None:
    row = _stored(clean)
    error = {"code": "internal", "message": "It was so."}
    clean.catalogue.advance(row.image_id, "failed", Changes(error=error))
    response = ask(retry_image, faulty, row.owner, name=row.image_id)
    assert (response.status, json.loads(response.body)["status"]) == (202, "uploaded")
    assert clean.catalogue.get(row.image_id).status == "uploaded"


def get_the_original(clean: Home, faulty: Home) -> None:
    row = _stored(clean)
    headers = {"accept": "image/*"}
    response = ask(get_image_metadata, faulty, row.owner, name=row.image_id, headers=headers)
    assert (response.status, response.body) == (200, DATA)


def get_the_rendition(clean: Home, faulty: Home) -> None:
    row = _processed(clean)
    response = ask(get_processed_image, faulty, row.owner, name=row.image_id)
    assert row.processed is not None
    assert (response.status, len(response.body)) == (200, row.processed.size_bytes)


def list_all(clean: Home, faulty: Home) -> None:
    row = _stored(clean)
    response = ask(list_images, faulty, row.owner)
    assert [image["image-id"] for image in json.loads(response.body)["images"]] == [row.image_id]


USES: tuple[Use, ...] = (
    upload_with_a_key,
    upload_without_one,
    give_a_ticket,
    process_an_upload,
    process_what_came_by_ticket,
    process_what_was_put_straight,
    fail_what_is_no_image,
    fail_what_came_by_ticket,
    delete_one,
    find_it_deleted_meanwhile,
    try_one_again,
    get_the_original,
    get_the_rendition,
    list_all,
)


def ask(
    handler: Handler,
    home: Home,
    owner: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    name: str = "",
) -> Response:
    """The handler's answer to that owner, as the gateway would get it."""
    key = mint_api_key(owner, frozenset({"read", "write"}), int(time.time()) + 600)
    given = {"x-api-key": key, **(headers or {})}
    params = {"file-name": name}
    trace_id = uuid.uuid4().hex
    return answer(
        handler, home, Request("POST", "/", params, headers=given, body=body, trace_id=trace_id)
    )


def rows(home: Home, owner: str) -> tuple[Row, ...]:
    return home.catalogue.list(owner, None, 10, "").rows


def new_owner() -> str:
    return f"owner{uuid.uuid4().hex[:12]}"


def _a_row(home: Home) -> Row:
    image_id = mint_image_id(datetime.now(UTC), "png")
    return new_row(home, image_id, home.probe(DATA), DATA, new_owner(), uuid.uuid4().hex)


def _stored(home: Home) -> Row:
    return home.accept(_a_row(home), DATA)


def _processed(home: Home) -> Row:
    row = _stored(home)
    event = {"key": original_key(row.image_id), "trace_id": "t"}
    go_on(home, {**event, "job": begin(home, event, STAGES[0])}, STAGES[1])
    return home.catalogue.get(row.image_id)
