"""`dandyroll doctor`: what about this machine would hurt later, each with its fix."""

import ctypes
import json
import os
import platform
import resource
import shutil
import socket
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import apsw

from dandyroll.imaging.header import LOADERS
from dandyroll.imaging.vips import pyvips
from dandyroll.local.confine import NONE, confinement
from dandyroll.local.disk import NETWORK, VOLATILE, file_system, try_writes
from dandyroll.local.home import CATALOGUE
from dandyroll.local.tls import check_exposure, expires_at, read_tls, server_url
from dandyroll.settings import BadSetting, Settings

_LEAST_FREE_BYTES = 1_000_000_000
_LEAST_FREE_PCT = 10
_LEAST_FILES = 4096
_RENEW_DAYS = 21
_NEWEST_TESTED_PYTHON = (3, 14)
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_READABLE_BY_OTHERS = 0o077


@dataclass(frozen=True)
class Check:
    """One thing looked at. `fix` says what to do where it is not `ok`."""

    name: str
    state: Literal["ok", "note", "wrong"]
    says: str
    fix: str = ""


def examine(settings: Settings) -> list[Check]:
    """Look at everything; leave nothing changed. Every check answers, whatever it meets."""
    return [_guarded(check, settings) for check in CHECKS]


def _guarded(check: Callable[[Settings], Check], settings: Settings) -> Check:
    try:
        return check(settings)
    except Exception as error:  # a check that fails is a finding too
        name = check.__name__.removeprefix("_check_").replace("_", " ")
        return Check(name, "wrong", f"cannot be checked: {error!r}", "Report this as a bug.")


def _check_python(settings: Settings) -> Check:
    says = f"{platform.python_implementation()} {platform.python_version()}"
    if sys.version_info[:2] > _NEWEST_TESTED_PYTHON:
        newest = ".".join(map(str, _NEWEST_TESTED_PYTHON))
        return Check("python", "note", f"{says}, on which this version is not tested",
                     f"make clean setup PYTHON=python{newest}")  # fmt: skip
    return Check("python", "ok", says)


def _check_sqlite(settings: Settings) -> Check:
    version = apsw.sqlite_lib_version()
    says = f"{version}, in apsw {apsw.apsw_version()}"
    if has_wal_reset_bug(version):
        says += "; with several connections it can lose committed writes (the WAL-reset bug)"
        return Check(
            "sqlite", "wrong", says, "make clean setup: the locked apsw has 3.51.3 or newer."
        )
    return Check("sqlite", "ok", says)


def has_wal_reset_bug(version: str) -> bool:
    """SQLite 3.7.0 to 3.51.2, but for the corrected 3.44.6 and 3.50.7 and their successors."""
    number = tuple(int(part) for part in version.split("."))
    corrected = any(fix <= number < (*fix[:2], 1000) for fix in ((3, 44, 6), (3, 50, 7)))
    return (3, 7, 0) <= number < (3, 51, 3) and not corrected


def _check_libvips(settings: Settings) -> Check:
    version = ".".join(str(pyvips.version(part)) for part in range(3))
    says = f"{version}, pyvips {pyvips.__version__}; loads {', '.join(LOADERS)}"
    missing = [name for name in LOADERS if not _has_loader(name)]
    if missing:
        says = f"{version} cannot load {', '.join(missing)}"
        return Check(
            "libvips", "wrong", says, "make clean setup: the locked pyvips-binary has all."
        )
    return Check("libvips", "ok", says)


def _has_loader(image_format: str) -> bool:
    operation = {"HEIC": "heif", "AVIF": "heif", "MPO": "jpeg"}.get(image_format, image_format)
    return bool(pyvips.type_find("VipsOperation", f"{operation.lower()}load_buffer"))


