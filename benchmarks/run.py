"""All benchmarks, one after the other, each with its machine named: `make bench`."""

import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

SCRIPTS = (
    "pipeline_cpu.py",
    "service.py",
    "lambda_cpu.py",
    "lambda_memory.py",
    "cold_start.py",
)


def main() -> int:
    cpu = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.processor(),
    )
    print(f"{cpu}, {platform.system()} {platform.machine()}, Python {platform.python_version()}\n")
    for script in SCRIPTS:
        print(f"## {script}\n", flush=True)
        done = subprocess.run([sys.executable, str(HERE / script)])
        if done.returncode:
            return done.returncode
        print()
    return 0


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    sys.exit(main())
