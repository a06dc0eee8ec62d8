"""CPU seconds of the functions an image goes through: the figures in `dandyroll.aws.costs.usage`.

    python benchmarks/lambda_cpu.py [rounds]

The functions' own handlers run in this process on the pictures of `pipeline_cpu.py` (baseline
and progressive JPEG, PNG, WebP, 0.3 to 24 megapixels), against the emulator, whose CPU is not
counted: that of this process is, all threads, requests and signatures included. Lines are fitted
through the medians: over megapixels for the stage that decodes, over megabytes for what only
passes bytes on. `cold` is a process on the functions' own zip, from the start of Python to its
first answer from DynamoDB, with nothing compiled beforehand, as on AWS.
"""

import base64
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from pipeline_cpu import pictures

from dandyroll.api_keys import mint_api_key
from dandyroll.aws.attributes import to_item
from dandyroll.aws.functions import (
    add_watermark,
    create_upload,
    get_processed_image,
    new_size_image,
    publish_events,
    sweep,
    upload_image,
)
from dandyroll.aws.home import this_home
from dandyroll.keys import original_key
from dandyroll.models import Row
from deploy.build import BUILD
from tests.aws.emulated_home import EmulatedHome, open_emulated_home
from tests.aws.emulator import EMULATOR_PYTHON
from tests.aws.proxy_events import proxy_event

COLD_ROUNDS = 5
FOR_EACH = {
    "upload-image": "megabyte",
    "create-upload": "",
    "new-size-image": "megapixel",
    "add-watermark": "",
    "get-processed-image": "megabyte",
    "publish-events": "",
    "sweep": "",
}
"""The functions, and what their time grows with; the watermark's picture is as large as ever."""

COLD = """
import importlib, sys, time
import awslambdaric.bootstrap
importlib.import_module("dandyroll.aws.functions." + sys.argv[1])
from dandyroll.aws.home import this_home
from dandyroll.errors import NotFound
try:
    this_home().catalogue.get("none")
except NotFound:
    print(time.process_time() * 1000)
"""


def main(rounds: int) -> None:
    with open_emulated_home() as aws:
        aws.emulator.client("s3").create_bucket(Bucket="quiet")  # tells nobody of its objects
        os.environ |= environment(aws)
        warm, renditions = measure_warm(rounds)
        cold = {name: measure_cold(name) for name in FOR_EACH}
    print(f"{'function':22}{'fixed, ms':>11}{'more, ms':>10}{'for each':>12}{'cold, ms':>10}")
    for name, unit in FOR_EACH.items():
        points = list(warm[name].values())
        fixed, more = line(points) if unit else (statistics.mean(ms for _, ms in points), 0)
        print(f"{name:22}{fixed:11.1f}{more:10.2f}{unit:>12}{cold[name]:10.0f}")
    print(f"renditions of JPEGs over 1280 px: {statistics.mean(renditions):,.0f} bytes on average")


def environment(aws: EmulatedHome) -> dict[str, str]:
    cloud = aws.emulator.cloud
    return {
        "DANDYROLL_BUCKET": "quiet",
        "DANDYROLL_TABLE": aws.settings.table,
        "DANDYROLL_MAX_DIRECT_BYTES": "100000000",
        "DANDYROLL_STATE_MACHINE": aws.outputs["PipelineArn"],
        "DANDYROLL_TOPIC": aws.outputs["EventsTopicArn"],
        "AWS_ENDPOINT_URL": cloud.endpoint_url,
        "AWS_ACCESS_KEY_ID": cloud.access_key_id,
        "AWS_SECRET_ACCESS_KEY": cloud.secret_access_key,
        "AWS_REGION": cloud.region,
        "VIPS_CONCURRENCY": "1",
        "MALLOC_ARENA_MAX": "2",
    }


def stream_event(row: Row) -> dict[str, Any]:
    """What the table's stream says of an image that was processed."""
    after = to_item(row.to_json())
    change = {
        "ApproximateCreationDateTime": time.time(),
        "SequenceNumber": "1",
        "OldImage": {**after, "status": {"S": "resized"}},
        "NewImage": after,
    }
    return {"Records": [{"eventID": "e", "eventName": "MODIFY", "dynamodb": change}]}


Points = dict[str, dict[str, tuple[float, float]]]


def measure_warm(rounds: int) -> tuple[Points, list[int]]:
    """By function and picture: what the figure depends on, and the median of its milliseconds."""
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    sizes: dict[tuple[str, str], float] = {}
    renditions = []
    key = mint_api_key("shop", frozenset({"read", "write"}), int(time.time()) + 36_000)
    for _ in range(rounds + 1):  # the first warms up
        for path in pictures():
            data = path.read_bytes()

            def spend(name: str, size: float, work: Callable[[], Any], path: Path = path) -> Any:
                began = time.process_time()
                with contextlib.redirect_stdout(None):  # where functions write metrics
                    answer = work()
                times[name, path.name].append((time.process_time() - began) * 1000)
                sizes[name, path.name] = size
                return answer

            megabytes = len(data) / 1e6
            event = proxy_event("POST", "/upload", key, data)
            answer = spend("upload-image", megabytes, lambda e=event: upload_image.handler(e, None))
            image_id = json.loads(answer["body"])["image_id"]
            declared = {"content_type": "image/jpeg", "size_bytes": len(data)}
            body = json.dumps(declared).encode()
            event = proxy_event("POST", "/uploads", key, body, "application/json")
            spend("create-upload", megabytes, lambda e=event: create_upload.handler(e, None))
            row = this_home().catalogue.get(image_id)
            megapixels = (row.width or 0) * (row.height or 0) / 1e6
            event = {"key": original_key(image_id), "trace_id": "trace"}
            job = spend(
                "new-size-image", megapixels, lambda e=event: new_size_image.handler(e, None)
            )
            event = {**event, "job": job}
            spend("add-watermark", megapixels, lambda e=event: add_watermark.handler(e, None))
            event = proxy_event("GET", "/get-processed-image/{file-name}", key, name=image_id)
            size_bytes = len(base64.b64decode(get_processed_image.handler(event, None)["body"]))
            spend("get-processed-image", size_bytes / 1e6,
                  lambda e=event: get_processed_image.handler(e, None))  # fmt: skip
            event = stream_event(this_home().catalogue.get(image_id))
            spend("publish-events", megabytes, lambda e=event: publish_events.handler(e, None))
            spend("sweep", megabytes, lambda: sweep.handler({}, None))
            if path.suffix == ".jpg" and (row.width or 0) > 1280:
                renditions.append(size_bytes)
    found: Points = defaultdict(dict)
    for (name, picture), spent in times.items():
        found[name][picture] = sizes[name, picture], statistics.median(spent[1:])
    return found, renditions


def measure_cold(name: str) -> float:
    with tempfile.TemporaryDirectory() as task:
        with zipfile.ZipFile(BUILD / "functions-emulator.zip") as code:
            code.extractall(task)
        command = [str(EMULATOR_PYTHON), "-c", COLD, name.replace("-", "_")]
        inherited = {**os.environ, "PYTHONPATH": task, "PYTHONDONTWRITEBYTECODE": "1"}
        runs = [
            subprocess.run(command, env=inherited, check=True, capture_output=True, text=True)
            for _ in range(COLD_ROUNDS)
        ]
        return statistics.median(float(run.stdout) for run in runs)


def line(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Fixed part and slope of the line through the points, by least squares."""
    slope, fixed = statistics.linear_regression(*zip(*points, strict=True))
    return fixed, slope


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
