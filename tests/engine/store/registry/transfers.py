"""One transfer in a process without anything else, and so without the imports of a test."""

from __future__ import annotations

import asyncio
from pathlib import Path

from llamawire.engine.store import Library
from llamawire.engine.store.registry import Registry, RegistrySettings, TransferLimits

__all__ = ["transfer"]


def transfer(root: Path, way: str, name: str, limits: TransferLimits) -> None:
    """Pulls or pushes; `way` is the name of Registry's method."""

    async def main() -> None:
        registry = Registry(Library(root), RegistrySettings(limits=limits))
        async for _ in getattr(registry, way)(name):
            pass
        await registry.close()

    asyncio.run(main())
