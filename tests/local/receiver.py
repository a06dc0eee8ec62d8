"""What webhooks are sent to in tests: a small server that keeps what it gets."""

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.local.served_home import free_port

CERTIFICATE = Path(__file__).parent / "tls" / "localhost.pem"  # for `localhost`, no address
KEY = CERTIFICATE.with_suffix(".key")


@dataclass(frozen=True)
class Got:
    """One request: its headers in lower case, its body."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value


class Receiver:
    """Answers what `answer` says: a status, or that and headers; it may take its time, or raise."""

    def __init__(
        self, answer: Callable[[Got], Any] = lambda got: 204, *, tls: bool = False
    ) -> None:
        self.answer, self.tls = answer, tls
        self.port = free_port()
        self.got: list[Got] = []
        self._changed = threading.Condition()
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}/hook?from=dandyroll"

    def start(self) -> "Receiver":
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                got = Got({name.lower(): value for name, value in self.headers.items()}, body)
                assert self.path == "/hook?from=dandyroll"
                with receiver._changed:
                    receiver.got.append(got)
                    receiver._changed.notify_all()
                answer = receiver.answer(got)
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 64

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a sender that breaks off is what some tests are about

        self._server = Server(("127.0.0.1", self.port), Handler)
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE, KEY)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> "Receiver":
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def wait_for(self, count: int, timeout_s: float = 30) -> list[Got]:
        """What came, once there were so many."""
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self.got) >= count, timeout_s)
            assert enough, f"{len(self.got)} of {count} after {timeout_s} s"
            return list(self.got)


def verify(got: Got, secret: str, now: float | None = None) -> None:
    """As a receiver does: written from the specification, not from our own signing."""
    key = base64.b64decode(secret.split("_", 1)[1])
    content = got.id.encode() + b"." + got.headers["webhook-timestamp"].encode() + b"." + got.body
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"
    assert got.event["id"] == got.id
    sent_at = int(got.headers["webhook-timestamp"])
    assert abs(sent_at - (time.time() if now is None else now)) < 300
