"""The identity of this build."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

__all__ = ["build_id"]


@cache
def build_id() -> str:
    """What the build wrote beside the extension module, read without importing it.

    A worker of another build (the files were replaced under a running daemon) is refused by it.
    """
    spec = importlib.util.find_spec("llamawire.native")
    folders = spec.submodule_search_locations if spec is not None else None
    if not folders:
        raise RuntimeError("llamawire.native is not installed; this is the adapter's wheel alone")
    return (Path(folders[0]) / "build_id").read_text().strip()
