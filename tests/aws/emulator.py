"""An AWS of our own for the tests: ministack in a process, and the stack deployed on it.

IAM counts on it: the functions have the rights of their roles and no more. It runs plain, or with
TLS, and then beside its own port it has one without, so that a plain request can be seen refused:
`pytest --aws plain | tls`, docs/decisions/0030. What it drops, `test_template.py` asserts. Two of
its gaps are closed here, with the values that the template itself states: it takes gateway
responses and reserved concurrency through its API, but not from CloudFormation. More are closed in
`mended_emulator.py`.
"""

import http.client
import json
import os
import platform
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import get_session

from dandyroll.aws import statemachine
from dandyroll.aws.cloud import Cloud
from deploy.build import BUILD, ROOT, build

EMULATOR_PYTHON = ROOT / ".venv-emulator" / "bin" / "python"
REGION = "us-east-1"
STACK = "dandyroll"
STAGE = "v1"
PARAMETERS = {
    "Stage": STAGE,
    "Runtime": "provided.al2023",
    "Architecture": "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64",
    # One worker process a concurrent call: without a cap a burst starts dozens.
    "ApiConcurrency": "8",
    "StageConcurrency": "3",
    "AlarmEmail": "ops@example.com",
    "EventsEmail": "shop@example.com",
    "MailFrom": "dandyroll@example.com",
    "MailTo": "one@example.com, two@example.com",
    "Dashboard": "true",
    "SweepEveryMinutes": "30",  # the tests sweep when they want it
    "TicketOrigins": "https://shop.example",
}

_START_S, _DEPLOY_S = 30, 60


@dataclass
class Emulator:
    """A running emulator; `cloud` is how to reach it, `plain` the same without TLS.

    Without TLS at all the two are equal.
    """

    process: subprocess.Popen[bytes]
    cloud: Cloud
    plain: Cloud
    log: Path

    @property
    def port(self) -> int:
        return urlsplit(self.cloud.endpoint_url).port or 0

    @property
    def has_tls(self) -> bool:
        return self.cloud.ca_bundle != ""

    def client(self, service: str, cloud: Cloud | None = None) -> Any:
        """A botocore client of that AWS service, one that tries nothing twice."""
        cloud = cloud or self.cloud
        return get_session().create_client(
            service,
            region_name=REGION,
            endpoint_url=cloud.endpoint_url,
            verify=cloud.ca_bundle or None,
            aws_access_key_id=cloud.access_key_id,
            aws_secret_access_key=cloud.secret_access_key,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
        )

    def connection(self, timeout_s: float = 60) -> http.client.HTTPConnection:
        """A connection to it, for requests that no client of AWS would send."""
        return connect(self.cloud, timeout_s)


def connect(cloud: Cloud, timeout_s: float) -> http.client.HTTPConnection:
    url = urlsplit(cloud.endpoint_url)
    assert url.hostname and url.port
    if not cloud.ca_bundle:
        return http.client.HTTPConnection(url.hostname, url.port, timeout=timeout_s)
    trust = ssl.create_default_context(cafile=cloud.ca_bundle)
    return http.client.HTTPSConnection(url.hostname, url.port, timeout=timeout_s, context=trust)


@contextmanager
def running_emulator(*, tls: bool = False) -> Iterator[Emulator]:
    """Start an emulator on free ports of 127.0.0.1; stop it, and what it started, at the end."""
    assert EMULATOR_PYTHON.exists(), "There is no .venv-emulator: make emulator"
    port = _free_port()
    scratch = Path(tempfile.mkdtemp(prefix="dandyroll-emulator-"))
    cloud = plain = Cloud(
        REGION, f"http://127.0.0.1:{port}", access_key_id="test", secret_access_key="test"
    )
    if tls:
        cert, key = _make_certificate(scratch)
        cloud = replace(cloud, endpoint_url=f"https://127.0.0.1:{port}", ca_bundle=str(cert))
        plain_bind = f"127.0.0.1:{_free_port()}"
        plain = replace(plain, endpoint_url=f"http://{plain_bind}")
        with_tls = {
            "USE_SSL": "1",
            "MINISTACK_SSL_CERT": str(cert),
            "MINISTACK_SSL_KEY": str(key),
            "AWS_CA_BUNDLE": str(cert),  # the functions trust it
            "PLAIN_HTTP_BIND": plain_bind,
        }
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "AUTH": "true",  # the functions' roles count
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "SFN_WAIT_SCALE": "0.1",
        "MINISTACK_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": cloud.endpoint_url,
        "AWS_ACCESS_KEY_ID": cloud.access_key_id,
        "AWS_SECRET_ACCESS_KEY": cloud.secret_access_key,
        "EMULATOR_PYTHON": str(EMULATOR_PYTHON),
        **(with_tls if tls else {}),
    }
    log = scratch / "emulator.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(EMULATOR_PYTHON), "-P", str(Path(__file__).with_name("mended_emulator.py"))],
            env=environment,
            cwd=scratch,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # its functions' processes are in its group
        )
    emulator = Emulator(process, cloud, plain, log)
    try:
        _wait_until_healthy(emulator)
        yield emulator
    finally:
        _stop(process)
        shutil.rmtree(scratch, ignore_errors=True)


