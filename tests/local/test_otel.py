"""Traces of a running server, as an OTLP receiver gets them."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests import pictures
from tests.contract.client import Client
from tests.local.served_home import ServedHome

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Receiver(ThreadingHTTPServer):
    """Keeps the bodies that are posted to /v1/traces."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.bodies: list[bytes] = []

    def spans(self) -> list[Span]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever)
        thread.start()
        yield receiver
        receiver.shutdown()
        thread.join()


def test_a_receiver_gets_the_whole_trace_of_an_upload(tmp_path: Path, receiver: Receiver) -> None:
    served = ServedHome(tmp_path, workers=1)
    served.start(DANDYROLL_OTEL_ENDPOINT=receiver.url)
    client = Client.new(served)
    image_id = client.upload(pictures.jpeg(), traceparent=f"00-{TRACE}-{SPAN}-01")
    assert client.processed(image_id).status == 200
    served.close()  # sends what is left
    found = {span.name: span for span in receiver.spans() if span.trace_id.hex() == TRACE}
    steps = ("load", "update_size", "add_watermark", "save")
    parents = {"POST /upload": SPAN, "accept": "POST /upload", "job": "accept"}
    parents |= dict.fromkeys(steps, "job")
    assert {
        name: found[parent].span_id.hex() if parent in found else parent
        for name, parent in parents.items()
    } == {name: span.parent_span_id.hex() for name, span in found.items()}
    begun = [found[name].start_time_unix_nano for name in ("POST /upload", "accept", "job", *steps)]
    assert begun == sorted(begun)
    everything = b"".join(receiver.bodies)
    assert client.key[-32:].encode() not in everything
    assert image_id.encode() in everything


def test_a_receiver_that_is_away_stops_nothing(tmp_path: Path) -> None:
    served = ServedHome(tmp_path, workers=1)
    served.start(DANDYROLL_OTEL_ENDPOINT="http://127.0.0.1:9")
    client = Client.new(served)
    assert client.processed(client.upload(pictures.jpeg())).status == 200
    served.close()
    assert served.server is not None
    assert served.server.returncode == 0
