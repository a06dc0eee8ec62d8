"""What the state machine's functions do: take a job, run one stage of it, hand the job on.

The machine passes `key`, the object that was created, `trace_id`, the event's id, and from the
second state on `job`. A `NotFound` that leaves here means that the image was deleted meanwhile;
the machine ends on it without a word.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dandyroll import pipeline
from dandyroll.aws.tickets import is_unread, read_original
from dandyroll.errors import Conflict, NotFound
from dandyroll.intake import adopt
from dandyroll.keys import image_id_of
from dandyroll.models import SETTLED, Job, Row
from dandyroll.pipeline import Stage
from dandyroll.ports import Home
from dandyroll.spans import flush_spans, job_span

log = logging.getLogger("dandyroll.aws")


class ImageSettled(Exception):  # only the machine ever sees it, so it is not in errors.py
    """The image has been processed or has failed: its event came again, or it was copied here."""


def begin(home: Home, event: Mapping[str, Any], stage: Stage) -> dict[str, Any]:
    """The first stage: from the object that was created to a job, and through the stage.

    Raises `ImageSettled` where there is nothing left to do; the machine ends on it at once.
    """
    row = row_of(home, event["key"], event["trace_id"])
    if row.status in SETTLED:
        raise ImageSettled(row.image_id)
    job = _unread_job(home, row) if is_unread(row) else pipeline.first_job(row)
    return _run(home, job, stage, event["trace_id"])


def _unread_job(home: Home, row: Row) -> Job:
    """The first job of a ticket's image. The row says what its bytes are from here on.

    The job says it too: the row of an image tried again is `uploaded` and moves on only after
    the stage.
    """
    facts = read_original(home, row)
    row = home.catalogue.advance(row.image_id, "uploaded", facts)
    return replace(pipeline.first_job(row), image_format=str(facts.image_format), changes=facts)


def go_on(home: Home, event: Mapping[str, Any], stage: Stage) -> dict[str, Any]:
    """A later stage, with the job as the one before left it."""
    return _run(home, Job.from_json(event["job"]), stage, event["trace_id"])


def row_of(home: Home, key: str, trace_id: str) -> Row:
    """The row of the object; a new one if it was put straight into the store.

    Raises `NotFound` if there is neither row nor object, and what `intake.adopt` raises.
    """
    image_id = image_id_of(key)
    try:
        return home.catalogue.get(image_id)
    except NotFound:
        pass
    try:
        row = adopt(home, key, trace_id)
        log.info("adopted", extra=labels(row, trace_id))
        return row
    except Conflict:  # the same event, delivered twice, was quicker
        return home.catalogue.get(image_id)


def _run(home: Home, job: Job, stage: Stage, trace_id: str) -> dict[str, Any]:
    try:
        with job_span(pipeline.stage_name(stage), job) as finished:
            done = pipeline.run(job, home.objects, home.settings.limits, stages=(stage,))
            finished(done)
    finally:
        flush_spans()
    row = pipeline.record(done, home.catalogue, home.objects)
    if row is None:
        raise NotFound(f"The image {job.image_id} was deleted.")
    log.info("%s: %s", pipeline.stage_name(stage), row.status, extra=labels(row, trace_id))
    return done.to_json()


def labels(row: Row, trace_id: str) -> dict[str, str | int]:
    """What a log line about an image carries: the trace id of its request, if it came by one."""
    return {"image_id": row.image_id, "trace_id": row.ledger.get("trace_id", trace_id)}
