"""AWS's prices, one table: US East (N. Virginia), without tax, the first tier of each.

Each has the page it was found on and that page's date; AWS's own pages carry none, and the copies
read were not always its latest. `is_confirmed` is False where no page of a known date stated the
rate, or where pages contradict each other: look before you rely on it. What AWS gives everybody
for ever is in `FREE`; what only new accounts get is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

REGION = "us-east-1"
TABLE_DATE = "2026-11-23"
"""When this table was last gone through."""


@dataclass(frozen=True)
class Price:
    """US dollars for one `unit`. A gigabyte is 2**30 bytes, a month the calendar's."""

    service: str
    unit: str
    usd: Decimal
    source: str
    as_of: str
    is_confirmed: bool = True


def _price(
    service: str, unit: str, usd: str, per: int, source: str, as_of: str, confirmed: bool = True
) -> Price:
    """`usd` is for so many units (`per`), as price lists write it."""
    return Price(service, unit, Decimal(usd) / per, source, as_of, confirmed)


_M = 1_000_000
_ALARM = "c3x.dev, aws_cloudwatch_metric_alarm cost estimation"
_CW = "factualminds.com, Amazon CloudWatch Pricing"
_S3 = "usage.ai, S3 Cost Calculator Guide"
_S3_REQUESTS = "c3x.dev, S3 request fees explained"
_CDN = "wring.co, AWS CloudFront Pricing 2026"
_SFN = "wring.co, AWS Step Functions Pricing: Standard vs Express"
_EVENTS = "cloudburn.io, Amazon EventBridge Pricing"
_LAMBDA = "cloudchipr.com, AWS Lambda Pricing Breakdown"
_DYNAMO = "airbyte.com, Amazon DynamoDB Pricing"

PRICES: Mapping[str, Price] = MappingProxyType({
    "api-request": _price("API Gateway", "request", "3.50", _M,
        "awsforengineers.com, AWS API Gateway Pricing Explained", "2025-05"),
    "lambda-request": _price("Lambda", "request", "0.20", _M, _LAMBDA, "2024"),
    "lambda-arm64": _price("Lambda", "GB-second", "0.0000133334", 1, _LAMBDA, "2024"),
    "lambda-x86_64": _price("Lambda", "GB-second", "0.0000166667", 1, _LAMBDA, "2024"),
    "transition": _price("Step Functions", "transition", "25", _M, _SFN, "2026-03"),
    "express-request": _price("Step Functions", "execution", "1", _M, _SFN, "2026-03"),
    "express-duration": _price("Step Functions", "GB-second", "0.00001667", 1, _SFN, "2026-03"),
    "s3-storage": _price("S3", "GB-month", "0.023", 1, "go-cloud.io, on S3's price", "2025-09"),
    "s3-infrequent": _price("S3", "GB-month", "0.0125", 1, _S3, "2026-06", False),
    "s3-put": _price("S3", "request", "0.005", 1000, _S3_REQUESTS, "undated"),
    "s3-get": _price("S3", "request", "0.0004", 1000, _S3_REQUESTS, "undated"),
    "s3-transition": _price("S3", "request", "0.01", 1000, _S3_REQUESTS, "undated"),
    "write": _price("DynamoDB", "write unit", "0.625", _M, _DYNAMO, "2025-07"),
    "read": _price("DynamoDB", "read unit", "0.125", _M, _DYNAMO, "2025-07"),
    "stream-read": _price("DynamoDB", "stream read", "0.02", 100_000,
        "aws.amazon.com/dynamodb/pricing/on-demand", "undated", False),
    "table-storage": _price("DynamoDB", "GB-month", "0.25", 1,
        "aws.amazon.com/dynamodb/pricing", "undated"),
    "table-backup": _price("DynamoDB", "GB-month", "0.20", 1,
        "aws.amazon.com/dynamodb/pricing/on-demand", "undated", False),
    "kms-request": _price("KMS", "request", "0.03", 10_000,
        "wring.co, AWS KMS Pricing", "2026-03"),
    # S3's events are "opt-in data events" to AWS; others write that they are free. We assume not.
    "event": _price("EventBridge", "event", "1", _M, _EVENTS, "2026-03", False),
    "schedule": _price("EventBridge Scheduler", "invocation", "1", _M, _EVENTS, "2026-03"),
    "sqs-request": _price("SQS", "request", "0.40", _M,
        "cloudburn.io, Amazon SQS Pricing", "2026-03"),
    "sns-publish": _price("SNS", "publish", "0.50", _M,
        "factualminds.com, Amazon SNS Pricing", "2026-06"),
    "sns-email": _price("SNS", "e-mail", "2", 100_000,
        "factualminds.com, Amazon SNS Pricing", "2026-06"),
    "log-ingest": _price("CloudWatch", "GB", "0.50", 1, _CW, "2026-06"),
    "log-storage": _price("CloudWatch", "GB-month", "0.03", 1, _CW, "2026-06", False),
    "metric": _price("CloudWatch", "series", "0.30", 1,
        "signoz.io, CloudWatch Pricing Without the Confusion", "2026-02"),
    "alarm": _price("CloudWatch", "alarm", "0.10", 1, _ALARM, "undated"),
    "dashboard": _price("CloudWatch", "dashboard", "3", 1, _CW, "2026-06"),
    "trace": _price("X-Ray", "trace", "5", _M, "aws.amazon.com/xray/pricing", "undated"),
    "transfer": _price("Transfer out", "GB", "0.09", 1,
        "awsforengineers.com, AWS API Gateway Pricing Explained", "2025-05"),
    "cdn-transfer": _price("CloudFront", "GB", "0.085", 1, _CDN, "2026-03"),
    "cdn-request": _price("CloudFront", "request", "0.01", 10_000, _CDN, "2026-03"),
})  # fmt: skip

FREE: Mapping[str, int] = MappingProxyType({
    "lambda-request": 1_000_000,
    "lambda-arm64": 400_000, "lambda-x86_64": 400_000,
    "transition": 4_000,
    "table-storage": 25,
    "stream-read": 2_500_000,
    "kms-request": 20_000,
    "schedule": 14_000_000,
    "sqs-request": 1_000_000, "sns-publish": 1_000_000, "sns-email": 1_000,
    "log-ingest": 5,
    "metric": 10, "alarm": 10, "dashboard": 3,
    "trace": 100_000,
    "transfer": 100, "cdn-transfer": 1024, "cdn-request": 10_000_000,
})  # fmt: skip
"""Units a month that are free for every account, for ever; of the whole account, all its uses.

AWS's 5 GB of logs are for intake, keeping and queries together; here intake has them.
"""
