"""Turns at what only so many may do at once, so that nobody can take all of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dandyroll.errors import BodyTimeout


class Turns:
    """`count` turns at once, and of these at most `each` under one name. For one event loop."""

    def __init__(self, count: int, each: int) -> None:
        self._all = asyncio.Semaphore(count)
        self._each = each
        self._named: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Wait for a turn and have it. Who waits for their own name's keeps nobody else waiting."""
        own, users = self._named.get(name) or (asyncio.Semaphore(self._each), 0)
        self._named[name] = own, users + 1
        try:
            async with own, self._all:
                yield
        finally:
            own, users = self._named.pop(name)
            if users > 1:
                self._named[name] = own, users - 1


async def steady(chunks: AsyncIterator[bytes], silence_s: float) -> AsyncIterator[bytes]:
    """The same chunks. Raises `BodyTimeout` where none comes for that long."""
    while True:
        try:
            async with asyncio.timeout(silence_s):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise BodyTimeout(f"Expected more of the body within {silence_s} s.") from None
        yield chunk
