"""Deletion on a bucket that keeps versions, and trying again: what no client can look at."""

import uuid
from typing import TYPE_CHECKING

import pytest

from dandyroll.aws.catalogue import DynamoCatalogue
from dandyroll.aws.cloud import Cloud
from dandyroll.aws.executions import Executions, retry
from dandyroll.errors import StoreUnavailable
from dandyroll.keys import original_key, rendition_key
from dandyroll.models import Changes
from dandyroll.ports import Home
from dandyroll.settings import BadSetting
from tests import pictures
from tests.aws.test_flow import settled, straight
from tests.aws.test_tickets import versions
from tests.contract.client import Client
from tests.contract.test_catalogue import new_row

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

NONE = Executions("", Cloud("us-east-1"))


@pytest.fixture
def aws(emulated_home: "EmulatedHome") -> "EmulatedHome":
    return emulated_home


def test_a_deleted_image_leaves_no_version_of_anything(aws: "EmulatedHome") -> None:
    client = Client.new(aws)
    image_id = client.upload(pictures.png(), "image/png")
    assert client.processed(image_id).status == 200
    aws.home.objects.put(rendition_key(image_id), b"an earlier run's", "image/png")
    assert len(versions(aws, rendition_key(image_id))) == 2
    assert client.send("DELETE", f"/images/{image_id}").status == 204
    left = [v for v in versions(aws, "") if image_id in v["Key"]]
    assert left == []


def test_only_the_object_itself_is_deleted(aws: "EmulatedHome") -> None:
    key = f"elsewhere/{uuid.uuid4().hex}"
    for name in (key, key, key + "x", key + "/y"):
        aws.home.objects.put(name, b"1", "text/plain")
    aws.home.objects.delete(key)
    assert sorted(v["Key"] for v in versions(aws, key)) == [key + "/y", key + "x"]


def test_marks_of_an_earlier_deletion_go_too(aws: "EmulatedHome") -> None:
    key = f"elsewhere/{uuid.uuid4().hex}"
    aws.home.objects.put(key, b"1", "text/plain")
    aws.emulator.client("s3").delete_object(Bucket=aws.settings.bucket, Key=key)
    assert len(versions(aws, key)) == 2
    aws.home.objects.delete(key)
    assert versions(aws, key) == []


def test_what_was_put_straight_and_is_no_image_can_be_tried_again(aws: "EmulatedHome") -> None:
    """After the object has been replaced by one that is; and the row then says what it is."""
    image_id, admin = straight("jpg"), Client.new(aws, frozenset({"admin"}))
    aws.put_original(original_key(image_id), b"no picture")
    assert settled(aws, image_id).status == "failed"
    restarted = aws.home.catalogue.restart(image_id)
    assert (restarted.status, restarted.error) == ("uploaded", None)
    aws.put_original(original_key(image_id), pictures.jpeg(700, 500))
    assert admin.processed(image_id).status == 200
    row = aws.home.catalogue.get(image_id)
    assert (row.width, row.height, row.image_format) == (700, 500, "JPEG")


def test_where_nothing_could_be_started_the_image_has_failed_as_before(
    aws: "EmulatedHome", quiet: Home
) -> None:
    row = new_row()
    quiet.catalogue.create(row)
    reason = {"code": "internal", "message": "It was so."}
    failed = quiet.catalogue.advance(row.image_id, "failed", Changes(error=reason))

    assert isinstance(quiet.catalogue, DynamoCatalogue)
    nowhere = Executions(aws.settings.state_machine + "x", aws.emulator.cloud)
    for executions, error in ((nowhere, StoreUnavailable), (NONE, BadSetting)):
        with pytest.raises(error):
            retry(quiet.catalogue, executions, failed)
    assert quiet.catalogue.get(row.image_id) == failed
