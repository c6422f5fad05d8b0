"""Landlock: the calling thread, and all it starts, may change files only where it is said.

Reading is left alone. Kernels since 5.13 have it; each later version knows more rights, and what a
kernel does not know it does not restrict (linux/landlock.h has the numbers).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

from llamawire.worker.kernel import KernelError, syscall

__all__ = ["IOCTL_DEV", "MAKE_SOCK", "TRUNCATE", "WRITE_FILE", "restrict", "version"]

# These have one number on every machine.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
GET_VERSION = 1
RULE_PATH_BENEATH = 1

WRITE_FILE = 1 << 1
REMOVE_DIR, REMOVE_FILE = 1 << 4, 1 << 5
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK = 1 << 6, 1 << 7, 1 << 8, 1 << 9
MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = 1 << 10, 1 << 11, 1 << 12
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
MAKE = MAKE_CHAR | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_BLOCK | MAKE_SYM
BIND_TCP, CONNECT_TCP = 1 << 0, 1 << 1
ABSTRACT_UNIX_SOCKET, SIGNAL = 1 << 0, 1 << 1

# The version that first knew them, and the rights.
FILES = (
    (1, WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE),
    (2, REFER),
    (3, TRUNCATE),
    (5, IOCTL_DEV),
)
NETWORK = ((4, BIND_TCP | CONNECT_TCP),)
# Of what is not a file: abstract sockets of others, and signals to them.
SCOPES = ((6, ABSTRACT_UNIX_SOCKET | SIGNAL),)


class Ruleset(ctypes.Structure):
    """struct landlock_ruleset_attr"""

    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scopes", ctypes.c_uint64),
    )


class Beneath(ctypes.Structure):
    """struct landlock_path_beneath_attr, which is packed: its 12 bytes end before the padding."""

    _fields_ = (("rights", ctypes.c_uint64), ("folder", ctypes.c_int32))


def version() -> int:
    """What this kernel has; 0 for nothing."""
    try:
        return syscall(CREATE_RULESET, None, 0, GET_VERSION)
    except KernelError:
        return 0


def restrict(allowed: Iterable[tuple[Path, int]]) -> None:
    """From now on only `allowed` changes: files or folders, each with its rights. KernelError.

    The thread must have promised PR_SET_NO_NEW_PRIVS.
    """
    now = version()
    handled = Ruleset(known(FILES, now), known(NETWORK, now), known(SCOPES, now))
    ruleset = syscall(CREATE_RULESET, ctypes.byref(handled), ctypes.sizeof(handled), 0)
    try:
        for path, rights in allowed:
            folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                rule = Beneath(rights & handled.files, folder)
                syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, ctypes.byref(rule), 0)
            finally:
                os.close(folder)
        syscall(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def known(rights: Iterable[tuple[int, int]], now: int) -> int:
    return sum(bits for since, bits in rights if now >= since)
