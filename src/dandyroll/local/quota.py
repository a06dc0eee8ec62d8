"""Quotas: how many uploads a day an owner may make, and how many bytes they may keep.

They belong to the owner, as images do: a second key gives no second quota. Triggers of the
table `image-metadata` keep the counts, so they are exact in every transaction, whoever adds
or deletes rows; the check is made in the transaction that adds one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import apsw

from dandyroll.errors import QuotaExceeded, StorageQuotaExceeded
from dandyroll.local.database import Database
from dandyroll.models import Row

DAY_S = 24 * 60 * 60


@dataclass(frozen=True)
class Quota:
    """An owner's limits (None: none), and what counts against them.

    `stored_bytes` are the originals of all rows there are; `uploads` those accepted on `day`,
    the last with any, in days since 1970, UTC. Deleting an image gives back its bytes, not the
    day's upload.
    """

    max_uploads_per_day: int | None = None
    max_stored_bytes: int | None = None
    stored_bytes: int = 0
    uploads: int = 0
    day: int = 0

    def uploads_on(self, day: int) -> int:
        return self.uploads if self.day >= day else 0


def check_quota(connection: apsw.Connection, row: Row) -> None:
    """Whether the row may be added. Raises `QuotaExceeded` or `StorageQuotaExceeded`.

    Counts hold only within the transaction that adds the row; outside one this is a first look.
    """
    quota = _find(connection, row.owner)
    day = row.uploaded_at // DAY_S
    most = quota.max_uploads_per_day
    if most is not None and quota.uploads_on(day) >= most:
        raise QuotaExceeded(
            f"Expected at most {most} uploads a day (UTC) of {row.owner}; the next is tomorrow's.",
            retry_after_s=(day + 1) * DAY_S - row.uploaded_at,
        )
    most = quota.max_stored_bytes
    if most is not None and quota.stored_bytes + row.size_bytes > most:
        raise StorageQuotaExceeded(
            f"Expected {row.owner} to keep at most {most} bytes; there are {quota.stored_bytes}, "
            f"and this is {row.size_bytes} more. Delete some, or ask for more."
        )


@contextmanager
def as_no_upload(connection: apsw.Connection, owner: str) -> Iterator[None]:
    """Within a transaction: rows of the owner added meanwhile count by their bytes alone."""
    before = _find(connection, owner)
    yield
    sql = "UPDATE quota SET uploads = ?, day = ? WHERE owner = ?"
    connection.execute(sql, (before.uploads, before.day, owner))


def set_quota(database: Database, owner: str, uploads: int | None, stored: int | None) -> None:
    """Set the owner's limits; None leaves one as it is, 0 takes it away."""

    def operation(connection: apsw.Connection) -> None:
        connection.execute("INSERT OR IGNORE INTO quota (owner) VALUES (?)", (owner,))
        for column, value in (("max_uploads_per_day", uploads), ("max_stored_bytes", stored)):
            if value is not None:
                sql = f"UPDATE quota SET {column} = nullif(?, 0) WHERE owner = ?"  # noqa: S608 - literals
                connection.execute(sql, (value, owner))

    database.write(operation)


def quota_of(database: Database, owner: str) -> Quota:
    """The owner's limits and counts; without limits where none were set."""
    return _find(database.read(), owner)


def _find(connection: apsw.Connection, owner: str) -> Quota:
    sql = """
        SELECT max_uploads_per_day, max_stored_bytes, stored_bytes, uploads, day
        FROM quota WHERE owner = ?
    """
    found = connection.execute(sql, (owner,)).fetchone()
    return Quota() if found is None else Quota(*found)
