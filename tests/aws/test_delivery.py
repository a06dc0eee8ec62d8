"""Renditions, page and API through the CDN: a stack with `Cdn` on, on an emulator of its own."""

import hashlib
import io
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from dandyroll.aws import cdn_keys
from dandyroll.aws.cdn import CloudFront
from dandyroll.aws.cdn_keys import drop_key, ensure_key
from dandyroll.aws.home import open_home
from dandyroll.aws.page import FILES, publish_page
from dandyroll.aws.stack import CloudError, Stack, stack_parameters
from dandyroll.cli import main
from dandyroll.errors import NotFound, StoreUnavailable
from dandyroll.keys import handover_key, original_key, rendition_key
from dandyroll.local.page import page_routes
from tests import pictures
from tests.aws.edge import Edge, open_edge
from tests.aws.emulated_home import EmulatedHome
from tests.aws.emulator import STACK, running_emulator
from tests.aws.test_flow import settled, straight
from tests.aws.test_stack import operators_shell
from tests.conftest import has_tls
from tests.contract.client import Client


@pytest.fixture(scope="module")
def aws(request: pytest.FixtureRequest) -> Iterator[EmulatedHome]:
    with running_emulator(tls=has_tls(request.config)) as emulator:
        key = ensure_key(emulator.cloud, STACK, "key-a")
        yield EmulatedHome(emulator, Cdn="key-a", CdnKeyA=key)


@pytest.fixture(scope="module")
def edge(aws: EmulatedHome, tmp_path_factory: pytest.TempPathFactory) -> Edge:
    key = ensure_key(aws.emulator.cloud, STACK, "key-a")
    return open_edge(aws, key, tmp_path_factory.mktemp("edge"))


@pytest.fixture(scope="module")
def client(aws: EmulatedHome) -> Client:
    return Client.new(aws)


@pytest.fixture(scope="module")
def image_id(client: Client) -> str:
    return processed(client)


def processed(client: Client) -> str:
    image_id = client.upload(pictures.jpeg(900, 600), "image/jpeg")
    assert client.processed(image_id).status == 200
    return image_id


def told(client: Client, image_id: str) -> dict[str, Any]:
    """The row with its URLs."""
    answer = client.send("GET", f"/get-processed-image/{image_id}", Accept="application/json")
    assert answer.status == 200, answer.body
    return answer.json


# --- renditions


def test_the_row_tells_a_url_that_anyone_may_use(
    aws: EmulatedHome, edge: Edge, client: Client, image_id: str
) -> None:
    document = told(client, image_id)
    assert document["renditions"] == {"processed": f"/get-processed-image/{image_id}"}
    (name, url), *more = document["signed_renditions"].items()
    assert (name, more) == ("processed", [])
    assert f"&Expires={document['signed_until']}&" in url
    status, headers, body = edge.ask(url)
    assert status == 200
    assert hashlib.sha256(body).hexdigest() == document["processed"]["etag"]
    assert headers["content-type"] == "image/jpeg"
    assert headers["cache-control"] == "private, max-age=300"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["strict-transport-security"] == "max-age=31536000"
    assert headers["cross-origin-resource-policy"] == "cross-origin"


def test_what_was_not_signed_is_not_served(edge: Edge, client: Client, image_id: str) -> None:
    document = told(client, image_id)
    url, until = document["signed_renditions"]["processed"], document["signed_until"]
    assert edge.ask(url)[0] == 200
    other = processed(client)
    forged = [
        url.partition("&Expires=")[0],
        url.replace(image_id, other),
        url.replace("?v=policy", "?v=other"),
        url.replace(f"Expires={until}", f"Expires={until + 1}"),
        url.replace("Key-Pair-Id=", "Key-Pair-Id=X"),
    ]
    assert [edge.ask(u)[0] for u in forged] == [403] * len(forged)


