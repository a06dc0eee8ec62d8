"""Who is told of events: webhooks, which an operator adds, and mail, which settings turn on."""

import base64
import ipaddress
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import apsw

from dandyroll.errors import NotFound
from dandyroll.events import EVENT_TYPES, parse_event_types
from dandyroll.local.database import Database
from dandyroll.settings import Settings

MAIL = "mail"
"""The id of the one receiver that settings make."""

_SECRET_BYTES = 32
_OWNER = re.compile("[a-z0-9]{1,32}")


@dataclass(frozen=True)
class Receiver:
    """Who gets which events: `owner` None means everyone's. Times in epoch seconds.

    `failures` counts how often in a row it could not be reached; until `paused_until` it is
    left alone.
    """

    id: str
    url: str
    owner: str | None
    events: tuple[str, ...]
    secret: str
    created_at: int
    failures: int = 0
    paused_until: float = 0.0


def add_webhook(
    database: Database,
    url: str,
    owner: str | None = None,
    events: Sequence[str] = EVENT_TYPES,
    *,
    allow_http: bool = False,
) -> Receiver:
    """Send events to this URL from now on, signed with the secret that is returned.

    Raises `ValueError` for a URL that is not `https` (or `http` to this machine, or any `http`
    with `allow_http`), an owner no key can have, or an unknown event.
    """
    check_url(url, allow_http=allow_http)
    if owner is not None and not _OWNER.fullmatch(owner):
        raise ValueError(f"owner: expected 1 to 32 letters a-z and digits; got {owner!r}.")
    receiver = Receiver(
        id=f"wh_{secrets.token_hex(4)}",
        url=url,
        owner=owner,
        events=parse_event_types(",".join(events)),
        secret="whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode(),
        created_at=int(time.time()),
    )
    database.write(lambda connection: _insert(connection, receiver))
    return receiver


def list_receivers(connection: apsw.Connection) -> list[Receiver]:
    """All receivers, in the order they were added."""
    found = connection.execute("SELECT * FROM receiver ORDER BY created_at, id")
    return [
        Receiver(id_, url, owner, tuple(events.split(",")), *rest)
        for id_, url, owner, events, *rest in found
    ]


def find_receiver(database: Database, receiver_id: str) -> Receiver:
    """Raises `NotFound`."""
    for receiver in list_receivers(database.read()):
        if receiver.id == receiver_id:
            return receiver
    raise NotFound(f"No webhook {receiver_id}; `dandyroll webhooks list` shows them.")


def remove_webhook(database: Database, receiver_id: str) -> None:
    """Send it nothing more; what waits for it is given up. Raises `NotFound`."""
    if receiver_id == MAIL:
        raise ValueError("mail: expected a webhook; mail is turned off by its settings.")
    receiver = find_receiver(database, receiver_id)
    database.write(lambda connection: _remove(connection, receiver.id, "the webhook was removed"))


def set_mail(database: Database, settings: Settings) -> None:
    """Make the receiver `mail` what the settings say, or remove it."""

    def operation(connection: apsw.Connection) -> None:
        if not settings.smtp_host:
            _remove(connection, MAIL, "mail was turned off")
            return
        events = parse_event_types(settings.mail_events)
        url, now = f"mailto:{settings.mail_to}", int(time.time())
        standing = next((r for r in list_receivers(connection) if r.id == MAIL), None)
        if standing is None:
            _insert(connection, Receiver(MAIL, url, None, events, "", now))
            return
        sql = "UPDATE receiver SET url = ?, events = ? WHERE id = ?"
        connection.execute(sql, (url, ",".join(events), MAIL))

    database.write(operation)


def check_url(url: str, *, allow_http: bool) -> None:
    """Raises `ValueError` as `add_webhook` does. Private addresses are allowed: an operator's
    own choice is what this list is."""
    printable = all("!" <= letter <= "~" for letter in url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not printable or not host or port == 0 or parts.scheme not in ("https", "http"):
        raise ValueError(f"URL: expected https://host/path in plain ASCII; got {url!r}.")
    if parts.username is not None or parts.fragment:
        raise ValueError("URL: expected one without user, password or fragment.")
    if parts.scheme == "http" and not allow_http and not _is_loopback(host):
        raise ValueError(
            "URL: expected https, since events name owners and pictures; got http. "
            "If nobody can listen on that network: --allow-http."
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _insert(connection: apsw.Connection, receiver: Receiver) -> None:
    sql = "INSERT INTO receiver VALUES (?, ?, ?, ?, ?, ?, 0, 0.0)"
    columns = (receiver.id, receiver.url, receiver.owner, ",".join(receiver.events))
    connection.execute(sql, (*columns, receiver.secret, receiver.created_at))


def _remove(connection: apsw.Connection, receiver_id: str, reason: str) -> None:
    connection.execute("DELETE FROM receiver WHERE id = ?", (receiver_id,))
    sql = """
        UPDATE delivery SET state = 'given_up', answer = ?
        WHERE receiver_id = ? AND state = 'pending'
    """
    connection.execute(sql, (reason, receiver_id))
