"""`dandyroll keys usage`: what each key has done, what its owner keeps, and what they may."""

from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from dandyroll.local.api_keys import list_api_keys
from dandyroll.local.database import Database
from dandyroll.local.quota import DAY_S, quota_of
from dandyroll.local.usage import Usage, usage_by_key
from dandyroll.models import isoformat


def usage_report(database: Database, now: int) -> list[dict[str, Any]]:
    """An entry for each key, newest first, as JSON. `now` is in epoch seconds.

    None stands for never and for no limit. What begins with `owner` is the same for all keys
    of an owner.
    """
    used = usage_by_key(database)
    report: list[dict[str, Any]] = []
    for key in list_api_keys(database):
        usage, quota = used.get(key.name, Usage()), quota_of(database, key.owner)
        last_used = isoformat(datetime.fromtimestamp(usage.last_used_at, UTC))
        report.append(
            {
                "key": key.name,
                "owner": key.owner,
                "requests": usage.requests,
                "uploads": usage.uploads,
                "uploaded_bytes": usage.uploaded_bytes,
                "refused": usage.refused,
                "last_used": last_used if usage.last_used_at else None,
                "owner_uploads_today": quota.uploads_on(now // DAY_S),
                "owner_max_uploads_per_day": quota.max_uploads_per_day,
                "owner_stored_bytes": quota.stored_bytes,
                "owner_max_stored_bytes": quota.max_stored_bytes,
            }
        )
    return report


def print_usage(report: list[dict[str, Any]], console: Console) -> None:
    """The report as a table for people."""
    table = Table(box=None)
    for head in ("key", "owner", "requests", "uploads", "bytes", "refused", "last used"):
        table.add_column(head, justify="left" if head in ("key", "owner") else "right")
    table.add_column("owner's uploads today", justify="right")
    table.add_column("owner's bytes stored", justify="right")
    for entry in report:
        names = ("key", "owner", "requests", "uploads", "uploaded_bytes", "refused")
        table.add_row(
            *(str(entry[name]) for name in names),
            entry["last_used"] or "never",
            _of(entry["owner_uploads_today"], entry["owner_max_uploads_per_day"]),
            _of(entry["owner_stored_bytes"], entry["owner_max_stored_bytes"]),
        )
    console.print(table)


def _of(count: int, most: int | None) -> str:
    return str(count) if most is None else f"{count} of {most}"
