"""What is watched: metrics of ours in the log, alarms, dashboard, logs that are kept for a time."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dandyroll import errors
from dandyroll.aws.metrics import DIMENSION, METRICS, NAMESPACE
from dandyroll.keys import original_key
from tests import pictures
from tests.aws.emulator import PARAMETERS, STACK
from tests.aws.subscriber import Message, subscribed
from tests.aws.templates import template
from tests.aws.test_flow import settled, straight
from tests.aws.test_template import FUNCTIONS
from tests.contract.client import Client

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

TEMPLATE = template()
RESOURCES: Mapping[str, Any] = TEMPLATE["Resources"]


def of_type(kind: str) -> dict[str, Any]:
    return {name: r["Properties"] for name, r in RESOURCES.items() if r["Type"] == kind}


ALARMS = of_type("AWS::CloudWatch::Alarm")

AWS_METRICS: Mapping[str, set[str]] = {
    "AWS/ApiGateway": {"Count", "4XXError", "5XXError", "Latency", "IntegrationLatency"},
    "AWS/Lambda": {
        "Invocations",
        "Errors",
        "Throttles",
        "Duration",
        "ConcurrentExecutions",
        "IteratorAge",
    },
    "AWS/SNS": {"NumberOfMessagesPublished", "NumberOfNotificationsFailed"},
    "AWS/SQS": {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"},
    "AWS/States": {
        "ExecutionsStarted",
        "ExecutionsSucceeded",
        "ExecutionsFailed",
        "ExecutionsTimedOut",
        "ExecutionsAborted",
        "ExecutionThrottled",
        "ExecutionTime",
    },
}
"""What AWS counts by itself, as far as we look at it: each service's page on its metrics."""

OF_THE_ACCOUNT = {("AWS/Lambda", "Throttles")}
"""Looked at without a dimension: of all functions in the account and region."""


def dimensions_of(namespace: str) -> dict[str, set[str]]:
    """The dimensions a metric of ours must have, with the values that there are in the stack."""
    stack = "${AWS::StackName}"
    return {
        NAMESPACE: {DIMENSION: {stack}},
        "AWS/ApiGateway": {
            "ApiName": {RESOURCES["Api"]["Properties"]["Name"]["Fn::Sub"]},
            "Stage": {f"${{{RESOURCES['Api']['Properties']['StageName']['Ref']}}}"},
        },
        "AWS/Lambda": {"FunctionName": {f"{stack}-{name}" for name in FUNCTIONS}},
        "AWS/SNS": {
            "TopicName": {t["TopicName"]["Fn::Sub"] for t in of_type("AWS::SNS::Topic").values()}
        },
        "AWS/SQS": {"QueueName": {f"${{{name}.QueueName}}" for name in of_type("AWS::SQS::Queue")}},
        "AWS/States": {"StateMachineArn": {"${Pipeline}"}},
    }[namespace]


def assert_there_is(namespace: str, name: str, dimensions: Mapping[str, str]) -> None:
    """Such a metric, of something that is in the stack."""
    known = set(METRICS) if namespace == NAMESPACE else AWS_METRICS[namespace]
    assert name in known, (namespace, name)
    if (namespace, name) in OF_THE_ACCOUNT and not dimensions:
        return
    right = dimensions_of(namespace)
    assert set(dimensions) == set(right), (namespace, name)
    for dimension, value in dimensions.items():
        assert value in right[dimension], (namespace, name, value)


def as_text(value: Any) -> str:
    """A short form of CloudFormation's as `Fn::Sub` would have it."""
    match value:
        case {"Ref": name}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"${{{name}.{attribute}}}"
        case {"Fn::Sub": str(text)}:
            return text
    return str(value)


# --- alarms


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_watches_what_there_is(name: str) -> None:
    alarm = ALARMS[name]
    given = {d["Name"]: as_text(d["Value"]) for d in alarm.get("Dimensions", [])}
    assert_there_is(alarm["Namespace"], alarm["MetricName"], given)
    assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "Alarms"}]
    assert alarm["AlarmName"]["Fn::Sub"].startswith("${AWS::StackName}-")
    assert len(alarm["AlarmDescription"]) > 20
    assert alarm["Period"] % 60 == 0  # less is a dearer kind of alarm


