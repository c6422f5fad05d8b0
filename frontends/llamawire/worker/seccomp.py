"""A filter of system calls: what is on the list fails with EPERM, all else works.

A list of what is allowed would break with every new libc and driver. So this one has what reaches
beyond the process: the network, other processes, other programs, and the kernel's own machinery.
"""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import struct
from dataclasses import dataclass

from llamawire.worker.kernel import KernelError, prctl, syscall

__all__ = ["Machine", "is_available", "machine", "restrict"]

PR_GET_SECCOMP = 21
SET_MODE_FILTER, SPEC_ALLOW = 1, 1 << 2
"""Without the flag, kernels before 5.16 slow a filtered process down as if it ran strangers' code
beside its secrets."""
ALLOW, FAIL = 0x7FFF_0000, 0x0005_0000 | 1  # SECCOMP_RET_ERRNO with EPERM
NOBODY = 0x0005_0000 | 2
"""ENOENT: what a connect gets. CUDA did not start where sockets failed with EPERM; it is said to
look for its multi-process service, and to be content with none. No GPU has confirmed this yet."""
# Instructions of classic BPF: load a word, jump, return, and.
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, RETURN, AND = 0x20, 0x15, 0x35, 0x06, 0x54
# Where struct seccomp_data has the number, the machine, and the low words of two arguments.
NUMBER, ARCHITECTURE, FIRST, SECOND = 0, 4, 16, 24
X32 = 0x4000_0000
"""Numbers from here on are another table of x86-64's."""
SOCKET_TYPE_MASK = 0xF

COMMON = {
    # Calls that are newer than the machines' own tables have one number everywhere.
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426,
    "io_uring_register": 427, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431,
    "fsmount": 432, "fspick": 433, "pidfd_getfd": 438, "mount_setattr": 442, "fchmodat2": 452,
    "setxattrat": 463, "removexattrat": 466,
}  # fmt: skip
X86_64 = COMMON | {
    "execve": 59, "execveat": 322,
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "tkill": 200,
    "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297,
    "bpf": 321, "perf_event_open": 298, "userfaultfd": 323,
    "add_key": 248, "request_key": 249, "keyctl": 250,
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308,
    "kexec_load": 246, "kexec_file_load": 320,
    "init_module": 175, "finit_module": 313, "delete_module": 176,
    "chmod": 90, "fchmod": 91, "fchmodat": 268,
    "chown": 92, "fchown": 93, "lchown": 94, "fchownat": 260,
    "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190,
    "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199,
    "utime": 132, "utimes": 235, "futimesat": 261, "utimensat": 280,
}  # fmt: skip
AARCH64 = COMMON | {
    "execve": 221, "execveat": 281,
    "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "tkill": 130,
    "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240,
    "bpf": 280, "perf_event_open": 241, "userfaultfd": 282,
    "add_key": 217, "request_key": 218, "keyctl": 219,
    "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "unshare": 97, "setns": 268,
    "kexec_load": 104, "kexec_file_load": 294,
    "init_module": 105, "finit_module": 273, "delete_module": 106,
    "fchmod": 52, "fchmodat": 53, "fchown": 55, "fchownat": 54,
    "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7,
    "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16, "utimensat": 88,
}  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """A table of system calls: AUDIT_ARCH's number, what is denied, and what is looked at."""

    architecture: int
    denied: dict[str, int]
    seccomp: int
    socket: int
    connect: int
    kill: int
    tgkill: int


MACHINES = {
    "x86_64": Machine(0xC000_003E, X86_64, seccomp=317, socket=41, connect=42, kill=62, tgkill=234),
    "aarch64": Machine(
        0xC000_00B7, AARCH64, seccomp=277, socket=198, connect=203, kill=129, tgkill=131
    ),
}


def machine() -> Machine | None:
    """This one's table, if it is known."""
    return MACHINES.get(platform.machine())


def is_available() -> bool:
    """Whether the kernel has filters; asks for nothing."""
    try:
        prctl(PR_GET_SECCOMP)
    except KernelError:
        return False
    return True


def restrict(of: Machine) -> None:
    """From now on the calling thread, and all it starts, cannot do what is denied. KernelError.

    The thread must have promised PR_SET_NO_NEW_PRIVS.
    """
    code = program(of, os.getpid())
    instructions = ctypes.create_string_buffer(code, len(code))
    head = Program(len(code) // 8, ctypes.cast(instructions, ctypes.c_void_p))
    syscall(of.seccomp, SET_MODE_FILTER, SPEC_ALLOW, ctypes.byref(head))


class Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def program(of: Machine, pid: int) -> bytes:
    """The instructions. Jumps count the instructions that they leap over."""
    numbers = sorted(of.denied.values())
    own = [one(LOAD, FIRST), one(JUMP_EQUAL, pid, 0, 1), one(RETURN, ALLOW), one(RETURN, FAIL)]
    # Of these two kinds none can do anything before it is connected.
    streams = [
        one(LOAD, FIRST),
        one(JUMP_EQUAL, socket.AF_UNIX, 0, 5),
        one(LOAD, SECOND),
        one(AND, SOCKET_TYPE_MASK),
        one(JUMP_EQUAL, socket.SOCK_STREAM, 1, 0),
        one(JUMP_EQUAL, socket.SOCK_SEQPACKET, 0, 1),
        one(RETURN, ALLOW),
        one(RETURN, FAIL),
    ]
    # Behind the comparisons stand, in this order: allow, fail, nobody, `own`, `streams`.
    allow = 0
    fail, nobody, signals = allow + 1, allow + 2, allow + 3
    sockets = signals + len(own)
    compared = [
        (of.socket, sockets), (of.connect, nobody), (of.kill, signals), (of.tgkill, signals),
    ]  # fmt: skip
    compared += [(number, fail) for number in numbers]
    left = len(compared)
    code = [
        one(LOAD, ARCHITECTURE),
        one(JUMP_EQUAL, of.architecture, 1, 0),
        one(RETURN, FAIL),
        one(LOAD, NUMBER),
        one(JUMP_AT_LEAST, X32, left + fail, 0),
    ]
    for number, target in compared:
        left -= 1
        code.append(one(JUMP_EQUAL, number, left + target, 0))
    ends = [one(RETURN, ALLOW), one(RETURN, FAIL), one(RETURN, NOBODY)]
    return b"".join([*code, *ends, *own, *streams])


def one(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """struct sock_filter"""
    return struct.pack("=HBBI", operation, if_true, if_false, value)
