"""One job under way, between the runner that feeds it and the servicer that reads it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from llamawire.engine.job import Accepted, Finished, Job, Journal, Piece, TokenLogprob, Update

__all__ = ["Run"]


class Run:
    """A job's journal, and what its reader has not read yet.

    Everything happens on the daemon's event loop. The reader takes all that is ready at once, so
    a slow one gets fewer and longer messages; one that lies `read_ahead_tokens` behind has its row
    paused until it has read everything.
    """

    def __init__(
        self,
        job_id: int,
        job: Job,
        *,
        read_ahead_tokens: int,
        on_pause: Callable[[int], None],
        on_resume: Callable[[int], None],
    ) -> None:
        self.id = job_id
        self.job = job
        self.journal = Journal()
        self.is_finished = False
        self.is_in_batch = False
        self._ready: list[Update] = []
        self._error: Exception | None = None
        self._wake = asyncio.Event()
        self._read_ahead_tokens = read_ahead_tokens
        self._unread_tokens = 0
        self._paused = False
        self._on_pause = on_pause
        self._on_resume = on_resume
        self._held_ids: list[int] = []
        self._held_logprobs: list[TokenLogprob] = []
        self._submitted_ns = time.monotonic_ns()
        self._accepted_ns = 0
        self._first_token_ns = 0

    # ---- the reader's side -------------------------------------------------------------------

    async def updates(self) -> list[Update]:
        """All that is ready, at least one; the last is `Finished`. Raises the job's failure."""
        while not self._ready:
            if self._error is not None:
                raise self._error
            self._wake.clear()
            await self._wake.wait()
        ready, self._ready = self._ready, []
        self._unread_tokens = 0
        if self._paused:
            self._paused = False
            self._on_resume(self.id)
        return ready

    # ---- the runner's side -------------------------------------------------------------------

    def accept(
        self,
        prompt_ids: tuple[int, ...],
        update: Accepted,
        image_spans: tuple[tuple[int, int], ...] = (),
    ) -> None:
        self.is_in_batch = True
        self._accepted_ns = self._accepted_ns or time.monotonic_ns()
        if self.journal.prompt_ids is not None:
            return  # goes on after a crash; the reader has been told before
        self.journal.prompt_ids = prompt_ids
        self.journal.image_spans = image_spans
        self._push(update)

    def add_tokens(self, ids: list[int], text: str, logprobs: Iterable[TokenLogprob] = ()) -> None:
        """New ids, and the text that they made certain. The journal comes before the reader."""
        self._first_token_ns = self._first_token_ns or time.monotonic_ns()
        self.journal.generated_ids.extend(ids)
        self._held_ids.extend(ids)
        self._held_logprobs.extend(logprobs)
        self._unread_tokens += len(ids)
        if text:
            self.journal.emitted_bytes += len(text.encode())
            self._push(self._piece(text))
        if self._unread_tokens >= self._read_ahead_tokens and not self._paused:
            self._paused = True
            self._on_pause(self.id)

    def finish(
        self, reason: str, *, generated: int, shifts: int, prompt_ns: int, generate_ns: int
    ) -> None:
        if self.is_finished:
            return
        if self._held_ids:
            self._held_logprobs.clear()  # of tokens without text: an end, a stop sequence
            self._push(self._piece(""))
        now = time.monotonic_ns()
        if self.journal.crashes:
            # The last worker knows only its own part of the time.
            first = self._first_token_ns or now
            prompt_ns = first - (self._accepted_ns or now)
            generate_ns = now - first
        self.is_finished = True
        self._push(
            Finished(
                reason=reason,
                generated_count=generated,
                shift_count=shifts,
                resumed_count=self.journal.crashes,
                queue_ns=max(0, (self._accepted_ns or now) - self._submitted_ns),
                prompt_ns=prompt_ns,
                generate_ns=generate_ns,
            )
        )

    def survive(self) -> None:
        """Its worker has died; the next one gets it again."""
        if self.is_in_batch:
            self.journal.crashes += 1
        else:
            self.journal.crashes_waiting += 1
        self.is_in_batch = False

    def fail(self, error: Exception) -> None:
        if not self.is_finished:
            self.is_finished = True
            self._error = error
            self._wake.set()

    def _piece(self, text: str) -> Piece:
        """Text with all tokens since the last piece."""
        piece = Piece(text, tuple(self._held_ids), logprobs=tuple(self._held_logprobs))
        self._held_ids.clear()
        self._held_logprobs.clear()
        return piece

    def _push(self, update: Update) -> None:
        self._ready.append(update)
        self._wake.set()
