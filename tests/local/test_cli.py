"""The `dandyroll` command, run as a person runs it."""

import io
import json
import os
import re
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from dandyroll.api_keys import name_of_api_key, parse_api_key
from dandyroll.local.database import Database
from tests import pictures
from tests.contract.client import Client
from tests.local.served_home import ServedHome, open_served_home


def dandyroll(*arguments: str | Path, **more: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "dandyroll.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=more or None)


def test_a_key_made_beside_a_running_server_works_at_once(tmp_path: Path) -> None:
    with open_served_home(tmp_path, workers=1) as served:
        made = dandyroll("keys", "create", "--name", "shop", "--expires", "30d", "--data", tmp_path)
        key = made.stdout.strip()
        assert made.stdout == key + "\n"
        facts = parse_api_key(key)
        assert facts is not None
        assert (facts.owner, facts.scopes) == ("shop", {"read", "write"})
        assert abs(facts.expires_at - time.time() - 30 * 86_400) < 60
        client = Client(served, "shop", key)
        client.upload(pictures.png(), "image/png")
        listed = dandyroll("keys", "list", "--data", tmp_path).stdout
        assert key not in listed
        name = re.match(r"(\w{12})  shop  read,write  \S+  valid\n", listed)
        assert name, listed
        assert dandyroll("keys", "revoke", name[1], "--data", tmp_path).returncode == 0
        assert client.send("POST", "/upload", pictures.png()).problem == (403, "forbidden")
        assert "revoked" in dandyroll("keys", "list", "--data", tmp_path).stdout


def test_keys_are_listed_for_machines(tmp_path: Path) -> None:
    create = ("keys", "create", "--name", "shop", "--expires", "2100-01-01", "--data", tmp_path)
    value = dandyroll(*create).stdout.strip()
    (line,) = dandyroll("keys", "list", "--json", "--data", tmp_path).stdout.splitlines()
    key = json.loads(line)
    assert key == {
        "key": name_of_api_key(value),
        "owner": "shop",
        "scopes": ["read", "write"],
        "created_at": key["created_at"],
        "expires_at": "2100-01-01T00:00:00.000Z",
        "revoked_at": None,
        "state": "valid",
    }
    assert dandyroll("keys", "revoke", value, "--data", tmp_path).returncode == 0
    revoked = json.loads(dandyroll("keys", "list", "--json", "--data", tmp_path).stdout)
    assert revoked == {**key, "revoked_at": revoked["revoked_at"], "state": "revoked"}
    assert revoked["revoked_at"] >= key["created_at"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("keys", "create", "--name", "My Shop", "--expires", "30d"), "owner"),
        (("keys", "create", "--name", "shop", "--expires", "soon"), "30d"),
        (("keys", "create", "--name", "shop", "--expires", "2020-01-31"), "still to come"),
        (("keys", "create", "--name", "shop", "--expires", "0d"), "still to come"),
        (("keys", "create", "--name", "shop", "--expires", "999y"), "an expiry between"),
        (("keys", "create", "--name", "adopted", "--expires", "1d"), "other than 'adopted'"),
        (("keys", "create", "--name", "shop", "--expires", "1d", "--scope", "all"), "scopes"),
        (("keys", "revoke", "nothing"), "one key"),
        (("serve", "--workers", "-1"), "DANDYROLL_WORKERS"),
        (("serve", "--port", "70000"), "70000"),
    ],
)
def test_what_is_asked_wrongly_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    Database(tmp_path / "catalogue.db").close()
    done = dandyroll(*arguments, "--data", tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "list"),
        ("keys", "revoke", "a"),
        ("keys", "usage"),
        ("keys", "quota", "shop", "--max-uploads-per-day", "1"),
        ("webhooks", "list"),
        ("webhooks", "add", "https://shop.example/"),
        ("webhooks", "deliveries"),
        ("webhooks", "replay", "--failed"),
        ("verify",),
        ("backup", "--to", "copy"),
    ],
)
def test_what_is_no_data_folder_is_told_and_not_made(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = dandyroll(*arguments, "--data", tmp_path / "mistyped")
    assert (done.returncode, done.stdout) == (2, "")
    assert "expected a catalogue.db; there is none" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_first_key_makes_the_folder_for_its_user_alone_and_says_so(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    create = ("keys", "create", "--name", "shop", "--expires", "1d", "--data")
    assert f"{new} is a new data folder" in dandyroll(*create, new).stderr
    assert dandyroll(*create, new).stderr == ""
    assert stat.S_IMODE(new.stat().st_mode) == 0o700
    old.mkdir()
    old.chmod(0o755)
    assert dandyroll(*create, old).returncode == 0
    assert stat.S_IMODE(old.stat().st_mode) == 0o755


def test_every_command_reads_the_settings_file(tmp_path: Path) -> None:
    config = tmp_path / "shop.toml"
    config.write_text('data_dir = "kept"')
    made = dandyroll("keys", "create", "--name", "shop", "--expires", "1d", "--config", config)
    assert made.returncode == 0
    added = dandyroll("webhooks", "add", "https://shop.example/", "--config", config)
    assert added.returncode == 0
    for arguments, says in (
        (("keys", "list"), "shop"),
        (("webhooks", "list"), "https://shop.example/"),
        (("top", "--once"), f"no server has been started on {tmp_path / 'kept'}"),
    ):
        done = dandyroll(*arguments, "--config", config)
        assert says in done.stdout + done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    Database(tmp_path / "catalogue.db").close()
    command = [sys.executable, "-m", "dandyroll.cli", "keys", "usage", "--json"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*command, "--data", str(tmp_path)], stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_what_the_disk_refuses_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "catalogue.db").write_text("no database, but long enough to be read as one")
    for folder in (tmp_path / "file" / "data", tmp_path / "bad"):
        create = ("keys", "create", "--name", "shop", "--expires", "1d")
        done = dandyroll(*create, "--data", folder)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith("dandyroll: ")
        assert "Traceback" not in done.stderr


def test_an_unknown_setting_refuses_to_start(tmp_path: Path) -> None:
    done = dandyroll("serve", "--data", tmp_path, DANDYROLL_WORKER="2")
    assert done.returncode == 2
    assert "DANDYROLL_WORKER: no such setting" in done.stderr


def test_a_second_server_on_one_folder_refuses_to_start(tmp_path: Path) -> None:
    with open_served_home(tmp_path, workers=1):
        done = dandyroll("serve", "--data", tmp_path, "--port", "0")
    assert done.returncode == 2
    assert "another server" in done.stderr


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = dandyroll("serve", "--data", tmp_path / "data", "--port", port)
    assert done.returncode == 2
    assert f"--port {port}: cannot listen there" in done.stderr
    assert not (tmp_path / "data").exists()


def test_process_makes_a_folder_of_pictures(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    (source / "sub").mkdir(parents=True)
    (source / "a.jpg").write_bytes(pictures.jpeg(2000, 1000))
    (source / "sub" / "b.png").write_bytes(pictures.png())
    (source / "notes.txt").write_text("no picture")
    done = dandyroll("process", source, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "2 processed, 0 failed" in done.stderr
    with Image.open(out / "a.jpg") as a, Image.open(out / "sub" / "b.png") as b:
        assert (a.size, b.mode) == ((1280, 640), "RGBA")
    made = sorted(p.name for p in out.rglob("*") if p.is_file())
    assert made == [".dandyroll.jsonl", "a.jpg", "b.png"]


def test_process_names_what_failed_and_does_the_rest(tmp_path: Path) -> None:
    good, bad, cut = tmp_path / "good.jpg", tmp_path / "bad.jpg", tmp_path / "cut.png"
    good.write_bytes(pictures.jpeg())
    bad.write_bytes(b"no picture")
    cut.write_bytes(pictures.broken_png())
    paths = [good, bad, cut, tmp_path / "missing.jpg", good]
    done = dandyroll("process", *paths, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert f"{bad}: unsupported_format:" in done.stderr
    assert f"{cut}: corrupt_image:" in done.stderr
    assert f"{tmp_path / 'missing.jpg'}: no_such_file:" in done.stderr
    assert f"{good}: same_name:" in done.stderr
    assert "1 processed, 4 failed" in done.stderr
    assert [p.name for p in (tmp_path / "out").glob("[!.]*")] == ["good.jpg"]


def test_process_never_overwrites_its_source(tmp_path: Path) -> None:
    source = tmp_path / "a.jpg"
    source.write_bytes(pictures.jpeg())
    done = dandyroll("process", source, "--out", tmp_path)
    assert done.returncode == 1
    assert source.read_bytes() == pictures.jpeg()


def test_the_server_ends_cleanly_when_told(tmp_path: Path) -> None:
    served = ServedHome(tmp_path, workers=1)
    served.start()
    client = Client.new(served)
    ids = [client.upload(pictures.jpeg(3000, 2000, seed)) for seed in range(6)]
    assert served.server is not None
    served.server.terminate()
    assert served.server.wait(timeout=20) == 0
    served.start()  # what was not done is done now, and no try was counted
    for image_id in ids:
        answer = client.processed(image_id)
        assert Image.open(io.BytesIO(answer.body)).size == (1280, 853)
    served.close()
