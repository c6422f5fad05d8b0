"""Models as they were read, as long as nothing on the disk says that they have changed.

Every request needs its model, which is a manifest and a handful of small files: most of a
millisecond. What they say is kept together with the state of each of them, and of each folder where
another model of this name could appear; looking at these takes some microseconds.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable

from llamawire.engine.store.model import StoredModel
from llamawire.engine.store.names import ModelName

__all__ = ["ModelCache", "State", "state_of"]

MODELS_MAX = 256

State = dict[str, tuple[int, int, int] | None]
"""For each path what changes when somebody replaces or edits it; None where nothing is."""


def state_of(paths: Iterable[str]) -> State:
    return {path: _state(path) for path in paths}


class ModelCache:
    """The most recently used models. Threads may share it."""

    def __init__(self, models_max: int = MODELS_MAX) -> None:
        self._models: OrderedDict[ModelName, tuple[State, StoredModel]] = OrderedDict()
        self._models_max = models_max
        self._lock = threading.Lock()

    def find(self, name: ModelName) -> StoredModel | None:
        """The model, if it is here and still as it is on the disk."""
        with self._lock:
            found = self._models.get(name)
            if found is None:
                return None
            self._models.move_to_end(name)
        state, model = found
        return model if all(_state(path) == known for path, known in state.items()) else None

    def keep(self, name: ModelName, state: State, model: StoredModel) -> None:
        """`state` is that of all its files, from before they were read."""
        with self._lock:
            self._models[name] = (state, model)
            if len(self._models) > self._models_max:
                self._models.popitem(last=False)


def _state(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
