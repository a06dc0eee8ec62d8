"""Everything the README shows, run as it stands, and its answers held to what comes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.local.served_home import free_port

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```(sh|json|python)\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)


def test_the_readme_works_as_pasted(tmp_path: Path) -> None:
    port = str(free_port())
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    server: subprocess.Popen[str] | None = None
    output = ""
    try:
        for language, text in BLOCKS:
            if text == "make run\n":
                server = _make_run(tmp_path, port)
                environment["KEY"] = _demo_key(server)
            elif text == "make test\n":
                assert "pytest" in _dry_run("test")
            elif text.startswith("make sam\n"):
                _deploy_needs_credentials(text, tmp_path)
            elif text.startswith("export "):
                assert re.match(r"export (KEY=dr1Odemo|ID=upload-)", text)
            elif language == "python":
                _run_python(text.replace(":8000", f":{port}"), tmp_path, environment)
            elif language == "sh":
                output = _run(text.replace(":8000", f":{port}"), tmp_path, environment)
                if "/upload " in text:
                    environment["ID"] = json.loads(output)["image_id"]
            else:
                shown = _bare(json.loads(text))
                assert _bare(json.loads(output)) == shown
    finally:
        if server is not None:
            server.terminate()
            server.communicate(timeout=20)
    assert (tmp_path / "picture.jpg").read_bytes()[:2] == b"\xff\xd8"
    for made in ("fetched/sample.jpg", "from-python.jpg", "processed/sample.jpg"):
        assert (tmp_path / made).read_bytes()[:2] == b"\xff\xd8"


def _make_run(folder: Path, port: str) -> "subprocess.Popen[str]":
    """What `make run` runs, on another port."""
    command = _dry_run("run").strip().splitlines()[-1].removeprefix("@").strip()
    assert command.endswith("dandyroll serve --demo")
    return subprocess.Popen(
        [*command.split(), "--port", port], cwd=folder, stdout=subprocess.PIPE, text=True
    )


def _demo_key(server: "subprocess.Popen[str]") -> str:
    """The printed key, once the lines to paste are out and the server answers."""
    assert server.stdout is not None
    printed = ""
    for line in server.stdout:
        printed += line
        if "Stop it" in line:
            break
    match = re.search(r"^ +(dr1Odemo\w+)$", printed, re.M)
    assert match, printed
    return match[1]


def _deploy_needs_credentials(text: str, folder: Path) -> None:
    """Each line does what it says, as far as that goes without an account."""
    make, check, deploy = text.splitlines()
    _dry_run(make.removeprefix("make "))
    assert check == f"{deploy} --check"
    unknown = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(folder)}
    done = subprocess.run(
        check.split(), cwd=folder, env={**unknown, **nowhere}, capture_output=True, text=True
    )
    assert (done.returncode, "WRONG  credentials" in done.stdout) == (1, True), done


def _dry_run(target: str) -> str:
    command = ["make", "-n", "--no-print-directory", "-C", str(ROOT), target]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _run(text: str, folder: Path, environment: dict[str, str]) -> str:
    command = ["bash", "-euo", "pipefail", "-c", text.replace("curl ", _CURL)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, text + done.stdout + done.stderr
    return done.stdout


def _run_python(text: str, folder: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-c", text]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "1920\n"), done.stdout + done.stderr


_CURL = "curl --retry 20 --retry-connrefused --retry-delay 1 "  # the server may still be starting


def _bare(value: Any) -> Any:
    """The value without what differs from run to run: times, ids, costs, ports."""
    if isinstance(value, dict):
        return {name: _bare(part) for name, part in value.items() if name not in _VOLATILE}
    if isinstance(value, str):
        value = re.sub(r"upload-\d{8}_\d{6}-[0-9a-f]{8}", "upload-…", value)
        return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", value)
    return value


_VOLATILE = {
    *("created_date", "uploaded_at", "trace_id", "cpu_ms", "peak_memory_kb"),
    *("queue_ms", "load_ms", "save_ms", "update_size_ms", "add_watermark_ms"),
}
