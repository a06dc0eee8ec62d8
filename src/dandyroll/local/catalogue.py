"""The catalogue as SQLite tables: rows as JSON beside the few columns that are searched by."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import apsw

from dandyroll.cursor import decode_cursor, encode_cursor
from dandyroll.errors import Conflict, NotFound
from dandyroll.local.database import Database
from dandyroll.local.outbox import add_event, add_settled_event
from dandyroll.local.queue import add_job, remove_job
from dandyroll.local.quota import as_no_upload, check_quota
from dandyroll.models import SETTLED, Changes, Claim, Job, Page, Row, Status
from dandyroll.pipeline import first_job


class SqliteCatalogue:
    """Keeps the promises of `ports.Catalogue` in a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, row: Row) -> None:
        self._database.write(lambda connection: _create(connection, row))

    def move_in(self, row: Row) -> None:
        def operation(connection: apsw.Connection) -> None:
            if _find(connection, row.image_id) is not None:
                raise Conflict(f"There is a row {row.image_id} already.")
            with as_no_upload(connection, row.owner):
                _insert(connection, row)

        self._database.write(operation)

    def accept(self, row: Row, job: Job) -> None:
        """Write a new row and its job in one transaction.

        Raises `Conflict` as `create` does, and `QuotaExceeded` or `StorageQuotaExceeded`.
        """

        def operation(connection: apsw.Connection) -> None:
            _create(connection, row)
            add_job(connection, job)

        self._database.write(operation)

    def check_quota(self, row: Row) -> None:
        """Whether its owner may add the row, as it looks now. Raises as `create` does."""
        check_quota(self._database.read(), row)

    def has(self, image_id: str, sha256: str | None) -> bool:
        """Whether there is a row of that id, and for those bytes."""
        try:
            return _get(self._database.read(), image_id).sha256 == sha256
        except NotFound:
            return False

    def get(self, image_id: str) -> Row:
        return _get(self._database.read(), image_id)

    def advance(self, image_id: str, status: Status, changes: Changes) -> Row:
        def operation(connection: apsw.Connection) -> Row:
            row = _get(connection, image_id)
            advanced = row.advanced(status, changes)
            if advanced is None:
                return row
            _replace(connection, advanced)
            if advanced.status in SETTLED:
                remove_job(connection, image_id)
                add_settled_event(connection, advanced)
            return advanced

        return self._database.write(operation)

    def restart(self, image_id: str) -> Row:
        def operation(connection: apsw.Connection) -> Row:
            row = _get(connection, image_id)
            restarted = row.restarted()
            if restarted is None:
                return row
            _replace(connection, restarted)
            add_job(connection, first_job(restarted))
            return restarted

        return self._database.write(operation)

    def list(self, owner: str | None, status: Status | None, limit: int, cursor: str) -> Page:
        conditions: list[tuple[str, tuple[str, ...]]] = []
        if owner is not None:
            conditions.append(("owner = ?", (owner,)))
        if status is not None:
            conditions.append(("status = ?", (status,)))
        if cursor:
            conditions.append(('(created_date, "image-id") < (?, ?)', decode_cursor(cursor)))
        where = " AND ".join(text for text, _ in conditions) or "true"
        bindings = [part for _, parts in conditions for part in parts]
        order = 'ORDER BY created_date DESC, "image-id" DESC LIMIT ?'
        sql = f'SELECT row FROM "image-metadata" WHERE {where} {order}'  # noqa: S608 - literals
        found = list(self._database.read().execute(sql, (*bindings, limit + 1)))
        rows = tuple(Row.from_json(json.loads(str(row))) for (row,) in found[:limit])
        if len(found) <= limit:
            return Page(rows, None)
        return Page(rows, encode_cursor(rows[-1].created_date, rows[-1].image_id))

    def delete(self, image_id: str) -> None:
        def operation(connection: apsw.Connection) -> None:
            try:
                row = _get(connection, image_id)
            except NotFound:
                return
            connection.execute('DELETE FROM "image-metadata" WHERE "image-id" = ?', (image_id,))
            remove_job(connection, image_id)
            add_event(connection, "image.deleted", row)

        self._database.write(operation)

    def upload_arrived(self, image_id: str, changes: Changes) -> Row:
        """Move an `awaiting` row to `uploaded` and write its job, in one transaction.

        A row that has moved on stays as it is. Raises `NotFound` if there is none.
        """

        def operation(connection: apsw.Connection) -> Row:
            row = _get(connection, image_id)
            arrived = row.advanced("uploaded", changes)
            if arrived is None:
                return row
            _replace(connection, arrived)
            add_job(connection, first_job(arrived))
            return arrived

        return self._database.write(operation)

    def claim(self, claim: Claim, now: int) -> Claim:
        def operation(connection: apsw.Connection) -> Claim:
            connection.execute("DELETE FROM claim WHERE expires_at <= ?", (now,))
            standing = _standing_claim(connection, claim)
            holds = claim.against(standing, now)
            return holds if holds is standing else _put_claim(connection, holds)

        return self._database.write(operation)

    def release(self, claim: Claim) -> None:
        def operation(connection: apsw.Connection) -> None:
            standing = _standing_claim(connection, claim)
            if standing is not None and standing.holder == claim.holder:
                _put_claim(connection, replace(standing, lease_until=0))

        self._database.write(operation)

    def expire_claims(self, now: int) -> int:
        """Remove the claims that ended at or before `now`; how many."""

        def operation(connection: apsw.Connection) -> int:
            connection.execute("DELETE FROM claim WHERE expires_at <= ?", (now,))
            return connection.changes()

        return self._database.write(operation)

    def end_leases(self) -> None:
        """End every claim's lease: for a server that starts, and knows that no other runs."""
        sql = "UPDATE claim SET claim = json_set(claim, '$.lease_until', 0)"
        self._database.write(lambda connection: connection.execute(sql))


