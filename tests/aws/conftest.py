"""What several tests of the AWS home stand on."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dandyroll.aws.home import open_home
from dandyroll.ports import Home

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome


@pytest.fixture(scope="session")
def quiet(emulated_home: "EmulatedHome") -> Home:
    """The home with another bucket, one that tells nobody of its objects and has no versions."""
    emulated_home.emulator.client("s3").create_bucket(Bucket="quiet")
    return open_home(replace(emulated_home.settings, bucket="quiet"), emulated_home.emulator.cloud)
