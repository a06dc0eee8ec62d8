"""What a function's first event costs over bare Python: its process is started anew each time.

    python benchmarks/cold_start.py [RUNS]

The functions run from the zip as it is shipped, unpacked, without bytecode and in a Python that has
boto3 and nothing of ours, as Lambda runs them. S3 and DynamoDB are a stand-in that answers at once,
so that what is timed is our own: imports, clients, the handler. What AWS adds (the sandbox, the
network, a share of a CPU by memory size) is not in it. All take turns; `python -c pass` is taken
off each. The budgets are of the clock, and held against the least of its times. Where that is over
and the CPU is not, other work on the machine is to blame, and the row says so.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from stand_in import StandIn, stand_in

from dandyroll.api_keys import mint_api_key
from dandyroll.aws.attributes import to_item
from dandyroll.models import Row
from dandyroll.policy import DEFAULT
from deploy.build import build
from tests import pictures
from tests.aws.emulator import EMULATOR_PYTHON

NAME = "upload-20261123_120000-0123abcd.jpg"
BARE, ROW_READ, FIRST_STAGE, SECOND_STAGE = "bare python", "row read", "first stage", "second stage"
HANDLERS = {
    ROW_READ: "get_image_metadata",
    FIRST_STAGE: "new_size_image",
    SECOND_STAGE: "add_watermark",
}
BUDGETS_MS: Mapping[str, int] = {ROW_READ: 700, FIRST_STAGE: 600}
"""Over bare Python, by the clock."""

MISSED = "missed"


class Spent(NamedTuple):
    """By one process, in milliseconds."""

    clock_ms: float
    cpu_ms: float


SCRIPT = """
import json, sys, dandyroll.aws.functions.{module} as function
answer = function.handler(json.load(open(sys.argv[1])), None)
assert answer.get("statusCode", 200) == 200, answer
json.dump(answer, open(sys.argv[2], "w"))
"""


def main(runs: int = 9) -> int:
    with tempfile.TemporaryDirectory() as folder, stand_in() as aws:
        place = Path(folder)
        python = platform.python_version().rpartition(".")[0]
        zip_file = build(python, "host", place / "functions.zip")
        zipfile.ZipFile(zip_file).extractall(place / "task")
        row = image_row()
        aws.item = to_item(row.to_json())
        aws.objects[f"/bucket/uploaded/{NAME}"] = pictures.jpeg()
        environment = functions_environment(place / "task", aws)
        took: dict[str, list[Spent]] = {name: [] for name in (BARE, *HANDLERS)}
        told = {"key": f"uploaded/{NAME}", "trace_id": "trace"}
        events: dict[str, Any] = {ROW_READ: row_request(row), FIRST_STAGE: told}
        for number in range(runs + 1):
            for name in took:
                event, answer = place / "event.json", place / "answer.json"
                event.write_text(json.dumps(events.get(name)), "utf-8")
                spent = run(name, event, answer, environment)
                if name == FIRST_STAGE:
                    events[SECOND_STAGE] = {**told, "job": json.loads(answer.read_text("utf-8"))}
                if number:  # the first round fills the disk's cache
                    took[name].append(spent)
    return report(took, runs)


def run(name: str, event: Path, answer: Path, environment: Mapping[str, str]) -> Spent:
    """From the start of the process to its end."""
    script = SCRIPT.format(module=HANDLERS[name]) if name in HANDLERS else "pass"
    command = [str(EMULATOR_PYTHON), "-c", script, str(event), str(answer)]
    before, start = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=dict(environment), check=True, stderr=subprocess.DEVNULL)
    clock_ms, after = (time.perf_counter() - start) * 1000, getrusage(RUSAGE_CHILDREN)
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Spent(clock_ms, cpu_s * 1000)


def functions_environment(task: Path, aws: StandIn) -> dict[str, str]:
    """As the template sets it."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(task),
        "PYTHONDONTWRITEBYTECODE": "1",  # Lambda's /var/task is read-only
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "DANDYROLL_BUCKET": "bucket",
        "DANDYROLL_TABLE": "table",
        "VIPS_CONCURRENCY": "1",
        "MALLOC_ARENA_MAX": "2",
    }


def image_row() -> Row:
    """Of an image that was uploaded and is not processed yet."""
    return Row(
        image_id=NAME, bucket="bucket", content_type="image/jpeg", image_format="JPEG",
        created_date="2026-11-23T12:00:00.000Z", uploaded_at=1_795_435_200,
        s3_url=f"https://bucket.s3.us-east-1.amazonaws.com/uploaded/{NAME}", owner="somebody",
        size_bytes=len(pictures.jpeg()), policy=DEFAULT.id, status="uploaded", height=1000,
        width=1600, sha256="0" * 64, ledger={"trace_id": "trace"},
    )  # fmt: skip


def row_request(row: Row) -> dict[str, Any]:
    """`GET /get-image-metadata/{file-name}` as API Gateway hands it over."""
    key = mint_api_key(row.owner, frozenset(("read",)), int(time.time()) + 3600)
    return {
        "resource": "/get-image-metadata/{file-name}",
        "path": f"/get-image-metadata/{NAME}",
        "httpMethod": "GET",
        "headers": {"x-api-key": key, "Accept": "application/json"},
        "pathParameters": {"file-name": NAME},
        "requestContext": {"requestId": "request"},
    }


def report(took: Mapping[str, list[Spent]], runs: int) -> int:
    """Print the figures; 1 if a budget is missed."""
    bare = took[BARE]
    print(f"{runs} runs each, ms over bare Python, which takes {least(bare, 'clock_ms'):.0f}")
    print("|              | clock: least | median | CPU: least | median | budget |")
    verdicts = []
    for name in HANDLERS:
        figures = [
            figure(took[name], what) - figure(bare, what)
            for what in ("clock_ms", "cpu_ms")
            for figure in (least, median)
        ]
        verdicts.append(verdict(name, clock_ms=figures[0], cpu_ms=figures[2]))
        widths = (12, 6, 10, 6)
        shown = " | ".join(f"{ms:{width}.0f}" for ms, width in zip(figures, widths, strict=True))
        print(f"| {name:12} | {shown} | {verdicts[-1]} |")
    return 1 if any(MISSED in each for each in verdicts) else 0


def verdict(name: str, clock_ms: float, cpu_ms: float) -> str:
    if name not in BUDGETS_MS:
        return ""
    budget = BUDGETS_MS[name]
    if clock_ms <= budget:
        return f"{budget}: met"
    return f"{budget}: " + (MISSED if cpu_ms > budget else "met but for a busy machine")


def least(runs: list[Spent], what: str) -> float:
    return min(getattr(spent, what) for spent in runs)


def median(runs: list[Spent], what: str) -> float:
    return statistics.median(getattr(spent, what) for spent in runs)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
