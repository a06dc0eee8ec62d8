"""The stack as an operator's commands find it."""

from typing import TYPE_CHECKING

import pytest

from dandyroll.aws.cloud import Cloud
from dandyroll.aws.home import open_home
from dandyroll.aws.stack import CloudError, Stack, operators_cloud
from dandyroll.settings import BadSetting
from tests.aws.emulator import STACK

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome


@pytest.fixture
def operator(emulated_home: "EmulatedHome", monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """An operator's shell, with what the AWS tools read in it; the cloud it leads to."""
    for name, value in operators_shell(emulated_home).items():
        monkeypatch.setenv(name, value)
    return operators_cloud()


def operators_shell(aws: "EmulatedHome") -> dict[str, str]:
    """The environment of an operator of that home."""
    cloud = aws.emulator.cloud
    shell = {
        "AWS_ENDPOINT_URL": cloud.endpoint_url,
        "AWS_ACCESS_KEY_ID": cloud.access_key_id,
        "AWS_SECRET_ACCESS_KEY": cloud.secret_access_key,
        "AWS_REGION": cloud.region,
        "AWS_DEFAULT_REGION": cloud.region,
        "AWS_CA_BUNDLE": cloud.ca_bundle,
    }
    return {name: value for name, value in shell.items() if value}


def test_a_stack_is_found_by_its_name(emulated_home: "EmulatedHome", operator: Cloud) -> None:
    stack = Stack.find(STACK, operator)
    assert stack.outputs == emulated_home.outputs
    home = open_home(stack.settings(), operator)
    assert list(home.objects.list("no-such-prefix/")) == []


def test_there_is_no_stack_of_another_name(operator: Cloud) -> None:
    with pytest.raises(CloudError, match="elsewhere"):
        Stack.find("elsewhere", operator)


def test_an_older_stack_is_told_to_be_deployed(operator: Cloud) -> None:
    with pytest.raises(CloudError, match="no output Later: dandyroll deploy"):
        Stack.find(STACK, operator).output("Later")


@pytest.mark.parametrize(
    ("missing", "says"),
    [("AWS_ACCESS_KEY_ID", "credentials"), ("AWS_REGION", "region")],
)
def test_what_an_operator_lacks_is_named(
    emulated_home: "EmulatedHome", monkeypatch: pytest.MonkeyPatch, missing: str, says: str
) -> None:
    for name, value in operators_shell(emulated_home).items():
        monkeypatch.setenv(name, value)
    for name in (missing, "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(BadSetting, match=says):
        operators_cloud()
