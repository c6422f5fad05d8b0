"""The bond with the process that started this one."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

__all__ = ["end_with_input", "end_with_parent"]

PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """The kernel ends this process with its parent, even while it hangs in native code.

    Ctrl-C in a terminal is for the parent, which ends its children in order.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_with_input() -> None:
    """A thread ends this process when its standard input closes, even before the kernel would.

    For a process without an event loop, whose parent may be gone before it has said a word.
    """

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
