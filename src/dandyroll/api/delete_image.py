"""`DELETE /images/{file-name}`: original, renditions, row, pending job; gone for good."""

import logging

from dandyroll.api.access import authorise, owned_row
from dandyroll.api.http import Request, Response
from dandyroll.errors import NotFound
from dandyroll.keys import handover_key, original_key, parse_image_id, rendition_key
from dandyroll.ports import Home

audit = logging.getLogger("dandyroll.audit")


def delete_image(home: Home, request: Request) -> Response:
    """204, whether or not there was such an image among the caller's own.

    The objects go first, then what a network before the home keeps of them, the row last, so that
    a deletion that broke off can be sent again; a stage still at work finds no row and deletes
    what it made. Raises `Forbidden`, `Scope`, `StoreUnavailable`.
    """
    key = authorise(request, "write")
    try:
        row = owned_row(home, key, parse_image_id(request.params["file-name"]))
    except NotFound:
        return Response(204)
    remove_image(home, row.image_id)
    facts = {"image_id": row.image_id, "owner": row.owner, "by": key.owner}
    audit.info("image deleted", extra={**facts, "trace_id": request.trace_id})
    return Response(204)


def remove_image(home: Home, image_id: str) -> None:
    """Remove all there is of an image, whatever of it is left."""
    # Imported here: the stages bring libvips, which no other handler has to load.
    from dandyroll.pipeline import STAGES, stage_name

    rendition = rendition_key(image_id)
    handovers = (handover_key(image_id, stage_name(stage)) for stage in STAGES[:-1])
    for key in (original_key(image_id), rendition, *handovers):
        home.objects.delete(key)
    _forget_delivered(home, image_id)
    home.catalogue.delete(image_id)
    home.objects.delete(rendition)  # of a stage that saved it between the two


def _forget_delivered(home: Home, image_id: str) -> None:
    if home.delivery is None:
        return
    try:
        row = home.catalogue.get(image_id)
    except NotFound:
        return
    if row.processed is not None:
        home.delivery.forget(row.processed.key, row.rendition_version())
