"""`Client`: the calls, for code that waits."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self, TypeVar

import httpx2

from dandyroll.client import calls
from dandyroll.client.persist import Patience
from dandyroll.client.source import Source, Uploadable
from dandyroll.client.steps import Answer, Call, Exchange, NoAnswer, Pause, Send, Step
from dandyroll.models import Row, Status

T = TypeVar("T")

CHUNK = 256 * 1024
MAX_DIRECT_BYTES = 4_500_000  # what both homes take directly
TIMEOUT = httpx2.Timeout(60, connect=10, pool=None)  # 60: a server may let a request wait for 20


class Client:
    """A Dandyroll server, in either home. Threads may share one; close it, or use `with`.

    Each call is safe to repeat, and is repeated where that can help: when the connection fails,
    up to `tries` times; when the server says when to come back, for up to `patience_s` in all.
    Raises `Problem` for what the server refuses, `Unreachable` where no answer comes, and
    `ValueError` for a URL or key that cannot be one.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        tries: int = 5,
        patience_s: float = 60,
        max_direct_bytes: int = MAX_DIRECT_BYTES,
    ) -> None:
        self._server = calls.Server(url, key.strip(), max_direct_bytes, Patience(tries, patience_s))
        self._http = httpx2.Client(timeout=TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def upload(
        self,
        what: Uploadable | Source,
        *,
        content_type: str | None = None,
        idempotency_key: str | None = None,
    ) -> str:
        """The image id, once the original is safe. Bytes, a path, or a binary file that can seek.

        Streamed from disk; by ticket where it is larger than one direct upload may be. The
        idempotency key is the content's hash, so that the same bytes uploaded again within 24
        hours are the same image; give another to have them twice. Raises `SourceChanged` if
        the file is written to meanwhile, `OSError` if it cannot be read.
        """
        return self._run(calls.upload(self._server, what, content_type, idempotency_key))

    def metadata(self, image_id: str) -> Row:
        """The image's row as it stands."""
        return self._run(calls.metadata(self._server, image_id))

    def wait(self, image_id: str, *, timeout_s: float = 60) -> Row:
        """The row once the image is processed.

        Raises `Problem` with the code `image_failed`, or after `timeout_s` with `not_ready`.
        """
        return self._run(calls.wait(self._server, image_id, timeout_s))

    def fetch(self, image_id: str, *, timeout_s: float = 60) -> bytes:
        """The processed image, waited for. Raises as `wait` does."""
        return self._run(calls.fetch(self._server, image_id, timeout_s))

    def fetch_to(self, image_id: str, path: str | Path, *, timeout_s: float = 60) -> Path:
        """The processed image as a file, whole or not at all. Raises as `wait`, and `OSError`."""
        return self._run(calls.fetch_to(self._server, image_id, Path(path), timeout_s))

    def original(self, image_id: str) -> bytes:
        """What was uploaded, byte for byte."""
        return self._run(calls.original(self._server, image_id))

    def original_to(self, image_id: str, path: str | Path) -> Path:
        """What was uploaded as a file, whole or not at all."""
        return self._run(calls.original_to(self._server, image_id, Path(path)))

    def list(self, *, status: Status | None = None, limit: int | None = None) -> Iterator[Row]:
        """The rows of the key's owner, newest first, fetched a page at a time; at most `limit`."""
        cursor: str | None = None
        while limit is None or limit > 0:
            rows, cursor = self._run(calls.page(self._server, status, limit, cursor))
            yield from rows
            if cursor is None:
                return
            limit = None if limit is None else limit - len(rows)

    def delete(self, image_id: str) -> None:
        """Delete original, renditions and row. One that is not there, or not yours: done."""
        self._run(calls.delete(self._server, image_id))

    def retry(self, image_id: str) -> Row:
        """Have a failed image processed anew; any other stays as it is. The row as it stands."""
        return self._run(calls.retry(self._server, image_id))

    def _run(self, exchange: Exchange[T]) -> T:
        came: object = None
        try:
            while True:
                came = self._take(exchange.send(came))
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            exchange.close()

    def _take(self, step: Step) -> object:
        match step:
            case Pause(seconds):
                time.sleep(seconds)
                return None
            case Call(function):
                return function()
            case Send():
                try:
                    return self._send(step)
                except httpx2.TransportError as error:
                    return NoAnswer(reason(error))

    def _send(self, send: Send) -> Answer:
        body = send.body.chunks() if isinstance(send.body, Source) else send.body
        with self._http.stream(
            send.method, send.url, headers=send.headers, content=body
        ) as response:
            if send.into is None or response.status_code != 200:
                return answer(response, response.read())
            with send.into.open("wb") as file:
                for chunk in response.iter_bytes(CHUNK):
                    file.write(chunk)
            return answer(response, b"")


def answer(response: httpx2.Response, body: bytes) -> Answer:
    return Answer(response.status_code, dict(response.headers), body)


def reason(error: httpx2.TransportError) -> str:
    return str(error) or type(error).__name__
