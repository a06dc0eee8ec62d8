"""TLS at home: files that are tried at start, and nothing off the machine without them."""

import json
import ssl
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from dandyroll.local.tls import check_exposure, is_loopback, read_tls, server_url
from dandyroll.settings import BadSetting, Settings
from tests.local.test_cli import dandyroll


@dataclass(frozen=True)
class Files:
    cert: Path
    key: Path
    other_key: Path
    locked_key: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("tls")
    made = Files(*(folder / f"{name}.pem" for name in ("cert", "key", "other", "locked")))
    new = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    name = "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    for command in (
        f"{new} {name} -keyout {made.key} -out {made.cert}",
        f"{new} {name} -keyout {made.other_key} -out {folder / 'unused.pem'}",
        f"openssl ec -in {made.key} -aes256 -passout pass:secret -out {made.locked_key}",
    ):
        subprocess.run(command.split(), check=True, capture_output=True)
    return made


def test_the_server_speaks_tls_and_says_so(tmp_path: Path, files: Files) -> None:
    command = [sys.executable, "-m", "dandyroll.cli", "serve", "--data", str(tmp_path)]
    command += ["--port", "0", "--workers", "1"]
    command += ["--tls-cert", str(files.cert), "--tls-key", str(files.key)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        url = line.split()[-1]
        assert url.startswith("https://127.0.0.1:"), line
        context = ssl.create_default_context(cafile=str(files.cert))
        with urllib.request.urlopen(f"{url}/health", context=context, timeout=30) as answer:
            assert json.load(answer)["status"] == "ok"
    finally:
        server.terminate()
        assert server.wait(timeout=20) == 0
        if server.stdout:
            server.stdout.close()


def test_files_that_cannot_be_used_are_named(tmp_path: Path, files: Files) -> None:
    def refused(cert: Path, key: Path) -> str:
        with pytest.raises(BadSetting) as caught:
            read_tls(Settings(tls_cert=cert, tls_key=key))
        return str(caught.value)

    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("no certificate")
    assert "is not the key of the certificate" in refused(files.cert, files.other_key)
    assert "is encrypted" in refused(files.cert, files.locked_key)
    assert "tls_cert: expected a PEM certificate" in refused(rubbish, files.key)
    assert "tls_key: expected a PEM private key" in refused(files.cert, rubbish)
    assert "cannot be read (No such file" in refused(files.cert, tmp_path / "missing.pem")
    assert refused(files.cert, Path()).startswith("tls_key: expected both")
    assert refused(Path(), files.key).startswith("tls_cert: expected both")


def test_a_bad_certificate_stops_the_start(tmp_path: Path, files: Files) -> None:
    done = dandyroll(
        "serve", "--data", tmp_path / "data", "--port", "0",
        "--tls-cert", files.cert, "--tls-key", files.other_key,
    )  # fmt: skip
    assert done.returncode == 2
    assert "is not the key of the certificate" in done.stderr
    assert not (tmp_path / "data").exists()


def test_off_loopback_without_tls_is_refused_unless_told(tmp_path: Path, files: Files) -> None:
    done = dandyroll("serve", "--data", tmp_path / "data", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 2
    assert "host 0.0.0.0: off this machine" in done.stderr
    assert "--insecure" in done.stderr
    check_exposure(Settings(host="0.0.0.0", allow_plain_http=True))
    check_exposure(Settings(host="0.0.0.0", tls_cert=files.cert, tls_key=files.key))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.0.2.7", False),
        ("no such host", False),
    ],
)
def test_what_counts_as_this_machine(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_the_url_is_one_that_clients_can_use(files: Files) -> None:
    tls = read_tls(Settings(tls_cert=files.cert, tls_key=files.key))
    assert server_url("::1", 80, None) == "http://[::1]:80"
    assert server_url("pictures.example", 443, tls) == "https://pictures.example:443"
    assert "0.0.0.0" not in server_url("0.0.0.0", 443, tls)
