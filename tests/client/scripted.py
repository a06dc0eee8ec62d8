"""A server that answers as a test tells it to: what a real one does only on a bad day.

It is a real socket, so that connections can break off half way.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "dr1OtestSrwE4000000000Kxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """`cut`: how many bytes of the body are sent before the connection is closed."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None


DROP = Reply(0)
"""Close the connection without an answer."""


def as_json(status: int, document: Any, **headers: str) -> Reply:
    return Reply(status, json.dumps(document).encode(), {**headers})


def problem(status: int, code: str, retry_after: str | None = None) -> Reply:
    document = {"status": status, "code": code, "message": "Said so.", "trace_id": "abc"}
    headers = {"Content-Type": "application/problem+json"}
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    return Reply(status, json.dumps(document).encode(), headers)


Script = Callable[[Asked], Reply]


class Scripted:
    """`asked` is what has come so far."""

    def __init__(self, script: Script | list[Reply]) -> None:
        self.asked: list[Asked] = []
        replies = iter(script) if isinstance(script, list) else None
        self._script: Script = script if callable(script) else lambda asked: next(replies or [])
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or each answer waits 40 ms for the client's ack

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True

            def answer(self) -> None:
                length = int(self.headers.get("content-length", 0))
                body = self.rfile.read(length)
                if len(body) < length:  # broken off
                    self.close_connection = True
                    return
                headers = {name.lower(): text for name, text in self.headers.items()}
                asked = Asked(self.command, self.path, headers, body)
                scripted.asked.append(asked)
                scripted.reply(self, scripted._script(asked))

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - http.server's names

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @staticmethod
    def reply(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        if reply is DROP:
            handler.close_connection = True
            return
        handler.send_response(reply.status)
        for name, text in reply.headers.items():
            handler.send_header(name, text)
        if reply.status != 204:
            handler.send_header("Content-Length", str(len(reply.body)))
        handler.end_headers()
        handler.wfile.write(reply.body[: reply.cut])
        if reply.cut is not None:
            handler.close_connection = True

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def scripted(script: Script | list[Reply]) -> Iterator[Scripted]:
    server = Scripted(script)
    try:
        yield server
    finally:
        server.close()
