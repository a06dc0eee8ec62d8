"""Messages between the server and a worker over a socket: a length, then so many bytes.

Both directions have a deadline, so that a worker which reads or answers slowly, or only in
part, keeps nobody for longer than one that does not answer at all.
"""

import socket
import struct
import time

_LENGTH = struct.Struct("!Q")
_CHUNK = 1 << 20


def send(connection: socket.socket, data: bytes, deadline_s: float | None = None) -> None:
    """Send all of it by `deadline_s` (of `time.monotonic`). Raises `TimeoutError`, `OSError`."""
    _set_timeout(connection, deadline_s)
    connection.sendall(_LENGTH.pack(len(data)))  # sendall heeds one timeout for all of its writes
    _set_timeout(connection, deadline_s)
    connection.sendall(data)


def receive(
    connection: socket.socket, max_bytes: int | None = None, deadline_s: float | None = None
) -> bytes:
    """One whole message by `deadline_s`. Raises `TimeoutError`, `EOFError` and `OSError`.

    `EOFError` where the other side is gone, or announces more than `max_bytes`.
    """
    (length,) = _LENGTH.unpack(_receive(connection, _LENGTH.size, deadline_s))
    if max_bytes is not None and length > max_bytes:
        raise EOFError(f"Expected a message of at most {max_bytes} bytes; got {length}.")
    return _receive(connection, length, deadline_s)


def _receive(connection: socket.socket, count: int, deadline_s: float | None) -> bytes:
    data = bytearray()
    while len(data) < count:
        _set_timeout(connection, deadline_s)
        part = connection.recv(min(count - len(data), _CHUNK))
        if not part:
            raise EOFError("The other side has closed the connection.")
        data += part
    return bytes(data)


def _set_timeout(connection: socket.socket, deadline_s: float | None) -> None:
    if deadline_s is None:
        connection.settimeout(None)
        return
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("The deadline has passed.")
    connection.settimeout(left_s)
