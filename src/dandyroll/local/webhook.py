"""A webhook: one signed POST for each event, as the Standard Webhooks specification has it.

The signature covers the event's id, the moment of sending and the body, so a request that was
overheard is worth nothing a few minutes later, and nothing in it can be changed.
"""

import base64
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from dandyroll import __version__
from dandyroll.events import Event, NotDelivered

_ASKS_FOR_PATIENCE = (429, 502, 503, 504)
_READ_BYTES = 1_000  # of an answer that is not 2xx, for the log; of others nothing
_LOG_LETTERS = 200
_MAX_RETRY_AFTER_S = 3_600


@dataclass(frozen=True)
class Webhook:
    """Keeps the promise of `ports.Notifier`, for one event at a time."""

    url: str
    secret: str
    timeout_s: int
    clock: Callable[[], float] = time.time
    tls: ssl.SSLContext | None = None  # None: verified against the system's authorities

    def publish(self, events: Sequence[Event]) -> str:
        (event,) = events
        body, timestamp = event.body(), int(self.clock())
        headers = {
            "content-type": "application/json",
            "user-agent": f"Dandyroll/{__version__}",
            "webhook-id": event.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(self.secret, event.id, timestamp, body),
        }
        began_s = time.monotonic()
        status = self._post(body, headers)
        return f"answered {status} in {(time.monotonic() - began_s) * 1000:.0f} ms"

    def _post(self, body: bytes, headers: Mapping[str, str]) -> int:
        """The answer's status, 2xx; `NotDelivered` for anything else."""
        connection = self._connection()
        # The socket's own timeout starts anew with every byte; this one ends the whole.
        late = threading.Event()
        deadline = threading.Timer(self.timeout_s, _break_off, [connection, late])
        deadline.daemon = True
        deadline.start()
        try:
            parts = urlsplit(self.url)
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, body, dict(headers))
            with connection.getresponse() as response:  # which keeps the socket open otherwise
                if 200 <= response.status < 300:
                    return response.status
                raise _refused(response, response.read(_READ_BYTES))
        except (OSError, http.client.HTTPException, ValueError) as error:
            timed_out = isinstance(error, TimeoutError) or late.is_set()
            reason = f"no answer within {self.timeout_s} s" if timed_out else _reason(error)
            raise NotDelivered(reason, reachable=False) from error
        finally:
            deadline.cancel()
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, parts.port, timeout=self.timeout_s)
        tls = self.tls or _system_tls()
        return http.client.HTTPSConnection(host, parts.port, timeout=self.timeout_s, context=tls)


def sign(secret: str, event_id: str, timestamp: int, body: bytes) -> str:
    """The value of the header `webhook-signature`; `secret` reads `whsec_` and base64."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


@cache
def _system_tls() -> ssl.SSLContext:
    return ssl.create_default_context()  # reading the authorities takes longer than most answers


def _break_off(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    late.set()
    # Not SSLSocket's own shutdown: that one takes the TLS away from under the reading thread.
    with suppress(OSError, AttributeError, TypeError):
        socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)


def _refused(response: http.client.HTTPResponse, body: bytes) -> NotDelivered:
    text = "".join(
        letter if letter.isprintable() else " " for letter in body.decode(errors="replace")
    )
    message = f"answered {response.status}: {text.strip()[:_LOG_LETTERS]}".rstrip(": ")
    if 300 <= response.status < 400:
        message = f"answered {response.status}; redirects are not followed"
    wait = response.headers.get("retry-after", "")
    return NotDelivered(
        message,
        reachable=response.status not in _ASKS_FOR_PATIENCE,
        retry_after_s=min(int(wait), _MAX_RETRY_AFTER_S) if _is_number(wait) else 0,
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {error.verify_message}"
    if isinstance(error, http.client.RemoteDisconnected):
        return "closed the connection without an answer"
    text = error.strerror if isinstance(error, OSError) else str(error)
    return f"not reached: {text or type(error).__name__}"