def deploy(emulator: Emulator, **more: str) -> dict[str, str]:
    """Put the stack up from `deploy/template.yaml`, with `more` parameters; its outputs."""
    parameters = {**PARAMETERS, **more}
    zip_file = build(
        platform.python_version().rpartition(".")[0],
        "host",
        BUILD / "functions-emulator.zip",
        {"bootstrap": Path(__file__).with_name("bootstrap")},
    )
    s3, cloudformation = emulator.client("s3"), emulator.client("cloudformation")
    s3.create_bucket(Bucket="artifacts")
    s3.put_object(Bucket="artifacts", Key="functions.zip", Body=zip_file.read_bytes())
    s3.put_object(Bucket="artifacts", Key="machine.json", Body=_machine().encode())
    s3.put_object(Bucket="artifacts", Key="template.yaml", Body=_packaged_template().encode())
    cloudformation.create_change_set(
        StackName=STACK,
        ChangeSetName="first",
        ChangeSetType="CREATE",
        # By URL, as `sam deploy` does it: in the call itself only 51,200 bytes are taken.
        TemplateURL=f"{emulator.cloud.endpoint_url}/artifacts/template.yaml",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
        ],
    )
    _wait_for(lambda: _change_set_status(cloudformation), "CREATE_COMPLETE")
    cloudformation.execute_change_set(StackName=STACK, ChangeSetName="first")
    _wait_for(lambda: _stack(cloudformation)["StackStatus"], "CREATE_COMPLETE")
    outputs = {o["OutputKey"]: o["OutputValue"] for o in _stack(cloudformation)["Outputs"]}
    body = cloudformation.get_template(StackName=STACK, TemplateStage="Processed")["TemplateBody"]
    template = body if isinstance(body, dict) else json.loads(body)
    if not emulator.has_tls:
        _allow_plain_http(s3, outputs["BucketName"])
        _let_topics_be(emulator, outputs)
    _hold_mail(emulator)
    _put_gateway_responses(emulator, outputs["ApiId"], template["Resources"])
    _put_concurrency(emulator, template["Resources"])
    return outputs


def _allow_plain_http(s3: Any, bucket: str) -> None:
    """Take TLS only out of the bucket's policy: it denies all else."""
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    allowing = [s for s in policy["Statement"] if s["Sid"] != "TlsOnly"]
    s3.delete_bucket_policy(Bucket=bucket)
    if allowing:
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({**policy, "Statement": allowing}))


def _machine() -> str:
    """The state machine, but for one name: a throttled function is `Lambda.Unknown` here."""
    machine = json.loads(statemachine.text())
    for state in machine["States"].values():
        for retry in state.get("Retry", ()):
            names = [name for name in retry["ErrorEquals"] if name != "Lambda.Unknown"]
            if "Lambda.TooManyRequestsException" in names:
                names.append("Lambda.Unknown")
            retry["ErrorEquals"] = names
    return json.dumps(machine)


def _packaged_template() -> str:
    """The template with its local files named where they were put, as `sam package` does it."""
    text = (ROOT / "deploy" / "template.yaml").read_text("utf-8")
    for local, packaged in (
        ("CodeUri: ../build/functions.zip", "CodeUri: s3://artifacts/functions.zip"),
        ("DefinitionUri: statemachine.asl.json", "DefinitionUri: s3://artifacts/machine.json"),
    ):
        assert text.count(local) == 1, local
        text = text.replace(local, packaged)
    return with_known_types(text)


