"""With CI=true a skipped test is a failed one: nothing drops out of a run unsaid."""

import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from xdist.scheduler import LoadScopeScheduling

    from tests.aws.emulated_home import EmulatedHome

CI = os.environ.get("CI") == "true"

OPEN_THEIR_OWN = {"tests/aws/test_fault_chaos.py", "tests/aws/test_tls.py"}
"""Files whose tests take long and may do so beside the other tests of their home."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--aws",
        choices=("plain", "tls"),
        default="plain",
        help="how the AWS home's emulator is reached; with tls the bucket is for TLS only",
    )


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why it was skipped, as pytest keeps it: (file, line, reason)."""
    if isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        return f"{path}:{line}: {reason}"
    return str(report.longrepr)


def fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if CI and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        report.longrepr = f"skipped, which CI does not allow: {reason_of(report)}"
        report.outcome = "failed"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    fail_if_skipped(report)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> "LoadScopeScheduling":
    """Each home is opened once: all tests of a home run in one process, others file by file."""
    from xdist.scheduler import LoadScopeScheduling

    class ByHome(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            path, _, name = nodeid.partition("::")
            if path in OPEN_THEIR_OWN:
                return path
            for home in ("aws", "local"):
                if path.startswith(f"tests/{home}/") or f"[{home}" in name:
                    return home
            return path

    return ByHome(config, log)


def has_tls(config: pytest.Config) -> bool:
    """Whether the tests reach the emulator by TLS."""
    return bool(config.getoption("--aws") == "tls")


@pytest.fixture(scope="session")
def emulated_home(request: pytest.FixtureRequest) -> "Iterator[EmulatedHome]":
    """The AWS home on the emulator; one for all tests of the group `aws`."""
    from tests.aws.emulated_home import open_emulated_home

    with open_emulated_home(tls=has_tls(request.config)) as home:
        yield home
