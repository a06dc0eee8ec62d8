"""The bucket's policy at work: what comes without TLS is denied, and nothing of ours does.

These open an emulator with TLS of their own unless all tests run on one: `pytest --aws tls`.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from dandyroll.keys import original_key
from tests import pictures
from tests.aws.emulator import connect
from tests.conftest import has_tls
from tests.contract.client import Client
from tests.contract.test_tickets import put, ticket

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

KEY = original_key("straight-plain.png")


@pytest.fixture(scope="module")
def aws(request: pytest.FixtureRequest) -> "Iterator[EmulatedHome]":
    from tests.aws.emulated_home import open_emulated_home

    if has_tls(request.config):
        yield request.getfixturevalue("emulated_home")
    else:
        with open_emulated_home(tls=True) as home:
            yield home


def test_an_image_goes_through_the_whole_pipeline(aws: "EmulatedHome") -> None:
    """The functions reach bucket and table by TLS: else the policy would have stopped them."""
    client, data = Client.new(aws), pictures.jpeg(1600, 900)
    image_id = client.upload(data)
    assert client.processed(image_id).headers["x-image-width"] == "1280"
    assert client.original(image_id).body == data
    assert client.send("DELETE", f"/images/{image_id}").status == 204


def test_a_ticket_is_good_over_tls_alone(aws: "EmulatedHome") -> None:
    client, data = Client.new(aws), pictures.png()
    assert put_plain(aws, ticket(client, len(data), "image/png"), data) == 403
    with policy_without(aws, "objects"):
        assert put_plain(aws, ticket(client, len(data), "image/png"), data) == 200
    given = ticket(client, len(data), "image/png")
    assert given["url"].startswith("https:")
    assert put(client, given, data).status == 200
    assert client.processed(given["image_id"]).status == 200


def put_plain(aws: "EmulatedHome", given: dict[str, Any], data: bytes) -> int:
    """Redeem the ticket, but without TLS."""
    url = urlsplit(given["url"])
    connection = connect(aws.emulator.plain, timeout_s=30)
    headers = {**given["headers"], "Host": url.netloc}  # as it was signed
    connection.request("PUT", f"{url.path}?{url.query}", data, headers)
    status = connection.getresponse().status
    connection.close()
    return status


Clients = Callable[[str, str], Any]


@pytest.fixture(scope="module")
def clients(aws: "EmulatedHome") -> Clients:
    """Of one who may do anything to any bucket or topic: by service, and by `tls` or `plain`.

    The emulator asks no policy about the account itself, whose credentials the tests have.
    """
    iam, name = aws.emulator.client("iam"), "may-do-anything"
    iam.create_user(UserName=name)
    anything = {"Effect": "Allow", "Action": ["s3:*", "sns:*"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [anything]})
    iam.put_user_policy(UserName=name, PolicyName="anything", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    own = {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}
    ways = {"tls": aws.emulator.cloud, "plain": aws.emulator.plain}
    return lambda service, way: aws.emulator.client(service, replace(ways[way], **own))


@pytest.mark.parametrize("operation", ["put_object", "get_object", "delete_object"])
def test_without_tls_no_object_is_touched(
    aws: "EmulatedHome", clients: Clients, operation: str
) -> None:
    aws.put_original(KEY, pictures.png())
    for way, expected in (("plain", "AccessDenied"), ("tls", "")):
        refused = refusal(clients("s3", way), operation, Bucket=aws.settings.bucket, Key=KEY)
        assert refused == expected, way


def test_without_tls_the_bucket_is_not_listed(aws: "EmulatedHome", clients: Clients) -> None:
    for way, expected in (("plain", "AccessDenied"), ("tls", "")):
        refused = refusal(clients("s3", way), "list_objects_v2", Bucket=aws.settings.bucket)
        assert refused == expected, way


@pytest.mark.parametrize(
    ("resource", "operation", "key"),
    [("bucket", "list_objects_v2", {}), ("objects", "put_object", {"Key": KEY})],
)
def test_each_part_of_the_policy_is_needed(
    aws: "EmulatedHome",
    clients: Clients,
    resource: str,
    operation: str,
    key: dict[str, str],
) -> None:
    """Its one statement is about two resources; without either, a plain request succeeds."""
    plain, bucket = clients("s3", "plain"), aws.settings.bucket
    with policy_without(aws, resource):
        assert refusal(plain, operation, Bucket=bucket, **key) == ""
    assert refusal(plain, operation, Bucket=bucket, **key) == "AccessDenied"


@pytest.mark.parametrize("topic", ["EventsTopicArn", "AlarmsTopicArn"])
def test_without_tls_nobody_publishes(aws: "EmulatedHome", clients: Clients, topic: str) -> None:
    """And each topic's own statement is what denies it."""
    sns, arn = aws.emulator.client("sns"), aws.outputs[topic]
    message = {"TopicArn": arn, "Message": "a test"}
    assert refusal(clients("sns", "plain"), "publish", **message) == "AuthorizationError"
    assert refusal(clients("sns", "tls"), "publish", **message) == ""
    whole = sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]
    policy = json.loads(whole)
    policy["Statement"] = [s for s in policy["Statement"] if s["Effect"] == "Allow"]
    about = {"TopicArn": arn, "AttributeName": "Policy"}
    sns.set_topic_attributes(**about, AttributeValue=json.dumps(policy))
    try:
        assert refusal(clients("sns", "plain"), "publish", **message) == ""
    finally:
        sns.set_topic_attributes(**about, AttributeValue=whole)


def test_the_emulator_listens_on_this_machine_alone(aws: "EmulatedHome") -> None:
    """On its own two ports and those of its functions' runtimes; on no 443, say."""
    listening = listeners(aws.emulator.process.pid)
    assert {address for address, _ in listening} == {"127.0.0.1"}
    assert {port for _, port in listening} >= {
        urlsplit(cloud.endpoint_url).port for cloud in (aws.emulator.cloud, aws.emulator.plain)
    }
    assert min(port for _, port in listening) > 1024


def refusal(client: Any, operation: str, **given: str) -> str:
    """The code of the error that it was answered with, empty if there was none."""
    try:
        getattr(client, operation)(**given)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


@contextmanager
def policy_without(aws: "EmulatedHome", resource: str) -> Iterator[None]:
    """Meanwhile the bucket's policy says nothing of the `bucket` itself, or of its `objects`."""
    s3, bucket = aws.emulator.client("s3"), aws.settings.bucket
    whole = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    policy = json.loads(whole)
    (statement,) = [s for s in policy["Statement"] if s["Sid"] == "TlsOnly"]
    left = [arn for arn in statement["Resource"] if arn.endswith("/*") == (resource == "bucket")]
    assert len(left) == len(statement["Resource"]) - 1
    statement["Resource"] = left
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    try:
        yield
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=whole)


def listeners(pid: int) -> set[tuple[str, int]]:
    """Addresses and ports that the process listens on, as Linux tells them; IPv6 as it is."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(str(descriptor.readlink()))
        except FileNotFoundError:  # closed meanwhile
            continue
    found = set()
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            local, state, inode = (line.split()[column] for column in (1, 3, 9))
            if state == "0A" and f"socket:[{inode}]" in sockets:
                address, _, port = local.partition(":")
                numbers = reversed(bytes.fromhex(address)) if len(address) == 8 else ()
                found.add((".".join(map(str, numbers)) or address, int(port, 16)))
    return found
