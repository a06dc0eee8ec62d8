"""How an upload becomes durable on AWS: its row, then its object, which starts the pipeline."""

from dataclasses import replace

from dandyroll.aws.catalogue import DynamoCatalogue
from dandyroll.aws.objects import S3ObjectStore
from dandyroll.errors import Conflict, NotFound
from dandyroll.keys import original_key
from dandyroll.models import Changes, Row


def accept(objects: S3ObjectStore, catalogue: DynamoCatalogue, row: Row, data: bytes) -> Row:
    """Store the row and the original; the row as `uploaded`. Raises `Conflict`.

    The row comes first, so that the event of the object always finds it. A try that broke off
    in between leaves a row `awaiting`: the same upload tried again goes on from there.
    """
    catalogue.create(row)
    key = original_key(row.image_id)
    try:
        objects.put(key, data, row.content_type, if_absent=True)
    except Conflict:  # with an earlier try whose answer was lost, if the bytes are the same
        if not _holds(objects, key, data):
            catalogue.withdraw(row)
            raise
    moved = catalogue.advance(row.image_id, "uploaded", Changes())
    return replace(moved, status="uploaded")  # the pipeline may have been quicker


def _holds(objects: S3ObjectStore, key: str, data: bytes) -> bool:
    try:
        return objects.get(key) == data
    except NotFound:  # S3 says Conflict, too, where the object is being deleted
        return False
