"""What a function's first event costs over bare Python: its process is started anew each time.

    python benchmarks/cold_start.py [RUNS]

The functions run from the zip as it is shipped, unpacked, without bytecode and in a Python that has
boto3 and nothing of ours, as Lambda runs them. S3 and DynamoDB are a stand-in that answers at once,
so that what is timed is our own: imports, clients, the handler. What AWS adds (the sandbox, the
network, a share of a CPU by memory size) is not in it. All take turns; `python -c pass` is taken
off each.
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
from typing import Any

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
"""Over bare Python, in the median."""

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
        took: dict[str, list[float]] = {name: [] for name in (BARE, *HANDLERS)}
        told = {"key": f"uploaded/{NAME}", "trace_id": "trace"}
        events: dict[str, Any] = {ROW_READ: row_request(row), FIRST_STAGE: told}
        for number in range(runs + 1):
            for name in took:
                event, answer = place / "event.json", place / "answer.json"
                event.write_text(json.dumps(events.get(name)), "utf-8")
                spent_ms = run_ms(name, event, answer, environment)
                if name == FIRST_STAGE:
                    events[SECOND_STAGE] = {**told, "job": json.loads(answer.read_text("utf-8"))}
                if number:  # the first round fills the disk's cache
                    took[name].append(spent_ms)
    return report(took, runs)


def run_ms(name: str, event: Path, answer: Path, environment: Mapping[str, str]) -> float:
    """From the start of the process to its end."""
    script = SCRIPT.format(module=HANDLERS[name]) if name in HANDLERS else "pass"
    command = [str(EMULATOR_PYTHON), "-c", script, str(event), str(answer)]
    start = time.perf_counter()
    subprocess.run(command, env=dict(environment), check=True, stderr=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1000


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


def report(took: Mapping[str, list[float]], runs: int) -> int:
    """Print the figures; 1 if a budget is missed."""
    bare_ms = {"least": min(took[BARE]), "median": statistics.median(took[BARE])}
    print(f"{runs} runs each, ms; bare Python: {bare_ms['least']:.0f} to {bare_ms['median']:.0f}")
    print(f"| {'over bare Python':16} | least | median | budget |")
    missed = 0
    for name in HANDLERS:
        least = min(took[name]) - bare_ms["least"]
        median = statistics.median(took[name]) - bare_ms["median"]
        budget = BUDGETS_MS.get(name)
        missed += budget is not None and median > budget
        print(f"| {name:16} | {least:5.0f} | {median:6.0f} | {budget or '':6} |")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
