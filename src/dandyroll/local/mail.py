"""Mail: one message for all events that wait, through the mail server of the settings."""

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from dandyroll.digest import digest
from dandyroll.events import Event, NotDelivered
from dandyroll.settings import Settings

_TIMEOUT_S = 30
_REST = "dandyroll webhooks deliveries"


@dataclass(frozen=True)
class Mail:
    """Keeps the promise of `ports.Notifier`, for any number of events at a time."""

    settings: Settings
    tls: ssl.SSLContext | None = None  # None: verified against the system's authorities

    def publish(self, events: Sequence[Event]) -> str:
        message = compose(events)
        message["From"] = self.settings.mail_from
        message["To"] = self.settings.mail_to
        try:
            with self._connect() as server:
                refused = server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise NotDelivered(_reason(error), reachable=False) from error
        some = f", but not for {', '.join(sorted(refused))}" if refused else ""
        return f"accepted by {self.settings.smtp_host}{some}"

    def _connect(self) -> smtplib.SMTP:
        settings, tls = self.settings, self.tls or ssl.create_default_context()
        address = (settings.smtp_host, settings.smtp_port)
        if settings.smtp_security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(*address, timeout=_TIMEOUT_S, context=tls)
        else:
            server = smtplib.SMTP(*address, timeout=_TIMEOUT_S)
        try:
            if settings.smtp_security == "starttls":
                server.starttls(context=tls)
            if settings.smtp_user:
                server.login(settings.smtp_user, settings.smtp_password)
        except BaseException:
            server.close()
            raise
        return server


def compose(events: Sequence[Event]) -> EmailMessage:
    """The events as one message, without its sender and addressees."""
    told = digest(events, _REST)
    message = EmailMessage()
    message["Subject"] = told.subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain="dandyroll.invalid")
    message.set_content(told.text)
    return message


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {error.verify_message}"
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        text = said.decode(errors="replace") if isinstance(said, bytes) else said
        return f"answered {error.smtp_code}: {text}"
    return f"not reached: {error}"