def test_every_trouble_has_its_alarm() -> None:
    watched = {(alarm["Namespace"], alarm["MetricName"]) for alarm in ALARMS.values()}
    assert watched == {
        (NAMESPACE, "ImagesFailedByUs"),
        (NAMESPACE, "OldestUnprocessedSeconds"),
        ("AWS/States", "ExecutionsTimedOut"),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
        ("AWS/Lambda", "Throttles"),
        ("AWS/ApiGateway", "4XXError"),
        ("AWS/ApiGateway", "5XXError"),
    }


def test_every_queue_of_what_was_lost_is_watched() -> None:
    queues = [
        as_text(d["Value"])
        for alarm in ALARMS.values()
        for d in alarm.get("Dimensions", [])
        if d["Name"] == "QueueName"
    ]
    assert sorted(queues) == sorted(f"${{{name}.QueueName}}" for name in of_type("AWS::SQS::Queue"))


def test_only_a_sweep_that_does_not_run_is_trouble_by_its_silence() -> None:
    """A queue at rest stops counting, with what is in it."""
    for name, alarm in ALARMS.items():
        of_a_queue = alarm.get("Namespace") == "AWS/SQS"
        silence = "breaching" if name == "OldestUploadAlarm" else "notBreaching"
        assert alarm["TreatMissingData"] == ("ignore" if of_a_queue else silence), name


def test_what_alarms_and_series_cost_leaves_room_for_the_images() -> None:
    """Prices of us-east-1: $0.10 a metric that an alarm watches, $0.30 a series of our own."""
    for alarm in ALARMS.values():
        assert "Metrics" not in alarm  # each metric of an expression is paid for as an alarm
    assert 0.10 * len(ALARMS) <= 0.80
    always = {"OldestUnprocessedSeconds"}  # others are written only where there is something
    assert 0.10 * len(ALARMS) + 0.30 * len(always) <= 1.20
    assert len(METRICS) <= 5


def test_a_method_has_no_metrics_of_its_own() -> None:
    (method,) = RESOURCES["Api"]["Properties"]["MethodSettings"]
    assert method["MetricsEnabled"] is False  # they are paid for; the stage's are not


def test_who_may_write_to_the_alarms() -> None:
    assert "KmsMasterKeyId" not in RESOURCES["Alarms"]["Properties"]  # CloudWatch could not write
    allow, deny = RESOURCES["AlarmsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (allow["Effect"], allow["Action"]) == ("Allow", "sns:Publish")
    assert allow["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allow["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "sns:Publish")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert RESOURCES["AlarmsByEmail"]["Condition"] == "HasAlarmEmail"


def test_the_alarms_are_there(emulated_home: "EmulatedHome") -> None:
    cloudwatch = emulated_home.emulator.client("cloudwatch")
    found = {a["AlarmName"]: a for a in cloudwatch.describe_alarms()["MetricAlarms"]}
    names = {a["AlarmName"]["Fn::Sub"].replace("${AWS::StackName}", STACK) for a in ALARMS.values()}
    assert set(found) == names
    topic = emulated_home.outputs["AlarmsTopicArn"]
    assert all(alarm["AlarmActions"] == [topic] for alarm in found.values())
    (watched,) = found[f"{STACK}-timed-out"]["Dimensions"]
    assert watched["Value"] == emulated_home.outputs["PipelineArn"]


def test_an_alarm_reaches_who_has_subscribed(emulated_home: "EmulatedHome") -> None:
    """The alarm as deployed, on a point of the metric as our functions write it."""
    cloudwatch = emulated_home.emulator.client("cloudwatch")

    def wanted(message: Message) -> bool:
        told = json.loads(message["Body"])
        return (told["AlarmName"], told["NewStateValue"]) == (f"{STACK}-failed-by-us", "ALARM")

    point = {
        "MetricName": "ImagesFailedByUs",
        "Dimensions": [{"Name": DIMENSION, "Value": STACK}],
        "Value": 1,
    }
    with subscribed(emulated_home, "AlarmsTopicArn") as operator:
        cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=[point])
        told = json.loads(operator.wait_for(wanted)["Body"])
    assert told["AlarmDescription"] == ALARMS["FailedByUsAlarm"]["AlarmDescription"]


