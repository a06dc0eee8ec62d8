"""The estimated bill: what it counts is what the code and the template do, and what it comes to."""

import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from dandyroll.api_keys import mint_api_key
from dandyroll.aws.costs import usage
from dandyroll.aws.costs.bill import bill, savings, total_usd
from dandyroll.aws.costs.plan import RETENTIONS_DAYS, BadPlan, Plan
from dandyroll.aws.costs.prices import FREE, PRICES
from dandyroll.aws.costs.quantities import cold_share, quantities, seconds
from dandyroll.aws.costs.usage import FUNCTIONS, Calls
from dandyroll.aws.functions import (
    add_watermark,
    create_upload,
    get_processed_image,
    new_size_image,
    publish_events,
    sweep,
    upload_image,
)
from dandyroll.aws.home import this_home
from dandyroll.aws.metrics import METRICS
from dandyroll.cli import main
from dandyroll.keys import handover_key, original_key
from dandyroll.pipeline import STAGES, stage_name
from tests import pictures
from tests.aws.counting import INDEXES, Counter, counting, index_entry, item_bytes
from tests.aws.proxy_events import proxy_event
from tests.aws.test_template import FUNCTIONS as DEPLOYED
from tests.aws.test_template import RESOURCES, TEMPLATE, of
from tests.contract.client import Client
from tests.contract.test_tickets import put, ticket

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

BUCKET = "dandyroll-123456789012-us-east-1"  # as long as the template's, in every row
TABLE = "dandyroll-counted"
TRACE = "6f1f9c2e-5a0b-4f7a-9a37-6a1a8a2f0c11"

# --- counted on the emulator


@pytest.fixture(scope="module")
def counter(emulated_home: "EmulatedHome") -> Iterator[Counter]:
    """The functions' own home, in this process: a bucket and a table that nobody else sees."""
    emulated_home.emulator.client("s3").create_bucket(Bucket=BUCKET)
    names = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    table = {name: of("Table")[name] for name in names}
    emulated_home.emulator.client("dynamodb").create_table(TableName=TABLE, **table)
    with counting(emulated_home) as counter, pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "DANDYROLL_BUCKET": BUCKET,
            "DANDYROLL_TABLE": TABLE,
            "AWS_ENDPOINT_URL": counter.cloud.endpoint_url,
            "AWS_ACCESS_KEY_ID": counter.cloud.access_key_id,
            "AWS_SECRET_ACCESS_KEY": counter.cloud.secret_access_key,
            "AWS_REGION": counter.cloud.region,
            "DANDYROLL_TOPIC": emulated_home.outputs["EventsTopicArn"],
            "DANDYROLL_STATE_MACHINE": emulated_home.outputs["PipelineArn"],
        }.items():
            patch.setenv(name, value)
        this_home.cache_clear()
        direct(counter)  # the first of the day, and in this process
        yield counter
        this_home.cache_clear()


def direct(counter: Counter) -> tuple[str, dict[str, Calls]]:
    """Upload, process and read one image; its id and what each function asked for."""
    spent, data = {}, pictures.jpeg(4000, 3000)
    answer, spent["upload-image"] = counter.spent_by(
        lambda: upload_image.handler(proxy_event("POST", "/upload", key(), data), None)
    )
    assert answer["statusCode"] == 201, answer
    image_id = json.loads(answer["body"])["image_id"]
    spent |= staged(counter, image_id)
    event = proxy_event("GET", "/get-processed-image/{file-name}", key(), name=image_id)
    answer, spent["get-processed-image"] = counter.spent_by(
        lambda: get_processed_image.handler(event, None)
    )
    assert answer["statusCode"] == 200, answer
    return image_id, spent


def staged(counter: Counter, image_id: str) -> dict[str, Calls]:
    spent, event = {}, {"key": original_key(image_id), "trace_id": TRACE}
    job, spent["new-size-image"] = counter.spent_by(lambda: new_size_image.handler(event, None))
    _, spent["add-watermark"] = counter.spent_by(
        lambda: add_watermark.handler({**event, "job": job}, None)
    )
    return spent