def test_the_network_reads_renditions_and_page_alone(
    aws: EmulatedHome, edge: Edge, client: Client, image_id: str
) -> None:
    """Whatever path it is asked for: it has no leave for anything else in the bucket."""
    handover = handover_key(image_id, "update-size")
    aws.home.objects.put(handover, b"between stages", "image/tiff")
    for key in (original_key(image_id), handover):
        assert aws.home.objects.get(key)
        assert edge.ask(f"/{key}")[0] == 404  # of the API, which has no such route
        # As if a behaviour led there after all: the bucket's policy does not.
        assert read_as_distribution(aws, edge, key) == 403
    assert read_as_distribution(aws, edge, rendition_key(image_id)) == 200


def test_nobody_else_reads_the_bucket(aws: EmulatedHome, edge: Edge, image_id: str) -> None:
    key = rendition_key(image_id)
    assert read_as_distribution(aws, edge, key) == 200
    with policy_for(aws, edge.id + "X"):  # another distribution, even of this account
        assert read_as_distribution(aws, edge, key) == 403
    here = f"127.0.0.1:{aws.emulator.port}"  # straight, without a signature of anybody's
    assert replace(edge, domain=here).ask(f"/{aws.outputs['BucketName']}/{key}")[0] == 403


def read_as_distribution(aws: EmulatedHome, edge: Edge, key: str) -> int:
    """The status of a read by the distribution's own identity, whatever its behaviours are."""
    client = aws.emulator.client("cloudfront")
    found = client.get_distribution_config(Id=edge.id)
    before = found["DistributionConfig"]
    behaviour = {**before["DefaultCacheBehavior"], "TargetOriginId": "renditions"}
    everything = {
        **before,
        "DefaultCacheBehavior": behaviour,
        "CacheBehaviors": {"Quantity": 0, "Items": []},
    }
    tag = client.update_distribution(
        Id=edge.id, IfMatch=found["ETag"], DistributionConfig=everything
    )["ETag"]
    try:
        return edge.ask(f"/{key}", signed=False)[0]
    finally:
        client.update_distribution(Id=edge.id, IfMatch=tag, DistributionConfig=before)


@contextmanager
def policy_for(aws: EmulatedHome, distribution: str) -> Iterator[None]:
    """Meanwhile the bucket's policy names another distribution."""
    s3, bucket = aws.emulator.client("s3"), aws.outputs["BucketName"]
    before = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    (statement,) = [s for s in json.loads(before)["Statement"] if s["Sid"] == "CdnOnly"]
    arn = statement["Condition"]["StringEquals"]["aws:SourceArn"]
    changed = before.replace(arn, f"{arn.rpartition('/')[0]}/{distribution}")
    s3.put_bucket_policy(Bucket=bucket, Policy=changed)
    try:
        yield
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=before)


def test_a_large_rendition_is_fetched_from_the_network(aws: EmulatedHome, edge: Edge) -> None:
    image_id, admin = straight("png"), Client.new(aws, frozenset({"admin"}))
    aws.put_original(original_key(image_id), noise(), "image/png")
    row = settled(aws, image_id)
    assert row.processed is not None
    assert row.processed.size_bytes > aws.settings.max_answer_bytes
    answer = admin.processed(image_id)
    assert answer.status == 303
    location = answer.headers["location"]
    assert location.startswith(f"https://{edge.domain}/FINAL-IMAGES/{image_id}?v={row.policy}.")
    status, _, body = edge.ask(location)
    assert (status, len(body)) == (200, row.processed.size_bytes)
    original = admin.original(image_id)  # which the network never has
    assert original.status == 303
    assert edge.domain not in original.headers["location"]


def noise(side_px: int = 1280) -> bytes:
    """A PNG that compresses to nothing less."""
    data = random.Random(7).randbytes(3 * side_px * side_px)
    file = io.BytesIO()
    Image.frombytes("RGB", (side_px, side_px), data).save(file, "PNG")
    return file.getvalue()


