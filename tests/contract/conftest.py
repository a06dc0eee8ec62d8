"""Every test here runs on every home. A home is a fixture; the tests do not know which."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import pytest

from dandyroll.ports import Home
from tests.contract.broken import break_adapter
from tests.contract.client import Client


class HomeUnderTest(Protocol):
    """What a home supplies. `differences` names promises it cannot show, each with its reason."""

    name: str
    differences: frozenset[str]
    home: Home

    def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]: ...
    def create_key(self, owner: str, scopes: frozenset[str], expires_at: int) -> str: ...
    def revoke_key(self, value: str) -> None: ...
    def deliver(self, image_id: str) -> None: ...


HOMES = ("local", "aws")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--broken", metavar="NAME", help="break an adapter: the suite must notice")


def pytest_configure(config: pytest.Config) -> None:
    if name := config.getoption("--broken"):
        break_adapter(name)


@pytest.fixture(scope="session", params=HOMES)
def under_test(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HomeUnderTest]:
    if request.param == "local":
        from tests.local.served_home import open_served_home

        with open_served_home(tmp_path_factory.mktemp("data")) as served:
            yield served
    else:
        yield request.getfixturevalue("emulated_home")


@pytest.fixture
def home(under_test: HomeUnderTest) -> Home:
    return under_test.home


@pytest.fixture
def client(under_test: HomeUnderTest) -> Client:
    """A client with a key that may read and write, of an owner no other test has."""
    return Client.new(under_test)
