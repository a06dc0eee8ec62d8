"""What the sweep and `verify` share: who owns an object, and how one without a row gets one."""

import json
import secrets
from dataclasses import dataclass
from typing import Literal

import apsw

from dandyroll.errors import BodyTooLarge, NotFound
from dandyroll.intake import ADOPTED_OWNER, adopt
from dandyroll.keys import image_id_of
from dandyroll.local.catalogue import SqliteCatalogue
from dandyroll.local.database import Database
from dandyroll.local.objects import Entry, FileObjectStore
from dandyroll.local.queue import Queue, add_job
from dandyroll.models import Row
from dandyroll.pipeline import first_job
from dandyroll.ports import Home

State = Literal["owned", "deleted", "claimed", "ownerless", "misnamed"]
"""Of an original: its row is there; its row says that it was deleted; an upload that broke off
may still be finished under its id by a retry; nobody knows it; no image can have its name."""


@dataclass(frozen=True)
class Upkeep:
    """An open local home with what lies below its ports."""

    home: Home
    objects: FileObjectStore
    catalogue: SqliteCatalogue
    database: Database
    queue: Queue


def original_state(upkeep: Upkeep, key: str) -> State:
    """What the catalogue says of an object under `uploaded/`."""
    try:
        image_id = image_id_of(key)
    except NotFound:
        return "misnamed"
    sql = """
        SELECT status, owner, row ->> '$.original_deleted_at'
        FROM "image-metadata" WHERE "image-id" = ?
    """
    found = upkeep.database.read().execute(sql, (image_id,)).fetchone()
    if found is None:
        return "claimed" if _is_claimed(upkeep, image_id) else "ownerless"
    status, owner, deleted_at = found
    if deleted_at is not None:
        return "deleted"
    unadopted = status == "awaiting" and owner == ADOPTED_OWNER
    return "ownerless" if unadopted else "owned"


def is_ownerless(upkeep: Upkeep, key: str) -> bool:
    """Whether an object under `FINAL-IMAGES/` belongs to no image."""
    return not _exists(upkeep, key.rpartition("/")[2])


def adopt_original(upkeep: Upkeep, entry: Entry) -> Row:
    """Give an ownerless original its row and its job.

    May be called again where it broke off. Raises what `intake.adopt` and `Home.accept` raise,
    and `BodyTooLarge`.
    """
    most_bytes = upkeep.home.settings.max_upload_bytes  # it is read into memory whole
    if entry.size_bytes > most_bytes:
        raise BodyTooLarge(f"Expected at most {most_bytes} bytes; got {entry.size_bytes}.")
    upkeep.objects.sync(entry.key)  # whoever put it there may not have
    image_id = image_id_of(entry.key)
    if _exists(upkeep, image_id):
        row = upkeep.catalogue.get(image_id)
    else:
        row = adopt(upkeep.home, entry.key, secrets.token_hex(16))
    return upkeep.home.accept(row, upkeep.objects.get(entry.key))


def process_anew(upkeep: Upkeep, row: Row) -> bool:
    """Take an image back to where its original had just come, with its job.

    False, and nothing done, where the row has changed meanwhile.
    """

    def operation(connection: apsw.Connection) -> bool:
        sql = 'SELECT row FROM "image-metadata" WHERE "image-id" = ?'
        found = connection.execute(sql, (row.image_id,)).get
        if found is None or Row.from_json(json.loads(found)) != row:
            return False
        document = {**row.to_json(), "status": "uploaded"}
        document.pop("processed", None)
        sql = 'UPDATE "image-metadata" SET status = ?, row = ? WHERE "image-id" = ?'
        connection.execute(sql, ("uploaded", json.dumps(document), row.image_id))
        add_job(connection, first_job(row))
        return True

    done = upkeep.database.write(operation)
    if done:
        upkeep.queue.put(row.image_id)
    return done


def _exists(upkeep: Upkeep, image_id: str) -> bool:
    sql = 'SELECT 1 FROM "image-metadata" WHERE "image-id" = ?'
    return upkeep.database.read().execute(sql, (image_id,)).get is not None


def _is_claimed(upkeep: Upkeep, image_id: str) -> bool:
    sql = "SELECT 1 FROM claim WHERE claim ->> '$.image_id' = ? LIMIT 1"
    return upkeep.database.read().execute(sql, (image_id,)).get is not None
