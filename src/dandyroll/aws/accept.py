"""How an upload becomes durable on AWS: its row, then its object, which starts the pipeline."""

from dataclasses import replace

from dandyroll.aws.catalogue import DynamoCatalogue
from dandyroll.aws.objects import S3ObjectStore
from dandyroll.errors import Conflict
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
    except Conflict:
        if objects.get(key) != data:
            catalogue.withdraw(row)
            raise
    moved = catalogue.advance(row.image_id, "uploaded", Changes())
    return replace(moved, status="uploaded")  # the pipeline may have been quicker
