"""The AWS home under test: the whole stack on the emulator, reached as clients reach it."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dandyroll.api_keys import mint_api_key
from dandyroll.aws.home import open_home
from dandyroll.keys import original_key
from dandyroll.settings import Settings
from tests.aws.emulator import STAGE, Emulator, deploy, running_emulator

DIFFERENCES: Mapping[str, str] = {
    "aws-no-accept": (
        "Without Accept the emulator does not match */* in BinaryMediaTypes and answers an "
        "image as base64 text. So a request of ours without one carries */*, as curl's do."
    ),
    "no-heic": "Its decoder, with Pillow, would make the functions' zip larger than 25 MB.",
    "aws-no-content-type": (
        "Without Content-Type it mangles the body for the same reason. So a body of ours "
        "without one carries curl's."
    ),
}
"""What this home cannot show of the contract, by name, each with its reason."""

DEFAULTS = {"accept": "*/*", "content-type": "application/x-www-form-urlencoded"}

_SIGNED = "X-Amz-Signature="

LIMIT_BYTES = 4_500_000
"""Of an upload and of an answer, as the template sets it; `test_template.py` compares."""

Answer = tuple[int, dict[str, str], bytes]


class EmulatedHome:
    """What the contract suite needs of a home; the local home has the same in `ServedHome`.

    `home` is wired here, in the process of the tests, to the emulator's bucket and table.
    """

    name = "aws"
    differences: frozenset[str] = frozenset(DIFFERENCES)

    def __init__(self, emulator: Emulator, **parameters: str) -> None:
        self.emulator = emulator
        self.outputs = deploy(emulator, **parameters)
        self.settings = Settings(
            max_direct_bytes=LIMIT_BYTES,
            max_answer_bytes=LIMIT_BYTES,
            bucket=self.outputs["BucketName"],
            table=self.outputs["TableName"],
            state_machine=self.outputs["PipelineArn"],
        )
        self.home = open_home(self.settings, emulator.cloud)
        self.key_ids: dict[str, str] = {}  # the gateway's ids of the keys created here
        self._api = emulator.client("apigateway")
        self._machine = emulator.client("stepfunctions")

    def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """One request exactly as given: nothing in the path is tidied up.

        A ticket's URL is S3's own, and its path is not under the API's.
        """
        sent = {**DEFAULTS, **{name.lower(): v for name, v in (headers or {}).items()}}
        connection = self.emulator.connection()
        try:
            api = f"/_aws/execute-api/{self.outputs['ApiId']}/{STAGE}"
            url = path if _SIGNED in path else api + path
            connection.request(method, url, body=body or None, headers=sent)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return response.status, found, response.read()
        finally:
            connection.close()

    def create_key(self, owner: str, scopes: frozenset[str], expires_at: int) -> str:
        """Mint a key, give it to the gateway and put it under the usage plan."""
        value = mint_api_key(owner, scopes, expires_at)
        made = self._api.create_api_key(name=owner, value=value, enabled=True)
        self._api.create_usage_plan_key(
            usagePlanId=self.outputs["UsagePlanId"], keyId=made["id"], keyType="API_KEY"
        )
        self.key_ids[value] = made["id"]
        return value

    def revoke_key(self, value: str) -> None:
        self._api.delete_api_key(apiKey=self.key_ids.pop(value))

    def put_original(self, key: str, data: bytes, content_type: str = "image/jpeg") -> None:
        """Put an object straight into the bucket, past the API."""
        self.home.objects.put(key, data, content_type)

    def deliver(self, image_id: str) -> None:
        """Have the image's event arrive once more, and wait until it has been worked through."""
        self.wait(self.start(image_id))

    def start(self, image_id: str) -> str:
        """Start an execution with the event of the image's original; its ARN.

        The emulator delivers each event once; S3 promises at least once.
        """
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Object Created",
            "source": "aws.s3",
            "detail": {
                "bucket": {"name": self.outputs["BucketName"]},
                "object": {"key": original_key(image_id), "size": 1},
            },
        }
        return self.start_with(event)

    def start_with(self, event: Mapping[str, Any]) -> str:
        """Start an execution with an event as the rule would pass it on; its ARN."""
        started = self._machine.start_execution(
            stateMachineArn=self.outputs["PipelineArn"], input=json.dumps(event)
        )
        arn: str = started["executionArn"]
        return arn

    def wait(self, execution: str, timeout_s: float = 90) -> dict[str, Any]:
        """The execution as it ended."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            found: dict[str, Any] = self._machine.describe_execution(executionArn=execution)
            if found["status"] != "RUNNING":
                return found
            time.sleep(0.05)
        raise TimeoutError(f"Expected {execution} to end in {timeout_s} s; it did not.")

    def executions(self) -> list[dict[str, Any]]:
        """All executions there were, newest first."""
        pages = self._machine.get_paginator("list_executions").paginate(
            stateMachineArn=self.outputs["PipelineArn"]
        )
        return [execution for page in pages for execution in page["executions"]]


@contextmanager
def open_emulated_home(*, tls: bool = False) -> Iterator[EmulatedHome]:
    with running_emulator(tls=tls) as emulator:
        yield EmulatedHome(emulator)
