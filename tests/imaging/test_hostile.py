"""A thousand hostile files: each is a picture after all, or a typed error, and nothing else."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from dandyroll import errors
from tests.imaging.hostile import hostile

MEMORY_BYTES = 1 << 30


def test_there_are_enough_of_them() -> None:
    names = [name for name, _ in hostile()]
    assert len(names) >= 1000
    assert len(set(names)) == len(names)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """What became of each, in one worker-like process that must survive them all."""
    report = tmp_path_factory.mktemp("hostile") / "report"
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.imaging.test_hostile", str(report)],
        capture_output=True, text=True, env=environment, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    lines = report.read_text().splitlines()
    if done.returncode:
        how = signal.Signals(-done.returncode).name if done.returncode < 0 else done.stderr
        raise AssertionError(f"{lines[-1:]} ended the process: {how}")
    assert done.stderr == ""
    return {line["name"]: line for line in map(json.loads, lines) if "outcome" in line}


def test_only_typed_errors_come_out(outcomes: dict[str, dict[str, object]]) -> None:
    assert len(outcomes) >= 1000
    known = {error.__name__ for error in errors.ALL} | {"a picture"}
    odd = {name: line for name, line in outcomes.items() if line["outcome"] not in known}
    assert not odd
    counts = Counter(str(line["outcome"]) for line in outcomes.values())
    assert counts["TruncatedImage"] > 200 and counts["CorruptImage"] > 100
    assert {"TooManyPixels", "UnsafeDrawing", "TooComplex", "UnsupportedFormat"} <= counts.keys()
    assert not {"Internal", "WorkerCrashed"} & counts.keys()


def test_none_takes_long_or_much(outcomes: dict[str, dict[str, object]]) -> None:
    slow = {name: line for name, line in outcomes.items() if float(str(line["cpu_s"])) > 12}
    assert not slow
    assert max(int(str(line["peak_bytes"])) for line in outcomes.values()) < MEMORY_BYTES


def main(report: Path) -> None:
    """Take every file through header and pipeline as a worker does; one line for each."""
    import time

    from dandyroll.imaging.decode import decode
    from dandyroll.imaging.encode import encode
    from dandyroll.imaging.header import read_header
    from dandyroll.models import Limits
    from dandyroll.policy import DEFAULT
    from dandyroll.stages.add_watermark import add_watermark
    from dandyroll.stages.update_size import update_size

    with report.open("w", buffering=1) as out:
        for name, data in hostile():
            print(json.dumps({"name": name}), file=out)
            began = time.process_time()
            try:
                header = read_header(data, Limits(memory_bytes=MEMORY_BYTES))
                picture, _ = decode(data, header, 320, 320)
                encode(add_watermark(update_size(picture, DEFAULT), DEFAULT), DEFAULT.encoding)
                outcome = "a picture"
            except errors.DandyrollError as error:
                outcome = type(error).__name__
            except Exception as error:
                outcome = f"not ours: {error!r}"
            status = Path("/proc/self/status").read_text()
            line = {
                "name": name,
                "outcome": outcome,
                "cpu_s": time.process_time() - began,
                "peak_bytes": int(status.partition("VmHWM:")[2].split()[0]) * 1024,
            }
            print(json.dumps(line), file=out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
