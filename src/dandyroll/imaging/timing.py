"""Put an animation's own times into a WebP, whose writer rounds them."""

from dandyroll.imaging.readers.webp import chunks
from dandyroll.models import Animation

_LONGEST_MS = 0xFFFFFF  # what fits into a frame's three bytes


def time_webp(data: bytes, animation: Animation, step_ms: int) -> bytes:
    """The same WebP with the given times and loop.

    Its frames must have been timed at `step_ms` each, so that one which stands for several
    equal ones is that much longer; it gets the time of all of them.
    """
    timed = bytearray(data)
    rest = list(animation.delays_ms)
    for name, at in chunks(data):
        if name == b"ANIM":
            timed[at + 4 : at + 6] = animation.loop.to_bytes(2, "little")
        elif name == b"ANMF":
            count = max(1, int.from_bytes(data[at + 12 : at + 15], "little") // step_ms)
            delay_ms, rest = sum(rest[:count]), rest[count:]
            timed[at + 12 : at + 15] = min(delay_ms, _LONGEST_MS).to_bytes(3, "little")
    return bytes(timed)
