"""Clients that are slow, silent or too many: each is ended, and none keeps others waiting."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from dandyroll.errors import BodyTimeout
from dandyroll.local.protocol import MAX_HEAD_BYTES, BoundedProtocol
from dandyroll.local.turns import Turns, steady
from tests import pictures
from tests.contract.client import Client
from tests.local.served_home import ServedHome, open_served_home

SOON_S = 3
MANY = 16
UPLOAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n"


class Quick(BoundedProtocol):
    head_s = 0.2
    discard_s = 0.3
    unread_s = 0.2


class Patient(BoundedProtocol):
    unread_s = 1  # long against how the kernel hands on, short against the whole answer


class Endless(BoundedProtocol):
    discard_bytes = 1_000_000
    discard_s = 60


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    with open_served_home(tmp_path_factory.mktemp("slow"), workers=1) as home:
        yield home


@pytest.mark.parametrize(
    "said",
    [b"", b"GET /", b"GET / HTTP/1.1\r\nA: b\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET"],
)
def test_a_connection_without_a_whole_head_is_closed(said: bytes) -> None:
    async def story() -> float:
        async with listening(Quick, refuse) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            began = time.monotonic()
            writer.write(said)
            await ended(reader)
            writer.close()
            return time.monotonic() - began

    assert asyncio.run(story()) >= Quick.head_s - 0.05


def test_a_dripping_head_gains_no_time() -> None:
    async def story() -> float:
        async with listening(Quick, refuse) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            began = time.monotonic()
            writer.write(b"GET / HTTP/1.1\r\nA: ")

            async def drip() -> None:
                while True:
                    writer.write(b"a")
                    await asyncio.sleep(0.05)

            dripping = asyncio.create_task(drip())
            await ended(reader)
            dripping.cancel()
            writer.close()
            return time.monotonic() - began

    assert asyncio.run(story()) < 1


def test_a_request_that_takes_long_to_answer_is_not_ended() -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(2 * Quick.head_s)
        await refuse(scope, receive, send)

    async def story() -> bytes:
        async with listening(Quick, slow) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            line = await reader.readline()
            writer.close()
            return line

    assert asyncio.run(story()).startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize("sent_bytes", [0, 500_000])
def test_an_early_answer_is_read_and_then_the_connection_ends(sent_bytes: int) -> None:
    async def story() -> bytes:
        async with listening(Quick, refuse) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(UPLOAD + bytes(sent_bytes))
            async with asyncio.timeout(SOON_S):
                answer = await reader.read()
                with pytest.raises(ConnectionError):  # though the client would send on
                    while True:
                        writer.write(b"x")
                        await writer.drain()
                        await asyncio.sleep(0.02)
            writer.close()
            return answer

    answer = asyncio.run(story())
    assert answer.startswith(b"HTTP/1.1 403")
    assert b"connection: close" in answer


def test_a_body_that_nobody_wants_is_not_taken_to_its_end() -> None:
    async def story() -> int:
        async with listening(Endless, refuse) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(UPLOAD)
            sent_bytes = 0
            async with asyncio.timeout(SOON_S):
                with pytest.raises(ConnectionError):
                    while True:
                        writer.write(bytes(100_000))
                        await writer.drain()
                        sent_bytes += 100_000
            writer.close()
            return sent_bytes

    assert asyncio.run(story()) < 50_000_000  # the bound, and what the sockets hold


def test_connections_beyond_twice_the_limit_are_dropped() -> None:
    async def story() -> list[bytes]:
        async with listening(BoundedProtocol, refuse, limit_concurrency=2) as port:
            opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
            assert await ended(opened[4][0]) == b""
            opened[4][1].close()
            answers = []
            for reader, writer in opened[:4]:
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                answers.append((await ended(reader))[:12])
                writer.close()
                await asyncio.sleep(0)
            return answers

    assert asyncio.run(story())[0] == b"HTTP/1.1 503"


def test_a_head_that_is_too_large_is_refused_early(served: ServedHome) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=SOON_S) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nA: " + b"a" * MAX_HEAD_BYTES)
        assert client.recv(100).startswith(b"HTTP/1.1 400")


def test_silent_uploads_of_one_key_block_nobody_else(served: ServedHome) -> None:
    silent, other = Client.new(served), Client.new(served)
    head = f"POST /upload HTTP/1.1\r\nHost: x\r\nx-api-key: {silent.key}\r\n"
    head += "Content-Length: 1000\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(MANY):
            address = ("127.0.0.1", served.port)
            stack.enter_context(socket.create_connection(address)).sendall(head.encode())
        served.request("GET", "/health")
        began = time.monotonic()
        other.upload(pictures.jpeg())
        assert time.monotonic() - began < SOON_S


def test_a_body_that_stops_coming_is_given_up() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"
        await asyncio.Event().wait()

    async def story() -> list[bytes]:
        got = []
        with pytest.raises(BodyTimeout):
            async for chunk in steady(chunks(), 0.05):
                got.append(chunk)
        return got

    assert asyncio.run(story()) == [b"a", b"b"]


def test_turns_are_bounded_by_name_and_in_all() -> None:
    async def story() -> None:
        turns, have, end = Turns(count=3, each=2), list[str](), asyncio.Event()

        async def take(name: str) -> None:
            async with turns.turn(name):
                have.append(name)
                await end.wait()

        tasks = [asyncio.create_task(take(name)) for name in "aaabb"]
        for _ in range(10):
            await asyncio.sleep(0)
        assert have == ["a", "a", "b"]
        end.set()
        await asyncio.gather(*tasks)
        assert sorted(have) == ["a", "a", "a", "b", "b"]

    asyncio.run(story())


@asynccontextmanager
async def listening(
    protocol: type[BoundedProtocol], app: Any, limit_concurrency: int | None = None
) -> AsyncIterator[int]:
    """The port of a server of that protocol, in this loop."""
    config = uvicorn.Config(
        app, http=protocol, log_config=None, limit_concurrency=limit_concurrency, lifespan="off"
    )
    config.load()
    state = ServerState()

    def connected() -> BoundedProtocol:
        return protocol(config=config, server_state=state, app_state={})

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


ANSWER = bytes(8_000_000)
GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def give(scope: Any, receive: Any, send: Any) -> None:
    """Answer with more than sockets buffer."""
    headers = [(b"content-length", str(len(ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


def test_an_answer_nobody_reads_is_not_kept() -> None:
    async def story() -> int:
        async with listening(Quick, give) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
            writer.write(GET)
            await asyncio.sleep(4 * Quick.unread_s)
            got = len(await ended(reader))
            writer.close()
            return got

    assert asyncio.run(story()) < len(ANSWER)


def test_an_answer_that_is_read_slowly_comes_whole() -> None:
    async def story() -> int:
        async with listening(Patient, give) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(GET)
            got = 0
            while chunk := await reader.read(400_000):
                got += len(chunk)
                await asyncio.sleep(0.02)
            writer.close()
            return got

    assert asyncio.run(story()) > len(ANSWER)


async def refuse(scope: Any, receive: Any, send: Any) -> None:
    """Answer without a look at the body."""
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": b"no"})


async def ended(reader: asyncio.StreamReader) -> bytes:
    """All that comes before the server ends the connection, which must be soon."""
    async with asyncio.timeout(SOON_S):
        try:
            return await reader.read()
        except ConnectionError:
            return b""