def test_addresses_of_parameters_are_subscribed(emulated_home: "EmulatedHome") -> None:
    sns = emulated_home.emulator.client("sns")
    for output, address, wants in (
        ("AlarmsTopicArn", PARAMETERS["AlarmEmail"], ""),
        ("EventsTopicArn", PARAMETERS["EventsEmail"], '{"type": ["image.failed"]}'),
    ):
        topic = emulated_home.outputs[output]
        found = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        (mail,) = [one for one in found if one["Protocol"] == "email"]
        assert mail["Endpoint"] == address
        about = sns.get_subscription_attributes(SubscriptionArn=mail["SubscriptionArn"])
        assert about["Attributes"].get("FilterPolicy", "") == wants


# --- the dashboard


def dashboard() -> list[dict[str, Any]]:
    body = RESOURCES["Overview"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets: list[dict[str, Any]] = json.loads(body)["widgets"]
    return widgets


def test_the_dashboard_costs_nothing_unless_it_is_asked_for() -> None:
    assert RESOURCES["Overview"]["Condition"] == "HasDashboard"
    about = TEMPLATE["Parameters"]["Dashboard"]
    assert about["Default"] == "false"
    assert "$3 a month" in about["Description"]


def test_the_dashboard_shows_what_there_is() -> None:
    shown = set()
    for widget in dashboard():
        about = widget["properties"]
        if widget["type"] == "alarm":
            assert about["alarms"] == [f"${{{name}.Arn}}" for name in ALARMS]
            continue
        assert about["region"] == "${AWS::Region}"
        for namespace, name, *pairs in about["metrics"]:
            options = pairs.pop() if pairs and isinstance(pairs[-1], dict) else {}
            assert set(options) <= {"stat", "label", "yAxis"}
            assert_there_is(namespace, name, dict(zip(pairs[::2], pairs[1::2], strict=True)))
            shown.add((namespace, name))
    assert {(NAMESPACE, name) for name in METRICS} <= shown
    assert {("AWS/States", "ExecutionTime"), ("AWS/Lambda", "Throttles")} <= shown


def test_no_two_widgets_lie_on_each_other() -> None:
    taken = Counter(
        (x, y)
        for w in dashboard()
        for x in range(w["x"], w["x"] + w["width"])
        for y in range(w["y"], w["y"] + w["height"])
    )
    assert max(taken.values()) == 1
    assert max(x for x, _ in taken) < 24  # columns that a dashboard has


def test_what_is_put_into_the_dashboard_is_there() -> None:
    body = RESOURCES["Overview"]["Properties"]["DashboardBody"]["Fn::Sub"]
    for name in set(re.findall(r"\$\{(\w+)(?:\.\w+)?\}", body)):
        assert name in RESOURCES or name in TEMPLATE["Parameters"], name


def test_the_dashboard_is_there(emulated_home: "EmulatedHome") -> None:
    cloudwatch = emulated_home.emulator.client("cloudwatch")
    body = json.loads(cloudwatch.get_dashboard(DashboardName=STACK)["DashboardBody"])
    text = json.dumps(body)
    assert "${" not in text
    assert emulated_home.outputs["PipelineArn"] in text
    assert f"{STACK}-publish-events" in text


# --- metrics of our own


def invocations(aws: "EmulatedHome", function: str) -> Iterator[list[str]]:
    """What the function has logged, call by call."""
    logs = aws.emulator.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=f"/aws/lambda/{STACK}-{function}"
    )
    calls: dict[str, list[str]] = {}
    for page in pages:
        for event in page["events"]:
            stream = event["logStreamName"]
            if event["message"].startswith("START "):
                calls[stream] = []
            elif event["message"].startswith("END ") and stream in calls:
                yield calls.pop(stream)
            elif stream in calls:
                calls[stream].append(event["message"])