def key() -> str:
    return mint_api_key("shop", frozenset({"read", "write"}), int(time.time()) + 3600)


def test_what_an_upload_and_a_read_ask_for(counter: Counter) -> None:
    _, spent = direct(counter)
    assert spent == {name: FUNCTIONS[name].calls for name in (*usage.DIRECT, usage.READ)}
    assert counter.unpriced == []


def test_what_a_ticket_asks_for(counter: Counter) -> None:
    data = pictures.jpeg(4000, 3000)
    body = json.dumps({"content_type": "image/jpeg", "size_bytes": len(data)}).encode()
    event = proxy_event("POST", "/uploads", key(), body, "application/json")
    answer, spent = counter.spent_by(lambda: create_upload.handler(event, None))
    image_id = json.loads(answer["body"])["image_id"]
    assert spent == FUNCTIONS["create-upload"].calls
    this_home().objects.put(original_key(image_id), data, "image/jpeg")
    found = staged(counter, image_id)
    assert found["new-size-image"] == FUNCTIONS["new-size-image, ticket"].calls
    assert found["add-watermark"] == FUNCTIONS["add-watermark"].calls
    assert counter.unpriced == []


def test_what_the_first_upload_of_a_process_asks_for_beside(counter: Counter) -> None:
    this_home.cache_clear()
    _, spent = direct(counter)
    warm = FUNCTIONS["upload-image"].calls
    more = FUNCTIONS["upload-image"].cold_writes
    assert spent["upload-image"] == replace(warm, write_units=warm.write_units + more)


def test_what_telling_of_an_image_asks_for(emulated_home: "EmulatedHome", counter: Counter) -> None:
    image_id, _ = direct(counter)
    after = item(emulated_home, image_id)
    record = {
        "eventID": "e",
        "eventName": "MODIFY",
        "dynamodb": {
            "ApproximateCreationDateTime": time.time(),
            "SequenceNumber": "1",
            "OldImage": {**after, "status": {"S": "resized"}},
            "NewImage": after,
        },
    }
    answer, spent = counter.spent_by(lambda: publish_events.handler({"Records": [record]}, None))
    assert answer == {"batchItemFailures": []}
    assert spent == FUNCTIONS["publish-events"].calls
    assert counter.unpriced == []


def test_what_a_sweep_asks_for_that_finds_nothing(counter: Counter) -> None:
    sweep.handler({}, None)  # the walk has begun
    answer, spent = counter.spent_by(lambda: sweep.handler({}, None))
    assert answer["started_again"] == 0
    assert spent == FUNCTIONS["sweep"].calls
    assert counter.unpriced == []


def test_an_image_is_stored_as_large_as_it_says(
    emulated_home: "EmulatedHome", counter: Counter
) -> None:
    image_id, _ = direct(counter)
    found = item(emulated_home, image_id)
    assert usage.ROW_BYTES * 0.97 < item_bytes(found) <= usage.ROW_BYTES
    entries = sum(item_bytes(index_entry(name, found)) for name in INDEXES)
    assert usage.INDEX_BYTES * 0.9 < entries <= usage.INDEX_BYTES
    scratch = len(this_home().objects.get(handover_key(image_id, stage_name(STAGES[0]))))
    assert usage.HANDOVER_BYTES * 0.99 < scratch <= usage.HANDOVER_BYTES
    pixels = 1280 * 960
    assert math.isclose(scratch, pixels * usage.HANDOVER_BYTES_A_PIXEL, rel_tol=0.01)


def item(aws: "EmulatedHome", image_id: str) -> dict[str, Any]:
    """The image's item in the table counted on, as DynamoDB has it."""
    table, name = aws.emulator.client("dynamodb"), {"image-id": {"S": image_id}}
    found: dict[str, Any] = table.get_item(TableName=TABLE, Key=name)["Item"]
    return found


