"""What docs/client.md shows, run as it stands."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests import pictures
from tests.local.served_home import open_served_home

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text("utf-8")


def test_the_page_works_as_pasted(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "holiday.jpg").write_bytes(pictures.jpeg(1600, 1200))
    (tmp_path / "pictures" / "b.png").write_bytes(pictures.png())
    python, commands = _blocks("python"), _blocks("sh")
    with open_served_home(tmp_path / "data", workers=1) as served:
        key = served.create_key("shop", frozenset({"read", "write"}), int(time.time()) + 600)

        def run(command: list[str], text: str) -> str:
            text = text.replace("http://127.0.0.1:8000", served.url).replace("dr1O…", key)
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            done = subprocess.run(
                [*command, text],
                cwd=tmp_path,
                env={"PATH": path, "HOME": str(tmp_path / "home")},
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, text + done.stderr
            return done.stdout

        first, second = (f"key = {key!r}\n{text}" for text in python)
        printed = run([sys.executable, "-c"], first)
        assert printed == "processed 1280 960\n404 not_found\n"
        assert all(line in PAGE for line in printed.splitlines())
        run([sys.executable, "-c"], second + "assert picture[:2] == b'\\xff\\xd8'")
        [upload] = commands
        upload, show = upload.rsplit("dandyroll show", 1)
        image_id = run(["bash", "-euc"], upload).split()[0]
        assert '"status": "processed"' in run(
            ["bash", "-euc"], f"{_exports()}dandyroll show {image_id}"
        )
        assert re.fullmatch(r" upload-\S+\n", show)
    made = [p.relative_to(tmp_path).as_posix() for p in (tmp_path / "renditions").rglob("*.*")]
    assert sorted(made) == ["renditions/b.png", "renditions/holiday.jpg"]
    assert (tmp_path / "marked.jpg").exists()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)


def _exports() -> str:
    return "".join(re.findall(r"^export .*\n", PAGE, re.M))