def call_about(aws: "EmulatedHome", image_id: str, kind: str) -> list[dict[str, Any]]:
    """The JSON lines of the call that told of it, once it is over."""
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        for messages in invocations(aws, "publish-events"):
            lines = [json.loads(text) for text in messages if text.startswith("{")]
            if any((e.get("image_id"), e.get("type")) == (image_id, kind) for e in lines):
                return lines
        time.sleep(0.1)
    raise TimeoutError(f"Expected a call about {image_id} in 30 s; there was none.")


def objectless(aws: "EmulatedHome") -> str:
    """An image that has failed by a fault of ours: its object is gone."""
    first = straight("png")
    aws.put_original(original_key(first), pictures.png())
    row = replace(settled(aws, first), image_id=straight("png"), status="uploaded", processed=None)
    aws.home.catalogue.create(row)
    aws.wait(aws.start(row.image_id))
    return row.image_id


def test_what_is_settled_is_counted(emulated_home: "EmulatedHome") -> None:
    client, bad = Client.new(emulated_home), straight("png")
    emulated_home.put_original(original_key(bad), b"no picture")
    images = {
        client.upload(pictures.png(), "image/png"): ("image.processed", "ImagesProcessed"),
        bad: ("image.failed", "ImagesFailed"),
        objectless(emulated_home): ("image.failed", "ImagesFailedByUs"),
    }
    for image_id, (kind, metric) in images.items():
        lines = call_about(emulated_home, image_id, kind)
        told = [line for line in lines if "event_id" in line]
        (points,) = [line for line in lines if "_aws" in line]
        (directive,) = points["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == NAMESPACE
        assert directive["Dimensions"] == [[DIMENSION]]
        assert points[DIMENSION] == STACK
        names = {one["Name"]: one["Unit"] for one in directive["Metrics"]}
        assert names == {name: METRICS[name] for name in names}
        assert metric in names
        assert {name: points[name] for name in names} == expected(emulated_home, told)


def expected(aws: "EmulatedHome", told: list[dict[str, Any]]) -> dict[str, int]:
    """What a call that told of these has to count."""
    counts: Counter[str] = Counter()
    for line in told:
        if line["type"] == "image.processed":
            counts["ImagesProcessed"] += 1
        elif line["type"] == "image.failed":
            counts["ImagesFailed"] += 1
            error = aws.home.catalogue.get(line["image_id"]).error
            assert error is not None
            kind = errors.with_code(error["code"])
            assert kind is not None
            counts["ImagesFailedByUs"] += kind.status >= 500
    return {name: count for name, count in counts.items() if count}


def test_the_log_leads_from_upload_to_event(emulated_home: "EmulatedHome") -> None:
    """One trace id finds the lines of the stages and of the event."""
    client = Client.new(emulated_home)
    image_id = client.upload(pictures.png(), "image/png")
    lines = call_about(emulated_home, image_id, "image.processed")
    trace_id = client.row(image_id)["ledger"]["trace_id"]
    (told,) = [line for line in lines if line.get("image_id") == image_id]
    assert told["trace_id"] == trace_id
    assert told["event_id"].startswith("evt_")


# --- logs


def test_every_log_is_forgotten_in_time(emulated_home: "EmulatedHome") -> None:
    groups = emulated_home.emulator.client("logs").describe_log_groups()["logGroups"]
    found = {group["logGroupName"]: group.get("retentionInDays") for group in groups}
    expected = {f"/aws/lambda/{STACK}-{name}" for name in FUNCTIONS}
    expected |= {f"/aws/vendedlogs/states/{STACK}-pipeline"}
    assert {name for name in found if STACK in name} == expected
    assert set(found.values()) == {TEMPLATE["Parameters"]["LogRetentionDays"]["Default"]}