def _check_disk(settings: Settings) -> Check:
    folder = existing(settings.data_dir)
    kind = file_system(folder)
    says = f"{folder} is on {kind or 'a file system of unknown kind'}"
    if kind in NETWORK or kind.startswith("fuse."):
        says += ": over a network, locks and fsync do not hold what SQLite needs"
        return Check("disk", "wrong", says, "Move the data folder to a disk of this machine.")
    if kind in VOLATILE:
        fix = "Move the data folder, or mount a volume there: this one is gone at the next start."
        return Check("disk", "wrong", says + ", which does not outlive a restart", fix)
    if not os.access(folder, os.W_OK | os.X_OK):
        return Check("disk", "ok", says)  # told by the check of permissions
    refused = try_writes(folder)
    if refused:
        fix = "Move the data folder to a disk with ext4, XFS, Btrfs, ZFS or APFS."
        return Check("disk", "wrong", f"{says}, where {refused}", fix)
    return Check("disk", "ok", f"{says}; fsync, links and locks work")


def _check_free_space(settings: Settings) -> Check:
    folder = existing(settings.data_dir)
    usage, inodes = shutil.disk_usage(folder), os.statvfs(folder)
    free_pct = 100 * usage.free // (usage.total or 1)
    says = f"{usage.free // 1_000_000} MB ({free_pct} %) free at {folder}"
    fix = "Free some, move the data folder, or set keep_originals_days."
    if usage.free < _LEAST_FREE_BYTES:
        return Check("free space", "wrong", says, fix)
    if inodes.f_files and inodes.f_favail * 100 < inodes.f_files:
        return Check("free space", "wrong", f"{says}, but under 1 % of its inodes", fix)
    return Check(
        "free space",
        "note" if free_pct < _LEAST_FREE_PCT else "ok",
        says,
        fix * (free_pct < _LEAST_FREE_PCT),
    )


def _check_permissions(settings: Settings) -> Check:
    folder, user = existing(settings.data_dir), os.geteuid()
    says = f"{folder}, as user {user}"
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        fix = f"chown -R the folder to user {user}, or run as the user it belongs to."
        return Check("permissions", "wrong", f"{says}: may not be written to", fix)
    if folder != settings.data_dir:
        return Check("permissions", "ok", f"{says}: {settings.data_dir} can be made there")
    inside = [folder, folder / CATALOGUE, folder / "objects", folder / "objects" / ".tmp"]
    foreign = [path for path in inside if path.exists() and path.stat().st_uid != user]
    if foreign:
        fix = f"chown -R the folder to user {user}, or run as the user it belongs to."
        return Check("permissions", "wrong", f"{foreign[0]} belongs to another user", fix)
    if folder.stat().st_mode & _READABLE_BY_OTHERS:
        fix = f"chmod 700 {folder}: originals hold GPS positions."
        return Check("permissions", "note", f"{says}: other users may look into it", fix)
    return Check("permissions", "ok", says)


def _check_user(settings: Settings) -> Check:
    if os.geteuid() == 0:
        fix = "Run as a user of its own; docs/operations-local.md has a systemd unit."
        return Check("user", "note", "root: workers read strangers' files with all rights", fix)
    return Check("user", "ok", f"{os.geteuid()}, an ordinary one")


def _check_clock(settings: Settings) -> Check:
    now = time.time()
    says = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    fix = "Switch on time synchronisation: timedatectl set-ntp true."
    newest = _newest_upload(settings.data_dir / CATALOGUE)
    if newest > now + 60:
        return Check("clock", "wrong", f"{says}, but an image was uploaded after that", fix)
    if sys.platform == "linux":
        state = ctypes.create_string_buffer(512)  # struct timex, `modes` 0: only read
        if ctypes.CDLL(None).adjtimex(state) == _TIME_ERROR:
            return Check("clock", "note", f"{says}, not synchronised: keys expire by it", fix)
    return Check("clock", "ok", says)


