"""What one image costs: milliseconds of each step, CPU time, peak memory, bytes.

The pipeline writes those; the home adds how long the job waited (`queue_ms`), how many tries it
took (`attempts`) and what the failed ones cost (`failed_ms`).
"""

import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_PEAK = "peak_memory_kb"
_NOT_STEPS = frozenset({"cpu_ms", "queue_ms", "failed_ms"})


def add_ledgers(
    first: Mapping[str, int | str], second: Mapping[str, int | str]
) -> dict[str, int | str]:
    """Both together: numbers are added up, of peaks the higher counts, text is taken over."""
    total = dict(first)
    for name, value in second.items():
        before = total.get(name)
        if isinstance(before, int) and isinstance(value, int):
            total[name] = max(before, value) if name == _PEAK else before + value
        else:
            total[name] = value
    return total


def steps(ledger: Mapping[str, int | str]) -> dict[str, int]:
    """Milliseconds of each step, `load` and `save` among them, in the order they were run."""
    return {
        name.removesuffix("_ms"): ms
        for name, ms in ledger.items()
        if name.endswith("_ms") and name not in _NOT_STEPS and isinstance(ms, int)
    }


@dataclass
class Meter:
    """Measures one run of a worker. Entries are whole numbers: rows hold no floats."""

    entries: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._cpu_start_s = time.process_time()
        with suppress(OSError):  # Linux: let the peak start over; elsewhere it is the process's
            Path("/proc/self/clear_refs").write_text("5")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start_s = time.perf_counter()
        yield
        self.entries[f"{name}_ms"] = round((time.perf_counter() - start_s) * 1000)

    def total(self, bytes_in: int, bytes_out: int) -> dict[str, int]:
        return {
            **self.entries,
            "cpu_ms": round((time.process_time() - self._cpu_start_s) * 1000),
            _PEAK: _peak_memory_kb(),
            "bytes_in": bytes_in,
            "bytes_out": bytes_out,
        }


def _peak_memory_kb() -> int:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
