"""A process that pulls a model, to be killed: `downloader.py FOLDER NAME`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from engine.store.registry.conftest import LIMITS
from llamawire.engine.store import Library
from llamawire.engine.store.registry import Registry, RegistrySettings


async def main(folder: str, name: str) -> None:
    registry = Registry(Library(Path(folder)), RegistrySettings(limits=LIMITS))
    async for _ in registry.pull(name):
        pass
    await registry.close()


asyncio.run(main(*sys.argv[1:]))
