"""Workers confined: what one may do to the machine, and what a stranger's file may do to it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dandyroll.errors import (
    DandyrollError,
    StageTimeout,
    StoreUnavailable,
    TooMuchMemory,
    WorkerCrashed,
)
from dandyroll.imaging.vips import pyvips
from dandyroll.keys import RENDITIONS, original_key
from dandyroll.local.confine import NONE, confinement
from dandyroll.local.home import open_home
from dandyroll.local.objects import FileObjectStore
from dandyroll.local.worker_options import WorkerOptions
from dandyroll.local.workers import Probes, Worker
from dandyroll.models import Job
from dandyroll.policy import DEFAULT
from dandyroll.settings import Settings
from tests import pictures
from tests.contract.client import Client
from tests.local.served_home import ServedHome

PROBE = Path(__file__).parent / "confined.py"
NOBODY = 65_534

REFUSED = "PermissionError"
BOUNDS = {
    "writes": {
        "write outside": REFUSED,
        "overwrite outside": REFUSED,
        "truncate outside": REFUSED,
        "remove outside": REFUSED,
        "make a folder outside": REFUSED,
        "move in from outside": REFUSED,
        "link inside to outside": "OSError",
        "write to /tmp": REFUSED,
    },
    "network": {
        "IPv4": REFUSED,
        "IPv4 datagram": REFUSED,
        "IPv6": REFUSED,
        "Unix socket": REFUSED,
        "netlink": REFUSED,
        "io_uring": REFUSED,
        "start a program": REFUSED,
        "become a program": REFUSED,
        "fork": REFUSED,
        "signal the server": REFUSED,
        "signal the group": REFUSED,
        "limits of the server": REFUSED,
        "file in memory": REFUSED,
        "new namespace": REFUSED,
    },
    "memory": {"too much memory": "MemoryError"},
    "file size": {"too large a file": "OSError"},
    "privileges": {},
}
ALLOWED = (
    "write inside",
    "replace inside",
    "remove inside",
    "read outside",
    "signal itself",
    "start a thread",
    "memory in bounds",
    "reset its peak",
    "limit its CPU",
)


def try_everything(folder: Path, user: int = 0) -> dict[str, Any]:
    allowed, outside = folder / "allowed", folder / "outside"
    for made in (allowed, outside):
        made.mkdir()
    (outside / "there").write_bytes(b"as it was")
    if user != 0:
        for path in (folder, allowed, outside, outside / "there"):
            os.chown(path, user, user)
    command = [sys.executable, str(PROBE), str(allowed), str(outside), "300000000", str(user)]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    assert (outside / "there").read_bytes() == b"as it was"
    assert [path.name for path in outside.iterdir()] == ["there"]
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def assert_confined(report: dict[str, Any]) -> None:
    assert report["threads"] == 1, "Landlock holds only the thread that asks for it"
    assert report["holds"] == confinement()
    assert report["core"] == 1
    tries: dict[str, str] = report["tries"]
    assert {name: tries[name] for name in ALLOWED} == dict.fromkeys(ALLOWED, "done")
    for bound, expected in BOUNDS.items():
        if report["holds"][bound] != NONE:
            assert {name: tries[name] for name in expected} == expected
    assert report["no_new_privs"] or report["holds"]["privileges"] == NONE


def test_a_confined_process_can_work_and_do_nothing_else(tmp_path: Path) -> None:
    assert_confined(try_everything(tmp_path))


def test_an_ordinary_user_can_confine_as_well(tmp_path: Path) -> None:
    """Under the test's own user if that is one; root tries it as another."""
    if os.geteuid() != 0:
        assert_confined(try_everything(tmp_path))
        return
    with tempfile.TemporaryDirectory() as folder:  # pytest's own can only be entered by root
        report = try_everything(Path(folder), NOBODY)
    assert report["tries"]["raise its memory"] == "ValueError"
    assert_confined(report)


def test_this_system_has_the_bounds_that_its_kernel_offers() -> None:
    if sys.platform != "linux":
        assert confinement()["memory"] == "RLIMIT_AS"
        return
    status = Path("/proc/self/status").read_text()
    assert (confinement()["network"] == "seccomp") == ("Seccomp:" in status)
    assert confinement()["privileges"] == "no_new_privs"


OLD_KERNEL = """
import json, pathlib, sys
from dandyroll.local import confine
confine.landlock_abi, confine.has_seccomp = lambda: 0, lambda: False
holds = confine.confine(100_000_000, [])
pathlib.Path(sys.argv[1]).write_text("written")
try:
    bytes(100_000_000)
except MemoryError:
    print(json.dumps(holds))
"""


