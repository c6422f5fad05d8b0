"""Calls of Linux that Python has no names for."""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Any

__all__ = ["KernelError", "drop_capabilities", "prctl", "syscall"]

CAPGET, CAPSET = {"x86_64": (125, 126), "aarch64": (90, 91)}.get(platform.machine(), (0, 0))
CAPABILITY_VERSION_3 = 0x2008_0522
KEPT_CAPABILITIES = 1 << 2
"""CAP_DAC_READ_SEARCH: a root that reads models of other users still does."""


_libc = ctypes.CDLL(None, use_errno=True)


class KernelError(OSError):
    """The kernel refused a call; `errno` says why."""


def syscall(number: int, *arguments: Any) -> int:
    """KernelError if it fails. Whole numbers are handed over as 64 bits."""
    return _checked(_libc.syscall(ctypes.c_long(number), *map(_wide, arguments)))


def prctl(option: int, *arguments: Any) -> int:
    """Arguments that are not given are 0, which some options insist on."""
    padded = (*arguments, 0, 0, 0, 0)[:4]
    return _checked(_libc.prctl(option, *map(_wide, padded)))


def drop_capabilities() -> None:
    """Root's power over others; nothing for everybody else, who has none."""
    if not CAPSET:
        return
    head = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    # Effective, permitted and inheritable: the low halves, then the high ones.
    sets = (ctypes.c_uint32 * 6)()
    syscall(CAPGET, ctypes.byref(head), ctypes.byref(sets))
    kept = [each & KEPT_CAPABILITIES for each in sets[:2]]
    sets[:] = [*kept, 0, 0, 0, 0]
    syscall(CAPSET, ctypes.byref(head), ctypes.byref(sets))


def _wide(argument: Any) -> Any:
    return ctypes.c_ulong(argument) if isinstance(argument, int) else argument


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise KernelError(number, os.strerror(number))
    return result
