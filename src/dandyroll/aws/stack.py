"""The stack as an operator's commands reach it: by its name, through what CloudFormation tells."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from dandyroll.aws.cloud import Cloud
from dandyroll.settings import BadSetting, Settings

_READ_S = 60  # a command has time, and some calls that must not be made twice are slow


class CloudError(Exception):  # no caller of the API ever sees it, so it is not in errors.py
    """AWS refused what a command asked of it, or did not answer; the message says which."""


@dataclass(frozen=True)
class Stack:
    """A deployed stack: where it is and as whom we call it, and the outputs of its template."""

    name: str
    cloud: Cloud
    outputs: Mapping[str, str] = field(repr=False)

    @classmethod
    def find(cls, name: str, cloud: Cloud) -> Self:
        """Raises `CloudError` where there is none of that name, or nobody to ask."""
        missing = f"Expected a stack {name} in {cloud.region}; there is none of that name there."
        with operators_errors(does_not_exist=missing):
            found = cloud.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        outputs = {o["OutputKey"]: o["OutputValue"] for o in found.get("Outputs", ())}
        return cls(name, cloud, outputs)

    def output(self, name: str) -> str:
        """One output; `CloudError` where a stack of an earlier release has none of that name."""
        if name not in self.outputs:
            raise CloudError(f"The stack {self.name} has no output {name}: dandyroll deploy")
        return self.outputs[name]

    def settings(self) -> Settings:
        """What a home on this stack is opened with, from wherever one is."""
        return Settings(
            bucket=self.output("BucketName"),
            table=self.output("TableName"),
            state_machine=self.output("PipelineArn"),
            cdn=self.outputs.get("CdnParameters", ""),
            keep_originals_days=int(self.outputs.get("KeepOriginalsDays", "0")),
        )


def stack_parameters(name: str, cloud: Cloud) -> dict[str, str] | None:
    """What the stack's template was given; None where there is no stack. Raises `CloudError`."""
    from botocore.exceptions import ClientError

    try:
        with operators_errors():
            found = cloud.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except CloudError as error:
        cause = error.__cause__
        if isinstance(cause, ClientError) and "does not exist" in str(cause):
            return None
        raise
    return {p["ParameterKey"]: p["ParameterValue"] for p in found.get("Parameters", ())}


def operators_cloud(region: str | None = None) -> Cloud:
    """AWS as the AWS tools would reach it: environment, profile, single sign-on or role.

    Raises `BadSetting` without credentials, without a region, or without the extra `aws`.
    """
    try:
        from botocore.session import get_session
    except ModuleNotFoundError:
        raise BadSetting(
            "Expected the extra aws; in a checkout: make sam; else: pip install 'dandyroll[aws]'"
        ) from None
    session = get_session()
    with operators_errors():
        credentials = session.get_credentials()
        frozen = credentials and credentials.get_frozen_credentials()
        # botocore itself reads AWS_DEFAULT_REGION alone of the two
        region = region or os.environ.get("AWS_REGION") or session.get_config_variable("region")
    if not frozen:
        raise BadSetting("Expected AWS credentials, as `aws configure` sets them; got none.")
    if not region:
        raise BadSetting("Expected an AWS region: --region or AWS_REGION; got none.")
    return Cloud.from_env(
        region=region,
        access_key_id=frozen.access_key or "",
        secret_access_key=frozen.secret_key or "",
        session_token=frozen.token or "",
        read_timeout_s=_READ_S,
    )


@contextmanager
def operators_errors(does_not_exist: str = "") -> Iterator[None]:
    """What botocore raises, as `CloudError`, in AWS's own words: an operator can act on them.

    But for what `does_not_exist`, where there are better words for that.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        says = str(error)
        raise CloudError(
            does_not_exist if does_not_exist and "does not exist" in says else says
        ) from error
