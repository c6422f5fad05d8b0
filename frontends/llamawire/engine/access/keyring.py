"""The keys that are good now."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from llamawire.engine.access.caller import Caller
from llamawire.engine.access.key import Key, key_id
from llamawire.engine.access.key_file import KeyFile, KeyFileError
from llamawire.engine.errors import KeyInvalid, KeyMissing

__all__ = ["Keyring"]

log = logging.getLogger(__name__)

# What a key without an entry is compared with, so that it takes as long as a wrong secret.
NOBODY = Key(id="nobody00", name="nobody", sha256="0" * 64, scopes=("generate",))


class Keyring:
    """Reads the file again when it has changed: a look at its times a request.

    A change is for the requests that come; those that run go on. A file that cannot be read any
    more leaves the keys as they are: it shuts nobody out and lets nobody in.
    """

    def __init__(self, file: KeyFile, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises KeyFileError."""
        self._file = file
        self._clock = clock
        self._callers: dict[str, Caller] = {}
        self._state = file.state()
        self._take(file.read())

    def caller(self, authorization: str) -> Caller:
        """Whose key stands in `Bearer KEY`, what HTTP and gRPC call `authorization`. KeyMissing,
        KeyInvalid."""
        self._refresh()
        scheme, _, text = authorization.strip().partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise KeyMissing
        text = text.strip()
        caller = self._callers.get(key_id(text) or "")
        key = caller.key if caller else NOBODY
        if not key.is_for(text) or caller is None:
            raise KeyInvalid
        return caller

    def _refresh(self) -> None:
        state = self._file.state()
        if state == self._state:
            return
        self._state = state
        try:
            keys = self._file.read()
        except KeyFileError as error:
            log.error("%s; the keys stay as they were", error)
            return
        self._take(keys)
        log.info("read %d API keys from %s", len(keys), self._file.path)

    def _take(self, keys: list[Key]) -> None:
        callers = {}
        for key in keys:
            caller = self._callers.get(key.id) or Caller(key, self._clock)
            caller.renew(key)
            callers[key.id] = caller
        self._callers = callers
