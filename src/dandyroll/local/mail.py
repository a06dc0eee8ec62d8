"""Mail: one message for all events that wait, so that a bad night is not a thousand messages."""

import smtplib
import ssl
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from dandyroll.events import Event, NotDelivered
from dandyroll.settings import Settings

_TIMEOUT_S = 30
_LINES = 100  # images named in one message; the rest is counted


@dataclass(frozen=True)
class Mail:
    """Keeps the promise of `ports.Notifier`, for any number of events at a time."""

    settings: Settings
    tls: ssl.SSLContext | None = None  # None: verified against the system's authorities

    def publish(self, events: Sequence[Event]) -> str:
        message = digest(events)
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


def digest(events: Sequence[Event]) -> EmailMessage:
    """The events as one message, without its sender and addressees."""
    kinds = Counter(event.type.removeprefix("image.") for event in events)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    noun = "image" if len(events) == 1 else "images"
    lines = [_line(event) for event in events[:_LINES]]
    if len(events) > _LINES:
        lines += ["", f"and {len(events) - _LINES} more: dandyroll webhooks deliveries"]
    message = EmailMessage()
    message["Subject"] = f"Dandyroll: {noun} {counts}"
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain="dandyroll.invalid")
    message.set_content("\n".join([*lines, ""]))
    return message


def _line(event: Event) -> str:
    row = event.data
    what = f"{event.created_at}  {event.type}  {row['owner']}  {row['image-id']}"
    error = row.get("error")
    return f"{what}  {error['code']}: {error['message']}" if error else what


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {error.verify_message}"
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        text = said.decode(errors="replace") if isinstance(said, bytes) else said
        return f"answered {error.smtp_code}: {text}"
    return f"not reached: {error}"
