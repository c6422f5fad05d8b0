"""How fast a pull is beside `curl` of the same blob: `python tests/bench/pull.py [MiB] [rounds]`.

Debian's docker-registry serves one blob on loopback. Each round fetches it three ways, one after
the other and each round another one first, into files on the same disk: a whole pull of ours
(ranges side by side, SHA-256, fsync, manifest), `curl -o FILE`, and `curl | tee FILE | sha256sum`.
Before each of them a file of that size is written and removed, since the first use of memory is
dear on a virtual machine. Prints the medians of the rounds: MiB a second, that as a part of curl's,
and the seconds of CPU that the client took.
"""

from __future__ import annotations

import asyncio
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("frontends", "tests")]

from engine.store.registry.docker_registry import docker_registry  # noqa: E402
from llamawire.engine.store import Library, ModelName  # noqa: E402
from llamawire.engine.store.manifest import CONFIG, Layer, Manifest  # noqa: E402
from llamawire.engine.store.registry import Registry, RegistrySettings  # noqa: E402

MIB = 1 << 20
LAYER = "application/vnd.llamawire.bench"


def fill(library: Library, name: str, size: int) -> str:
    """Makes a model of one blob of noise; gives its digest."""
    noise = random.Random(1).randbytes(MIB)
    with library.blobs.writer() as writer:
        for index in range(size // MIB):
            writer.write(index.to_bytes(8, "little") + noise[8:])
        blob = writer.commit()
    config = library.blobs.put(b"{}")
    layers = (Layer(LAYER, blob.digest, blob.size),)
    manifest = Manifest(Layer(CONFIG, config.digest, config.size), layers)
    library.install(ModelName.parse(name), manifest.encode())
    return blob.digest


async def transfer(folder: Path, name: str, way: str) -> None:
    registry = Registry(Library(folder), RegistrySettings())
    async for _ in getattr(registry, way)(name, insecure=True):
        pass
    await registry.close()


def cpu_s() -> float:
    """Of this process and of those that it has waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def timed(action: Callable[[], object]) -> tuple[float, float]:
    began, cpu = time.perf_counter(), cpu_s()
    action()
    return time.perf_counter() - began, cpu_s() - cpu


def shell(command: str) -> None:
    subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)


def settle(target: Path, mib: int) -> None:
    with target.open("wb") as file:
        for _ in range(mib):
            file.write(bytes(MIB))
    target.unlink()


def main(mib: int = 1024, rounds: int = 5) -> None:
    with tempfile.TemporaryDirectory() as folder, docker_registry(Path(folder, "r")) as server:
        name, target = f"{server.host}/library/bench", Path(folder, "copy")
        digest = fill(Library(Path(folder, "models")), name, mib * MIB)
        asyncio.run(transfer(Path(folder, "models"), name, "push"))
        url = f"http://{server.host}/v2/library/bench/blobs/{digest}"
        ways: dict[str, Callable[[], object]] = {
            "pull": lambda: asyncio.run(transfer(target, name, "pull")),
            "curl": lambda: shell(f"curl -s -o {target} {url}"),
            "curl | tee | sha256sum": lambda: shell(f"curl -s {url} | tee {target} | sha256sum"),
        }
        times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        order = list(ways)
        for _ in range(rounds):
            order.append(order.pop(0))
            for way in order:
                settle(target, mib)
                times[way].append(timed(ways[way]))
                shutil.rmtree(target) if target.is_dir() else target.unlink()
    curl_s = statistics.median(wall for wall, _ in times["curl"])
    for way, each in times.items():
        wall, cpu = (statistics.median(column) for column in zip(*each, strict=True))
        print(f"{way:24}{mib / wall:6.0f} MiB/s {curl_s / wall:6.2f} of curl {cpu:6.2f} s of CPU")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
