"""`AsyncClient`: the calls, for asyncio and trio. The same, word for word, but for the awaits."""

from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Self, TypeVar, cast

import anyio
import httpx2
from anyio import to_thread

from dandyroll.client import calls
from dandyroll.client.blocking import CHUNK, MAX_DIRECT_BYTES, TIMEOUT, answer, reason
from dandyroll.client.persist import Patience
from dandyroll.client.source import Source, Uploadable
from dandyroll.client.steps import Answer, Call, Exchange, NoAnswer, Pause, Send, Step
from dandyroll.models import Row, Status

T = TypeVar("T")


class AsyncClient:
    """As `Client`: each method does and raises what the one of that name does there."""

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
        self._http = httpx2.AsyncClient(timeout=TIMEOUT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def upload(
        self,
        what: Uploadable | Source,
        *,
        content_type: str | None = None,
        idempotency_key: str | None = None,
    ) -> str:
        return await self._run(calls.upload(self._server, what, content_type, idempotency_key))

    async def metadata(self, image_id: str) -> Row:
        return await self._run(calls.metadata(self._server, image_id))

    async def wait(self, image_id: str, *, timeout_s: float = 60) -> Row:
        return await self._run(calls.wait(self._server, image_id, timeout_s))

    async def fetch(self, image_id: str, *, timeout_s: float = 60) -> bytes:
        return await self._run(calls.fetch(self._server, image_id, timeout_s))

    async def fetch_to(self, image_id: str, path: str | Path, *, timeout_s: float = 60) -> Path:
        return await self._run(calls.fetch_to(self._server, image_id, Path(path), timeout_s))

    async def original(self, image_id: str) -> bytes:
        return await self._run(calls.original(self._server, image_id))

    async def original_to(self, image_id: str, path: str | Path) -> Path:
        return await self._run(calls.original_to(self._server, image_id, Path(path)))

    async def list(
        self, *, status: Status | None = None, limit: int | None = None
    ) -> AsyncIterator[Row]:
        cursor: str | None = None
        while limit is None or limit > 0:
            rows, cursor = await self._run(calls.page(self._server, status, limit, cursor))
            for row in rows:
                yield row
            if cursor is None:
                return
            limit = None if limit is None else limit - len(rows)

    async def delete(self, image_id: str) -> None:
        await self._run(calls.delete(self._server, image_id))

    async def retry(self, image_id: str) -> Row:
        return await self._run(calls.retry(self._server, image_id))

    async def _run(self, exchange: Exchange[T]) -> T:
        came: object = None
        try:
            while True:
                came = await self._take(exchange.send(came))
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            exchange.close()

    async def _take(self, step: Step) -> object:
        match step:
            case Pause(seconds):
                await anyio.sleep(seconds)
                return None
            case Call(function):
                return await to_thread.run_sync(function)
            case Send():
                try:
                    return await self._send(step)
                except httpx2.TransportError as error:
                    return NoAnswer(reason(error))

    async def _send(self, send: Send) -> Answer:
        body = _in_threads(send.body.chunks()) if isinstance(send.body, Source) else send.body
        async with self._http.stream(
            send.method, send.url, headers=send.headers, content=body
        ) as response:
            if send.into is None or response.status_code != 200:
                return answer(response, await response.aread())
            async with await anyio.open_file(send.into, "wb") as file:
                async for chunk in response.aiter_bytes(CHUNK):
                    await file.write(chunk)
            return answer(response, b"")


async def _in_threads(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces, read in a thread each: a slow disk holds nobody else up."""
    try:
        while chunk := await to_thread.run_sync(next, chunks, b""):
            yield chunk
    finally:
        cast("Generator[bytes]", chunks).close()