def _newest_upload(catalogue: Path) -> int:
    if not catalogue.is_file() or not os.access(catalogue, os.R_OK):
        return 0
    connection = apsw.Connection(str(catalogue), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return int(
            str(connection.execute('SELECT max(uploaded_at) FROM "image-metadata"').get or 0)
        )
    except apsw.Error:
        return 0
    finally:
        connection.close()


def _check_tls(settings: Settings) -> Check:
    try:
        check_exposure(settings)
        tls = read_tls(settings)
    except BadSetting as error:
        return Check("tls", "wrong", str(error), "docs/operations-local.md, under TLS.")
    if tls is None:
        plain = "behind a proxy, as allow_plain_http says" if settings.allow_plain_http else ""
        return Check("tls", "ok", f"none; {plain or 'reached from this machine alone'}")
    if tls.key.stat().st_mode & _READABLE_BY_OTHERS & ~0o040:
        return Check("tls", "wrong", f"{tls.key} is open to all users", f"chmod 640 {tls.key}")
    return _check_expiry(tls.cert)


def _check_expiry(cert: Path) -> Check:
    ends_at = expires_at(cert)
    says = f"{cert} and its key, until {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(ends_at))}"
    fix = "Renew the certificate, then restart the server: it is read at the start alone."
    left_days = (ends_at - time.time()) / 86_400
    if left_days <= 0:
        return Check("tls", "wrong", f"{says}: expired, clients refuse it", fix)
    if left_days < _RENEW_DAYS:
        return Check("tls", "note", f"{says}: {int(left_days)} days more", fix)
    return Check("tls", "ok", says)


def _check_port(settings: Settings) -> Check:
    where = f"{settings.host}:{settings.port}"
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        socket.create_server((settings.host, settings.port), family=family).close()
    except OSError as error:
        if _is_ours(settings):
            return Check("port", "ok", f"{where}: a Dandyroll server answers there")
        fix = "End what listens there, or choose another: --port, or the setting port."
        return Check("port", "wrong", f"{where}: {error.strerror}", fix)
    return Check("port", "ok", f"{where} is free")


def _is_ours(settings: Settings) -> bool:
    tls = None if settings.tls_cert == Path() else read_tls(settings)
    context = ssl._create_unverified_context()  # noqa: S323 - asked who it is, told nothing
    url = f"{server_url(settings.host, settings.port, tls)}/health"
    try:
        with urllib.request.urlopen(url, timeout=2, context=context) as answer:  # noqa: S310 - http
            return bool(json.loads(answer.read(10_000)).get("home") == "local")
    except (OSError, ValueError, AttributeError):
        return False


def _check_open_files(settings: Settings) -> Check:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _LEAST_FILES:
        fix = f"LimitNOFILE={_LEAST_FILES * 4} in the systemd unit, or ulimit -n {_LEAST_FILES}."
        return Check("open files", "note", f"{soft}: so many clients and no more at once", fix)
    return Check("open files", "ok", str(soft))


def _check_confinement(settings: Settings) -> Check:
    holds = confinement()
    lacking = [bound for bound, means in holds.items() if means == NONE]
    if lacking:
        fix = (
            "Use Linux 5.13 or newer with Landlock and seccomp; docs/limits.md says what each does."
        )
        return Check("confinement", "note", f"nothing bounds workers in: {', '.join(lacking)}", fix)
    return Check("confinement", "ok", ", ".join(sorted(set(holds.values()))))


def existing(folder: Path) -> Path:
    """The folder, or where it is not there yet, the nearest above it that is."""
    folder = folder.resolve()
    return folder if folder.is_dir() or folder == folder.parent else existing(folder.parent)


CHECKS: tuple[Callable[[Settings], Check], ...] = (
    _check_python,
    _check_sqlite,
    _check_libvips,
    _check_disk,
    _check_free_space,
    _check_permissions,
    _check_user,
    _check_clock,
    _check_tls,
    _check_port,
    _check_open_files,
    _check_confinement,
)
