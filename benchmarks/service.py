"""What the service costs over the bare pipeline: the same pictures through both, side by side.

    python benchmarks/service.py [UPLOADS]

`bare` is `dandyroll process` on a folder; `service` is the local home over HTTP with eight
clients, from the first byte sent to the last picture finished. Both use every core, fsync what
they promise, and alternate for three rounds; the ratio of the medians is what counts.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests import pictures
from tests.contract.client import Client
from tests.local.served_home import open_served_home

ROUNDS, CLIENTS = 3, 8


def bare_s(bodies: list[bytes]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in")
        source.mkdir()
        for number, body in enumerate(bodies):
            (source / f"{number}.jpg").write_bytes(body)
        command = [sys.executable, "-m", "dandyroll.cli", "process", str(source)]
        start = time.perf_counter()
        subprocess.run([*command, "--out", f"{folder}/out"], check=True, capture_output=True)
        return time.perf_counter() - start


def service_s(bodies: list[bytes]) -> tuple[float, list[float]]:
    """Seconds for all, and for each upload from its first byte to its finished picture."""
    with tempfile.TemporaryDirectory() as folder, open_served_home(Path(folder)) as served:
        client = Client.new(served)

        def one(body: bytes) -> float:
            begun = time.perf_counter()
            answer = client.processed(client.upload(body))
            assert answer.status == 200, answer.body
            return time.perf_counter() - begun

        start = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as threads:
            each = list(threads.map(one, bodies))
        return time.perf_counter() - start, each


def main(uploads: int = 120) -> None:
    bodies = [pictures.jpeg(3000, 2000, seed) for seed in range(uploads)]
    bare, service, each = [], [], []
    for _ in range(ROUNDS):
        bare.append(bare_s(bodies))
        seconds, latencies = service_s(bodies)
        service.append(seconds)
        each += latencies
    each.sort()
    ratio = statistics.median(service) / statistics.median(bare)
    print(f"{uploads} JPEGs of 6 megapixels, {CLIENTS} clients, {ROUNDS} rounds, medians")
    print(f"| bare pipeline | {uploads / statistics.median(bare):.1f} pictures/s |")
    print(f"| service | {uploads / statistics.median(service):.1f} pictures/s |")
    print(f"| service over bare, wall | {ratio:.2f} |")
    p50, p99 = each[len(each) // 2], each[int(len(each) * 0.99)]
    print(f"| upload to finished picture, p50 / p99 | {p50:.2f} / {p99:.2f} s |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