def with_known_types(template: str) -> str:
    """The template without types that the emulator does not know.

    It checks no signatures; what stands for them has an id.
    """
    for kind in ("CloudFront::PublicKey", "CloudFront::KeyGroup", "XRay::SamplingRule"):
        template = template.replace(f"{kind}\n", "CloudFront::OriginAccessControl\n")
    return template


def _put_gateway_responses(emulator: Emulator, api_id: str, resources: Mapping[str, Any]) -> None:
    body = resources["Api"]["Properties"]["Body"]
    api = emulator.client("apigateway")
    for kind, response in body["x-amazon-apigateway-gateway-responses"].items():
        status = {"statusCode": str(response["statusCode"])} if "statusCode" in response else {}
        api.put_gateway_response(
            restApiId=api_id,
            responseType=kind,
            responseParameters=response["responseParameters"],
            responseTemplates=response["responseTemplates"],
            **status,
        )
    api.create_deployment(restApiId=api_id, stageName=STAGE)


def _let_topics_be(emulator: Emulator, outputs: Mapping[str, str]) -> None:
    """Take the denial of what is not TLS out of the topics' policies too."""
    sns = emulator.client("sns")
    for name in ("EventsTopicArn", "AlarmsTopicArn"):
        found = sns.get_topic_attributes(TopicArn=outputs[name])["Attributes"]["Policy"]
        policy = json.loads(found)
        policy["Statement"] = [s for s in policy["Statement"] if s["Effect"] == "Allow"]
        sns.set_topic_attributes(
            TopicArn=outputs[name], AttributeName="Policy", AttributeValue=json.dumps(policy)
        )


def _hold_mail(emulator: Emulator) -> None:
    """Mail nothing until a test asks for it: it would be a process more for all the others."""
    client = emulator.client("lambda")
    (source,) = client.list_event_source_mappings(FunctionName=f"{STACK}-mail-events")[
        "EventSourceMappings"
    ]
    client.update_event_source_mapping(UUID=source["UUID"], Enabled=False)


def _put_concurrency(emulator: Emulator, resources: Mapping[str, Any]) -> None:
    client = emulator.client("lambda")
    for resource in resources.values():
        if resource["Type"] != "AWS::Lambda::Function":
            continue
        properties = resource["Properties"]
        if "ReservedConcurrentExecutions" not in properties:
            continue
        _, reference, _ = properties["ReservedConcurrentExecutions"]["Fn::If"]
        client.put_function_concurrency(
            FunctionName=properties["FunctionName"]["Fn::Sub"].replace("${AWS::StackName}", STACK),
            ReservedConcurrentExecutions=int(PARAMETERS[reference["Ref"]]),
        )


def _stack(cloudformation: Any) -> dict[str, Any]:
    stack: dict[str, Any] = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    return stack


def _change_set_status(cloudformation: Any) -> str:
    found = cloudformation.describe_change_set(StackName=STACK, ChangeSetName="first")
    return f"{found['Status']}{found.get('StatusReason', '')}"


def _wait_for(look: Any, expected: str) -> None:
    deadline_s = time.monotonic() + _DEPLOY_S
    status = ""
    while time.monotonic() < deadline_s:
        try:
            status = look()
        except ClientError as error:
            status = str(error)
        if status == expected:
            return
        assert "FAILED" not in status and "ROLLBACK" not in status, status
        time.sleep(0.1)
    raise TimeoutError(f"Expected {expected} in {_DEPLOY_S} s; got {status}.")


def _wait_until_healthy(emulator: Emulator) -> None:
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s:
        assert emulator.process.poll() is None, emulator.log.read_text("utf-8")
        connection = emulator.connection(timeout_s=2)
        try:
            connection.request("GET", "/_ministack/health")
            connection.getresponse()
            return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise TimeoutError(f"Expected the emulator to answer in {_START_S} s; it did not.")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the emulator and all of its process group. It has nothing to put in order."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine alone, and its key. It signs nothing but itself."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    new = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    name = "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    leaf = "-addext basicConstraints=critical,CA:FALSE"  # obstore takes no authority as a server
    command = f"{new} {name} {leaf} -keyout {key} -out {cert}"
    subprocess.run(command.split(), check=True, capture_output=True)
    return cert, key


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
