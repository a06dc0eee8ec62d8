"""`doctor`: each thing wrong with a machine is seen, and told with its fix."""

import json
import resource
import shutil
import socket
import subprocess
import time
from collections import namedtuple
from pathlib import Path

import pytest

from dandyroll.local import doctor
from dandyroll.local.disk import file_system, try_writes
from dandyroll.local.doctor import CHECKS, Check, examine, existing, has_wal_reset_bug
from dandyroll.settings import Settings
from tests import pictures
from tests.local.kept_home import accept, open_kept_home
from tests.local.served_home import free_port, open_served_home
from tests.local.test_cli import dandyroll

MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:25 / /proc rw,nosuid - proc proc rw
40 22 0:40 / /srv/shop rw,relatime shared:9 - nfs4 nas:/shop rw,vers=4.2
41 40 254:3 / /srv/shop/local rw,relatime - xfs /dev/vdb rw
42 22 0:41 / /mnt/my\040disk rw,relatime - cifs //nas/pictures rw
43 22 0:42 / /over rw,relatime - ext4 /dev/vdc rw
44 22 0:43 / /over rw,relatime - tmpfs tmpfs rw
""".strip()


def check(name: str, settings: Settings) -> Check:
    return next(found for found in examine(settings) if found.name == name)


def settings_on(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", port=free_port())


@pytest.mark.parametrize(
    ("version", "has_bug"),
    [
        ("3.6.23", False),
        ("3.7.0", True),
        ("3.40.1", True),
        ("3.44.5", True),
        ("3.44.6", False),
        ("3.45.0", True),
        ("3.50.6", True),
        ("3.50.7", False),
        ("3.51.2", True),
        ("3.51.3", False),
        ("3.54.1", False),
    ],
)
def test_the_versions_of_sqlite_that_may_lose_commits(version: str, has_bug: bool) -> None:
    assert has_wal_reset_bug(version) is has_bug


def test_an_old_sqlite_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check("sqlite", settings_on(tmp_path)).state == "ok"
    monkeypatch.setattr("apsw.sqlite_lib_version", lambda: "3.40.1")
    assert check("sqlite", settings_on(tmp_path)).state == "wrong"


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/shop", "nfs4"),
        ("/srv/shop/data", "nfs4"),
        ("/srv/shop/local/data", "xfs"),
        ("/srv/shopping", "ext4"),
        ("/mnt/my disk/data", "cifs"),
        ("/over/data", "tmpfs"),
    ],
)
def test_the_file_system_under_a_folder(tmp_path: Path, folder: str, kind: str) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    assert file_system(Path(folder), tmp_path / "mountinfo") == kind
    assert file_system(Path(folder), tmp_path / "none") == ""


@pytest.mark.parametrize(
    ("kind", "state"),
    [("ext4", "ok"), ("nfs4", "wrong"), ("cifs", "wrong"), ("fuse.sshfs", "wrong"),
     ("tmpfs", "wrong"), ("", "ok")],
)  # fmt: skip
def test_a_disk_that_does_not_hold_what_we_rely_on_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, state: str
) -> None:
    monkeypatch.setattr(doctor, "file_system", lambda folder: kind)
    found = check("disk", settings_on(tmp_path))
    assert found.state == state
    assert bool(found.fix) == (state == "wrong")


def test_a_disk_without_hard_links_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(1, "Operation not permitted")

    assert try_writes(tmp_path) == ""
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("os.link", refuse)
    assert try_writes(tmp_path) == "hard links fail (Operation not permitted)"
    assert check("disk", settings_on(tmp_path)).state == "wrong"


@pytest.mark.parametrize(
    ("free", "state"), [(500_000_000, "wrong"), (5_000_000_000, "note"), (50_000_000_000, "ok")]
)
def test_free_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(100_000_000_000, 0, free))
    assert check("free space", settings_on(tmp_path)).state == state


def test_a_folder_that_others_may_read_is_noted(tmp_path: Path) -> None:
    settings = settings_on(tmp_path)
    with open_kept_home(settings.data_dir):
        pass
    settings.data_dir.chmod(0o755)
    assert check("permissions", settings).state == "note"
    settings.data_dir.chmod(0o700)
    assert check("permissions", settings).state == "ok"


def test_a_folder_of_another_user_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_on(tmp_path)
    with open_kept_home(settings.data_dir):
        pass
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    assert check("permissions", settings).state == "wrong"


def test_a_clock_that_went_back_is_wrong(tmp_path: Path) -> None:
    settings = settings_on(tmp_path)
    with open_kept_home(settings.data_dir) as upkeep:
        accept(upkeep, "a.jpg", pictures.jpeg(40, 30))
        assert check("clock", settings).state != "wrong"
        sql = 'UPDATE "image-metadata" SET uploaded_at = uploaded_at + 3600'
        upkeep.database.write(lambda connection: connection.execute(sql))
        assert check("clock", settings).state == "wrong"


def test_a_taken_port_is_wrong_unless_it_is_our_server(tmp_path: Path) -> None:
    settings = settings_on(tmp_path)
    assert check("port", settings).state == "ok"
    with socket.create_server(("127.0.0.1", settings.port)):
        assert check("port", settings).state == "wrong"
    with open_served_home(tmp_path / "data", workers=1) as served:
        ours = Settings(data_dir=tmp_path / "data", port=served.port)
        assert check("port", ours).state == "ok"
        assert "a Dandyroll server answers" in check("port", ours).says


def test_tls_that_cannot_work_is_wrong(tmp_path: Path) -> None:
    assert check("tls", settings_on(tmp_path)).state == "ok"
    bare = Settings(data_dir=tmp_path, host="192.0.2.1")
    assert "unencrypted" in check("tls", bare).says
    missing = Settings(data_dir=tmp_path, tls_cert=tmp_path / "a", tls_key=tmp_path / "b")
    assert check("tls", missing).state == "wrong"


@pytest.mark.parametrize(
    ("passed_days", "state", "says"),
    [(0, "ok", "until 20"), (10, "note", "19 days more"), (31, "wrong", "expired")],
)
def test_a_certificate_that_ends_soon_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passed_days: int, state: str, says: str
) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=here"
    subprocess.run(
        [*command.split(), "-days", "30", "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    key.chmod(0o600)
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + passed_days * 86_400)
    found = check("tls", Settings(data_dir=tmp_path, tls_cert=cert, tls_key=key))
    assert (found.state, bool(found.fix)) == (state, state != "ok")
    assert says in found.says


def test_few_open_files_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 4096))
    found = check("open files", settings_on(tmp_path))
    assert found.state == "note"
    assert "LimitNOFILE" in found.fix


def test_a_check_that_breaks_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: object) -> object:
        raise RuntimeError("odd machine")

    monkeypatch.setattr(shutil, "disk_usage", broken)
    found = check("free space", settings_on(tmp_path))
    assert found.state == "wrong"
    assert "odd machine" in found.says


def test_whatever_is_not_ok_has_its_fix(tmp_path: Path) -> None:
    found = examine(settings_on(tmp_path))
    assert len(found) == len(CHECKS)
    assert all(bool(check.fix) == (check.state != "ok") for check in found)
    assert not (tmp_path / "data").exists()
    assert existing(tmp_path / "a" / "b") == tmp_path.resolve()


def test_the_command_prints_all_and_its_exit_code_says_whether_anything_is_wrong(
    tmp_path: Path,
) -> None:
    port = str(free_port())
    good = dandyroll("doctor", "--data", tmp_path / "data", DANDYROLL_PORT=port)
    assert good.returncode == 0, good.stdout
    assert "ok     sqlite: 3." in good.stdout
    bad = dandyroll("doctor", "--data", tmp_path / "data", "--json", DANDYROLL_HOST="192.0.2.1")
    assert bad.returncode == 1
    wrong = {check["name"] for check in json.loads(bad.stdout) if check["state"] == "wrong"}
    assert "tls" in wrong