def test_an_old_kernel_bounds_what_it_can(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OLD_KERNEL, str(tmp_path / "file")]
    holds = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert (holds["writes"], holds["network"], holds["memory"]) == (NONE, NONE, "RLIMIT_DATA")
    assert (tmp_path / "file").read_text() == "written"


def test_what_is_not_bounded_is_said_once_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("dandyroll.local.confine.landlock_abi", lambda: 0)
    with open_home(Settings(data_dir=tmp_path, workers=2)):
        pass
    (said,) = (text for text in caplog.messages if "cannot bound" in text)
    assert "in: writes." in said


SPIN = "from dandyroll.local.confine import limit_cpu\nlimit_cpu(0.1)\nwhile True: pass"


def test_cpu_time_is_bounded(tmp_path: Path) -> None:
    """By the kernel; and a worker that dies of it has timed out, not crashed."""
    done = subprocess.run([sys.executable, "-c", SPIN], timeout=60)
    assert done.returncode == -signal.SIGXCPU
    with a_worker(tmp_path, fault="worker-decoding=hang") as worker:
        worker.start()
        assert worker.pid is not None
        threading.Timer(0.2, os.kill, (worker.pid, signal.SIGXCPU)).start()
        with pytest.raises(StageTimeout):
            worker.run(stored(tmp_path, b""), timeout_s=60)


def options(tmp_path: Path, **more: Any) -> WorkerOptions:
    objects = FileObjectStore(tmp_path)
    base = WorkerOptions.from_settings(Settings(), tmp_path, objects.folders(RENDITIONS))
    return replace(base, **more)


@contextmanager
def a_worker(tmp_path: Path, **more: Any) -> Iterator[Worker]:
    worker = Worker(options(tmp_path, **more))
    try:
        yield worker
    finally:
        worker.kill()


def stored(tmp_path: Path, data: bytes, image_format: str = "JPEG", name: str = "a.jpg") -> Job:
    FileObjectStore(tmp_path).put(original_key(name), data, "image/x")
    return Job(name, DEFAULT.id, original_key(name), image_format)


def test_every_kind_of_worker_is_confined(tmp_path: Path) -> None:
    pixels = options(tmp_path)
    for kind in (pixels, replace(pixels, writable=()), replace(pixels, writable=(tmp_path,))):
        worker = Worker(kind)
        try:
            assert worker.confinement() == confinement()
        finally:
            worker.kill()


def test_the_server_starts_only_confined_workers(tmp_path: Path) -> None:
    served = ServedHome(tmp_path, workers=1)
    try:
        served.start()
        client = Client.new(served)
        assert client.processed(client.upload(pictures.jpeg())).status == 200
        _, *workers = served.processes()
        assert len(workers) == 3  # two for headers, one for pixels
        for pid in workers:
            status = Path(f"/proc/{pid}/status").read_text()
            assert "NoNewPrivs:\t1" in status
            assert "Seccomp:\t2" in status
            assert b"DANDYROLL" not in Path(f"/proc/{pid}/environ").read_bytes()
            limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
            (data,) = (line for line in limits if line.startswith("Max data size"))
            assert data.split()[3:5] == [str(Settings().worker_memory_bytes)] * 2
    finally:
        served.close()


def test_a_worker_cannot_write_an_original(tmp_path: Path) -> None:
    (tmp_path / "uploaded").mkdir()
    source = tmp_path / "picture.jpg"
    source.write_bytes(pictures.jpeg())
    with a_worker(tmp_path) as worker:
        worker.process(source, tmp_path / "FINAL-IMAGES" / "a.jpg", 60)
        for target in (tmp_path / "uploaded" / "a.jpg", tmp_path / "a.jpg"):
            with pytest.raises(StoreUnavailable, match="Cannot be written: Permission denied"):
                worker.process(source, target, 60)


HOW_IT_ENDS: dict[str, type[DandyrollError]] = {
    "kill": WorkerCrashed,
    "hang": StageTimeout,
    "spin": StageTimeout,
    "swell": TooMuchMemory,
}


@pytest.mark.parametrize("way", HOW_IT_ENDS)
def test_whatever_a_job_does_it_ends_with_a_code(tmp_path: Path, way: str) -> None:
    with a_worker(tmp_path, fault=f"worker-decoding={way}@bad") as worker:
        bad = stored(tmp_path, pictures.jpeg(), name="bad.jpg")
        with pytest.raises(HOW_IT_ENDS[way]):
            worker.run(bad, timeout_s=5 if way == "swell" else 1.5)
        good = stored(tmp_path, pictures.jpeg(), name="good.jpg")
        assert worker.run(good, timeout_s=60).changes.processed


