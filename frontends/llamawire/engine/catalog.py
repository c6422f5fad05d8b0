"""Models as requests need them: read from the store, with what their files say beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from llamawire.engine.errors import InvalidArgument, Unsupported
from llamawire.engine.fill_in import FillIn, fill_in
from llamawire.engine.prompt.output import OutputFormat, output_format
from llamawire.engine.store import (
    Details,
    Library,
    ListedModel,
    Message,
    ModelName,
    ShownModel,
    StoredModel,
    check_adapter_suits,
    show,
    validate_gguf,
)
from llamawire.engine.templates import output_format_of

__all__ = ["Catalog", "ServedModel", "described"]

RANK_POOLING = 4
"""`pooling_type` of a file whose model scores pairs."""


@dataclass(frozen=True)
class ServedModel:
    """A model of the store whose weights can be loaded. `num_ctx_train` is 0 if unknown."""

    stored: StoredModel
    weights: Path
    projector: Path | None
    capabilities: frozenset[str]
    num_ctx_train: int
    fill_in: FillIn | None

    @property
    def name(self) -> ModelName:
        return self.stored.name

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is loaded; names with the same files share what is in memory."""
        projector = () if self.projector is None else (self.projector,)
        return (self.weights, *projector, *self.adapters)

    @property
    def adapters(self) -> tuple[Path, ...]:
        return self.stored.adapters

    @property
    def digest(self) -> str:
        return self.stored.digest

    @property
    def details(self) -> Details:
        return self.stored.details

    @property
    def system(self) -> str:
        return self.stored.system

    @property
    def messages(self) -> tuple[Message, ...]:
        return self.stored.messages

    @property
    def parameters(self) -> Mapping[str, object]:
        return self.stored.parameters

    @cached_property
    def embeds(self) -> bool:
        """Gives vectors and no text: by what it can do, or since it looks both ways."""
        gguf = self.stored.gguf()
        looks_both_ways = gguf is not None and gguf.flag("attention.causal") is False
        return "embedding" in self.capabilities or looks_both_ways

    @cached_property
    def ranks(self) -> bool:
        """Gives a score for a pair of texts instead of a vector for one."""
        gguf = self.stored.gguf()
        return gguf is not None and gguf.integer("pooling_type") == RANK_POOLING

    @cached_property
    def rerank_template(self) -> str | None:
        """How a ranking model wants a query and a document written, where it says so."""
        gguf = self.stored.gguf()
        return gguf.text("tokenizer.chat_template.rerank") if gguf else None

    @cached_property
    def go_template(self) -> str | None:
        """The Go template to render with; None where the file's own Jinja template counts."""
        return None if self.stored.template_choice() == "jinja" else self.stored.template

    @cached_property
    def output_format(self) -> OutputFormat:
        """How it writes thinking and calls of tools."""
        named = output_format(self.stored.config.parser)
        return named or output_format_of(self.go_template, self.chat_template, self.details.family)

    @cached_property
    def chat_template(self) -> str | None:
        """The Jinja template in the file of the weights."""
        gguf = self.stored.gguf()
        return gguf.text("tokenizer.chat_template") if gguf else None


class Catalog:
    """Looks models up. Blocking: call it in a thread."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._checked: dict[tuple[Path, ...], tuple[tuple[int, int], ...]] = {}
        self._fill_ins: dict[Path, FillIn | None] = {}

    def get(self, text: str) -> ServedModel:
        """The model that `text` names. InvalidArgument, Unsupported, or the store's errors."""
        stored = self._stored(text)
        if stored.weights is None:
            raise Unsupported(text, stored.name.full, "completion")
        return ServedModel(
            stored=stored,
            weights=stored.weights,
            projector=self._projector(stored),
            capabilities=frozenset(self._capabilities(stored)),
            num_ctx_train=length(stored, "context_length"),
            fill_in=self._fill_in(stored),
        )

    def check_files(self, model: ServedModel) -> None:
        """Validates what is to be loaded, once for each state of it; InvalidGguf says why not.

        Before llama.cpp sees a file, whoever put it into the store: a bad header can end a process.
        """
        stats = [path.stat() for path in model.files]
        state = tuple((stat.st_mtime_ns, stat.st_size) for stat in stats)
        if self._checked.get(model.files) != state:
            weights = validate_gguf(model.weights, role="model")
            if model.projector is not None:
                validate_gguf(model.projector, role="projector")
            for path in model.adapters:
                check_adapter_suits(validate_gguf(path, role="adapter"), weights)
            self._checked[model.files] = state

    def describe(self, text: str) -> ListedModel:
        """The model that `text` names, as a list shows it but with all it can do."""
        stored = self._stored(text)
        return replace(described(stored), capabilities=self._capabilities(stored))

    def show(
        self, text: str, *, verbose: bool, system: str, options: Mapping[str, object]
    ) -> ShownModel:
        """All there is to know of the model that `text` names."""
        return show(self._stored(text), verbose=verbose, system=system, options=options)

    def _capabilities(self, stored: StoredModel) -> tuple[str, ...]:
        """What the store finds, and what the vocabulary adds."""
        found = stored.capabilities()
        inserts = "insert" not in found and self._fill_in(stored) is not None
        return (*found, "insert") if inserts else found

    def _projector(self, stored: StoredModel) -> Path | None:
        """The first that sees; one that only hears is of no use here."""
        for path, gguf in zip(stored.projectors, stored.projector_ggufs(), strict=True):
            if gguf.flag("has_vision_encoder") is not False:
                return path
        return None

    def _fill_in(self, stored: StoredModel) -> FillIn | None:
        """The vocabulary's tokens for it, looked for once a file."""
        if stored.weights is None:
            return None
        if stored.weights not in self._fill_ins:
            gguf = stored.gguf()
            self._fill_ins[stored.weights] = fill_in(gguf) if gguf else None
        return self._fill_ins[stored.weights]

    def _stored(self, text: str) -> StoredModel:
        if not text.strip():
            raise InvalidArgument("model is required", reason="MODEL_REQUIRED")
        return self._library.get(ModelName.parse(text.strip()))


def described(stored: StoredModel) -> ListedModel:
    """As a list shows it but with all it can do."""
    return ListedModel(
        name=stored.name,
        digest=stored.digest,
        size=stored.size,
        modified_at=stored.modified_at,
        details=replace(
            stored.details,
            context_length=length(stored, "context_length"),
            embedding_length=length(stored, "embedding_length"),
        ),
        capabilities=stored.capabilities(),
        remote_model=stored.config.remote_model,
        remote_host=stored.config.remote_host,
    )


def length(stored: StoredModel, key: str) -> int:
    gguf = stored.gguf()
    return (gguf.integer(key) or 0) if gguf else 0
