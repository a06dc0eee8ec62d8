"""HTTP connections that cannot be held open for nothing: uvicorn's, with limits on a client.

Uvicorn bounds the size of what comes before a body, not the time it takes; it accepts
connections without end; and it takes in the rest of a body whose answer is already given.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.h11_impl import RequestResponseCycle as Cycle

MAX_HEAD_BYTES = 65_536  # request line and headers together


class BoundedProtocol(H11Protocol):
    """One connection of a client that may be slow, silent or hostile.

    It is closed without an answer when a request's line and headers are not whole `head_s`
    after it was made, or after the first byte of a further request; and at once where there
    are twice as many as `limit_concurrency`, from which on requests are answered 503.

    An answer given before the whole body came says `Connection: close`. Many clients read it
    only when they have sent everything, so up to `discard_bytes` are still taken and thrown
    away for up to `discard_s`; then the connection is closed. One whose client takes nothing of
    an answer for `unread_s` is closed too: what it does not read lies in our memory.
    """

    head_s: float = 10
    discard_bytes: int = 64_000_000
    discard_s: float = 5
    unread_s: float = 20

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._answer = self.app
        self.app = self._answer_early
        self._head_timer: asyncio.TimerHandle | None = None
        self._discard_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._discarded_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        super().connection_made(transport)
        limit = self.limit_concurrency
        if limit is not None and len(self.connections) > 2 * limit:
            transport.abort()
            return
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head_timer, self._discard_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._discard_timer is None:
            super().data_received(data)
            self._watch_head()
            return
        self._discarded_bytes += len(data)
        if self._discarded_bytes > self.discard_bytes:
            self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None
        super().resume_writing()

    def on_response_complete(self) -> None:
        if self._discard_timer is not None:
            self.server_state.total_requests += 1
            self.flow.resume_reading()
            return
        super().on_response_complete()
        if self.conn.trailing_data[0]:  # a further request has begun to come meanwhile
            self._watch_head()

    def send_400_response(self, msg: str) -> None:
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:  # an answer has begun
            self.transport.abort()

    def _watch_reader(self) -> None:
        left_bytes = self.transport.get_write_buffer_size()
        self._unread_timer = self.loop.call_later(self.unread_s, self._end_unread, left_bytes)

    def _end_unread(self, before_bytes: int) -> None:
        if self.transport.get_write_buffer_size() >= before_bytes:
            self.transport.abort()
        else:
            self._watch_reader()

    def _watch_head(self) -> None:
        if self.transport.is_closing() or self.conn.their_state is not h11.IDLE:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_s, self._end_without_head)

    def _end_without_head(self) -> None:
        self._head_timer = None
        if self.conn.their_state is h11.IDLE:
            self.transport.abort()

    async def _answer_early(self, scope: Any, receive: Any, send: Any) -> None:
        cycle = self.cycle

        async def send_and_close(message: Any) -> None:
            if message["type"] == "http.response.start" and cycle.more_body:
                message = {**message, "headers": [*message["headers"], CLOSE_HEADER]}
                cycle.transport = _ClosedLater(self, cycle)  # type: ignore[assignment]  # as far as it is used
            await send(message)

        await self._answer(scope, receive, send_and_close)

    def discard(self) -> None:
        """Take no more requests; let the client send on for a while, to no effect."""
        self._discard_timer = self.loop.call_later(self.discard_s, self.transport.abort)
        if self.transport.can_write_eof():
            self.transport.write_eof()


class _ClosedLater:
    """The transport of an early answer: at its end the client may still be sending."""

    def __init__(self, protocol: BoundedProtocol, cycle: Cycle) -> None:
        self._protocol, self._cycle = protocol, cycle

    def write(self, data: bytes) -> None:
        self._protocol.transport.write(data)

    def is_closing(self) -> bool:
        return self._protocol.transport.is_closing()

    def close(self) -> None:
        if self._cycle.more_body and not self.is_closing():
            self._protocol.discard()
        else:
            self._protocol.transport.close()
