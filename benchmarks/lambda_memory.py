"""CPU and memory of the functions that meet pictures: what docs/decisions/0027 reckons with.

    python benchmarks/lambda_memory.py [MEMORY_MIB]

Each function runs as in `cold_start.py`, in a process of its own, on a typical picture and on the
largest of the hungriest kinds that the budget of that much memory lets through. CPU is of the
second event (a warm function), the peak (VmHWM) of the whole process, runtime and clients included.
The pictures are kept in build/lambda-pictures; making them takes minutes.
"""

import base64
import json
import platform
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from cold_start import NAME, functions_environment, image_row
from stand_in import StandIn, stand_in

from dandyroll.api_keys import mint_api_key
from dandyroll.aws.attributes import to_item
from dandyroll.aws.home import stage_memory_bytes
from dandyroll.imaging.budget import BASE_BYTES, BYTES_PER_PIXEL
from dandyroll.models import Limits
from dandyroll.settings import Settings
from deploy.build import build
from tests.aws.emulated_home import LIMIT_BYTES
from tests.aws.emulator import EMULATOR_PYTHON
from tests.imaging.memory import sample

PICTURES = Path(__file__).parents[1] / "build" / "lambda-pictures"
VCPU_MIB = 1769
"""What Lambda gives one whole vCPU for; less memory is given less of it, in proportion."""

HUNGRY = ("progressive JPEG", "AVIF", "deep AVIF", "interlaced 16-bit PNG with alpha")

SCRIPT = """
import json, sys, time, dandyroll.aws.functions.{module} as function
event = json.load(open(sys.argv[1]))
for turn in range(2):
    began = time.process_time()
    answer = function.handler(event, None)
    cpu_s = time.process_time() - began
assert answer.get("statusCode", 201) == 201, answer
peak = open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]
json.dump([cpu_s, int(peak) * 1024, answer], open(sys.argv[2], "w"))
"""


@dataclass(frozen=True)
class Spent:
    cpu_s: float
    peak_bytes: int
    answer: Any


def main(memory_mib: int = VCPU_MIB) -> int:
    memory_bytes = stage_memory_bytes(memory_mib)
    print(f"{memory_mib} MiB, of which a picture may take {memory_bytes / 1e6:.0f} MB")
    print("| picture | file, MB | function | CPU, s | peak, MiB |")
    too_much = 0
    with tempfile.TemporaryDirectory() as folder, stand_in() as aws:
        place = Path(folder)
        python = platform.python_version().rpartition(".")[0]
        zip_file = build(python, "host", place / "functions.zip")
        zipfile.ZipFile(zip_file).extractall(place / "task")
        environment = functions_environment(place / "task", aws)
        environment["DANDYROLL_STAGE_MEMORY_MIB"] = str(memory_mib)
        for name, data in pictures(memory_bytes):
            for function, spent in spend(data, aws, place, environment):
                peak_mib = spent.peak_bytes / 2**20
                too_much += peak_mib > memory_mib
                print(f"| {name} | {len(data) / 1e6:.1f} | {function} | {spent.cpu_s:.3f} "
                      f"| {peak_mib:.0f} |", flush=True)  # fmt: skip
    return 1 if too_much else 0


def spend(
    data: bytes, aws: StandIn, place: Path, environment: Mapping[str, str]
) -> list[tuple[str, Spent]]:
    """What each function spends on the picture; one too large for a direct upload has no upload."""
    row = replace(image_row(), size_bytes=len(data))
    aws.item = to_item(row.to_json())
    aws.objects = {f"/bucket/uploaded/{NAME}": data}
    told = {"key": f"uploaded/{NAME}", "trace_id": "trace"}
    spent = []
    if len(data) <= LIMIT_BYTES:
        upload = run("upload_image", upload_request(data), place, environment)
        spent.append(("upload-image", upload))
    first = run("new_size_image", told, place, environment)
    second = run("add_watermark", {**told, "job": first.answer}, place, environment)
    return [*spent, ("new-size-image", first), ("add-watermark", second)]


def run(module: str, event: Any, place: Path, environment: Mapping[str, str]) -> Spent:
    given, answer = place / "event.json", place / "answer.json"
    given.write_text(json.dumps(event), "utf-8")
    command = [EMULATOR_PYTHON, "-c", SCRIPT.format(module=module), given, answer]
    subprocess.run(command, env=dict(environment), check=True, stderr=subprocess.DEVNULL)
    return Spent(*json.loads(answer.read_text("utf-8")))


def upload_request(data: bytes) -> dict[str, Any]:
    """`POST /upload` as API Gateway hands it over."""
    key = mint_api_key("somebody", frozenset(("write",)), int(time.time()) + 3600)
    return {
        "resource": "/upload",
        "path": "/upload",
        "httpMethod": "POST",
        "headers": {"x-api-key": key, "Content-Type": "image/jpeg"},
        "requestContext": {"requestId": "request"},
        "isBase64Encoded": True,
        "body": base64.b64encode(data).decode(),
    }


def pictures(memory_bytes: int) -> list[tuple[str, bytes]]:
    """A phone's picture, and of each hungry kind the largest that may come."""
    found = [("JPEG 12 MP", picture("JPEG", 12_000_000))]
    for kind in HUNGRY:
        most = largest(kind, memory_bytes)
        found.append((f"{kind} {most / 1e6:.0f} MP", picture(kind, most)))
    return found


def largest(kind: str, memory_bytes: int) -> int:
    """The most pixels that memory, file size and pixel limit let through, of our noise."""
    few = 4_000_000
    file_bytes = len(picture(kind, few)) / few * 1.05  # a pixel; with room, since it varies
    by_memory = (memory_bytes - BASE_BYTES) / (BYTES_PER_PIXEL[kind] + 2 * file_bytes)
    by_file = Settings().max_upload_bytes / file_bytes
    return int(min(by_memory, by_file, Limits().max_pixels))


def picture(kind: str, pixels: int) -> bytes:
    PICTURES.mkdir(parents=True, exist_ok=True)
    width = int((pixels * 4 / 3) ** 0.5)
    path = PICTURES / f"{kind} {width}"
    if not path.exists():
        path.write_bytes(sample(kind, width, pixels // width))
    return path.read_bytes()


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