SHARED = ("publish-events", "sweep")
"""Functions that others' images may call too, while these tests look."""


def test_log_lines_are_as_long_as_it_says(emulated_home: "EmulatedHome") -> None:
    client, data = Client.new(emulated_home), pictures.jpeg()
    before = our_lines(emulated_home)
    once = ("upload-image", "create-upload", "sweep")  # the others are called for both images
    expected = {name: FUNCTIONS[name].log_lines * (1 if name in once else 2) for name in before}
    image_id = client.upload(data)
    assert client.processed(image_id).status == 200
    given = ticket(client, len(data), "image/jpeg")
    assert put(client, given, data).status == 200
    assert client.processed(given["image_id"]).status == 200
    emulated_home.emulator.client("lambda").invoke(FunctionName="dandyroll-sweep")
    deadline_s = time.monotonic() + 30
    while True:
        new = {name: lines[len(before[name]) :] for name, lines in our_lines(emulated_home).items()}
        for name in new.keys() - SHARED:
            ids = (image_id, given["image_id"])
            new[name] = [line for line in new[name] if any(i in line for i in ids)]
        counts = {name: len(lines) for name, lines in new.items()}
        if all(counts[name] >= expected[name] for name in new) or time.monotonic() > deadline_s:
            break
        time.sleep(0.1)
    for name, lines in new.items():
        assert len(lines) >= expected[name] if name in SHARED else len(lines) == expected[name]
        each = len("".join(lines)) * FUNCTIONS[name].log_lines / len(lines)
        # numbers in them have some digits more or less; a sweep may have found something
        within = 0.2 if name in SHARED else 0.03
        assert math.isclose(each, FUNCTIONS[name].log_bytes, rel_tol=within), lines


def our_lines(aws: "EmulatedHome") -> dict[str, list[str]]:
    """What the functions of an upload and a read have logged: not the platform's lines."""
    pages = aws.emulator.client("logs").get_paginator("filter_log_events")
    found = {}
    for name in FUNCTIONS:
        if name in DEPLOYED:
            group = f"/aws/lambda/dandyroll-{name}"
            events = (e for page in pages.paginate(logGroupName=group) for e in page["events"])
            found[name] = [e["message"] for e in events if e["message"].startswith("{")]
    return found


# --- read off the template


NOT_IN_THE_BILL: Mapping[str, str] = {
    "get-image-metadata": "as a read, which the plan counts",
    "list-images": "now and then",
    "delete-image": "now and then",
    "retry-image": "now and then",
    "get-health": "as often as somebody asks",
    "get-reference": "now and then",
    "record-failure": "of images that fail",
    "mail-events": "by parameter; those of five minutes together",
}
"""Functions of the template that an image's way does not lead through."""

CONSIDERED = {
    # lines of the bill, by number or by use
    "AWS::CloudFront::Distribution",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::DynamoDB::Table",
    "AWS::Lambda::EventSourceMapping",  # reading the stream is free, the calls are counted
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
    "AWS::Scheduler::Schedule",
    "AWS::Serverless::Api",
    "AWS::Serverless::Function",
    "AWS::Serverless::StateMachine",
    # free
    "AWS::ApiGateway::UsagePlan",
    "AWS::CloudFront::CachePolicy",
    "AWS::CloudFront::KeyGroup",
    "AWS::CloudFront::OriginAccessControl",
    "AWS::CloudFront::PublicKey",
    "AWS::CloudFront::ResponseHeadersPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::Logs::LogGroup",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::SSM::Parameter",
    "AWS::XRay::SamplingRule",
    "AWS::Scheduler::ScheduleGroup",
}


def resources(kind: str) -> list[Any]:
    return [resource for resource in RESOURCES.values() if resource["Type"] == kind]


def parameter(value: Any) -> Any:
    """A property's value, or the default of the parameter that gives it."""
    return TEMPLATE["Parameters"][value["Ref"]]["Default"] if isinstance(value, dict) else value


