"""Somebody with a key, and what is left of the key's quotas."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from llamawire.engine.access.bucket import Bucket
from llamawire.engine.access.key import Key
from llamawire.engine.errors import ModelNotAllowed, QuotaExceeded, ScopeMissing

__all__ = ["Caller"]

MINUTE_S = 60.0
DAY_S = 86_400.0


class Caller:
    """One for each key, as long as the key is in the file; `key` changes when the file does."""

    def __init__(self, key: Key, clock: Callable[[], float] = time.monotonic) -> None:
        self.key = key
        self._clock = clock
        self._requests = self._bucket(key.requests_per_minute, MINUTE_S)
        self._tokens = self._bucket(key.tokens_per_day, DAY_S)

    def renew(self, key: Key) -> None:
        """The entry has changed; what was spent of a limit stays spent."""
        if key == self.key:
            return
        self._requests = self._resized(self._requests, key.requests_per_minute, MINUTE_S)
        self._tokens = self._resized(self._tokens, key.tokens_per_day, DAY_S)
        self.key = key

    def check_scope(self, scopes: Iterable[str]) -> None:
        """ScopeMissing unless the key has one of them."""
        needed = tuple(scopes)
        if not any(self.key.has_scope(scope) for scope in needed):
            raise ScopeMissing(self.key.name, needed)

    def check_model(self, name: str) -> None:
        """ModelNotAllowed unless the key may use it, whether or not there is such a model."""
        if not self.key.allows_model(name):
            raise ModelNotAllowed(self.key.name, name)

    def count_request(self) -> None:
        """QuotaExceeded if this one is too many."""
        if self._requests is None:
            return
        if wait_s := self._requests.wait_s(1):
            raise QuotaExceeded(
                self.key.name, self._requests.capacity, "requests_per_minute", wait_s
            )
        self._requests.spend(1)

    def check_tokens(self) -> None:
        """QuotaExceeded if none is left; what runs is not ended."""
        if self._tokens is not None and (wait_s := self._tokens.wait_s(1)):
            raise QuotaExceeded(self.key.name, self._tokens.capacity, "tokens_per_day", wait_s)

    def spend_tokens(self, count: int) -> None:
        if self._tokens is not None:
            self._tokens.spend(count)

    def _bucket(self, capacity: int, period_s: float) -> Bucket | None:
        return Bucket(capacity, period_s, self._clock) if capacity else None

    def _resized(self, bucket: Bucket | None, capacity: int, period_s: float) -> Bucket | None:
        if bucket is None or not capacity:
            return self._bucket(capacity, period_s)
        bucket.resize(capacity)
        return bucket
