"""The template: all that the emulator takes without a word, or drops, is asserted here."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dandyroll import errors
from dandyroll.api.access import FORBIDDEN
from dandyroll.api.problem import problem
from dandyroll.api.routes import ROUTES
from dandyroll.aws import statemachine
from dandyroll.aws.table import INDEX, KEY, PARTITION, PLACE
from dandyroll.keys import HANDOVERS, ORIGINALS
from dandyroll.pipeline import STAGES
from dandyroll.settings import SETTINGS, Settings
from deploy.build import ROOT
from tests.aws.emulated_home import LIMIT_BYTES
from tests.aws.emulator import PARAMETERS
from tests.aws.templates import template

TEMPLATE = template()
RESOURCES: Mapping[str, Any] = TEMPLATE["Resources"]
FUNCTIONS = {
    resource["Properties"]["FunctionName"]["Fn::Sub"].removeprefix("${AWS::StackName}-"): resource
    for resource in RESOURCES.values()
    if resource["Type"] == "AWS::Serverless::Function"
}
REFERENCE = "get-reference"  # the contract itself, which is not a route of the contract
STAGE_FUNCTIONS = {"new-size-image", "add-watermark", "record-failure"}
EVENT_FUNCTIONS = {"publish-events", "mail-events"}
SWEEP = "sweep"


def of(name: str) -> Any:
    return RESOURCES[name]["Properties"]


def test_cfn_lint_finds_nothing() -> None:
    lint = [str(Path(sys.executable).with_name("cfn-lint")), str(ROOT / "deploy/template.yaml")]
    run = subprocess.run(lint, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


# --- routes and functions


def test_the_routes_are_the_route_tables() -> None:
    found = set()
    for name, function in FUNCTIONS.items():
        for event in function["Properties"].get("Events", {}).values():
            assert event["Type"] == "Api"
            about = event["Properties"]
            assert about["RestApiId"] == {"Ref": "Api"}
            needs_key = about.get("Auth", {}).get("ApiKeyRequired", True)
            found.add((about["Method"].upper(), about["Path"], name, needs_key))
    routes = {(r.method, r.path, r.function, r.needs_key) for r in ROUTES}
    assert found == routes | {
        ("GET", path, REFERENCE, False) for path in ("/openapi.json", "/docs")
    }


def test_there_is_a_function_for_each_route_and_stage() -> None:
    for_routes = {route.function for route in ROUTES} | {REFERENCE}
    assert set(FUNCTIONS) == for_routes | STAGE_FUNCTIONS | EVENT_FUNCTIONS | {SWEEP}


def test_every_function_is_where_its_name_says() -> None:
    for name, function in FUNCTIONS.items():
        module = name.replace("-", "_")
        assert function["Properties"]["Handler"] == f"dandyroll.aws.functions.{module}.handler"
        path = ROOT / "src" / "dandyroll" / "aws" / "functions" / f"{module}.py"
        assert "def handler(" in path.read_text("utf-8")


def test_the_machine_is_given_every_function_it_asks_for() -> None:
    asked = {
        state["Resource"].strip("${}")
        for state in statemachine.definition()["States"].values()
        if state["Type"] == "Task"
    }
    assert set(of("Pipeline")["DefinitionSubstitutions"]) == asked
    assert len(asked) == len(STAGES) + 1


def test_functions_end_before_who_waits_for_them() -> None:
    for name, function in FUNCTIONS.items():
        timeout_s = function["Properties"]["Timeout"]
        is_behind_api = name not in STAGE_FUNCTIONS | EVENT_FUNCTIONS | {SWEEP}
        assert timeout_s <= (28 if is_behind_api else 60), name  # the gateway: 29 s


def test_a_wait_fits_into_its_function() -> None:
    waits = FUNCTIONS["get-processed-image"]["Properties"]["Timeout"]
    assert Settings().max_wait_s + 5 <= waits


def test_every_function_can_be_capped() -> None:
    for name, function in FUNCTIONS.items():
        if name in EVENT_FUNCTIONS:  # there is one a shard of the stream
            assert "ReservedConcurrentExecutions" not in function["Properties"]
            continue
        condition, value, otherwise = function["Properties"]["ReservedConcurrentExecutions"][
            "Fn::If"
        ]
        expected = "Stage" if name in STAGE_FUNCTIONS | {SWEEP} else "Api"
        assert (condition, value) == (f"Caps{expected}{'s' * (expected == 'Stage')}",
                                      {"Ref": f"{expected}Concurrency"})  # fmt: skip
        assert otherwise == {"Ref": "AWS::NoValue"}


def test_the_settings_are_ones_there_are() -> None:
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    known = {setting.env for setting in SETTINGS}
    own = {
        name: function["Properties"]["Environment"]["Variables"]
        for name, function in FUNCTIONS.items()
        if "Environment" in function["Properties"]
    }
    assert own == {
        "retry-image": {"DANDYROLL_STATE_MACHINE": {"Ref": "Pipeline"}},
        SWEEP: {"DANDYROLL_STATE_MACHINE": {"Ref": "Pipeline"}},
        "publish-events": {"DANDYROLL_TOPIC": {"Ref": "Events"}},
        "mail-events": {
            "DANDYROLL_MAIL_FROM": {"Ref": "MailFrom"},
            "DANDYROLL_MAIL_TO": {"Ref": "MailTo"},
            "DANDYROLL_MAIL_EVENTS": {"Ref": "MailedEvents"},
        },
    }
    given = {*variables, *(name for environment in own.values() for name in environment)}
    assert {name for name in given if name.startswith("DANDYROLL_")} <= known
    limits = ("DANDYROLL_MAX_DIRECT_BYTES", "DANDYROLL_MAX_ANSWER_BYTES")
    assert {int(variables[name]) for name in limits} == {LIMIT_BYTES}
    assert LIMIT_BYTES * 4 / 3 + 10_000 < 6 * 1024 * 1024  # in base64, and headers beside it


def test_the_runtimes_are_the_ones_we_take() -> None:
    parameters = TEMPLATE["Parameters"]
    assert parameters["Runtime"]["Default"] == "python3.13"
    assert parameters["Runtime"]["AllowedValues"] == ["python3.13", "python3.14", "provided.al2023"]
    assert parameters["WorkflowType"]["AllowedValues"] == ["STANDARD", "EXPRESS"]
    assert set(PARAMETERS) <= set(parameters)


# --- who may do what

NAMED: Mapping[str, Any] = {
    "table": {"Fn::GetAtt": ["Table", "Arn"]},
    "index": {"Fn::Sub": "${Table.Arn}/index/newest-first"},
    "stream": {"Fn::Sub": "${Table.Arn}/stream/*"},
    "machine": {"Ref": "Pipeline"},
    "events": {"Ref": "Events"},
    "given-up": {"Fn::GetAtt": ["UndeliveredEvents", "Arn"]},
    "sender": {"Fn::Sub": "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/*"},
    "sender-set": {
        "Fn::Sub": "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:configuration-set/*"
    },
}
"""The places there are beside those in the bucket."""

STREAM = {
    (f"dynamodb:{action}", "stream")
    for action in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
} | {("sqs:SendMessage", "given-up")}
"""What Lambda does in a function's name where it brings a stream's records."""


def allowed(name: str) -> set[tuple[str, str]]:
    """What a function may do, as (action, where)."""
    found = set()
    for policy in FUNCTIONS[name]["Properties"].get("Policies", []):
        for statement in policy["Statement"]:
            assert statement["Effect"] == "Allow"
            actions = statement["Action"]
            for place in _places(statement):
                for action in [actions] if isinstance(actions, str) else actions:
                    found.add((action, place))
    return found


def _places(statement: Mapping[str, Any]) -> list[str]:
    resources = statement["Resource"]
    if "ses:FromAddress" in statement.get("Condition", {}).get("StringEquals", {}):
        assert statement["Condition"] == {"StringEquals": {"ses:FromAddress": {"Ref": "MailFrom"}}}
    elif "Condition" in statement:
        assert resources == {"Fn::GetAtt": ["Bucket", "Arn"]}
        (prefixes,) = statement["Condition"]["StringLike"].values()
        return prefixes if isinstance(prefixes, list) else [prefixes]
    return [_place(w) for w in (resources if isinstance(resources, list) else [resources])]


def _place(where: Mapping[str, Any]) -> str:
    for place, named in NAMED.items():
        if where == named:
            return place
    sub: str = where["Fn::Sub"]
    if sub == "${Table.Arn}/index/newest-first":
        return "index"
    if sub == "${Table.Arn}/index/unsettled":
        return "unsettled"
    assert sub.startswith("${Bucket.Arn}/")
    return sub.removeprefix("${Bucket.Arn}/")


def table(*actions: str) -> set[tuple[str, str]]:
    return {(f"dynamodb:{action}", "table") for action in actions}


def bucket(place: str, *actions: str) -> set[tuple[str, str]]:
    return {(f"s3:{action}", place) for action in actions}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "upload-image",
            table("GetItem", "PutItem", "UpdateItem", "DeleteItem")
            | bucket("uploaded/*", "GetObject", "PutObject"),
        ),
        (
            "create-upload",
            table("GetItem", "PutItem") | bucket("uploaded/*", "PutObject"),
        ),
        (
            "list-images",
            table("BatchGetItem") | {("dynamodb:Query", "index")},
        ),
        (
            "delete-image",
            table("GetItem", "DeleteItem")
            | bucket("uploaded/*", "ListBucketVersions", "DeleteObjectVersion")
            | bucket("hand-over/*", "ListBucketVersions", "DeleteObjectVersion")
            | bucket("FINAL-IMAGES/*", "ListBucketVersions", "DeleteObjectVersion"),
        ),
        (
            "retry-image",
            table("GetItem", "UpdateItem") | {("states:StartExecution", "machine")},
        ),
        (
            SWEEP,
            table("GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem")
            | {("dynamodb:Query", "unsettled"), ("states:StartExecution", "machine")}
            | bucket("uploaded/*", "GetObject", "ListBucket"),
        ),
        (
            "get-image-metadata",
            table("GetItem") | bucket("uploaded/*", "GetObject", "ListBucket"),
        ),
        (
            "get-processed-image",
            table("GetItem") | bucket("FINAL-IMAGES/*", "GetObject", "ListBucket"),
        ),
        ("get-health", set()),
        (REFERENCE, set()),
        (
            "new-size-image",
            table("GetItem", "PutItem", "UpdateItem")
            | bucket("uploaded/*", "GetObject", "ListBucket")
            | bucket("hand-over/*", "PutObject", "ListBucketVersions", "DeleteObjectVersion"),
        ),
        (
            "add-watermark",
            table("GetItem", "UpdateItem")
            | bucket("hand-over/*", "GetObject", "ListBucket")
            | bucket("FINAL-IMAGES/*", "PutObject", "ListBucketVersions", "DeleteObjectVersion"),
        ),
        (
            "record-failure",
            table("GetItem", "PutItem", "UpdateItem")
            | bucket("uploaded/*", "ListBucket", "ListBucketVersions", "DeleteObjectVersion"),
        ),
        ("publish-events", STREAM | {("sns:Publish", "events")}),
        ("mail-events", STREAM | {("ses:SendEmail", "sender"), ("ses:SendEmail", "sender-set")}),
    ],
)
def test_a_function_may_do_exactly_this(name: str, expected: set[tuple[str, str]]) -> None:
    assert allowed(name) == expected


def test_the_machine_may_invoke_its_functions_and_nothing_else() -> None:
    invoke, observe = of("PipelineRole")["Policies"][0]["PolicyDocument"]["Statement"]
    assert invoke["Action"] == "lambda:InvokeFunction"
    functions = of("Pipeline")["DefinitionSubstitutions"].values()
    assert sorted(map(str, invoke["Resource"])) == sorted(map(str, functions))
    assert {action.partition(":")[0] for action in observe["Action"]} == {"logs", "xray"}
    assert len(of("PipelineRole")["Policies"]) == 1
    trusted = of("PipelineRole")["AssumeRolePolicyDocument"]["Statement"]
    assert [statement["Principal"] for statement in trusted] == [
        {"Service": "states.amazonaws.com"}
    ]


# --- events and what becomes of lost ones


def test_objects_under_uploaded_start_the_machine() -> None:
    rule = of("Pipeline")["Events"]["Uploaded"]
    assert rule["Type"] == "EventBridgeRule"
    assert rule["Properties"]["Pattern"] == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {
            "bucket": {"name": [{"Ref": "Bucket"}]},
            "object": {"key": [{"prefix": ORIGINALS}]},
        },
    }
    assert of("Bucket")["NotificationConfiguration"] == {
        "EventBridgeConfiguration": {"EventBridgeEnabled": True}
    }


def test_an_event_is_tried_for_a_day_and_then_kept() -> None:
    rule = of("Pipeline")["Events"]["Uploaded"]["Properties"]
    assert rule["RetryPolicy"] == {
        "MaximumEventAgeInSeconds": 86400,
        "MaximumRetryAttempts": 185,
    }
    assert rule["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["LostEvents", "Arn"]}}
    assert of("LostEvents")["MessageRetentionPeriod"] == 14 * 24 * 3600
    (allow,) = of("LostEventsPolicy")["PolicyDocument"]["Statement"]
    assert (allow["Principal"], allow["Action"]) == (
        {"Service": "events.amazonaws.com"},
        "sqs:SendMessage",
    )
    source = allow["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"]
    assert source.endswith("rule/" + rule["RuleName"]["Fn::Sub"])


# --- what is kept


def test_the_bucket_is_private_encrypted_and_versioned() -> None:
    kept = of("Bucket")
    assert set(kept["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(kept["PublicAccessBlockConfiguration"]) == 4
    assert kept["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    (rule,) = kept["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert kept["VersioningConfiguration"] == {"Status": "Enabled"}


def test_only_what_is_scratch_expires() -> None:
    """By itself: what originals may do by parameter is in `test_lifecycle.py`."""
    rules = [r for r in of("Bucket")["LifecycleConfiguration"]["Rules"] if "Fn::If" not in r]
    assert {rule["Status"] for rule in rules} == {"Enabled"}
    expiring = {rule.get("Prefix"): rule["ExpirationInDays"] for rule in rules
                if "ExpirationInDays" in rule}  # fmt: skip
    assert expiring == {HANDOVERS: 1}
    assert {"DaysAfterInitiation": 1} in [r.get("AbortIncompleteMultipartUpload") for r in rules]
    assert {"NoncurrentDays": 30} in [r.get("NoncurrentVersionExpiration") for r in rules]


def test_the_bucket_is_for_tls_only() -> None:
    deny, _ = of("BucketPolicy")["PolicyDocument"]["Statement"]  # the other: test_cdn.py
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "s3:*")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert deny["Resource"] == [
        {"Fn::GetAtt": ["Bucket", "Arn"]},
        {"Fn::Sub": "${Bucket.Arn}/*"},
    ]


def test_the_table_is_encrypted_and_can_be_restored() -> None:
    kept = of("Table")
    assert kept["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert kept["SSESpecification"] == {"SSEEnabled": True}
    assert kept["TimeToLiveSpecification"] == {"AttributeName": "expires-at", "Enabled": True}
    assert kept["BillingMode"] == "PAY_PER_REQUEST"
    assert kept["TableName"]["Fn::Sub"].endswith("image-metadata")
    assert kept["KeySchema"] == [{"AttributeName": KEY, "KeyType": "HASH"}]


def test_the_index_is_the_one_that_listing_reads() -> None:
    index, _ = of("Table")["GlobalSecondaryIndexes"]
    assert index == {
        "IndexName": INDEX,
        "KeySchema": [
            {"AttributeName": PARTITION, "KeyType": "HASH"},
            {"AttributeName": PLACE, "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["owner", "status"]},
    }
    defined = of("Table")["AttributeDefinitions"]
    assert [{"AttributeName": n, "AttributeType": "S"} for n in (KEY, PARTITION, PLACE)] == (
        defined[:3]
    )


@pytest.mark.parametrize("name", ["Bucket", "Table"])
def test_a_deleted_stack_leaves_the_images(name: str) -> None:
    assert RESOURCES[name]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert RESOURCES[name]["UpdateReplacePolicy"] == "Retain"


# --- the gateway


def test_the_throttle_figures_are_the_sources() -> None:
    (method,) = of("Api")["MethodSettings"]
    assert (method["ResourcePath"], method["HttpMethod"]) == ("/*", "*")
    assert (method["ThrottlingRateLimit"], method["ThrottlingBurstLimit"]) == (10_000, 5_000)
    plan = of("UsagePlan")
    assert plan["Throttle"] == {"RateLimit": 100, "BurstLimit": 5_000}
    assert plan["ApiStages"] == [{"ApiId": {"Ref": "Api"}, "Stage": {"Ref": "Api.Stage"}}]


def test_bytes_pass_and_keys_are_asked_for() -> None:
    assert of("Api")["BinaryMediaTypes"] == ["*/*"]
    assert of("Api")["Auth"] == {"ApiKeyRequired": True}


ANSWERS: Mapping[str, type[errors.DandyrollError]] = {
    "INVALID_API_KEY": errors.Forbidden,
    "MISSING_AUTHENTICATION_TOKEN": errors.NotFound,
    "RESOURCE_NOT_FOUND": errors.NotFound,
    "THROTTLED": errors.TooManyRequests,
    "QUOTA_EXCEEDED": errors.TooManyRequests,
    "REQUEST_TOO_LARGE": errors.BodyTooLarge,
    "INTEGRATION_FAILURE": errors.StoreUnavailable,
    "DEFAULT_4XX": errors.BadParameter,
    "DEFAULT_5XX": errors.Internal,
}


def test_every_answer_of_the_gateways_own_is_a_problem() -> None:
    assert set(of("Api")["GatewayResponses"]) == set(ANSWERS)


@pytest.mark.parametrize("kind", ANSWERS)
def test_the_gateway_answers_as_the_functions_do(kind: str) -> None:
    response, error = of("Api")["GatewayResponses"][kind], ANSWERS[kind]
    found = json.loads(response["ResponseTemplates"]["application/json"])
    expected = json.loads(problem(error(found["message"]), "$context.requestId").body)
    if kind.startswith("DEFAULT_"):  # stands in for several, which keep their own status
        assert "StatusCode" not in response
        del expected["status"]
    else:
        assert int(response["StatusCode"]) == error.status
    assert found == expected
    headers = response["ResponseParameters"]["Headers"]
    assert headers["Content-Type"] == "'application/problem+json'"
    assert headers["Cache-Control"] == "'no-store'"
    may_try_again = error in (errors.TooManyRequests, errors.StoreUnavailable)
    assert ("Retry-After" in headers) == may_try_again


def test_a_refused_key_hears_the_same_from_gateway_and_function() -> None:
    answered = of("Api")["GatewayResponses"]["INVALID_API_KEY"]["ResponseTemplates"]
    assert json.loads(answered["application/json"])["message"] == FORBIDDEN


# --- logs


def test_every_function_logs_json_to_a_group_that_forgets() -> None:
    for name, function in FUNCTIONS.items():
        logging = function["Properties"]["LoggingConfig"]
        assert (logging["LogFormat"], logging["ApplicationLogLevel"]) == ("JSON", "INFO")
        group = of(logging["LogGroup"]["Ref"])
        assert group["LogGroupName"]["Fn::Sub"] == f"/aws/lambda/${{AWS::StackName}}-{name}"
    groups = [r for r in RESOURCES.values() if r["Type"] == "AWS::Logs::LogGroup"]
    assert len(groups) == len(FUNCTIONS) + 1
    for found in groups:
        assert found["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_the_machine_is_logged_and_traced() -> None:
    logging = of("Pipeline")["Logging"]
    (target,) = logging["Destinations"]
    assert target == {
        "CloudWatchLogsLogGroup": {"LogGroupArn": {"Fn::GetAtt": ["PipelineLogs", "Arn"]}}
    }
    assert logging["Level"] == "ERROR"
    assert of("Pipeline")["Tracing"] == {"Enabled": True}
    assert TEMPLATE["Globals"]["Function"]["Tracing"] == "Active"
    assert of("Api")["TracingEnabled"] is True
    own = {n for n, f in FUNCTIONS.items() if f["Properties"].get("Tracing") == "PassThrough"}
    assert own == {"sweep", "publish-events", "mail-events"}  # what no request or execution calls


def test_the_other_type_of_machine_is_another_machine() -> None:
    """CloudFormation replaces it, which it cannot do under the same name."""
    name, kind = of("Pipeline")["Name"]["Fn::Sub"]
    assert "${Kind}" in name
    assert kind == {"Kind": {"Fn::If": ["IsExpress", "-express", ""]}}


def test_traces_are_a_parameter_and_their_layer_another() -> None:
    function = TEMPLATE["Globals"]["Function"]
    assert function["Layers"] == {
        "Fn::If": ["HasOtelLayer", [{"Ref": "OtelLayer"}], {"Ref": "AWS::NoValue"}]
    }
    variables = function["Environment"]["Variables"]
    assert variables["DANDYROLL_OTEL_ENDPOINT"] == {"Ref": "OtelEndpoint"}
