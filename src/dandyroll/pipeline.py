"""The pipeline: which stages an image goes through, in which order, and what runs them.

    uploaded/<id>  ->  update_size  ->  add_watermark  ->  FINAL-IMAGES/<id>

`STAGES` is the only statement of the order, `RETRY` the only one of the patience with an image
(what a cloud throttles is its home's matter). At home `local/dispatch.py` hands each job to a
worker, where `local/worker.py` runs all stages, and writes the result; on AWS the state machine is
generated from the two, and its functions, `aws/workflow.py`, run one stage each.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from dandyroll import errors
from dandyroll.errors import DandyrollError, NotFound, OriginalMissing
from dandyroll.formats import CONTENT_TYPES
from dandyroll.imaging.decode import decode
from dandyroll.imaging.encode import decode_handover, encode, encode_handover
from dandyroll.imaging.header import read_header
from dandyroll.imaging.picture import Picture
from dandyroll.keys import ORIGINALS, handover_key, original_key, rendition_key
from dandyroll.ledger import Meter, add_ledgers
from dandyroll.models import NO_CREDIT, Changes, Job, Limits, Rendition, Row
from dandyroll.policy import Policy, find_policy
from dandyroll.ports import Catalogue, ObjectStore
from dandyroll.stages.add_watermark import add_watermark
from dandyroll.stages.update_size import update_size

Stage = Callable[[Picture, Policy], Picture]

NOTHING: Mapping[str, int | str] = MappingProxyType({})

STAGES: tuple[Stage, ...] = (update_size, add_watermark)


@dataclass(frozen=True)
class Retry:
    """How often a job is tried in all, and how long to wait before each further try.

    The n-th wait is `first_wait_s * factor ** (n - 1)`, at most `max_wait_s`. Only `errors`
    are tried again; any other ends the job at once.
    """

    tries: int
    first_wait_s: int
    factor: int
    max_wait_s: int
    errors: tuple[type[DandyrollError], ...]

    def wait_s(self, tries_so_far: int) -> int:
        wait_s: int = self.first_wait_s * self.factor ** (tries_so_far - 1)
        return min(self.max_wait_s, wait_s)


RETRY = Retry(
    tries=3,
    first_wait_s=1,
    factor=2,
    max_wait_s=20,
    errors=tuple(error for error in errors.ALL if error.retryable),
)


def stage_name(stage: Stage) -> str:
    """The stage as states and keys know it: `update-size`."""
    return stage.__name__.replace("_", "-")


def first_job(row: Row) -> Job:
    """The job that takes a row's original through the whole pipeline."""
    key, trace_id = original_key(row.image_id), str(row.ledger.get("trace_id", ""))
    return Job(row.image_id, row.policy, key, row.image_format, trace_id=trace_id)


def run(job: Job, objects: ObjectStore, limits: Limits, stages: tuple[Stage, ...] = STAGES) -> Job:
    """The runner: load what `job.key` names, apply the stages, save; the next stages' job.

    Given all stages, the picture is decoded once and encoded once. Given some, it is handed on
    to the next without loss, so that the last one saves the same pixels either way. Running it
    again does the same again, byte for byte.
    """
    meter = Meter()
    policy = find_policy(job.policy)
    with meter.step("load"):
        data = _load(job, objects)
        picture, changes = _decode(job, data, policy, limits)
    for stage in stages:
        with meter.step(stage.__name__):
            picture = stage(picture, policy)
    with meter.step("save"):
        if stages[-1] is STAGES[-1]:
            processed = _save_rendition(job.image_id, picture, policy, objects)
            key, size_bytes = processed.key, processed.size_bytes
            changes = replace(changes, processed=processed)
        else:
            key, size_bytes = _save_handover(job.image_id, picture, stages[-1], objects)
    cost = meter.total(bytes_in=len(data), bytes_out=size_bytes)
    changes = replace(changes, ledger=add_ledgers(job.changes.ledger, cost))
    return replace(
        job,
        key=key,
        image_format=picture.image_format,
        mark=picture.mark,
        animation=picture.animation,
        credit=picture.credit,
        changes=changes,
    )


def record(job: Job, catalogue: Catalogue, objects: ObjectStore) -> Row | None:
    """Write into the row what a run has made; None, and nothing left, if the image is gone.

    Every stage but the last leaves the row `resized`, the last one `processed`.
    """
    try:
        return catalogue.advance(
            job.image_id, "processed" if job.changes.processed else "resized", job.changes
        )
    except NotFound:  # deleted while we worked on it: it stays deleted
        objects.delete(job.key)
        return None


def record_failure(
    image_id: str,
    error: DandyrollError,
    catalogue: Catalogue,
    ledger: Mapping[str, int | str] = NOTHING,
) -> Row | None:
    """Write into the row why the image will not be processed; None if the image is gone.

    `ledger` is what was spent on it.
    """
    reason = {"code": error.code, "message": error.message}
    try:
        return catalogue.advance(image_id, "failed", Changes(error=reason, ledger=ledger))
    except NotFound:
        return None


def _load(job: Job, objects: ObjectStore) -> bytes:
    try:
        return objects.get(job.key)
    except NotFound:
        raise OriginalMissing(f"Expected an object at {job.key}; there is none.") from None


def _decode(job: Job, data: bytes, policy: Policy, limits: Limits) -> tuple[Picture, Changes]:
    if not job.key.startswith(ORIGINALS):
        pixels = decode_handover(data)
        return (
            Picture(pixels, job.image_format, job.mark, job.animation, job.credit),
            job.changes,
        )
    header = read_header(data, limits)
    picture, seen = decode(data, header, policy.max_width_px, policy.max_height_px)
    if not policy.keep_copyright:
        picture = replace(picture, credit=NO_CREDIT)
    changes = replace(job.changes, has_transparency=seen.has_transparency, mode=seen.mode)
    return picture, changes


def _save_handover(
    image_id: str, picture: Picture, stage: Stage, objects: ObjectStore
) -> tuple[str, int]:
    key, data = handover_key(image_id, stage_name(stage)), encode_handover(picture.pixels)
    objects.put(key, data, "image/tiff")
    return key, len(data)


def _save_rendition(
    image_id: str, picture: Picture, policy: Policy, objects: ObjectStore
) -> Rendition:
    key, data = rendition_key(image_id), encode(picture, policy.encoding)
    content_type = CONTENT_TYPES[picture.image_format]
    objects.put(key, data, content_type)
    return Rendition(
        key=key,
        width=picture.pixels.width,
        height=picture.height,
        size_bytes=len(data),
        content_type=content_type,
        etag=hashlib.sha256(data).hexdigest(),
        mark=picture.mark,
    )