@pytest.mark.parametrize(("way", "code"), [("kill", "corrupt_image"), ("swell", "too_much_memory")])
def test_whatever_a_header_does_it_ends_with_a_code(tmp_path: Path, way: str, code: str) -> None:
    probes = Probes(options(tmp_path, fault=f"worker-probing={way}", writable=()), count=1)
    try:
        with pytest.raises(DandyrollError) as raised:
            probes(pictures.jpeg())
        assert raised.value.code == code
    finally:
        probes.close()


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_a_picture_that_needs_too_much_memory_says_so(tmp_path: Path, image_format: str) -> None:
    """A real decoder that is refused memory, not a fault point."""
    image = pyvips.Image.black(4000, 3000, bands=4).copy(interpretation="srgb") + 128
    if image_format == "JPEG":
        data = image[:3].cast("uchar").jpegsave_buffer(interlace=True, subsample_mode="off")
    else:
        data = image.cast("uchar").pngsave_buffer(compression=1)
    job = stored(tmp_path, bytes(data), image_format)
    with a_worker(tmp_path, memory_bytes=70_000_000) as worker:
        with pytest.raises(TooMuchMemory, match="under 70000000 bytes"):
            worker.run(job, timeout_s=60)
        small = stored(tmp_path, pictures.jpeg(200, 100), name="small.jpg")
        assert worker.run(small, timeout_s=60).changes.processed


def test_a_worker_is_replaced_after_so_many_answers(tmp_path: Path) -> None:
    with a_worker(tmp_path, jobs=2) as worker:
        pids = []
        for _ in range(4):
            worker.start()
            pids.append(worker.pid)
            worker.probe(pictures.jpeg())
        assert pids[0] == pids[1] != pids[2] == pids[3]


def test_what_a_worker_says_of_another_image_is_not_believed(tmp_path: Path) -> None:
    class Lying(Worker):
        def _ask(self, timeout_s: float, message: dict[str, Any], body: object = None) -> Any:
            return {"job": {**message["job"], "image_id": "another.jpg"}}

    with pytest.raises(WorkerCrashed, match="astray"):
        Lying(options(tmp_path)).run(stored(tmp_path, b""), timeout_s=1)


def test_three_crashes_fail_one_image_and_all_others_go_on(tmp_path: Path) -> None:
    served = ServedHome(tmp_path, workers=1)
    try:
        served.start(fault="worker-decoding=kill@.png")
        client = Client.new(served)
        bad = client.upload(pictures.png(), "image/png")
        good = [client.upload(pictures.jpeg(seed=seed)) for seed in range(4)]
        assert [client.processed(image_id).status for image_id in good] == [200] * 4
        assert client.processed(bad).problem == (409, "image_failed")
        assert client.row(bad)["error"]["code"] == "worker_crashed"
        assert client.original(bad).body == pictures.png()
        assert client.processed(client.upload(pictures.jpeg())).status == 200
    finally:
        served.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    ["progressive JPEG", "CMYK JPEG", "interlaced PNG", "16-bit PNG", "WebP", "lossless WebP"],
)
def test_50_megapixels_of_every_format_fit(tmp_path: Path, kind: str) -> None:
    data, image_format = _large(kind)
    with a_worker(tmp_path) as worker:
        worker.probe(data)
        assert worker.run(stored(tmp_path, data, image_format), timeout_s=300).changes.processed


def _large(kind: str) -> tuple[bytes, str]:
    shade = pyvips.Image.xyz(8660, 5773)[0] % 251
    bands = shade.bandjoin([shade + 1, shade + 2, shade + 3])
    rgba = bands.cast("uchar").copy(interpretation="srgb")
    if kind == "progressive JPEG":
        return bytes(rgba[:3].jpegsave_buffer(interlace=True, subsample_mode="off")), "JPEG"
    if kind == "CMYK JPEG":
        cmyk = rgba.copy(interpretation="cmyk")
        return bytes(cmyk.jpegsave_buffer(interlace=True, subsample_mode="off")), "JPEG"
    if kind == "interlaced PNG":
        return bytes(rgba.pngsave_buffer(interlace=True, compression=1)), "PNG"
    if kind == "16-bit PNG":
        deep = (bands * 257).cast("ushort").copy(interpretation="rgb16")
        return bytes(deep.pngsave_buffer(interlace=True, compression=1)), "PNG"
    lossless = kind == "lossless WebP"
    return bytes(rgba.webpsave_buffer(lossless=lossless, effort=0)), "WEBP"