def test_another_rendition_of_the_image_has_another_url(
    aws: EmulatedHome, edge: Edge, client: Client, image_id: str
) -> None:
    """The row says which there is now, so no copy of one is served for another."""
    home = open_home(replace(aws.settings, cdn=aws.outputs["CdnParameters"]), aws.emulator.cloud)
    row = home.catalogue.get(image_id)
    assert row.processed is not None
    remade = [
        replace(row, policy="policy-0123456789abcdef"),
        replace(row, processed=replace(row.processed, etag="0" * 64)),
    ]
    assert home.delivery is not None
    urls = {url_without_signature(home.delivery.url(r.processed.key, r.rendition_version()))
            for r in (row, row, *remade) if r.processed}  # fmt: skip
    assert len(urls) == 3
    assert edge.is_signed(told(client, image_id)["signed_renditions"]["processed"])


def url_without_signature(signed: Any) -> str:
    return str(signed.url.partition("&Expires=")[0])


# --- deletion


def test_a_deletion_is_told_to_the_network(edge: Edge, client: Client) -> None:
    image_id = processed(client)
    url = told(client, image_id)["signed_renditions"]["processed"]
    assert client.send("DELETE", f"/images/{image_id}").status == 204
    path = url.removeprefix(f"https://{edge.domain}").partition("&Expires=")[0]
    assert edge.invalidated().count(path) == 1
    assert edge.ask(url)[0] == 403
    assert client.send("DELETE", f"/images/{image_id}").status == 204
    assert edge.invalidated().count(path) == 1


def test_an_image_without_rendition_is_nothing_to_the_network(
    aws: EmulatedHome, edge: Edge
) -> None:
    image_id, admin = straight("png"), Client.new(aws, frozenset({"admin"}))
    aws.put_original(original_key(image_id), b"no picture")
    assert settled(aws, image_id).status == "failed"
    assert admin.send("DELETE", f"/images/{image_id}").status == 204
    assert not any(image_id in path for path in edge.invalidated())


@pytest.mark.parametrize("action", ["ssm:GetParameter", "cloudfront:CreateInvalidation"])
def test_where_the_network_cannot_be_told_the_deletion_waits(
    aws: EmulatedHome, edge: Edge, client: Client, action: str
) -> None:
    """And each permission of the role is needed for it."""
    image_id = processed(client)
    with without(aws, "delete-image", "cdn-invalidation", action):
        answer = client.send("DELETE", f"/images/{image_id}")
        assert answer.problem == (503, "store_unavailable")
        assert answer.headers["retry-after"] == "5"
        assert aws.home.catalogue.get(image_id).status == "processed"
        assert not any(image_id in path for path in edge.invalidated())
    assert client.send("DELETE", f"/images/{image_id}").status == 204
    assert any(image_id in path for path in edge.invalidated())
    with pytest.raises(NotFound):
        aws.home.catalogue.get(image_id)


def test_without_the_key_the_home_delivers_by_itself(
    aws: EmulatedHome, client: Client, image_id: str
) -> None:
    """As it does until the distribution is made, and where its role lacks the permission."""
    assert "signed_renditions" in told(client, image_id)
    with without(aws, "get-processed-image", "cdn-signing", "ssm:GetParameter"):
        start_anew(aws, "get-processed-image")
        document = told(client, image_id)
    start_anew(aws, "get-processed-image")
    assert document["renditions"] == {"processed": f"/get-processed-image/{image_id}"}
    assert "signed_renditions" not in document
    assert "signed_renditions" in told(client, image_id)


