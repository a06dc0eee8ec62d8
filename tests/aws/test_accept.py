"""How an upload becomes durable on AWS, where something is in its way."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dandyroll.errors import Conflict, NotFound
from dandyroll.intake import new_row
from dandyroll.keys import mint_image_id, original_key
from dandyroll.models import Changes, Row
from dandyroll.ports import Home
from tests import pictures

DATA = pictures.png()


@pytest.fixture
def row(quiet: Home) -> Row:
    """What the handler would have accepted."""
    image_id = mint_image_id(datetime.now(UTC), "png")
    return new_row(quiet, image_id, quiet.probe(DATA), DATA, "someone", uuid.uuid4().hex)


def test_row_and_object_are_there_when_it_returns(quiet: Home, row: Row) -> None:
    assert quiet.accept(row, DATA) == replace(row, status="uploaded")
    assert quiet.objects.get(original_key(row.image_id)) == DATA
    assert quiet.catalogue.get(row.image_id) == replace(row, status="uploaded")


def test_a_try_that_broke_off_after_the_row_is_finished(quiet: Home, row: Row) -> None:
    quiet.catalogue.create(row)
    assert quiet.accept(row, DATA).status == "uploaded"
    assert quiet.objects.get(original_key(row.image_id)) == DATA


def test_a_try_that_broke_off_after_the_object_is_finished(quiet: Home, row: Row) -> None:
    quiet.catalogue.create(row)
    quiet.objects.put(original_key(row.image_id), DATA, "image/png")
    assert quiet.accept(row, DATA).status == "uploaded"


def test_where_another_object_is_the_row_is_taken_back(quiet: Home, row: Row) -> None:
    quiet.objects.put(original_key(row.image_id), b"another", "image/png")
    with pytest.raises(Conflict):
        quiet.accept(row, DATA)
    assert quiet.objects.get(original_key(row.image_id)) == b"another"
    with pytest.raises(NotFound):
        quiet.catalogue.get(row.image_id)


def test_another_uploads_row_is_left_alone(quiet: Home, row: Row) -> None:
    quiet.catalogue.create(replace(row, owner="else"))
    with pytest.raises(Conflict):
        quiet.accept(row, DATA)
    assert quiet.catalogue.get(row.image_id).owner == "else"
    with pytest.raises(NotFound):
        quiet.objects.get(original_key(row.image_id))


def test_what_has_moved_on_is_not_accepted_again(quiet: Home, row: Row) -> None:
    quiet.catalogue.create(row)
    quiet.catalogue.advance(row.image_id, "uploaded", Changes())
    with pytest.raises(Conflict):
        quiet.accept(row, DATA)
    assert quiet.catalogue.get(row.image_id).status == "uploaded"


def test_a_pipeline_that_was_quicker_is_not_undone(
    quiet: Home, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = quiet.objects.put

    def put_and_process(key: str, data: bytes, content_type: str, *, if_absent: bool) -> None:
        put(key, data, content_type, if_absent=if_absent)
        quiet.catalogue.advance(row.image_id, "resized", Changes())

    monkeypatch.setattr(quiet.objects, "put", put_and_process)
    assert quiet.accept(row, DATA).status == "uploaded"
    assert quiet.catalogue.get(row.image_id).status == "resized"
