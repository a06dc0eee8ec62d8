"""What several tests of the AWS home stand on."""

import itertools
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dandyroll.aws.home import open_home
from dandyroll.aws.stack import Stack
from dandyroll.ports import Home
from tests.aws.emulator import STACK
from tests.aws.key_bench import Bench

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome


@pytest.fixture(scope="session")
def quiet(emulated_home: "EmulatedHome") -> Home:
    """The home with another bucket, one that tells nobody of its objects and has no versions."""
    emulated_home.emulator.client("s3").create_bucket(Bucket="quiet")
    return open_home(replace(emulated_home.settings, bucket="quiet"), emulated_home.emulator.cloud)


_owners = itertools.count()


@pytest.fixture
def bench(emulated_home: "EmulatedHome") -> Bench:
    """Keys of an owner whom no other test has."""
    stack = Stack.find(STACK, emulated_home.emulator.cloud)
    return Bench(emulated_home, stack, f"keys{next(_owners)}x{int(time.time())}")
