"""A way to the emulator on which requests and answers fail or get lost, as a plan has it.

A home opened on `Faults.cloud` meets them, and so do the functions: `functions_by`. The Host header
passes as it came, since signatures cover it.
"""

import http.client
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal

from dandyroll.aws.cloud import Cloud
from tests.aws.emulator import STACK, Emulator

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

Fault = Literal[
    "none",
    "throttled",  # 503 SlowDown, or DynamoDB's word for it; nothing was done
    "failed",  # 500; nothing was done
    "failed after",  # 500; all was done
    "cut before",  # the connection is gone; nothing was done
    "cut after",  # the connection is gone; all was done, and the answer is lost
    "cut within",  # the same, in the middle of the answer
    "late",  # done, a moment later
    "stuck",  # done, but answered after botocore has given up
]
Plan = Callable[[str], Fault]
"""What happens to a request: `PutItem`, of DynamoDB, or `PUT uploaded`, of S3 and its prefix."""

_LATE_S, _STUCK_S = 0.2, 4.5
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
_DYNAMODB = "com.amazonaws.dynamodb.v20120810#"


def seeded(chance: random.Random, shares: Mapping[Fault, float]) -> Plan:
    """Each fault befalls its share of all requests, whichever they are."""
    faults, weights = [*shares, "none"], [*shares.values(), 1 - sum(shares.values())]

    def plan(asked: str) -> Fault:
        fault: Fault = chance.choices(faults, weights)[0]  # type: ignore[assignment]  # as given
        return fault

    return plan


def nothing(asked: str) -> Fault:
    """The plan of a day on which all goes well."""
    return "none"


@dataclass
class Faults:
    """`plan` may be set anew at any time; `met` is what has befallen which request, how often."""

    cloud: Cloud
    plan: Plan
    met: Counter[tuple[str, Fault]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def befalls(self, asked: str) -> Fault:
        with self._lock:  # a seeded plan draws its numbers one after the other
            fault = self.plan(asked)
            self.met[asked, fault] += 1
        return fault

    def of_kind(self, fault: Fault) -> int:
        return sum(times for (_, met), times in self.met.items() if met == fault)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def fault_proxy(emulator: Emulator, plan: Plan = nothing) -> Iterator[Faults]:
    """Such a way to the emulator, on 127.0.0.1, for as long as the block lasts."""

    class Way(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        emulated: http.client.HTTPConnection | None = None

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = faults.befalls(_asked(self.command, self.path, self.headers))
            match fault:
                case "cut before":
                    return self._cut()
                case "throttled" | "failed":
                    return self._answer(*self._refusal(fault))
                case "late":
                    time.sleep(_LATE_S)
            answer = self._done(body)
            match fault:
                case "cut after":
                    return self._cut()
                case "failed after":
                    return self._answer(*self._refusal("failed"))
                case "stuck":
                    time.sleep(_STUCK_S)
            self._answer(*answer, is_cut=fault == "cut within")

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on  # noqa: N815 # http.server's names

        def _done(self, body: bytes) -> tuple[int, Sequence[tuple[str, str]], bytes]:
            """What the emulator says; a connection that it closed meanwhile is opened again."""
            self.emulated = self.emulated or emulator.connection()
            self.emulated.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                self.emulated.putheader(name, value)
            self.emulated.endheaders(body)
            response = self.emulated.getresponse()
            kept = [(n, v) for n, v in response.getheaders() if n.lower() not in _HOP]
            return response.status, kept, response.read()

        def _refusal(self, fault: Fault) -> tuple[int, Sequence[tuple[str, str]], bytes]:
            if "X-Amz-Target" in self.headers:
                code, status = "InternalServerError", 500
                if fault == "throttled":
                    code, status = "ProvisionedThroughputExceededException", 400
                body = json.dumps({"__type": _DYNAMODB + code, "message": "As planned."})
                return status, [("Content-Type", "application/x-amz-json-1.0")], body.encode()
            status, code = (503, "SlowDown") if fault == "throttled" else (500, "InternalError")
            xml = f"<Error><Code>{code}</Code><Message>As planned.</Message></Error>"
            return status, [("Content-Type", "application/xml")], xml.encode()

        def _answer(
            self,
            status: int,
            headers: Sequence[tuple[str, str]],
            body: bytes,
            *,
            is_cut: bool = False,
        ) -> None:
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if is_cut:
                self.wfile.write(body[: len(body) // 2])
                return self._cut()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _cut(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:  # who asked has given up
                pass
            finally:
                if self.emulated is not None:
                    self.emulated.close()

        def log_message(self, *_: object) -> None:
            pass

    with _Server(("127.0.0.1", 0), Way) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        faults = Faults(replace(emulator.cloud, endpoint_url=url, ca_bundle=""), plan)
        try:
            yield faults
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def functions_by(aws: "EmulatedHome", faults: Faults, *names: str, **more: str) -> Iterator[None]:
    """Meanwhile the stack's functions, or those named, reach AWS by that way.

    They also have `more` variables.
    """
    client = aws.emulator.client("lambda")
    pages = client.get_paginator("list_functions").paginate()
    before = {
        function["FunctionName"]: function["Environment"]["Variables"]
        for page in pages
        for function in page["Functions"]
        if not names or function["FunctionName"].removeprefix(f"{STACK}-") in names
    }
    try:
        for name, variables in before.items():
            by = {**variables, "FUNCTIONS_ENDPOINT_URL": faults.cloud.endpoint_url, **more}
            client.update_function_configuration(FunctionName=name, Environment={"Variables": by})
        yield
    finally:
        for name, variables in before.items():
            client.update_function_configuration(
                FunctionName=name, Environment={"Variables": variables}
            )


def _asked(method: str, path: str, headers: Mapping[str, str]) -> str:
    target = headers.get("X-Amz-Target", "")
    if target:
        return target.rpartition(".")[2]
    _, _, key = path.partition("?")[0].strip("/").partition("/")
    return f"{method} {key.partition('/')[0]}".strip()
