"""Landlock: the kernel lets this process write only in the folders it is told (Linux 5.19).

Through the plain system calls, whose numbers are the same on every processor; see landlock(7).
"""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE = 1 << 0, 1 << 1
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_CHAR, _MAKE_DIR, _MAKE_REG, _MAKE_SOCK = 1 << 6, 1 << 7, 1 << 8, 1 << 9
_MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM = 1 << 10, 1 << 11, 1 << 12
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_BIND_TCP, _CONNECT_TCP = 1, 2
_ABSTRACT_SOCKET, _SIGNAL = 1, 2

_IN_A_FOLDER = _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER
_REFUSED = _IN_A_FOLDER | _EXECUTE | _MAKE_CHAR | _MAKE_SOCK | _MAKE_FIFO | _MAKE_BLOCK | _MAKE_SYM

_LEAST_ABI = 2  # the first that can let a file be renamed from one folder to another


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),  # from ABI 4
        ("scoped", ctypes.c_uint64),  # from ABI 6
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def landlock_abi() -> int:
    """What the kernel's Landlock can do, as it counts; 0 where there is none, or too old a one."""
    if os.uname().sysname != "Linux":
        return 0
    found: int = ctypes.CDLL(None).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG)
    return found if found >= _LEAST_ABI else 0


def allow_writes_only_in(folders: Iterable[Path], files: Iterable[Path] = ()) -> None:
    """From now on: no write but in these folders and to these files, and no program started.

    Also, as far as the kernel knows how: no TCP, no signal to a process that is not so bound.
    Reading stays free. Holds for this thread and what it starts, for good. Needs
    `no_new_privs`, and a kernel whose `landlock_abi` is not 0. Raises `OSError`.
    """
    abi = landlock_abi()
    to_files = _WRITE_FILE | (_TRUNCATE if abi >= 3 else 0)
    refused = _REFUSED | to_files | (_IOCTL_DEV if abi >= 5 else 0)
    network = _BIND_TCP | _CONNECT_TCP if abi >= 4 else 0
    rules = _Ruleset(refused, network, _ABSTRACT_SOCKET | _SIGNAL if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = _call(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), 0)
    try:
        for folder in folders:
            _allow(ruleset, folder, _IN_A_FOLDER | to_files)
        for file in files:
            _allow(ruleset, file, to_files)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, access: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathBeneath(access, descriptor)
        _call(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    result: int = ctypes.CDLL(None, use_errno=True).syscall(number, *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock system call {number}: {os.strerror(error)}")
    return result
