"""The decode loop over llama.cpp; see `_native.pyi` for what each name is and who may call it."""

from ._native import (
    EVENT_FAILED,
    EVENT_FINISHED,
    EVENT_STARTED,
    EVENT_TOKENS,
    Event,
    LoadProgress,
    Loop,
    Model,
    NativeError,
    build_commit,
    build_id,
    devices,
    system_info,
    use_numa,
)

__all__ = [
    "EVENT_FAILED",
    "EVENT_FINISHED",
    "EVENT_STARTED",
    "EVENT_TOKENS",
    "Event",
    "LoadProgress",
    "Loop",
    "Model",
    "NativeError",
    "build_commit",
    "build_id",
    "devices",
    "system_info",
    "use_numa",
]
