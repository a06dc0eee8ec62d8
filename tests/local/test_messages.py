"""Messages between server and worker: whole, bounded, and never waited for beyond the deadline."""

import socket
import struct
import time
from collections.abc import Iterator

import pytest

from dandyroll.local.messages import receive, send

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def soon() -> float:
    return time.monotonic() + 0.05


def test_a_message_arrives_whole(pair: Pair) -> None:
    for data in (b"", b"a", bytes(range(256)) * 100):
        send(pair[0], data, soon())
        assert receive(pair[1], 100_000, soon()) == data


@pytest.mark.parametrize(
    "part", [b"", b"\0\0\0", struct.pack("!Q", 5), struct.pack("!Q", 5) + b"a"]
)
def test_part_of_a_message_is_waited_for_no_longer(pair: Pair, part: bytes) -> None:
    pair[0].sendall(part)
    with pytest.raises(TimeoutError):
        receive(pair[1], 100, soon())


def test_what_nobody_reads_is_waited_for_no_longer(pair: Pair) -> None:
    with pytest.raises(TimeoutError):
        send(pair[0], bytes(10_000_000), soon())


def test_a_deadline_that_has_passed_is_one(pair: Pair) -> None:
    with pytest.raises(TimeoutError):
        send(pair[0], b"", time.monotonic() - 1)


def test_a_message_over_the_limit_is_not_taken(pair: Pair) -> None:
    send(pair[0], b"too long")
    with pytest.raises(EOFError, match="at most 7 bytes; got 8"):
        receive(pair[1], 7, soon())


def test_an_end_is_an_end(pair: Pair) -> None:
    pair[0].sendall(struct.pack("!Q", 5) + b"a")
    pair[0].close()
    with pytest.raises(EOFError):
        receive(pair[1], 100, soon())
