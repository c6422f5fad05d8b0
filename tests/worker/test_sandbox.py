"""What a worker's process may not do, tried in a process that has shut itself in."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llamawire.worker import landlock, seccomp

needs_landlock = pytest.mark.skipif(landlock.version() < 6, reason="Landlock is too old")
needs_seccomp = pytest.mark.skipif(
    not (seccomp.machine() and seccomp.is_available()), reason="no filter of system calls"
)

PROLOGUE = """
import json, os, resource, signal, socket, subprocess, sys, threading
from pathlib import Path
from llamawire.worker import sandbox
folder = Path(sys.argv[1])
lacking = sandbox.enter(
    sockets=folder / "own", written=[folder / "output"], memory_bytes=1 << 30
)
unix = socket.socket(socket.AF_UNIX)
"""
ATTEMPTS = """
results = {}
for code in json.loads(sys.argv[2]):
    try:
        exec(code)
        results[code] = ""
    except BaseException as error:
        results[code] = f"{type(error).__name__}: {error}"
print(json.dumps(results))
"""
FOREIGN = [
    "socket.socket(socket.AF_INET)",
    "socket.socket(socket.AF_INET6)",
    "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)",
    "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "subprocess.run(['true'])",
    "os.execv(sys.executable, [sys.executable])",
    "os.chmod(folder / 'other', 0o777)",
    "os.utime(folder / 'other')",
    "os.kill(os.getppid(), 0)",
    "os.kill(0, 0)",
]
CONNECTS = [
    "unix.connect(str(folder / 'other'))",
    "socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(str(folder / 'other'))",
]
CHANGES = [
    "open(folder / 'new', 'w')",
    "open(folder / 'other', 'a')",
    "open(folder / 'own' / 'new', 'w')",
    "os.truncate(folder / 'other', 0)",
    "os.unlink(folder / 'other')",
    "os.rename(folder / 'other', folder / 'new')",
    "os.mkdir(folder / 'new')",
    "os.symlink('other', folder / 'new')",
    "os.link(folder / 'other', folder / 'new')",
    "unix.bind(str(folder / 'new'))",
    "open(f'/proc/{os.getppid()}/mem', 'rb')",
    "open(f'/proc/{os.getppid()}/environ', 'rb').read()",
]
NEEDED = [
    "unix.bind(str(folder / 'own' / 's')); unix.listen()",
    "open(folder / 'output', 'w').write('x')",
    "open('/dev/null', 'w').write('x')",
    "socket.socketpair()",
    "assert (folder / 'other').read_text() == 'other'",
    "threading.Thread(target=os.getpid).start()",
    "os.kill(os.getpid(), 0)",
    "assert resource.getrlimit(resource.RLIMIT_CORE) == (1, 1)",
]
TOO_MUCH = "bytearray(2 << 30)"


def run(folder: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def make(folder: Path) -> Path:
    (folder / "own").mkdir()
    (folder / "output").touch()
    (folder / "other").write_text("other")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make(tmp_path)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """How each attempt failed; empty if it did not."""
    attempts = json.dumps([*FOREIGN, *CONNECTS, *CHANGES, *NEEDED, TOO_MUCH])
    done = run(make(tmp_path_factory.mktemp("sandbox")), PROLOGUE + ATTEMPTS, attempts)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@needs_seccomp
@pytest.mark.parametrize("code", FOREIGN)
def test_what_reaches_beyond_the_process_fails(results: dict[str, str], code: str) -> None:
    assert results[code].startswith("PermissionError: [Errno 1]")


@needs_seccomp
@pytest.mark.parametrize("code", CONNECTS)
def test_there_is_nobody_to_connect_to(results: dict[str, str], code: str) -> None:
    """Outside, a connect to a plain file is refused: the file is there."""
    assert results[code].startswith("FileNotFoundError: [Errno 2]")


@needs_landlock
@pytest.mark.parametrize("code", CHANGES)
def test_no_file_is_changed_and_no_other_process_read(results: dict[str, str], code: str) -> None:
    assert results[code].startswith("PermissionError: [Errno 13]")


@pytest.mark.parametrize("code", NEEDED)
def test_what_a_worker_needs_works(results: dict[str, str], code: str) -> None:
    assert results[code] == ""


def test_memory_has_an_end(results: dict[str, str]) -> None:
    assert results[TOO_MUCH].startswith("MemoryError")


@needs_seccomp
def test_threads_are_shut_in_too(folder: Path) -> None:
    code = """
def try_it():
    try:
        socket.socket(socket.AF_INET)
    except PermissionError:
        os._exit(0)
    os._exit(1)
threading.Thread(target=try_it).start()
"""
    assert run(folder, PROLOGUE + code).returncode == 0


def test_limits_that_were_lower_stay(folder: Path) -> None:
    """Nobody but root may raise one again."""
    code = """
import resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_DATA, (1 << 29, 1 << 29))
"""
    check = """
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
assert resource.getrlimit(resource.RLIMIT_DATA) == (1 << 29, 1 << 29)
"""
    assert run(folder, code + PROLOGUE + check).returncode == 0


def test_an_abort_is_still_an_abort(folder: Path) -> None:
    assert run(folder, PROLOGUE + "os.abort()").returncode == -signal.SIGABRT


def test_a_number_stands_once_in_a_table() -> None:
    for machine in seccomp.MACHINES.values():
        numbers = [*machine.denied.values(), machine.socket, machine.kill, machine.tgkill]
        assert len(set(numbers)) == len(numbers)
        # A jump is a byte.
        assert len(seccomp.program(machine, 1)) // 8 < 256


def test_a_kernel_without_anything_is_told_of(folder: Path) -> None:
    """In a process that has no kernel's help: `require` ends it, `auto` goes on."""
    code = """
import argparse
from llamawire.worker import landlock, seccomp
landlock.version = lambda: 0
seccomp.machine = lambda: None
sandbox.enter_as_told(argparse.Namespace(sandbox=sys.argv[2], memory_bytes=0))
"""
    for mode, status in (("auto", 0), ("require", 1), ("off", 0)):
        done = run(folder, PROLOGUE.partition("lacking")[0] + code, mode)
        assert done.returncode == status, done.stderr
        assert ("no Landlock" in done.stderr) == (mode != "off")
        assert ("no filter of system calls" in done.stderr) == (mode != "off")