@contextmanager
def without(aws: EmulatedHome, name: str, policy: str, action: str) -> Iterator[None]:
    """Meanwhile the function's role lacks the statement for that action of that policy."""
    iam, functions = aws.emulator.client("iam"), aws.emulator.client("lambda")
    arn = functions.get_function_configuration(FunctionName=f"{STACK}-{name}")["Role"]
    named = {"RoleName": arn.rpartition("/")[2], "PolicyName": policy}
    whole = iam.get_role_policy(**named)["PolicyDocument"]
    left = [s for s in whole["Statement"] if s["Action"] != action]
    assert len(left) == len(whole["Statement"]) - 1
    harmless = {"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}
    less = {**whole, "Statement": [*left, harmless]}
    iam.put_role_policy(**named, PolicyDocument=json.dumps(less))
    try:
        yield
    finally:
        iam.put_role_policy(**named, PolicyDocument=json.dumps(whole))


def start_anew(aws: EmulatedHome, name: str) -> None:
    """Have the function's next call meet a new process, which remembers nothing."""
    functions = aws.emulator.client("lambda")
    found = functions.get_function_configuration(FunctionName=f"{STACK}-{name}")
    functions.update_function_configuration(
        FunctionName=f"{STACK}-{name}", MemorySize=found["MemorySize"] + 1
    )


# --- the page, and the API behind the same name


def test_the_page_is_published_and_only_what_changed(aws: EmulatedHome, edge: Edge) -> None:
    stack = Stack.find(STACK, aws.emulator.cloud)
    publish_page(stack)
    assert publish_page(stack) == ()
    s3, bucket = aws.emulator.client("s3"), aws.outputs["BucketName"]
    s3.put_object(Bucket=bucket, Key="web/page.js", Body=b"old", ContentType="text/plain")
    assert publish_page(stack) == ("web/page.js",)
    s3.delete_object(Bucket=bucket, Key="web/index.html")
    assert publish_page(stack) == ("web/index.html",)
    for name, (content_type, cache_control) in FILES.items():
        status, headers, _ = edge.ask(f"/{name}")
        assert (status, headers["content-type"]) == (200, content_type)
        assert headers["cache-control"] == cache_control
    assert edge.ask("/")[2] == edge.ask("/index.html")[2]
    assert b"<title>Dandyroll</title>" in edge.ask("/")[2]


def test_the_page_is_the_one_the_local_home_serves(aws: EmulatedHome, edge: Edge) -> None:
    publish_page(Stack.find(STACK, aws.emulator.cloud))
    routes = {route.path: route for route in page_routes()}
    for path in ("/", "/page.js"):
        at_home = local_answer(routes[path])
        status, headers, body = edge.ask(path)
        assert (status, body) == (200, at_home.body)
        for name in ("content-type", "content-security-policy", "x-content-type-options",
                     "referrer-policy"):  # fmt: skip
            assert headers[name] == at_home.headers[name], name


def local_answer(route: Any) -> Any:
    import asyncio

    endpoint: Callable[[Any], Any] = route.endpoint
    return asyncio.run(endpoint(None))


def test_without_tls_nothing_is_served(edge: Edge, image_id: str, client: Client) -> None:
    url = told(client, image_id)["signed_renditions"]["processed"]
    assert edge.ask(url, scheme="http")[0] == 403
    assert edge.ask("/images", scheme="http")[0] == 403
    status, headers, _ = edge.ask("/", scheme="http")
    assert (status, headers["location"]) == (301, f"https://{edge.domain}/")


def test_the_api_answers_behind_the_same_name(edge: Edge) -> None:
    """What the page does: upload, wait, look, all from the origin it came from."""
    client = Client.new(edge)
    data = pictures.jpeg(700, 500)
    image_id = client.upload(data)
    picture = client.processed(image_id)
    assert (picture.status, picture.headers["content-type"]) == (200, "image/jpeg")
    assert client.row(image_id)["width"] == 700
    assert client.original(image_id).body == data
    again = client.send(
        "GET", f"/get-processed-image/{image_id}", If_None_Match=picture.headers["etag"]
    )
    assert again.status == 304
    assert [row["image-id"] for row in client.send("GET", "/images").json["images"]] == [image_id]
    assert client.send("GET", "/nowhere").problem == (404, "not_found")
    assert client.send_bare("GET", "/images", {}).problem == (403, "forbidden")
    assert client.send("DELETE", f"/images/{image_id}").status == 204
    assert picture.headers["strict-transport-security"] == "max-age=31536000"


# --- keys


def test_a_key_is_made_once_and_its_private_half_stays(
    aws: EmulatedHome, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in operators_shell(aws).items():
        monkeypatch.setenv(name, value)
    given = []
    for _ in range(2):
        assert main(["cdn", "key", "key-b", "--stack", "another"]) == 0
        out, err = capsys.readouterr()
        given.append(out)
        assert "there is no stack another yet" in err
    assert given[0] == given[1]
    assert given[0].startswith("CdnKeyB=MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE")
    kept = aws.emulator.client("ssm").get_parameter(
        Name="/dandyroll/another/cdn/key-b", WithDecryption=True
    )["Parameter"]
    assert kept["Type"] == "SecureString"
    assert kept["Value"].startswith("-----BEGIN PRIVATE KEY-----\n")
    assert main(["cdn", "drop-key", "key-b", "--stack", "another"]) == 0
    assert main(["cdn", "drop-key", "key-b", "--stack", "another"]) == 0
    assert capsys.readouterr().out == "key-b: deleted\nkey-b: there was none\n"


def test_the_key_that_signs_is_not_dropped(aws: EmulatedHome) -> None:
    with pytest.raises(CloudError, match="deploy with Cdn=key-b before"):
        drop_key(aws.emulator.cloud, STACK, "key-a")
    assert ensure_key(aws.emulator.cloud, STACK, "key-a")


def test_what_the_stack_still_trusts_is_not_dropped(
    aws: EmulatedHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever Parameter Store says: it is the stack's parameters that count."""
    cloud = aws.emulator.cloud
    ensure_key(cloud, "trusting", "key-a")
    given = {"Cdn": "key-a", "CdnKeyA": "a", "CdnKeyB": ""}
    monkeypatch.setattr(cdn_keys, "stack_parameters", lambda name, cloud: given)
    with pytest.raises(CloudError, match="key-a signs the URLs now"):
        drop_key(cloud, "trusting", "key-a")
    given |= {"Cdn": "key-b", "CdnKeyB": "b"}
    with pytest.raises(CloudError, match="trusting still trusts key-a: deploy with CdnKeyA="):
        drop_key(cloud, "trusting", "key-a")
    given["Cdn"] = "off"
    assert drop_key(cloud, "trusting", "key-a")


def test_the_stacks_own_parameters_are_what_is_asked(aws: EmulatedHome) -> None:
    cloud = aws.emulator.cloud
    given = stack_parameters(STACK, cloud)
    assert given is not None and given["Cdn"] == "key-a" and given["CdnKeyA"]
    assert stack_parameters("nobodys", cloud) is None


def test_what_is_no_such_key_is_said(aws: EmulatedHome) -> None:
    store = aws.emulator.client("ssm")
    store.put_parameter(Name="/dandyroll/odd/cdn/key-a", Value="no key", Type="SecureString")
    with pytest.raises(CloudError, match="/dandyroll/odd/cdn/key-a"):
        ensure_key(aws.emulator.cloud, "odd", "key-a")


def test_the_page_is_published_from_the_command_line(
    aws: EmulatedHome, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in operators_shell(aws).items():
        monkeypatch.setenv(name, value)
    aws.emulator.client("s3").delete_object(Bucket=aws.outputs["BucketName"], Key="web/sample.jpg")
    publish_page(Stack.find(STACK, aws.emulator.cloud))
    assert main(["cdn", "publish", "--stack", STACK]) == 0
    assert capsys.readouterr().out == f"{aws.outputs['CdnUrl']}\n"


def test_a_distribution_that_is_not_there_is_no_fault(aws: EmulatedHome) -> None:
    """While the stack is being made, functions know where they will be told of it, and no more."""
    none = CloudFront("/dandyroll/none/cdn", aws.emulator.cloud)
    assert none.url("FINAL-IMAGES/x.png", "v") is None
    none.forget("FINAL-IMAGES/x.png", "v")


def test_a_network_that_does_not_answer_is_said(aws: EmulatedHome) -> None:
    silent = CloudFront(aws.outputs["CdnParameters"], replace(aws.emulator.cloud,
                        endpoint_url="http://127.0.0.1:9"))  # fmt: skip
    with pytest.raises(StoreUnavailable):
        silent.forget("FINAL-IMAGES/x.png", "v")
    assert silent.url("FINAL-IMAGES/x.png", "v") is None