def test_every_function_is_in_the_bill_or_has_its_reason() -> None:
    names = {name.partition(",")[0] for name in FUNCTIONS}
    assert set(DEPLOYED) == names | set(NOT_IN_THE_BILL)


def test_every_kind_of_resource_has_been_thought_of() -> None:
    assert {resource["Type"] for resource in RESOURCES.values()} <= CONSIDERED


def test_functions_have_the_memory_they_are_deployed_with() -> None:
    for name, function in FUNCTIONS.items():
        deployed = DEPLOYED[name.partition(",")[0]]["Properties"]
        assert function.memory_mib == parameter(deployed["MemorySize"]), name


def test_as_many_alarms_and_dashboards_stand_as_are_deployed() -> None:
    assert len(resources("AWS::CloudWatch::Alarm")) == usage.ALARMS
    assert len(resources("AWS::CloudWatch::Dashboard")) == usage.DASHBOARDS


def test_api_gateway_makes_no_metrics_that_cost() -> None:
    (method,) = of("Api")["MethodSettings"]
    events = [e for f in DEPLOYED.values() for e in f["Properties"].get("Events", {}).values()]
    routes = sum(event["Type"] == "Api" for event in events)
    assert (5 * routes if method.get("MetricsEnabled") else 0) == usage.METHOD_METRICS


def test_functions_run_by_the_clock_as_often_as_deployed() -> None:
    runs = {}
    for schedule in resources("AWS::Scheduler::Schedule"):
        expression = schedule["Properties"]["ScheduleExpression"]
        expression = expression["Fn::Sub"] if isinstance(expression, dict) else expression
        for name, about in TEMPLATE["Parameters"].items():
            expression = expression.replace(f"${{{name}}}", str(about.get("Default")))
        minutes = re.fullmatch(r"rate\((\d+) minutes?\)", expression)
        assert minutes, expression
        (function,) = schedule["Properties"]["Target"]["Arn"]["Fn::GetAtt"][:1]
        runs[named(function)] = usage.MONTH_DAYS * 24 * 60 // int(minutes[1])
    assert runs == usage.RUNS_A_MONTH
    events = [e for f in DEPLOYED.values() for e in f["Properties"].get("Events", {}).values()]
    assert {event["Type"] for event in events} == {"Api"}


def test_the_stream_calls_the_functions_it_is_mapped_to() -> None:
    """Those of the default deployment: not what a parameter must ask for."""
    mappings = [
        mapping["Properties"]["FunctionName"]["Ref"]
        for mapping in resources("AWS::Lambda::EventSourceMapping")
        if "Condition" not in mapping
    ]
    assert {named(function) for function in mappings} == set(usage.ON_STREAM)


def test_every_metric_of_ours_is_in_the_bill() -> None:
    assert set(usage.SERIES) == set(METRICS)


def named(resource: str) -> str:
    """The function's name, from its resource's."""
    name: str = of(resource)["FunctionName"]["Fn::Sub"].removeprefix("${AWS::StackName}-")
    return name


def test_the_defaults_are_the_templates() -> None:
    plan, parameters = Plan(), TEMPLATE["Parameters"]
    assert plan.workflow == parameters["WorkflowType"]["Default"].lower()
    assert plan.architecture == parameters["Architecture"]["Default"]
    assert plan.log_retention_days == parameters["LogRetentionDays"]["Default"]
    assert list(RETENTIONS_DAYS) == parameters["LogRetentionDays"]["AllowedValues"]
    passing = {n for n, f in DEPLOYED.items() if f["Properties"].get("Tracing") == "PassThrough"}
    assert passing == set(usage.UNTRACED)
    assert str(plan.trace_rate) == str(parameters["TraceRate"]["Default"])


