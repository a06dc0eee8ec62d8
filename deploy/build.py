"""Build the zip that all functions share: build/functions.zip, the same bytes from the same inputs.

    python deploy/build.py [--python 3.13] [--arch arm64 | x86_64 | host]

`host` is for the machine and the Python this runs on, as the emulator's functions need it.
Needs pip, setuptools and wheel (requirements-build.lock): pyvips comes as source and is built
here, to a wheel without compiled parts; everything else comes as a wheel for the target.
"""

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
LOCK = ROOT / "requirements-lambda.lock"
PACKAGE = ROOT / "src" / "dandyroll"
MAX_ZIP_BYTES = 25_000_000

_NOT_ON_AWS = ("local", "web", "cli.py", "__pycache__")
_FROM_SOURCE = "pyvips"
_LONG_AGO = (2020, 1, 1, 0, 0, 0)  # a zip holds times; a constant one keeps its bytes the same
_GLIBC_MINORS = range(17, 35)  # Amazon Linux 2023 has glibc 2.34; wheels for older ones do


def build(python: str, arch: str, target: Path, extra: Mapping[str, Path] | None = None) -> Path:
    """Write the zip to `target`. `extra` files go into its top folder, under the given names.

    Raises `ValueError` if it is larger than we want to have it.
    """
    files = {path.relative_to(PACKAGE.parent): path for path in _product_files()}
    dependencies = _dependencies(python, arch)
    for path in sorted(dependencies.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            files[path.relative_to(dependencies)] = path
    for name, path in (extra or {}).items():
        files[Path(name)] = path
    target.parent.mkdir(parents=True, exist_ok=True)
    _write_zip(target, files)
    size_bytes = target.stat().st_size
    if size_bytes > MAX_ZIP_BYTES:
        raise ValueError(f"Expected at most {MAX_ZIP_BYTES} bytes; got {size_bytes}: {target}")
    return target


def _product_files() -> list[Path]:
    return [
        path
        for path in sorted(PACKAGE.rglob("*"))
        if path.is_file() and not set(path.relative_to(PACKAGE).parts) & set(_NOT_ON_AWS)
    ]


def _dependencies(python: str, arch: str) -> Path:
    """The folder with the locked packages for that Python and machine, made if need be."""
    machine = f"{platform.system()}-{platform.machine()}" if arch == "host" else arch
    inputs = f"{LOCK.read_text('utf-8')} {python} {machine}"
    folder = BUILD / "functions" / hashlib.sha256(inputs.encode()).hexdigest()[:16]
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / "packages"
        source, wheels = _split_lock(Path(scratch))
        _pip("wheel", "--no-deps", "--no-build-isolation", "--require-hashes",
             "--wheel-dir", scratch, "-r", str(source))  # fmt: skip
        _pip("install", "--no-deps", "--no-compile", "--require-hashes",
             "--only-binary", ":all:", "--target", str(made), *_platform(python, arch),
             "-r", str(wheels))  # fmt: skip
        (built,) = Path(scratch).glob("*.whl")
        if not built.name.endswith("-none-any.whl"):
            raise ValueError(f"Expected a wheel without compiled parts; got {built.name}.")
        with zipfile.ZipFile(built) as wheel:
            wheel.extractall(made)
        shutil.rmtree(made / "bin", ignore_errors=True)
        made.rename(folder)
    return folder


def _split_lock(scratch: Path) -> tuple[Path, Path]:
    """The lock in two: what is built from source, and what comes as a wheel.

    pip holds markers against the Python it runs on, whatever `--python-version` says. So they
    go: a package that some Python can do without is there for all, and the zip holds the same
    files wherever it was built.
    """
    lock = re.sub(r" ; .*(?= \\$)", "", LOCK.read_text("utf-8").strip(), flags=re.MULTILINE)
    entries = re.split(r"\n(?=\S)", lock)
    is_source = re.compile(rf"{_FROM_SOURCE}==").match
    source, wheels = scratch / "source.lock", scratch / "wheels.lock"
    source.write_text("\n".join(e for e in entries if is_source(e)) + "\n", "utf-8")
    wheels.write_text("\n".join(e for e in entries if not is_source(e)) + "\n", "utf-8")
    return source, wheels


def _platform(python: str, arch: str) -> list[str]:
    if arch == "host":
        return []
    machine = {"arm64": "aarch64", "x86_64": "x86_64"}[arch]
    tags = [f"manylinux_2_{minor}_{machine}" for minor in reversed(_GLIBC_MINORS)]
    chosen = [part for tag in tags for part in ("--platform", tag)]
    return ["--python-version", python, "--implementation", "cp", *chosen]


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True)


def _write_zip(target: Path, files: Mapping[Path, Path]) -> None:
    part = target.with_suffix(f".{os.getpid()}.part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(files.items()):
            info = zipfile.ZipInfo(name.as_posix(), _LONG_AGO)
            info.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes())
    part.replace(target)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", default="3.13", help="the functions' Python")
    parser.add_argument("--arch", default="arm64", choices=("arm64", "x86_64", "host"))
    given = parser.parse_args()
    target = build(given.python, given.arch, BUILD / "functions.zip")
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
