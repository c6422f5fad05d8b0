"""One session: commands to the loop, and the loop's events back.

One thread waits in `Loop.wait` without the GIL and hands each batch of events to asyncio. Steps
that follow each other within milliseconds come as one batch; while a message is being written the
next batches pile up, and go out together.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import numpy as np

from llamawire import native
from llamawire.session.v1 import worker_service_pb2 as pb
from llamawire.worker.heartbeat import HEARTBEAT_S, page_waits
from llamawire.worker.images import ImageReader, InvalidImage, NotWanted, TooManyImages
from llamawire.worker.limits import FittedPrompt, PromptTooLong, fit_prompt
from llamawire.worker.prompt import Prompt, placed, tokenize

__all__ = ["Session"]

WAIT_S = 1.0

REASONS = {"INVALID_ARGUMENT": "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED": "QUEUE_FULL"}
"""google.rpc.ErrorInfo's reason for a code of csrc; INTERNAL for all others."""


class InvalidGrammar(Exception):
    """The grammar of a job is none, or too large; the message says why."""


class Session:
    """Carries jobs for one daemon; `close` cancels what is left of them."""

    def __init__(
        self, model: native.Model, loop: native.Loop, images: ImageReader | None = None
    ) -> None:
        self._model = model
        self._loop = loop
        self._images = images
        self._adds_bos: bool = model.info["adds_bos"]
        self._spellings: dict[int, bytes] = {}
        self._fitted: dict[int, FittedPrompt] = {}
        self._active: set[int] = set()
        self._cancelled: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready: list[pb.JobEvent] = []
        self._heartbeat_is_due = False
        self._wake = asyncio.Event()
        self._closed = False
        self._asyncio = asyncio.get_running_loop()
        self._waiter = threading.Thread(target=self._wait, name="loop-wait", daemon=True)

    async def replies(
        self, commands: AsyncIterator[pb.SessionRequest]
    ) -> AsyncIterator[pb.SessionResponse]:
        """All that happens to the jobs of `commands`, until those end."""
        self._waiter.start()
        reader = asyncio.create_task(self._read(commands))
        timer = self._asyncio.call_later(HEARTBEAT_S, self._beat)
        try:
            while not self._closed:
                await self._wake.wait()
                self._wake.clear()
                ready, self._ready = self._ready, []
                if ready:
                    yield pb.SessionResponse(events=ready)
                if self._heartbeat_is_due:
                    self._heartbeat_is_due = False
                    yield pb.SessionResponse(beats=self._loop.stats["beats"] + page_waits())
                    timer = self._asyncio.call_later(HEARTBEAT_S, self._beat)
        finally:
            timer.cancel()
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader

    def close(self) -> None:
        self._closed = True
        for task in self._tasks:
            task.cancel()
        for job_id in self._active:
            self._loop.cancel(job_id)

    def _beat(self) -> None:
        self._heartbeat_is_due = True
        self._wake.set()

    # ---- commands ----------------------------------------------------------------------------

    async def _read(self, commands: AsyncIterator[pb.SessionRequest]) -> None:
        async for command in commands:
            kind = command.WhichOneof("command")
            if kind == "submit":
                self._active.add(command.submit.id)
                task = asyncio.create_task(self._submit(command.submit))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            elif kind == "cancel":
                # A cancel may cross the job's end; then there is nothing to remember.
                if command.cancel in self._active:
                    self._cancelled.add(command.cancel)
                    self._loop.cancel(command.cancel)
            elif kind == "pause":
                self._loop.pause(command.pause)
            elif kind == "resume":
                self._loop.resume(command.resume)
        self._closed = True
        self._wake.set()

    async def _submit(self, job: pb.Job) -> None:
        """Tokenises off the loop, applies the limits of tokens, and hands the job over."""
        try:
            fitted = await self._fit(job)
            await self._prepare_grammar(job)
            if job.id in self._cancelled:
                self._forget(job.id)
                return
            self._fitted[job.id] = fitted
            self._loop.submit(
                job.id,
                fitted.tokens,
                images=[(each.begin, each.image) for each in fitted.images],
                generated=job.generated.ids,
                emitted_bytes=job.emitted_bytes,
                **option_arguments(job.options),
                **await self._thinking_arguments(job.options),
            )
        except InvalidGrammar as error:
            self._fail(
                job.id, "INVALID_ARGUMENT", "INVALID_FORMAT", str(error), {"field": "format"}
            )
        except NotWanted:
            self._forget(job.id)
        except InvalidImage as error:
            self._fail(job.id, "INVALID_ARGUMENT", "INVALID_IMAGE", str(error), error.metadata)
        except TooManyImages as error:
            self._fail(job.id, "RESOURCE_EXHAUSTED", "QUEUE_FULL", str(error), error.metadata)
        except PromptTooLong as error:
            self._fail(job.id, "INVALID_ARGUMENT", "PROMPT_TOO_LONG", str(error), error.metadata)
        except native.NativeError as error:
            reason = REASONS.get(error.code, "INTERNAL")
            if reason == "INVALID_ARGUMENT":  # what else a job holds, the daemon has checked
                self._fail(job.id, error.code, reason, f"prompt: {error}", {"field": "prompt"})
            else:
                self._fail(job.id, error.code, reason, str(error), {})

    async def _prepare_grammar(self, job: pb.Job) -> None:
        """Compiles off the loop and off asyncio; `submit` finds the result."""
        options = job.options
        if not options.grammar:
            return
        prepare = self._loop.prepare_grammar
        try:
            await asyncio.to_thread(prepare, options.grammar, options.grammar_root)
            if options.grammar_frame:
                await asyncio.to_thread(prepare, options.grammar_frame)
        except native.NativeError as error:
            raise InvalidGrammar(str(error)) from error

    async def _thinking_arguments(self, options: pb.JobOptions) -> dict[str, Any]:
        """The keyword arguments of `Loop.submit` for a limit of thinking."""
        if not options.HasField("thinking"):
            return {}
        thinking = options.thinking
        ending = await asyncio.to_thread(
            self._model.tokenize, thinking.ending, add_special=False, parse_special=True
        )
        return {
            "thinking_budget": thinking.tokens_max,
            "thinking_opening": thinking.opening,
            "thinking_closings": list(thinking.closings),
            "thinking_is_open": thinking.is_open,
            "thinking_reopens": thinking.reopens,
            "thinking_ending": ending,
        }

    async def _fit(self, job: pb.Job) -> FittedPrompt:
        prompt = await self._prompt(job)
        if job.generated.ids:
            return FittedPrompt(prompt.tokens, len(prompt.tokens), 0, prompt.images)
        fitted = fit_prompt(
            prompt.tokens,
            num_ctx=job.options.num_ctx,
            num_keep=job.options.num_keep,
            adds_bos=self._adds_bos and job.WhichOneof("input") == "text",
            # A cut might go through an image; Ollama refuses such a prompt, too.
            truncate=job.truncate and not prompt.images,
            shift=job.options.shift,
        )
        return replace(fitted, images=prompt.images)

    async def _prompt(self, job: pb.Job) -> Prompt:
        images = []
        if job.images:
            if self._images is None:
                raise InvalidImage(0, "the model was loaded without a projector")
            images = await self._images.read(job.images, lambda: job.id not in self._cancelled)
        if job.WhichOneof("input") == "text":
            return await asyncio.to_thread(tokenize, self._model, job.text, images)
        return placed(np.array(job.tokens.ids, dtype=np.int32), job.image_spans, images)

    def _fail(
        self, job_id: int, code: str, reason: str, message: str, metadata: dict[str, str]
    ) -> None:
        self._forget(job_id)
        self._push(
            [
                pb.JobEvent(
                    job_id=job_id,
                    failed=pb.JobFailed(
                        code=code, reason=reason, message=message, metadata=metadata
                    ),
                )
            ]
        )

    def _forget(self, job_id: int) -> None:
        self._fitted.pop(job_id, None)
        self._active.discard(job_id)
        self._cancelled.discard(job_id)

    # ---- events ------------------------------------------------------------------------------

    def _wait(self) -> None:
        while not self._closed:
            events = self._loop.wait(WAIT_S)
            if events and not self._closed:
                self._asyncio.call_soon_threadsafe(self._take, events)

    def _take(self, events: list[native.Event]) -> None:
        self._push([self._message(event) for event in events])

    def _push(self, messages: list[pb.JobEvent]) -> None:
        self._ready.extend(messages)
        self._wake.set()

    def _message(self, event: native.Event) -> pb.JobEvent:
        job_id = event.job_id
        if event.kind == native.EVENT_TOKENS:
            tokens = pb.NewTokens(ids=event.tokens, text=event.text.decode(errors="replace"))
            if event.logprobs:
                tokens.logprobs.append(self._logprob(event.logprobs))
            return pb.JobEvent(job_id=job_id, tokens=tokens)
        if event.kind == native.EVENT_STARTED:
            return pb.JobEvent(job_id=job_id, accepted=self._accepted(event))
        self._forget(job_id)
        if event.kind == native.EVENT_FAILED:
            reason = REASONS.get(event.code, "INTERNAL")
            failed = pb.JobFailed(code=event.code, reason=reason, message=event.message)
            return pb.JobEvent(job_id=job_id, failed=failed)
        return pb.JobEvent(
            job_id=job_id,
            finished=pb.JobFinished(
                reason=event.reason,
                generated_count=event.generated_count,
                shift_count=event.shift_count,
                prompt_ns=event.prompt_ns,
                generate_ns=event.generate_ns,
            ),
        )

    def _logprob(self, logprobs: list[tuple[int, float]]) -> pb.TokenLogprob:
        (own, logprob), *best = logprobs
        return pb.TokenLogprob(
            token=self._spelling(own),
            logprob=logprob,
            top=[
                pb.TokenLogprob(token=self._spelling(token), logprob=value) for token, value in best
            ],
        )

    def _spelling(self, token: int) -> bytes:
        """A token's bytes; kept, which the size of the vocabulary bounds."""
        found = self._spellings.get(token)
        if found is None:
            found = self._spellings[token] = self._model.detokenize([token])
        return found

    def _accepted(self, event: native.Event) -> pb.Accepted:
        fitted = self._fitted[event.job_id]
        return pb.Accepted(
            prompt=pb.Tokens(ids=fitted.tokens),
            received_count=fitted.received_count,
            dropped_count=fitted.dropped_count,
            cached_count=event.cached,
            image_spans=[
                pb.ImageSpan(image=each.index, begin=each.begin) for each in fitted.images
            ],
        )


def option_arguments(options: pb.JobOptions) -> dict[str, Any]:
    """The keyword arguments of `Loop.submit`: the message's fields, which have the same names."""
    fields = options.DESCRIPTOR.fields
    arguments = {field.name: getattr(options, field.name) for field in fields}
    del arguments["thinking"]  # `_thinking_arguments` has them
    return arguments
