"""Tickets at home: the server signs a URL to itself, and takes the bytes there.

What S3 does on AWS. The signature covers the id, the length, the content type and the time, so
the URL is good for that one file alone, once.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

import apsw
from anyio import to_thread

from dandyroll.errors import BadParameter, Conflict, DandyrollError, Forbidden, StoreUnavailable
from dandyroll.intake import learned
from dandyroll.keys import original_key, parse_image_id
from dandyroll.local import metrics
from dandyroll.local.catalogue import SqliteCatalogue
from dandyroll.local.database import Database
from dandyroll.local.objects import FileObjectStore
from dandyroll.local.queue import Queue
from dandyroll.local.workers import Probes
from dandyroll.models import Row, Ticket
from dandyroll.pipeline import record_failure


@dataclass(frozen=True)
class Tickets:
    """Gives tickets and redeems them. `public_url` is where clients reach the server."""

    objects: FileObjectStore
    catalogue: SqliteCatalogue
    queue: Queue
    probes: Probes
    secret: bytes
    public_url: str
    lifetime_s: int
    receiving: set[str] = field(default_factory=set)

    def give(self, row: Row) -> Ticket:
        """Keeps the promise of `ports.Home.ticket`."""
        expires_at = int(time.time()) + self.lifetime_s
        signature = self._sign(row.image_id, row.size_bytes, row.content_type, expires_at)
        query = f"expires={expires_at}&signature={signature}"
        url = f"{self.public_url.rstrip('/')}/uploads/{row.image_id}?{query}"
        headers = {"Content-Type": row.content_type, "Content-Length": str(row.size_bytes)}
        return Ticket(url, "PUT", headers, expires_at)

    def check(
        self, name: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[str, int]:
        """Image id and length in bytes of a request that the signature allows; else `Forbidden`."""
        image_id = parse_image_id(name)
        length, expires = headers.get("content-length", ""), query.get("expires", "")
        if not (_is_number(length) and _is_number(expires)):
            raise Forbidden(_FORBIDDEN)
        content_type = headers.get("content-type", "")
        expected = self._sign(image_id, int(length), content_type, int(expires))
        given = query.get("signature", "").encode()
        if not hmac.compare_digest(expected.encode(), given) or int(expires) <= time.time():
            raise Forbidden(_FORBIDDEN)
        return image_id, int(length)

    async def receive(self, image_id: str, size_bytes: int, body: AsyncIterator[bytes]) -> None:
        """Take the bytes, make them the original, start the pipeline.

        A try that broke off can be made again. Raises `Conflict` where the bytes are here or
        coming, `BadParameter` for another length, and what the probe raises: then nothing is
        kept, and the row says so.
        """
        if image_id in self.receiving or self.catalogue.get(image_id).status != "awaiting":
            raise Conflict("Expected a ticket whose bytes have not come yet.")
        self.receiving.add(image_id)
        try:
            with self.objects.incoming() as file:
                got_bytes = await _write_all(file, body)
                if got_bytes != size_bytes:
                    raise BadParameter(f"Expected {size_bytes} bytes; got {got_bytes}.")
                await to_thread.run_sync(self.objects.keep, file, original_key(image_id))
            await to_thread.run_sync(self._arrived, image_id)
        finally:
            self.receiving.discard(image_id)

    def _arrived(self, image_id: str) -> None:
        key = original_key(image_id)
        try:
            header, sha256, size_bytes = self.probes.examine(key)
        except DandyrollError as error:
            if not error.retryable:
                self.objects.delete(key)
                record_failure(image_id, error, self.catalogue)
            raise
        changes = learned(header, sha256, size_bytes)
        self.catalogue.upload_arrived(image_id, changes)
        self.queue.put(image_id)
        metrics.UPLOADS.inc(header.image_format)

    def _sign(self, image_id: str, size_bytes: int, content_type: str, expires_at: int) -> str:
        text = f"PUT\n{image_id}\n{size_bytes}\n{content_type}\n{expires_at}"
        return hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()


def ticket_secret(database: Database) -> bytes:
    """The server's own signing secret, made at its first start."""

    def operation(connection: apsw.Connection) -> bytes:
        sql = "INSERT OR IGNORE INTO secret VALUES ('tickets', ?)"
        connection.execute(sql, (secrets.token_bytes(32),))
        value: bytes = connection.execute("SELECT value FROM secret WHERE name = 'tickets'").get
        return value

    return database.write(operation)


_FORBIDDEN = "Expected the URL of a ticket, its exact headers, and before it expired."


async def _write_all(file: BinaryIO, body: AsyncIterator[bytes]) -> int:
    got_bytes = 0
    try:
        async for chunk in body:
            got_bytes += file.write(chunk)
    except OSError as error:
        raise StoreUnavailable("The bytes could not be stored.", retry_after_s=5) from error
    return got_bytes


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12
