"""What a worker may not do, even if a model takes it over.

A GGUF file is untrusted and llama.cpp is large, so a worker gives up what it does not need before
it reads a byte of one, and before it has threads, since the kernel's rules are a thread's and its
children's:

* no change of files but its own socket's folder and what GPUs need (landlock.py);
* no sockets but connected Unix ones, and no connect: it answers, it calls nobody (seccomp.py);
* no exec, no signals to and no look into other processes, no capabilities if it is root;
* no core dumps, which would have prompts in them, and no more memory than it is told;
* the first to go when the machine's memory runs out, before the daemon.

Linux only. What a kernel lacks is told, not passed over.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from llamawire.worker import landlock, seccomp
from llamawire.worker.kernel import drop_capabilities, prctl

__all__ = ["add_arguments", "enter", "enter_as_told"]

PR_SET_NO_NEW_PRIVS = 38
CORE_BYTES = 1
"""Not 0: with that a dump still goes to a helper such as systemd-coredump; 1 stops this as well."""
OOM_SCORE = 500
"""Of -1000 to 1000, on top of what the memory in use gives."""
TRUNCATE_SINCE = 3
DEVICES = ("null", "nvidia*", "nvidia-caps/*", "dri/*", "kfd")
"""In /dev: what GPU drivers open for writing."""
OWN_PROCESS = Path("/proc/self")
"""CUDA names its threads there, and does not start where it cannot."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the daemon says on the command line."""
    parser.add_argument("--sandbox", choices=("auto", "require", "off"), default="auto")
    parser.add_argument("--memory-bytes", type=int, default=0)


def enter_as_told(
    arguments: argparse.Namespace, *, sockets: Path | None = None, written: Sequence[Path] = ()
) -> None:
    """Enters, and says on standard error what is not to be had; that ends the process if the
    sandbox is required."""
    if arguments.sandbox == "off":
        return
    try:
        lacking = enter(sockets=sockets, written=written, memory_bytes=arguments.memory_bytes)
    except OSError as error:
        lacking = [f"the kernel refused it: {error.strerror}"]
    for sentence in lacking:
        print(f"the sandbox is not whole: {sentence} (LLAMAWIRE_SANDBOX)", file=sys.stderr)
    if lacking and arguments.sandbox == "require":
        sys.exit(1)


def enter(
    *, sockets: Path | None = None, written: Sequence[Path] = (), memory_bytes: int = 0
) -> list[str]:
    """Shuts the calling thread in, and with it all that it will start. KernelError.

    `sockets` is the folder in which it may make its socket, `written` are files that exist and may
    be written. `memory_bytes` bounds what it allocates, not the files that it maps; 0 is no bound.
    Returns what cannot be done here, a sentence each.
    """
    if sys.platform != "linux":
        return [f"there is no sandbox on {sys.platform}"]
    lower(resource.RLIMIT_CORE, CORE_BYTES)
    if memory_bytes:
        # Not RLIMIT_AS: a model's mapped file and the addresses that GPUs reserve count for that.
        lower(resource.RLIMIT_DATA, memory_bytes)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    drop_capabilities()
    return [*restrict_files(sockets, written), *restrict_calls()]


def lower(limit: int, most: int) -> None:
    """To `most`, or to what whoever started the server has left of it."""
    hard = resource.getrlimit(limit)[1]
    least = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(limit, (least, least))


def restrict_files(sockets: Path | None, written: Sequence[Path]) -> Iterable[str]:
    version = landlock.version()
    if not version:
        yield "this kernel has no Landlock, so files can be changed"
        return
    devices = [path for pattern in DEVICES for path in Path("/dev").glob(pattern)]
    own = [OWN_PROCESS] if any(path.name.startswith("nvidia") for path in devices) else []
    landlock.restrict(
        [
            *((path, landlock.MAKE_SOCK) for path in (sockets,) if path is not None),
            *((path, landlock.WRITE_FILE | landlock.TRUNCATE) for path in written),
            *((path, landlock.WRITE_FILE | landlock.IOCTL_DEV) for path in devices),
            *((path, landlock.WRITE_FILE) for path in own),
        ]
    )
    if version < TRUNCATE_SINCE:
        yield "this kernel's Landlock does not know truncation, so files can be emptied"


def restrict_calls() -> Iterable[str]:
    machine = seccomp.machine()
    if machine is None:
        yield "no filter of system calls is known for this machine, so sockets can be opened"
    elif not seccomp.is_available():
        yield "this kernel has no seccomp filters, so sockets can be opened"
    else:
        seccomp.restrict(machine)
