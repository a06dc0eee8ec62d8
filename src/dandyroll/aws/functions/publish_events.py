"""`publish-events`: from the table's stream to the topic; counts what was settled on the way."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from dandyroll import errors
from dandyroll.aws.cloud import Cloud
from dandyroll.aws.metrics import emit
from dandyroll.aws.notify import AT_ONCE, Topic
from dandyroll.aws.outbox import Answer, work_through
from dandyroll.events import Event
from dandyroll.settings import BadSetting, Settings


def handler(call: dict[str, Any], context: object) -> Answer:
    settings, topic, cloud = _opened()
    published, answer = work_through(call, cloud, topic, AT_ONCE)
    _count(settings.stack, published)
    return answer


@cache
def _opened() -> tuple[Settings, Topic, Cloud]:
    settings, cloud = Settings.from_env(), Cloud.from_env()
    if not settings.topic:
        raise BadSetting("DANDYROLL_TOPIC: expected an ARN; got none.")
    return settings, Topic(settings.topic, cloud), cloud


def _count(stack: str, events: Sequence[Event]) -> None:
    failed = [event.data.get("error") for event in events if event.type == "image.failed"]
    counts = {
        "ImagesProcessed": sum(event.type == "image.processed" for event in events),
        "ImagesFailed": len(failed),
        "ImagesFailedByUs": sum(_is_ours(error) for error in failed),
    }
    # Hours in which nothing is written of a series are not paid for, so no zeros.
    if found := {name: count for name, count in counts.items() if count}:
        emit(stack, **found)


def _is_ours(error: Mapping[str, str] | None) -> bool:
    """Whether we are at fault for it, as far as we know the error."""
    known = errors.with_code(error["code"]) if error else None
    return known is None or known.status >= 500
