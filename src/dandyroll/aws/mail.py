"""Mail through SES: one message for all events of a batch, from an address of the operator's own.

Its words are those of the local home's mail.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from dandyroll.aws.cloud import Cloud
from dandyroll.digest import digest
from dandyroll.events import Event, NotDelivered
from dandyroll.settings import BadSetting, Settings

_REST = "GET /images, with ?status=failed for those that failed"


class Mail:
    """Keeps the promise of `ports.Notifier`, for any number of events at a time.

    Raises `BadSetting` where the settings name no sender or no addressee.
    """

    def __init__(self, settings: Settings, cloud: Cloud) -> None:
        self._from = settings.mail_from
        self._to = [part.strip() for part in settings.mail_to.split(",") if part.strip()]
        if not (self._from and self._to):
            raise BadSetting("DANDYROLL_MAIL_FROM, DANDYROLL_MAIL_TO: expected addresses.")
        self._cloud = cloud

    @cached_property
    def _client(self) -> Any:
        return self._cloud.client("sesv2")

    def publish(self, events: Sequence[Event]) -> str:
        from botocore.exceptions import BotoCoreError, ClientError

        told = digest(events, _REST)
        text = {"Data": told.text, "Charset": "UTF-8"}
        content = {"Subject": {"Data": told.subject, "Charset": "UTF-8"}, "Body": {"Text": text}}
        try:
            answer = self._client.send_email(
                FromEmailAddress=self._from,
                Destination={"ToAddresses": self._to},
                Content={"Simple": content},
            )
        except (BotoCoreError, ClientError) as error:
            raise NotDelivered(f"SES: {error}", reachable=False) from error
        return f"accepted by SES as {answer['MessageId']}"
