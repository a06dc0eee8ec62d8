"""Seccomp: the kernel refuses this process the calls that no work on a picture needs.

No socket of any kind, no other process started, looked into, limited or signalled, no
namespaces, no mounts, none of the kernel's large and rarely used doors (io_uring would even be
a way around the filter). A refused call fails with EPERM, as it does for who lacks a right.
"""

import ctypes
import errno
import os
import struct

_SET_MODE_FILTER, _GET_ACTION_AVAIL = 1, 2
_TSYNC = 1  # all threads of the process

_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_CLONE_THREAD = 0x00010000
_X32 = 0x40000000  # numbers of another calling convention of x86-64

# By name: the call's number on x86-64 and on arm64; None where it has none.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "tkill": (200, 130),
    "pidfd_send_signal": (424, 424),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "memfd_create": (319, 279),
    "shmget": (29, 194),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "setns": (308, 268),
    "chroot": (161, 51),
    "pivot_root": (155, 41),
    "mount": (165, 40),
    "umount2": (166, 39),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    "personality": (135, 92),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
}
_ONLY_ON_ITSELF = {  # calls whose first argument is a process
    "kill": (62, 129),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "prlimit64": (302, 261),
}
_PRLIMIT64, _CLONE, _CLONE3 = (302, 261), (56, 220), (435, 435)

# Name of the machine: its column above, its AUDIT_ARCH, the number of seccomp(2).
_MACHINES = {"x86_64": (0, 0xC000003E, 317), "aarch64": (1, 0xC00000B7, 277)}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def has_seccomp() -> bool:
    """Whether the kernel takes filters, and we know its processor's numbers."""
    system = os.uname()
    if system.sysname != "Linux" or system.machine not in _MACHINES or not _is_64_bit():
        return False
    call = _MACHINES[system.machine][2]
    action = ctypes.c_uint32(_ERRNO)
    found: int = ctypes.CDLL(None).syscall(call, _GET_ACTION_AVAIL, 0, ctypes.byref(action))
    return found == 0


def refuse_calls() -> None:
    """Refuse this process the calls from now on, for good. Needs `no_new_privs`; `OSError`."""
    column, architecture, call = _MACHINES[os.uname().machine]
    code = _filter(column, architecture, os.getpid())
    program = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(call, _SET_MODE_FILTER, _TSYNC, ctypes.byref(program)) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"seccomp: {os.strerror(error)}")


def _filter(column: int, architecture: int, pid: int) -> bytes:
    refuse = _step(_RETURN, _ERRNO | errno.EPERM)
    allow = _step(_RETURN, _ALLOW)
    code = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_IF_EQUAL, architecture, 1, 0),
        _step(_RETURN, _KILL_PROCESS),
        _step(_LOAD, _NUMBER),
    ]
    if column == 0:
        code += [_step(_IF_AT_LEAST, _X32, 0, 1), refuse]
    for numbers in _REFUSED.values():
        if (number := numbers[column]) is not None:
            code += [_step(_IF_EQUAL, number, 0, 1), refuse]
    for numbers in _ONLY_ON_ITSELF.values():
        code += [_step(_IF_EQUAL, numbers[column], 0, 5), _step(_LOAD, _FIRST_ARGUMENT)]
        itself = (pid, 0) if numbers == _PRLIMIT64 else (pid, pid)  # 0 in kill(2) means the group
        code += [_step(_IF_EQUAL, itself[0], 1, 0), _step(_IF_EQUAL, itself[1], 0, 1)]
        code += [allow, refuse]
    # Threads may be made, processes not. What clone3 is to do lies in memory that no filter can
    # read; told that there is no such call, the C library falls back on clone.
    code += [_step(_IF_EQUAL, _CLONE3[column], 0, 1), _step(_RETURN, _ERRNO | errno.ENOSYS)]
    code += [_step(_IF_EQUAL, _CLONE[column], 0, 4), _step(_LOAD, _FIRST_ARGUMENT)]
    code += [_step(_IF_ANY_BIT, _CLONE_THREAD, 0, 1), allow, refuse]
    return b"".join([*code, allow])


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction of the filter; the two last say how many to skip."""
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _is_64_bit() -> bool:
    return struct.calcsize("P") == 8