def test_what_else_costs_is_as_deployed() -> None:
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert int(variables["DANDYROLL_MAX_DIRECT_BYTES"]) == usage.MAX_DIRECT_BYTES
    assert len(STAGES) == usage.STAGES
    assert of("Table")["SSESpecification"] == {"SSEEnabled": True}  # by a key of KMS
    assert of("Table")["BillingMode"] == "PAY_PER_REQUEST"
    assert of("Bucket")["NotificationConfiguration"] == {
        "EventBridgeConfiguration": {"EventBridgeEnabled": True}
    }
    assert of("Bucket")["VersioningConfiguration"] == {"Status": "Enabled"}
    puts = sum(FUNCTIONS[name].calls.s3_puts for name in usage.DIRECT)
    assert puts + 2 == usage.EVENTS
    (scratch,) = [
        rule
        for rule in of("Bucket")["LifecycleConfiguration"]["Rules"]
        if rule.get("Prefix") == "hand-over/"
    ]
    days = scratch["ExpirationInDays"] + scratch["NoncurrentVersionExpiration"]["NoncurrentDays"]
    assert days + 1 == usage.HANDOVER_DAYS  # each begins at midnight


# --- prices


def test_every_price_is_used_and_has_its_source() -> None:
    used = {
        quantity.price
        for workflow in ("standard", "express")
        for architecture in ("arm64", "x86_64")
        for quantity in quantities(Plan(workflow=workflow, architecture=architecture))
    }
    assert used | {"sns-email"} == set(PRICES)
    assert set(FREE) <= set(PRICES)
    for price in PRICES.values():
        assert price.usd > 0 and price.source and price.as_of


# --- the bill


