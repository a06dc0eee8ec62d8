"""The AWS home, wired by hand."""

from dataclasses import replace
from functools import cache, partial

from dandyroll.aws.accept import accept
from dandyroll.aws.catalogue import DynamoCatalogue
from dandyroll.aws.cdn import CloudFront
from dandyroll.aws.cloud import Cloud
from dandyroll.aws.executions import Executions, retry
from dandyroll.aws.objects import S3ObjectStore
from dandyroll.aws.table import Table
from dandyroll.aws.tickets import give_ticket
from dandyroll.aws.upkeep import Upkeep
from dandyroll.errors import NotFound
from dandyroll.formats import CONTENT_TYPES
from dandyroll.keys import original_key
from dandyroll.models import Header, Limits, Row
from dandyroll.policy import DEFAULT
from dandyroll.ports import Home
from dandyroll.settings import BadSetting, Settings
from dandyroll.spans import accept_span, start_spans

_SIGNED_FOR_S = 300
_FORMATS = tuple(name for name in CONTENT_TYPES if name != "HEIC")  # no decoder in the zip
_PICTURE_PCT = 80  # the rest is for the runtime, the clients and what nobody reckoned with


def open_home(settings: Settings, cloud: Cloud | None = None) -> Home:
    """The home on the bucket and table that the settings name. Asks nothing of AWS yet.

    Raises `BadSetting` where there is no bucket or table.
    """
    return open_upkeep(settings, cloud).home


def open_upkeep(settings: Settings, cloud: Cloud | None = None) -> Upkeep:
    """The same with what lies below its ports."""
    for name in ("bucket", "table"):
        if not getattr(settings, name):
            raise BadSetting(f"DANDYROLL_{name.upper()}: expected a name; got none.")
    cloud = cloud or Cloud.from_env()
    objects = S3ObjectStore(settings.bucket, cloud)
    table = Table(settings.table, cloud)
    catalogue = DynamoCatalogue(table, settings.keep_originals_days)
    executions = Executions(settings.state_machine, cloud)
    delivery = CloudFront(settings.cdn, cloud) if settings.cdn else None
    home = Home(
        objects=objects,
        catalogue=catalogue,
        probe=partial(_probe, limits=settings.limits),
        accept=partial(_accept, objects, catalogue),
        retry=partial(retry, catalogue, executions),
        ticket=partial(give_ticket, cloud, settings.bucket, settings.ticket_lifetime_s),
        elsewhere=partial(_elsewhere, objects, delivery, settings.max_answer_bytes),
        health=lambda: {"home": "aws"},
        bucket=settings.bucket,
        s3_url=partial(_s3_url, settings.bucket, cloud.region),
        policy=DEFAULT,
        settings=settings,
        delivery=delivery,
        formats=_FORMATS,
    )
    return Upkeep(home, objects, catalogue, table, executions)


@cache
def this_home() -> Home:
    """The home of this function, opened once a process."""
    settings = Settings.from_env()
    if settings.stage_memory_mib:
        memory_bytes = stage_memory_bytes(settings.stage_memory_mib)
        settings = replace(settings, worker_memory_bytes=memory_bytes)
    start_spans(settings.otel_endpoint, "aws")
    return open_home(settings)


def stage_memory_bytes(memory_mib: int) -> int:
    """What a picture may take of a function with so much memory (docs/decisions/0027).

    It is that of the functions which work on pictures, whichever function asks: the one that
    accepts an upload must refuse what they could not do.
    """
    return memory_mib * 2**20 * _PICTURE_PCT // 100


def _accept(objects: S3ObjectStore, catalogue: DynamoCatalogue, row: Row, data: bytes) -> Row:
    with accept_span(row.image_id):
        return accept(objects, catalogue, row, data)


def _probe(data: bytes, limits: Limits) -> Header:
    # Imported here: functions that look at no picture need not load libvips. The function
    # itself is the process that a hostile file may kill.
    from dandyroll.imaging.header import read_header

    return read_header(data, limits)


def _elsewhere(
    objects: S3ObjectStore,
    delivery: CloudFront | None,
    max_bytes: int,
    key: str,
    size_bytes: int,
    version: str,
) -> str | None:
    if size_bytes <= max_bytes:
        return None
    signed = delivery.url(key, version) if delivery else None
    if signed:
        return signed.url
    if objects.find(key) is None:  # said here, where it is a problem document and not S3's XML
        raise NotFound(f"There is no object {key}.")
    return objects.signed_url(key, _SIGNED_FOR_S)


def _s3_url(bucket: str, region: str, image_id: str) -> str:
    return f"https://{bucket}.s3.{region}.amazonaws.com/{original_key(image_id)}"