def _get(connection: apsw.Connection, image_id: str) -> Row:
    row = _find(connection, image_id)
    if row is None:
        raise NotFound("No image has that name.")
    return row


def _find(connection: apsw.Connection, image_id: str) -> Row | None:
    sql = 'SELECT row FROM "image-metadata" WHERE "image-id" = ?'
    found = connection.execute(sql, (image_id,)).get
    return None if found is None else Row.from_json(json.loads(found))


def _create(connection: apsw.Connection, row: Row) -> None:
    standing = _find(connection, row.image_id)
    if standing is None:
        check_quota(connection, row)
        _insert(connection, row)
        return
    if not standing.awaits(row):
        raise Conflict(f"There is a row {row.image_id} already.")
    if row.status != "awaiting":
        _replace(connection, row)


def _insert(connection: apsw.Connection, row: Row) -> None:
    sql = 'INSERT INTO "image-metadata" VALUES (?, ?, ?, ?, ?)'
    columns = (row.image_id, row.owner, row.status, row.uploaded_at)
    connection.execute(sql, (*columns, _json(row.to_json())))


def _replace(connection: apsw.Connection, row: Row) -> None:
    sql = 'UPDATE "image-metadata" SET status = ?, row = ? WHERE "image-id" = ?'
    connection.execute(sql, (row.status, _json(row.to_json()), row.image_id))


def _standing_claim(connection: apsw.Connection, claim: Claim) -> Claim | None:
    sql = "SELECT claim FROM claim WHERE owner = ? AND key = ?"
    found = connection.execute(sql, (claim.owner, claim.key)).get
    return None if found is None else Claim(**json.loads(found))


def _put_claim(connection: apsw.Connection, claim: Claim) -> Claim:
    sql = "INSERT OR REPLACE INTO claim VALUES (?, ?, ?, ?)"
    connection.execute(sql, (claim.owner, claim.key, claim.expires_at, _json(asdict(claim))))
    return claim


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))