@pytest.fixture
def images_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what runs by the clock, so that sums can be worked out by hand."""
    monkeypatch.setattr(usage, "RUNS_A_MONTH", {"sweep": 0})


def usd(plan: Plan, name: str, **more: bool) -> Decimal:
    return sum((line.usd for line in bill(plan, **more) if line.price == name), Decimal(0))


@pytest.mark.usefixtures("images_alone")
def test_lines_are_what_they_were_worked_out_by_hand() -> None:
    plan = Plan(images=1_000_000, reads=Decimal(2))
    assert usd(plan, "api-request") == Decimal("10.5")  # 3 million at $3.50
    assert usd(plan, "transition") == Decimal(75)
    assert usd(plan, "s3-put") == Decimal(15)
    assert usd(plan, "s3-get") == Decimal("1.6")  # 2 by the stages, 2 by reads
    assert usd(plan, "write") == Decimal("6.25")  # 4 writes, and 6 in the indexes
    assert usd(plan, "event") == Decimal(5)
    assert usd(replace(plan, workflow="express"), "express-request") == 1
    assert usd(replace(plan, workflow="express"), "transition") == 0


def test_a_call_lasts_as_worked_out_by_hand() -> None:
    plan, often = Plan(), Decimal(10**9)  # 12 megapixels, 3 MB
    # (38.2 + 12 x 4.3) x 1.5 of CPU; 40 + 25 + 3 x 6 of waiting; 6,687,000 bytes at 80,000 a ms
    expected = Decimal("0.1347") + Decimal("0.083") + Decimal("0.0835875")
    assert round(seconds(plan, "new-size-image", often), 9) == expected
    # with half the memory twice the CPU time
    halved = seconds(replace(plan, memory_mib=1769 // 2), "new-size-image", often)
    assert Decimal("0.4360") < halved < Decimal("0.4363")


def test_rare_calls_are_cold_and_frequent_ones_are_not() -> None:
    assert cold_share(Decimal(1)) > Decimal("0.999")
    assert cold_share(Decimal(10**6)) < Decimal("0.000001")
    assert Decimal("0.88") < cold_share(Decimal(1000)) < Decimal("0.9")


def test_a_metric_is_billed_for_the_hours_it_is_written_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    when = {"Clock": "always", "Settled": "images", "Broken": "faults"}
    monkeypatch.setattr(usage, "SERIES", when)
    assert Decimal("1.99") < series(Plan(images=10_000)) <= 2
    assert Decimal("1.74") < series(Plan(images=1_000)) < Decimal("1.76")  # 1.4 an hour
    assert Decimal("1.00") < series(Plan(images=1)) < Decimal("1.01")


def series(plan: Plan) -> Decimal:
    (found,) = [q.amount for q in quantities(plan) if q.item == "our own metrics"]
    return found


def test_lines_are_rounded_and_the_total_is_their_sum() -> None:
    lines = bill(Plan(images=7, reads=Decimal("0.5")))
    assert total_usd(lines) == sum(line.usd for line in lines)
    for line in lines:
        assert line.usd == round(line.quantity * line.unit_usd, 6)


@pytest.mark.usefixtures("images_alone")
def test_what_is_free_for_ever_is_taken_off_once() -> None:
    plan = Plan(images=100_000)
    lines = bill(plan, free_tier=True)
    for name, units in FREE.items():
        assert sum(line.free for line in lines if line.price == name) <= units
    (requests,) = [line for line in lines if line.price == "lambda-request"]
    assert (requests.quantity, requests.free, requests.usd) == (500_000, 500_000, 0)
    (transitions,) = [line for line in lines if line.price == "transition"]
    assert transitions.usd == (300_000 - 4_000) * Decimal("0.000025")
    assert usd(plan, "write", free_tier=True) == usd(plan, "write")  # on demand: none is free
    assert total_usd(lines) < total_usd(bill(plan))


@pytest.mark.usefixtures("images_alone")
def test_a_large_original_comes_by_ticket() -> None:
    small, large = Plan(size_bytes=4_500_000), Plan(size_bytes=4_500_001)
    calls = {q.item: q.amount for q in quantities(large) if q.price in ("s3-put", "s3-get")}
    assert calls == {"PUTs and listings": 3000, "GETs": 4000}
    assert usd(large, "s3-get") > usd(small, "s3-get")
    assert usd(large, "s3-put") == usd(small, "s3-put")


def test_what_is_kept_longer_costs_more_and_infrequent_access_less() -> None:
    month, year = Plan(), Plan(keep_months=Decimal(12))
    for item in ("originals", "renditions", "rows"):
        kept = [q.amount for plan in (month, year) for q in quantities(plan) if q.item == item]
        assert kept[1] == 12 * kept[0]
    cheaper = replace(year, infrequent_access=True)
    assert total_usd(bill(cheaper)) < total_usd(bill(year))
    assert bill(replace(month, infrequent_access=True)) == bill(month)  # none is old enough


def test_a_sweep_lists_what_came_in_two_days() -> None:
    puts = [usd(Plan(images=n), "s3-put") for n in (15_000, 150_000, 1_500_000)]
    runs = 30 * 24 * 4
    each = [(put - n * 3 * Decimal("0.000005")) / runs / Decimal("0.000005")
            for put, n in zip(puts, (15_000, 150_000, 1_500_000), strict=True)]  # fmt: skip
    assert each == [1, 10, 20]


def test_a_cdn_takes_reads_from_the_api() -> None:
    plan = Plan(images=1000, reads=Decimal(100))
    by_cdn = replace(plan, cdn=True)
    assert usd(by_cdn, "api-request") == Decimal("0.007")  # an upload, and a URL
    assert usd(by_cdn, "transfer") == 0
    assert usd(by_cdn, "cdn-request") == Decimal("0.1")
    assert total_usd(bill(by_cdn)) < total_usd(bill(plan))


def test_a_saving_is_the_difference_of_two_bills() -> None:
    plan = Plan(images=1_000_000)
    found = dict(savings(plan))
    other = total_usd(bill(replace(plan, workflow="express")))
    assert found["express workflow"] == total_usd(bill(plan)) - other > 70
    assert found["x86_64 functions"] < 0
    assert found["no X-Ray traces"] > 0
    assert dict(savings(replace(plan, workflow="express")))["standard workflow"] < -70


# --- the targets: what an upload costs, without anybody reading it


@pytest.mark.parametrize(("images", "most_usd"), [(1_000, 2), (10_000, 10)])
def test_a_month_costs_less_than_its_target(images: int, most_usd: int) -> None:
    plan = Plan(images=images, reads=Decimal(0))
    assert total_usd(bill(plan)) < most_usd
    assert total_usd(bill(replace(plan, reads=Decimal(1))), without=("delivery",)) < most_usd


@pytest.mark.parametrize("images", [10_000, 1_000_000])
def test_a_further_million_costs_less_than_its_target(images: int) -> None:
    one = Plan(images=images, reads=Decimal(0), workflow="express")
    two = replace(one, images=images + 1_000_000)
    without_storage = [total_usd(bill(plan), without=("storage",)) for plan in (one, two)]
    assert without_storage[1] - without_storage[0] < 60


# --- the command


def test_the_command_says_both_sums(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--images", "10000"]) == 0
    said = capsys.readouterr().out
    plan = Plan(images=10_000)
    for free_tier in (False, True):
        assert f"{total_usd(bill(plan, free_tier=free_tier)):,.2f}\n" in said
    assert "What dominates:" in said
    assert "express workflow" in said
    assert "Estimate" in said


def test_explained_each_line_has_its_price_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--explain", "--free-tier"]) == 0
    said = capsys.readouterr().out
    for line in bill(Plan()):
        assert PRICES[line.price].source in said
    assert "UNCONFIRMED" in said
    assert "of it free" in said


def test_as_json_it_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    asked = "cost --json --images 5000 --reads 2.5 --workflow express --cdn --memory 2048"
    assert main(asked.split()) == 0
    found = json.loads(capsys.readouterr().out)
    plan = Plan(5000, Decimal("2.5"), workflow="express", cdn=True, memory_mib=2048)
    assert found["total_usd"] == float(total_usd(bill(plan)))
    assert found["total_with_free_tier_usd"] < found["total_without_free_tier_usd"]
    assert (found["free_tier"], found["images"], found["reads"]) == (False, 5000, 2.5)
    assert len(found["lines"]) == len(bill(plan))
    for line in found["lines"]:
        assert {"service", "item", "quantity", "unit", "unit_usd", "usd", "note"} <= set(line)
    assert math.isclose(sum(line["usd"] for line in found["lines"]), found["total_usd"])


def test_less_what_is_free_the_total_is_that_of_the_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["cost", "--json", "--free-tier"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["free_tier"] is True
    assert found["total_usd"] == found["total_with_free_tier_usd"]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("--reads -1", "expected"),
        ("--reads NaN", "a number of 0 or more"),
        ("--images 0", "at least 1"),
        ("--images 10000000000", "--images: expected 1 to 1000000000"),
        ("--megapixels 0", "--megapixels: expected 0.000001 to 100; got 0"),
        ("--size-bytes 100000001", "--size-bytes: expected 1 to 100000000"),
        ("--memory 100", "--memory: expected 128 to 10240; got 100"),
        ("--log-retention 31", "--log-retention: expected one of 1, 3, 5, 7"),
        ("--workflow fast", "invalid choice: 'fast'"),
        ("--keep-months 1201", "--keep-months: expected 0 to 1200"),
    ],
)
def test_what_cannot_be_estimated_is_said(
    capsys: pytest.CaptureFixture[str], asked: str, says: str
) -> None:
    try:
        code: object = main(["cost", *asked.split()])
    except SystemExit as ended:  # argparse's way
        code = ended.code
    assert code == 2
    assert says in capsys.readouterr().err


def test_a_plan_takes_no_numbers_that_are_none() -> None:
    for value in ("NaN", "Infinity"):
        with pytest.raises(BadPlan, match="--reads: expected 0 to 1000000"):
            Plan(reads=Decimal(value))


def test_it_needs_neither_credentials_nor_the_extra_aws() -> None:
    script = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('boto3', 'botocore', 'obstore')))\n"
        "from dandyroll.cli import main\n"
        "sys.exit(main(['cost', '--json']))"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=plain)
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout)["total_usd"] > 0
