"""The messages of a streaming call, and a Ctrl-C that cannot hurt it.

Python raises KeyboardInterrupt between any two steps of the main thread, inside grpc's code as
well, where it may leave a lock held or an event without its owner: now and then the channel's
thread died of that. So while a call streams, Ctrl-C only tells another thread to cancel it; the
stream then ends like any cancelled one, and KeyboardInterrupt is raised here.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from queue import SimpleQueue
from types import FrameType
from typing import Any, TypeVar

import grpc

__all__ = ["replies"]

Request = TypeVar("Request")
Reply = TypeVar("Reply")


def replies(
    method: Callable[[Request], grpc.CallIterator[Reply]], request: Request
) -> Generator[Reply, None, None]:
    """Calls a stub's method; the messages as they come. Closing the iterator cancels the call.

    Raises grpc.RpcError, and KeyboardInterrupt after Ctrl-C.
    """
    with _Presses() as presses:
        call = method(request)
        presses.cancel(call)
        try:
            yield from call
        except grpc.RpcError:
            if not presses.count:
                raise
        finally:
            call.cancel()  # type: ignore[no-untyped-call]
    if presses.count:
        raise KeyboardInterrupt


class _Presses:
    """Counts how often Ctrl-C is pressed while this context lasts, where that would have raised
    KeyboardInterrupt: in the main thread, unless the signal is ignored."""

    def __init__(self) -> None:
        self.count = 0
        # Signals may interrupt a put and put, too. The end of the context puts False.
        self._pressed: SimpleQueue[bool] = SimpleQueue()
        self._canceller: threading.Thread | None = None
        self._is_asked = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )

    def __enter__(self) -> _Presses:
        if self._is_asked:
            signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_asked:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._canceller is not None:
            self._pressed.put(False)
            self._canceller.join()

    def cancel(self, call: grpc.CallIterator[Any]) -> None:
        """Cancels a call at the first press, which may have been before."""
        if self._is_asked:
            self._canceller = threading.Thread(target=self._cancel, args=(call,), daemon=True)
            self._canceller.start()

    def _cancel(self, call: grpc.CallIterator[Any]) -> None:
        if self._pressed.get():
            call.cancel()  # type: ignore[no-untyped-call]

    def _press(self, signum: int, frame: FrameType | None) -> None:
        self.count += 1
        self._pressed.put(True)
        if self.count > 1:
            # Something else than the call holds us up, say a pipe that nobody reads.
            raise KeyboardInterrupt
