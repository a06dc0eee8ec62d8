"""Both clients behind one face, so that every test of the one is a test of the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from dandyroll import AsyncClient, Client

KINDS = ("blocking", "awaiting")


class Awaited:
    """An `AsyncClient` whose methods are waited for here."""

    def __init__(self, portal: BlockingPortal, client: AsyncClient) -> None:
        self._portal, self._client = portal, client

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            async def run() -> Any:
                came = getattr(self._client, name)(*arguments, **named)
                return [row async for row in came] if name == "list" else await came

            return self._portal.call(run)

        return call


@contextmanager
def open_client(kind: str, url: str, key: str, **more: Any) -> Iterator[Any]:
    """A client of the kind; either has the methods of `Client`."""
    if kind == "blocking":
        with Client(url, key, **more) as client:
            yield client
        return
    with start_blocking_portal() as portal:
        client = AsyncClient(url, key, **more)
        try:
            yield Awaited(portal, client)
        finally:
            portal.call(client.close)
