"""A stand-in of S3 and DynamoDB that answers at once, to time what we do between its answers."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class StandIn:
    """One item for every row asked for; objects by `/bucket/key`. What is written to the table is
    answered and forgotten."""

    endpoint: str = ""
    item: dict[str, Any] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """Serves on a free port of 127.0.0.1."""
    state = StandIn()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body at once; apart, the second waits 40 ms for TCP

        def do_GET(self) -> None:
            found = self.objects_path() in state.objects
            self.answer(200 if found else 404, state.objects.get(self.objects_path(), b""))

        def do_PUT(self) -> None:
            state.objects[self.objects_path()] = self.body()
            self.answer(200, b"")

        def do_POST(self) -> None:
            self.body()
            reads = self.headers["X-Amz-Target"].endswith(".GetItem")
            answer = json.dumps({"Item": state.item} if reads else {}).encode()
            self.answer(200, answer)

        def objects_path(self) -> str:
            return self.path.partition("?")[0]

        def body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("ETag", '"0"')
            self.send_header("Last-Modified", "Mon, 23 Nov 2026 12:00:00 GMT")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
