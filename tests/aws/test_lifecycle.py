"""What becomes of originals with time, who may put them from a browser, how often the sweep comes.

The emulator drops lifecycles; the template is held to them here, with its parameters filled in.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from dandyroll.api.get_image_metadata import get_image_metadata
from dandyroll.api.http import Request
from dandyroll.api.routes import answer
from dandyroll.api_keys import mint_api_key
from dandyroll.aws.home import open_home
from dandyroll.aws.statemachine import definition
from dandyroll.aws.table import DUE, SINCE, STARTS, UNDER, UNSETTLED
from dandyroll.keys import ORIGINALS
from dandyroll.settings import Settings
from tests import pictures
from tests.aws.emulator import PARAMETERS
from tests.aws.templates import template
from tests.contract.client import Client
from tests.contract.test_tickets import ticket

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

TEMPLATE = template()
NOTHING = object()
DAY_S = 24 * 60 * 60


def filled(value: Any, given: Mapping[str, Any]) -> Any:
    """The value as CloudFormation resolves it, as far as parameters and conditions go."""
    if isinstance(value, list):
        return [part for v in value if (part := filled(v, given)) is not NOTHING]
    if not isinstance(value, dict):
        return value
    if value == {"Ref": "AWS::NoValue"}:
        return NOTHING
    if "Ref" in value:
        return given.get(value["Ref"], TEMPLATE["Parameters"].get(value["Ref"], {}).get("Default"))
    if "Fn::If" in value:
        condition, then, otherwise = value["Fn::If"]
        return filled(then if holds(condition, given) else otherwise, given)
    parts = {name: filled(v, given) for name, v in value.items()}
    return {name: part for name, part in parts.items() if part is not NOTHING}


def holds(condition: Any, given: Mapping[str, Any]) -> bool:
    if isinstance(condition, str):
        return holds(TEMPLATE["Conditions"][condition], given)
    ((kind, terms),) = condition.items()
    if kind == "Fn::Condition":
        return holds(terms, given)
    if kind == "Fn::Not":
        return not holds(terms[0], given)
    if kind == "Fn::Or":
        return any(holds(term, given) for term in terms)
    assert kind == "Fn::Equals"
    left, right = terms
    if "Fn::Join" in left:
        separator, parts = left["Fn::Join"]
        found = filled(parts, given) or []
        return bool(separator.join([found] if isinstance(found, str) else found) == right)
    return bool(filled(left, given) == right)


def rules(**given: int) -> list[Any]:
    """The lifecycle rules about originals."""
    found = filled(TEMPLATE["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"], given)
    return [rule for rule in found["Rules"] if rule.get("Prefix") == ORIGINALS]


def test_originals_stay_where_they_are_unless_told() -> None:
    assert rules() == []


def test_originals_are_moved_to_where_they_can_be_read_at_once() -> None:
    """The contract answers with the original itself: the other Glaciers need hours."""
    warm = {"StorageClass": "STANDARD_IA", "TransitionInDays": 30}
    cold = {"StorageClass": "GLACIER_IR", "TransitionInDays": 90}
    for given, expected in (
        ({"InfrequentAccessDays": 30}, [warm]),
        ({"GlacierDays": 90}, [cold]),
        ({"InfrequentAccessDays": 30, "GlacierDays": 90}, [warm, cold]),
    ):
        (rule,) = rules(**given)
        assert (rule["Status"], rule["Transitions"]) == ("Enabled", expected)


def test_originals_expire_and_the_functions_know() -> None:
    (rule,) = rules(KeepOriginalsDays=365)
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", 365)
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["DANDYROLL_KEEP_ORIGINALS_DAYS"] == {"Ref": "KeepOriginalsDays"}


def test_what_expiry_leaves_goes_too() -> None:
    found = TEMPLATE["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    (old,) = [rule for rule in found if rule.get("Id") == "old-versions"]
    assert old["ExpiredObjectDeleteMarker"] is True
    assert old["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}


@pytest.fixture
def client(emulated_home: "EmulatedHome") -> Client:
    return Client.new(emulated_home)


def test_an_original_past_its_time_is_not_found_and_its_row_says_so(
    emulated_home: "EmulatedHome", client: Client
) -> None:
    image_id = client.upload(pictures.png(), "image/png")
    assert client.processed(image_id).status == 200
    young = emulated_home.home.catalogue.get(image_id)
    old = replace(young, image_id=f"old-{image_id}", uploaded_at=young.uploaded_at - 2 * DAY_S)
    emulated_home.home.catalogue.create(old)
    home = open_home(
        replace(emulated_home.settings, keep_originals_days=1), emulated_home.emulator.cloud
    )
    key = mint_api_key(client.owner, frozenset({"read"}), 4_000_000_000)

    def original(name: str) -> tuple[int, bytes]:
        headers = {"x-api-key": key, "accept": "image/*", "if-none-match": f'"{old.sha256}"'}
        request = Request("GET", "/", {"file-name": name}, {}, headers, b"", "t")
        found = answer(get_image_metadata, home, request)
        return found.status, found.body

    assert original(image_id)[0] == 304
    status, body = original(old.image_id)
    assert (status, b'"not_found"' in body) == (404, True)
    assert home.catalogue.get(old.image_id).original_deleted_at == old.uploaded_at + DAY_S
    assert home.catalogue.get(image_id).original_deleted_at is None
    listed = home.catalogue.list(client.owner, None, 10, "").rows
    assert {row.image_id: row.original_deleted_at is None for row in listed} == {
        image_id: True,
        old.image_id: False,
    }


def test_a_large_original_that_is_gone_is_not_found(
    emulated_home: "EmulatedHome", client: Client
) -> None:
    """Without a look at it first the answer would be a URL at which S3 says so in XML."""
    row = emulated_home.home.catalogue.get(client.upload(pictures.png(), "image/png"))
    limit = emulated_home.settings.max_answer_bytes
    gone = replace(row, image_id=f"gone-{row.image_id}", size_bytes=limit + 1, status="failed")
    emulated_home.home.catalogue.create(gone)
    assert client.original(gone.image_id).problem == (404, "not_found")


# --- browsers


def test_no_page_may_put_unless_told() -> None:
    cors = TEMPLATE["Resources"]["Bucket"]["Properties"]["CorsConfiguration"]
    assert filled(cors, {}) is NOTHING
    (rule,) = filled(cors, {"TicketOrigins": ["https://a.example", "https://b.example"]})[
        "CorsRules"
    ]
    assert rule["AllowedOrigins"] == ["https://a.example", "https://b.example"]
    assert rule["AllowedMethods"] == ["PUT", "GET"]
    assert rule["ExposedHeaders"] == ["ETag"]


def test_a_page_may_send_all_that_a_ticket_asks_for(client: Client) -> None:
    """But for what a browser adds by itself."""
    given = ticket(client, 100)
    cors = TEMPLATE["Resources"]["Bucket"]["Properties"]["CorsConfiguration"]
    (rule,) = filled(cors, {"TicketOrigins": ["*"]})["CorsRules"]
    assert set(rule["AllowedHeaders"]) == set(given["headers"]) - {"Content-Length"}


@pytest.mark.parametrize(("origin", "may"), [("https://shop.example", True), ("null", False)])
def test_a_browser_is_told_whether_its_page_may(
    emulated_home: "EmulatedHome", client: Client, origin: str, may: bool
) -> None:
    url = urlsplit(ticket(client, 100)["url"])
    connection = emulated_home.emulator.connection(timeout_s=10)
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type,if-none-match",
    }
    connection.request("OPTIONS", f"{url.path}?{url.query}", headers=headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    assert (response.getheader("Access-Control-Allow-Origin") in (origin, "*")) is may
    assert (response.status == 200) is may


# --- the sweep


def test_the_sweep_is_scheduled_and_may_invoke_nothing_else() -> None:
    schedule = TEMPLATE["Resources"]["SweepSchedule"]["Properties"]
    assert schedule["ScheduleExpression"] == {"Fn::Sub": "rate(${SweepEveryMinutes} minutes)"}
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert "State" not in schedule
    assert schedule["Target"] == {
        "Arn": {"Fn::GetAtt": ["Sweep", "Arn"]},
        "RoleArn": {"Fn::GetAtt": ["SweepScheduleRole", "Arn"]},
        "RetryPolicy": {"MaximumEventAgeInSeconds": 120, "MaximumRetryAttempts": 3},
    }
    role = TEMPLATE["Resources"]["SweepScheduleRole"]["Properties"]
    (policy,) = role["Policies"]
    assert policy["PolicyDocument"]["Statement"] == [
        {
            "Effect": "Allow",
            "Action": "lambda:InvokeFunction",
            "Resource": {"Fn::GetAtt": ["Sweep", "Arn"]},
        }
    ]
    (trusted,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trusted == {
        "Effect": "Allow",
        "Principal": {"Service": "scheduler.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
    }


def test_a_missed_sweep_is_left_to_the_next() -> None:
    every = TEMPLATE["Parameters"]["SweepEveryMinutes"]
    assert (every["Default"], every["MinValue"]) == (15, 2)
    invoke = TEMPLATE["Resources"]["Sweep"]["Properties"]["EventInvokeConfig"]
    assert invoke == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 120}
    assert set(PARAMETERS) <= set(TEMPLATE["Parameters"])


def test_the_index_is_the_one_that_the_sweep_reads() -> None:
    table = TEMPLATE["Resources"]["Table"]["Properties"]
    (index,) = [i for i in table["GlobalSecondaryIndexes"] if i["IndexName"] == UNSETTLED]
    assert index["KeySchema"] == [
        {"AttributeName": UNDER, "KeyType": "HASH"},
        {"AttributeName": SINCE, "KeyType": "RANGE"},
    ]
    assert index["Projection"] == {
        "ProjectionType": "INCLUDE",
        "NonKeyAttributes": [STARTS, DUE],
    }
    defined = {d["AttributeName"]: d["AttributeType"] for d in table["AttributeDefinitions"]}
    assert (defined[UNDER], defined[SINCE]) == ("S", "N")


def test_an_execution_ends_before_the_sweep_takes_its_image_for_lost() -> None:
    """Also an express one, which AWS ends after 5 minutes whatever the definition says."""
    timeout_s = definition()["TimeoutSeconds"]
    assert timeout_s <= 300
    assert timeout_s < Settings().sweep_min_age_s
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    own = TEMPLATE["Resources"]["Sweep"]["Properties"]["Environment"]["Variables"]
    assert "DANDYROLL_SWEEP_MIN_AGE_S" not in {*variables, *own}
