"""`dandyroll keys usage --aws`: each key's requests, day by day, as API Gateway counts them."""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dandyroll.aws.api_keys import api_keys_by_id
from dandyroll.aws.stack import Stack, operators_errors

if TYPE_CHECKING:
    from rich.console import Console

DAYS = 30


def usage_report(stack: Stack, now: int) -> list[dict[str, Any]]:
    """An entry for each key, newest first, as JSON. `now` is in epoch seconds.

    `days` are those of the last 30 with a request, by their date in UTC.
    """
    today = datetime.fromtimestamp(now, UTC).date()
    first = today - timedelta(days=DAYS - 1)
    used: dict[str, list[list[int]]] = {}
    with operators_errors():
        pages = (
            stack.cloud.client("apigateway")
            .get_paginator("get_usage")
            .paginate(
                usagePlanId=stack.output("UsagePlanId"),
                startDate=first.isoformat(),
                endDate=today.isoformat(),
            )
        )
        for page in pages:
            used.update(page.get("items", {}))
    report = []
    for key_id, key in api_keys_by_id(stack).items():
        days = _by_day(first, used.get(key_id, []))
        requests = sum(days.values())
        report.append({"key": key.name, "owner": key.owner, "requests": requests, "days": days})
    return report


def _by_day(first: date, log: list[list[int]]) -> dict[str, int]:
    """Of a day's entry, what was used comes first; after it what a quota would leave."""
    days = ((first + timedelta(days=n), entry[0]) for n, entry in enumerate(log))
    return {day.isoformat(): requests for day, requests in days if requests}


def print_usage(report: list[dict[str, Any]], console: "Console") -> None:
    """The report as a table for people."""
    from rich.table import Table

    table = Table(box=None)
    for head in ("key", "owner", f"requests in {DAYS} days", "last day used"):
        table.add_column(head, justify="left" if head in ("key", "owner") else "right")
    for entry in report:
        last = max(entry["days"], default="never")
        table.add_row(entry["key"], entry["owner"], str(entry["requests"]), last)
    console.print(table)
