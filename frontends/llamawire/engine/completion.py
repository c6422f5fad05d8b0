"""One completion, from a request to its stream of updates.

After the checks of requests.py come the options, the load, the template, the prompt's length. The
first that fails answers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from typing import Any, TypeVar

from llamawire.engine.answer import AnswerReader, PlainAnswer
from llamawire.engine.answer_plan import plan_answer
from llamawire.engine.catalog import Catalog, ServedModel
from llamawire.engine.job import Accepted, Finished, Job, Update
from llamawire.engine.metrics import Metrics, RequestWatch
from llamawire.engine.options import Options, has_seed, resolve
from llamawire.engine.prompting import RenderedPrompt, Renderer
from llamawire.engine.requests import GenerateRequest, Request, check, with_default_think
from llamawire.engine.run import Run
from llamawire.engine.runner import Runner
from llamawire.engine.scheduler import LoadedModel, Scheduler
from llamawire.engine.settings import Settings

__all__ = ["Completion", "Completions"]

T = TypeVar("T")

NO_SHIFT_FAMILIES = ("deepseek2",)
"""Families whose context cannot be shifted well, so that the default is not to."""


class Completion:
    """A completion under way. Read `updates` to its end, or leave: leaving cancels it."""

    def __init__(self, model: ServedModel, options: Options, watch: RequestWatch) -> None:
        self.model = model
        self.options = options
        self._watch = watch
        self.accepted: Accepted | None = None
        self.messages_dropped_count = 0
        self.load_ns = 0
        self._run: Run | None = None
        self._reader: AnswerReader = PlainAnswer()
        self._skip_bos = 0

    @property
    def elapsed_ns(self) -> int:
        """Since the request arrived."""
        return self._watch.elapsed_ns

    def start(self, run: Run, reader: AnswerReader, *, skip_bos: bool) -> None:
        self._run = run
        self._reader = reader
        self._skip_bos = int(skip_bos)

    async def updates(self) -> AsyncIterator[list[Update]]:
        """Everything that is ready, again and again; the last update is `Finished`."""
        if self._run is None:  # the time was up before there was a place
            late = Finished("deadline", 0, 0, 0, self.elapsed_ns, 0, 0)
            self._watch.see([late])
            yield [late]
            return
        while True:
            ready = await self._run.updates()
            self._watch.see(ready)
            for update in ready:
                if isinstance(update, Accepted):
                    self.accepted = update
            if shown := self._reader.read(ready):
                yield shown
            if isinstance(ready[-1], Finished):
                return

    def context_ids(self) -> list[int]:
        """Prompt and answer without BOS: what continues the conversation if it is sent back.

        Images are left out: their ids mean nothing without the pictures.
        """
        if self._run is None:
            return []
        journal = self._run.journal
        prompt = (journal.prompt_ids or ())[self._skip_bos :]
        return [*(token for token in prompt if token >= 0), *journal.generated_ids]


class Completions:
    """Begins completions over the models of a catalog."""

    def __init__(
        self, catalog: Catalog, scheduler: Scheduler, settings: Settings, metrics: Metrics
    ) -> None:
        self._catalog = catalog
        self._scheduler = scheduler
        self._settings = settings
        self._metrics = metrics
        self._renderer = Renderer()

    def close(self) -> None:
        """No prompt is rendered any more."""
        self._renderer.close()

    @contextlib.asynccontextmanager
    async def begin(self, request: Request) -> AsyncIterator[Completion]:
        """A completion that holds its model until the block ends."""
        with self._metrics.request() as watch:
            async with self._begin(request, watch) as completion:
                yield completion

    @contextlib.asynccontextmanager
    async def _begin(self, request: Request, watch: RequestWatch) -> AsyncIterator[Completion]:
        deadline = Deadline(request.timeout_s)
        model = await self._model(request.model)
        watch.model = model.name.display
        check(request, model)
        request = with_default_think(request, model)
        options = self._options(model, request.options)
        grammar = None
        if request.format is not None:
            grammar = await asyncio.to_thread(request.format.grammar)
        completion = Completion(model, options, watch)
        async with contextlib.AsyncExitStack() as stack:
            lease = self._scheduler.lease(model, options, request.keep_alive_s)
            try:
                runner = await deadline.limit(stack.enter_async_context(lease))
                completion.load_ns = completion.elapsed_ns
                watch.loaded()
                prompt, images = await deadline.limit(self._prompt(request, completion, runner))
                plan = plan_answer(request, model, prompt, grammar)
            except asyncio.TimeoutError:
                yield completion
                return
            job = Job(
                prompt,
                options,
                truncate=request.truncate,
                shift=shifts(request, model),
                reproducible=has_seed(model.parameters, request.options),
                isolated=options.reproducible,
                priority=request.priority,
                user=request.user,
                grammar=plan.grammar,
                marks=plan.marks,
                thinking=plan.thinking,
                top_logprobs=request.top_logprobs,
                images=images,
            )
            run = runner.start(job)
            skip_bos = isinstance(prompt, str) and runner.loaded.adds_bos
            completion.start(run, plan.reader, skip_bos=skip_bos)
            try:
                with deadline.calling(lambda: runner.expire(run)):
                    yield completion
            finally:
                runner.cancel(run)

    async def render(self, request: Request) -> RenderedPrompt:
        """The prompt that `begin` would decode. Loads the model, whose tokenizer it needs."""
        model = await self._model(request.model)
        check(request, model)
        request = with_default_think(request, model)
        options = self._options(model, request.options)
        async with self._scheduler.lease(model, options, request.keep_alive_s) as runner:
            return await self._renderer.render(request, model, options.num_ctx, runner)

    async def load(
        self, name: str, given: Mapping[str, object], keep_alive_s: float | None
    ) -> LoadedModel:
        """Loads a model and restarts its keep-alive."""
        model = await self._model(name)
        async with self._scheduler.lease(model, self._options(model, given), keep_alive_s):
            found = [m for m in self._scheduler.loaded() if m.model.files == model.files]
        return found[0]

    async def unload(self, name: str) -> bool:
        return await self._scheduler.unload(await self._model(name))

    async def tokenize(
        self, name: str, text: str, *, add_special: bool, parse_special: bool
    ) -> list[int]:
        model = await self._model(name)
        async with self._scheduler.lease(model, self._options(model, {}), None) as runner:
            return await runner.tokenize(text, add_special=add_special, parse_special=parse_special)

    async def detokenize(self, name: str, ids: list[int]) -> str:
        model = await self._model(name)
        async with self._scheduler.lease(model, self._options(model, {}), None) as runner:
            return (await runner.detokenize(ids, field="tokens")).decode(errors="replace")

    async def _model(self, name: str) -> ServedModel:
        return await asyncio.to_thread(self._catalog.get, name)

    def _options(self, model: ServedModel, given: Mapping[str, object]) -> Options:
        return resolve(
            model.parameters,
            given,
            context_length=self._settings.context_length,
            num_ctx_train=model.num_ctx_train,
            embeds=model.embeds,
            sees=model.projector is not None,
            reproducible=self._settings.reproducible,
        )

    async def _prompt(
        self, request: Request, completion: Completion, runner: Runner
    ) -> tuple[str | tuple[int, ...], tuple[bytes, ...]]:
        """Text or ids, and the images that stand in the text."""
        if isinstance(request, GenerateRequest) and request.prompt_tokens is not None:
            return request.prompt_tokens, ()
        rendered = await self._renderer.render(
            request, completion.model, completion.options.num_ctx, runner
        )
        completion.messages_dropped_count = rendered.messages_dropped_count
        return rendered.text, rendered.images


def shifts(request: Request, model: ServedModel) -> bool:
    if request.shift is not None:
        return request.shift
    return model.details.family not in NO_SHIFT_FAMILIES


class Deadline:
    """The end of a request's time, which begins with its arrival; None never ends."""

    def __init__(self, timeout_s: float | None) -> None:
        self._at = None
        if timeout_s is not None:
            self._at = asyncio.get_running_loop().time() + timeout_s

    async def limit(self, work: Coroutine[Any, Any, T]) -> T:
        """Awaits `work`; asyncio.TimeoutError, and `work` cancelled, when the time is up."""
        if self._at is None:
            return await work
        return await asyncio.wait_for(work, self._at - asyncio.get_running_loop().time())

    @contextlib.contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Calls `callback` if the time is up before the block ends."""
        timer = None
        if self._at is not None:
            timer = asyncio.get_running_loop().call_at(self._at, callback)
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
