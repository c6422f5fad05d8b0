"""A download that is killed at any moment goes on from its last chunk."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

from engine.store.registry.conftest import LIMITS, Start, noise
from engine.store.registry.fake_registry import FakeRegistry, digest_of
from llamawire.engine.store import Library, ModelName

TEXT = "application/vnd.ollama.image.license"
KILLS = 6
BIG = noise(3_000_000)
# What a stream that dies has received and not written down yet: less than a chunk, and what lay in
# the sockets between the two processes.
LOST_BYTES_MAX = LIMITS.streams * (LIMITS.chunk_bytes + 256 * 1024)


async def download(folder: Path, name: str) -> asyncio.subprocess.Process:
    paths = os.pathsep.join(path for path in sys.path if path)
    script = Path(__file__).with_name("downloader.py")
    return await asyncio.create_subprocess_exec(
        sys.executable, script, folder, name, env={**os.environ, "PYTHONPATH": paths}
    )


async def wait_for(fake: FakeRegistry, served: int, process: asyncio.subprocess.Process) -> None:
    while fake.served_bytes < served and process.returncode is None:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def test_kills_cost_a_chunk_each(start: Start, tmp_path: Path) -> None:
    fake = await start(rate=1.2e6)
    fake.add_model("library/m:latest", (TEXT, BIG))
    name, chance = f"http://{fake.host}/library/m", random.Random(9)
    for kill in range(KILLS):
        process = await download(tmp_path, name)
        before = fake.served_bytes
        await wait_for(fake, before + chance.randrange(1, len(BIG) // KILLS), process)
        assert process.returncode is None, kill
        process.kill()
        await process.wait()
    fake.rate = 0
    process = await download(tmp_path, name)
    assert await process.wait() == 0
    assert fake.served_bytes <= len(BIG) + KILLS * LOST_BYTES_MAX
    library = Library(tmp_path)
    assert len(library.list()) <= 1
    assert library.blobs.path(digest_of(BIG)).read_bytes() == BIG
    assert library.entry(ModelName.parse(name)).data == fake.manifests["library/m:latest"]
    assert not [file.name for file in library.blobs.files() if "partial" in file.name]
