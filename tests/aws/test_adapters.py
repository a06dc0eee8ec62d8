"""The adapters where no AWS answers, and what they never write."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dandyroll.aws.attributes import from_item, to_item
from dandyroll.aws.catalogue import DynamoCatalogue
from dandyroll.aws.cloud import Cloud
from dandyroll.aws.home import open_home
from dandyroll.aws.objects import S3ObjectStore
from dandyroll.aws.table import Table
from dandyroll.errors import NotFound, StoreUnavailable
from dandyroll.keys import parse_image_id
from dandyroll.settings import BadSetting, Settings


@pytest.fixture
def nobody() -> Iterator[Cloud]:
    """A cloud that takes no connections: the port is ours and nobody listens."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        yield Cloud("us-east-1", url, access_key_id="test", secret_access_key="test")


CALLS: list[Callable[[Cloud], object]] = [
    lambda cloud: S3ObjectStore("b", cloud).get("a"),
    lambda cloud: S3ObjectStore("b", cloud).put("a", b"1", "x/y", if_absent=True),
    lambda cloud: S3ObjectStore("b", cloud).delete("a"),
    lambda cloud: list(S3ObjectStore("b", cloud).list("a/")),
    lambda cloud: DynamoCatalogue(Table("t", cloud)).get("a"),
    lambda cloud: DynamoCatalogue(Table("t", cloud)).list("me", None, 10, ""),
    lambda cloud: DynamoCatalogue(Table("t", cloud)).delete("a"),
]


@pytest.mark.parametrize("call", CALLS)
def test_an_aws_that_does_not_answer_is_said_in_time(
    nobody: Cloud, call: Callable[[Cloud], object]
) -> None:
    start_s = time.monotonic()
    with pytest.raises(StoreUnavailable):
        call(nobody)
    assert time.monotonic() - start_s < 25  # the gateway gives up after 29


def test_values_come_back_as_they_were() -> None:
    values = {"a": 2**60, "b": True, "c": None, "d": "", "e": {"f": {"g": 0}}, "h": False}
    found = from_item(to_item(values))
    assert found == values
    assert [type(found[name]) for name in "abh"] == [int, bool, bool]


@pytest.mark.parametrize("value", [1.0, b"bytes", [1], object()])
def test_what_a_row_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        to_item({"a": value})


def test_no_image_has_the_id_of_a_claim() -> None:
    with pytest.raises(NotFound):
        parse_image_id("claim#owner#" + "0" * 64)


def test_a_home_needs_its_bucket_and_table() -> None:
    for settings in (Settings(table="t"), Settings(bucket="b")):
        with pytest.raises(BadSetting, match="DANDYROLL_"):
            open_home(settings, Cloud("us-east-1"))


def test_opening_a_home_asks_nothing(nobody: Cloud) -> None:
    home = open_home(Settings(bucket="b", table="t"), nobody)
    assert home.s3_url("x.png") == "https://b.s3.us-east-1.amazonaws.com/uploaded/x.png"
    assert home.elsewhere("uploaded/x.png", 1000, "v") is None
    assert home.health() == {"home": "aws"}
    assert home.delivery is None
    cdn = open_home(Settings(bucket="b", table="t", cdn="/dandyroll/s/cdn"), nobody)
    assert cdn.delivery is not None


def test_the_cloud_is_told_by_the_environment(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("certificate")
    cloud = Cloud.from_env({"AWS_REGION": "eu-central-1", "AWS_CA_BUNDLE": str(bundle)})
    assert (cloud.region, cloud.certificates()) == ("eu-central-1", b"certificate")
    assert Cloud.from_env({}).certificates() is None
    assert "secret" not in repr(Cloud("r", secret_access_key="secret", session_token="secret"))
