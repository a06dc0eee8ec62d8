"""`mail-events`: from the table's stream into mail; only where the operator gave addresses."""

from functools import cache
from typing import Any

from dandyroll.aws.cloud import Cloud
from dandyroll.aws.mail import Mail
from dandyroll.aws.outbox import Answer, work_through
from dandyroll.events import parse_event_types
from dandyroll.settings import Settings

_AT_ONCE = 10_000  # more than a call brings: all of it is one mail


def handler(call: dict[str, Any], context: object) -> Answer:
    settings, mail, cloud = _opened()
    types = parse_event_types(settings.mail_events)
    return work_through(call, cloud, mail, _AT_ONCE, types)[1]


@cache
def _opened() -> tuple[Settings, Mail, Cloud]:
    settings, cloud = Settings.from_env(), Cloud.from_env()
    return settings, Mail(settings, cloud), cloud
