"""The decode loop, as Python sees it: a `Model`, a `Loop` over it, and the `Event`s of its steps.

Threads: every method may be called from any thread; those that load, tokenise, decode or wait let
the GIL go. One thread at a time may stand in `Loop.wait`. No C++ thread ever calls Python.

Errors: every failure is a `NativeError`; its `code` is a gRPC status name.
"""

from collections.abc import Iterable
from os import PathLike
from typing import Any, final

import numpy as np
import numpy.typing as npt

class NativeError(Exception):
    """What csrc could not do: `code` (a gRPC status name) and a sentence.

    INVALID_ARGUMENT: the caller's value; RESOURCE_EXHAUSTED: memory or a full queue;
    FAILED_PRECONDITION: a closed loop; ALREADY_EXISTS: a job's id is in use; CANCELLED: a load
    was; INTERNAL: llama.cpp refused something that was in order.
    """

    code: str
    def __init__(self, message: str, code: str = "INTERNAL") -> None: ...

def system_info() -> str:
    """llama.cpp's line about the build: instruction sets and backends."""

def devices() -> list[dict[str, Any]]:
    """The compute devices ggml found: `name`, `description`, `kind` (cpu, gpu, accel),
    `memory_free` and `memory_total` in bytes."""

def use_numa() -> None:
    """Spreads threads and memory over NUMA nodes. Before the first model; for the whole process."""

def quantize_types() -> list[str]:
    """The types that `quantize` knows, by the names that people write."""

def quantize(input: str, output: str, type: str, num_thread: int = 0) -> None:
    """Writes the GGUF `input` to `output` with its matrices in another type.

    Cannot be stopped: run it in a process of its own. Progress is in llama.cpp's log, a line a
    tensor. INVALID_ARGUMENT: an unknown type, or a file that cannot be quantized to it.
    """

def build_commit() -> str:
    """The pin of llama.cpp this module was built from."""

def build_id() -> str:
    """Names this build of llamawire's own sources; empty when built by hand."""

@final
class LoadProgress:
    """Progress of a load and its cancel, shared between two threads."""

    def __new__(cls) -> LoadProgress: ...
    @property
    def fraction(self) -> float: ...
    def cancel(self) -> None: ...

@final
class Model:
    """The weights and the vocabulary of one GGUF file; immutable, shared by the loops over it."""

    def __new__(
        cls,
        path: str | PathLike[str],
        *,
        num_gpu: int = -1,
        main_gpu: int = 0,
        use_mmap: bool | None = None,
        adapters: Iterable[str | PathLike[str]] = (),
        progress: LoadProgress | None = None,
    ) -> Model:
        """Load `path`, a GGUF file that the store has validated.

        num_gpu is the number of layers on the GPU, -1 for all. use_mmap None lets llama.cpp
        choose. `adapters` are LoRA adapters, GGUF files that the store has compared with this
        model; each counts in every loop and embedder over it. INVALID_ARGUMENT: no such file, or
        not a model llama.cpp can run; RESOURCE_EXHAUSTED: out of memory; CANCELLED:
        `progress.cancel()` was called.
        """

    @property
    def info(self) -> dict[str, Any]:
        """What a server needs to know: `description`, `architecture`, `parameter_count`,
        `size_bytes`, `num_ctx_train`, `vocab_size`, `embedding_size`, `layer_count`, `adds_bos`,
        `adds_eos`, `adds_sep`, `bos_token`, `eos_token`, `sep_token`, `bos_text`, `eos_text`,
        `can_shift`, `has_encoder`, `has_decoder`, `is_recurrent`, `has_fim`. `can_shift` goes by
        the kind of model; a loop's
        `info` knows for certain."""

    def tokenize(
        self, text: str, *, add_special: bool, parse_special: bool
    ) -> npt.NDArray[np.int32]:
        """The ids of `text`, shape [n]. add_special adds BOS/EOS as the model's file asks;
        parse_special turns the text of a special token into that token."""

    def detokenize(self, tokens: Any, *, skip_special: bool = False) -> bytes:
        """The bytes of `tokens` (ints): not always whole UTF-8. Special tokens are spelt out unless
        skip_special. INVALID_ARGUMENT: an id outside the vocabulary."""

    def is_end_of_generation(self, token: int) -> bool: ...

@final
class Image:
    """A picture as a prompt holds it: embeddings, and the tokens that the model wants around them.
    Comes from `ImageEncoder`."""

    def __init__(self, /, *args: Any, **kwargs: Any) -> None:
        """TypeError: one cannot be made by hand."""

    @property
    def ids(self) -> npt.NDArray[np.int32]:
        """What stands for it among a prompt's ids, shape [n]: a negative number for each
        embedding, made of the digest, so that equal pictures have equal ids and others have not."""

    @property
    def nbytes(self) -> int: ...

@final
class ImageEncoder:
    """A projector: turns pictures into embeddings for a model. Computes for one caller at a time,
    with threads of its own, and keeps the latest images."""

    def __new__(
        cls,
        model: Model,
        path: str | bytes | PathLike[str],
        *,
        num_thread: int = 0,
        cache_bytes: int = 268435456,
    ) -> ImageEncoder:
        """num_thread 0: half of the cores. INVALID_ARGUMENT: no projector for this model's images;
        RESOURCE_EXHAUSTED: no memory."""

    @property
    def info(self) -> dict[str, Any]:
        """`size_bytes` of the projector's file, `num_thread`, and `is_causal`: an embedding sees
        only those before it. If not, a loop needs `image_chunk_max`."""

    @property
    def stats(self) -> dict[str, int]:
        """Since the start: pictures `encoded`, and `found` in the cache; now: `cache_size`,
        `cache_bytes`."""

    def find(self, digest: bytes) -> Image | None:
        """The picture of this digest, if it is kept."""

    def encode(self, digest: bytes, pixels: npt.NDArray[np.uint8]) -> Image:
        """`pixels` has the shape [height, width, 3]: red, green, blue, of the picture whose bytes
        have this digest. INVALID_ARGUMENT: a shape that the projector cannot take."""

EVENT_STARTED: int
EVENT_TOKENS: int
EVENT_FINISHED: int
EVENT_FAILED: int

@final
class Event:
    """What happened to one job at one step; only the fields of its kind are set.

    STARTED: the row has its stream and its prefill begins (`cached`).
    TOKENS: `tokens` and the `text` that became certain with them (bytes, always whole UTF-8 or
      replacement characters; may be empty while a stop string or half a character is held back).
    FINISHED: `reason` is stop, length, context or cancelled; counts and times are final. The last
      text has come as TOKENS before.
    FAILED: `code` and `message`; nobody else's row is touched.
    """

    job_id: int
    kind: int
    tokens: list[int]
    text: bytes
    logprobs: list[tuple[int, float]]
    """Of TOKENS, if asked for: the token's own log-probability, then the best ones, best first."""
    reason: str
    code: str
    message: str
    cached: int
    """Prompt tokens found in the prefix cache, not decoded again."""
    prompt_count: int
    generated_count: int
    shift_count: int
    prompt_ns: int
    """From the start of prefill to the first token, without the cached part."""
    generate_ns: int
    """From the first token to the last."""

@final
class Loop:
    """One thread that decodes up to `num_parallel` jobs at a time over one model.

    submit, cancel, pause and resume queue a command and return at once; the loop takes them
    between two steps. Events come from `wait`, a batch a step.
    """

    def __new__(
        cls,
        model: Model,
        *,
        num_parallel: int = 4,
        num_ctx: int = 4096,
        num_batch: int = 512,
        num_thread: int = 0,
        queue_max: int = 1024,
        flash_attention: bool | None = None,
        kv_cache_type: str = "f16",
        kv_unified: bool = False,
        prefill_budget_ms: int = 50,
        image_chunk_max: int = 0,
    ) -> Loop:
        """num_ctx is the context of each stream, in tokens; memory is num_ctx x num_parallel.
        num_thread 0 is found by trying and follows the machine's load, within the cgroup's quota
        and the physical cores; a greater number is capped at the CPUs this process may use, and
        holds. kv_cache_type: f32, f16, bf16, q8_0, q5_1, q5_0,
        q4_1 or q4_0. prefill_budget_ms is the time that prompts get between two decode steps.
        image_chunk_max is the most embeddings of an image that is not causal, computed at once.
        INVALID_ARGUMENT: an option outside its range, or a model that generates no text;
        RESOURCE_EXHAUSTED: no memory for the KV cache.
        """

    @property
    def info(self) -> dict[str, Any]:
        """As resolved: `num_parallel`, `num_ctx`, `num_batch`, `num_thread` (of a decode step, as
        found at load), `num_thread_prefill`, `kv_bytes`, `can_shift`, `can_reuse_prefix`,
        `flash_attention` (asked for, or left to llama.cpp)."""

    def submit(
        self,
        job_id: int,
        prompt: Any,
        *,
        images: Iterable[tuple[int, Image]] = (),
        generated: Any = (),
        emitted_bytes: int = 0,
        num_ctx: int = 0,
        num_batch: int = 0,
        num_predict: int = -1,
        num_keep: int = 4,
        shift: bool = True,
        seed: int = 0,
        temperature: float = 0.8,
        top_k: int = 40,
        top_p: float = 0.9,
        min_p: float = 0.0,
        typical_p: float = 1.0,
        repeat_last_n: int = 64,
        repeat_penalty: float = 1.0,
        presence_penalty: float = 0.0,
        frequency_penalty: float = 0.0,
        penalize_newline: bool = True,
        stop: Iterable[str] = (),
        grammar: str = "",
        grammar_root: str = "root",
        grammar_frame: str = "",
        marks: Iterable[str] = (),
        thinking_budget: int = -1,
        thinking_opening: str = "",
        thinking_closings: Iterable[str] = (),
        thinking_is_open: bool = False,
        thinking_reopens: bool = False,
        thinking_ending: Any = (),
        top_logprobs: int = -1,
        cache_prompt: bool = True,
        reproducible: bool = True,
        isolated: bool = False,
        priority: int = 0,
        user: str = "",
    ) -> None:
        """Queue a job. `prompt` and `generated` are token ids.

        `images` says where the ids of each image begin in `prompt`, in order. A shift of the
        context takes an image out as a whole; penalties and logprobs do not see its ids.

        A job that resumes after a crash brings the ids it `generated` and the number of bytes of
        text already delivered (`emitted_bytes`): the ids go through the stop-string and UTF-8 state
        again, text up to that count is not sent again, and drawing goes on with the random numbers
        that come next.

        num_ctx 0 means the stream's own; num_batch limits one chunk of prefill, 0 means the
        loop's. num_predict <= 0: no limit but the context's (10 x num_ctx with shift on); a greater
        one is limited so, too. Empty stop strings are ignored.

        grammar: GBNF that the text must follow from its rule `grammar_root` on; the job ends with
        stop when the grammar is complete and the model ends it. A grammar that was not prepared is
        compiled here, which takes milliseconds. References to tokens and left recursion are
        refused, and what is beyond the limits of csrc/llamawire/gbnf.h.

        grammar_frame: GBNF, with a rule `root`, of what comes before the text of the grammar. It is
        over with the first mark behind which it is complete; a text of it that ends otherwise is
        the whole.

        marks: control tokens, which have no text, that become text all the same: those spelt so.
        Each comes whole between U+FDD0 and U+FDD1, and stop strings do not see it. At most 64.

        thinking_budget: most tokens of thinking, -1: no limit. Thinking is what stands between
        `thinking_opening` and one of `thinking_closings`; `thinking_is_open`: the prompt has begun
        it; `thinking_reopens`: it may begin anywhere, again and again, else only in front. When the
        budget is used up, the next tokens are those of `thinking_ending`, 1 to 64 ids.

        top_logprobs: log-probabilities of each token, from the raw logits, and of this many
        alternatives (0 to 20); -1: none.

        reproducible: the prefix cache gives only what a cold one would have computed alike, bit for
        bit; with a seed, a job that runs alone then gives the same text whatever ran before. False
        also reuses tokens that were generated: the next turn of a chat starts sooner.

        isolated: the job is computed by calls of its own, whose shapes depend on its tokens alone,
        also when it goes on with `generated`: with a seed it gives the same text in any company and
        in any process on this machine, until the context is shifted.

        priority (-10 to 10) and user (at most 256 bytes) decide who of those that wait is next:
        higher priority first, waiting counts; of one priority the user who has had fewest tokens.

        INVALID_ARGUMENT: an option outside its range, named, a grammar that is none, or an id
        outside the vocabulary, or a prompt that leaves no room for one token.
        RESOURCE_EXHAUSTED: queue_max jobs wait.
        FAILED_PRECONDITION: the loop is closed. ALREADY_EXISTS: job_id is not over yet.
        """

    def prepare_grammar(self, text: str, root: str = "root") -> None:
        """Compiles a grammar, so that `submit` finds it; the last 64 are kept. INVALID_ARGUMENT
        says what is wrong with it."""

    def cancel(self, job_id: int) -> None:
        """Ends the job in whatever phase it is; its last event is FINISHED with `cancelled`. An
        unknown or ended id is ignored."""

    def pause(self, job_id: int) -> None:
        """Leaves the row out of the batch, with its context kept: its reader does not read."""

    def resume(self, job_id: int) -> None: ...
    def wait(self, timeout_s: float) -> list[Event]:
        """The events since the last call, in order; empty after the time-out or when closed.

        What is not urgent (a job's start, first token and end are) is handed out at most every
        3 ms: each time wakes two processes. After `close` it still hands out what was left.
        FAILED_PRECONDITION: another thread waits.
        """

    @property
    def stats(self) -> dict[str, int]:
        """Counters since the start: `steps`, `decoded_rows`, `ghost_rows` (that closed gaps),
        `prefill_tokens`, `cached_tokens`, `shifts`, `lost_caches`; and of now: `active`, `queued`,
        `beats` (turns of the loop, which turns twice a second when there is nothing to do, tokens,
        and nodes of the graph that a CPU computed)."""

    def close(self) -> None:
        """Stops the thread; jobs that run end as cancelled. Idempotent."""

@final
class Cancellation:
    """Says that nobody wants an answer any more; shared between two threads."""

    def __new__(cls) -> Cancellation: ...
    def ask(self) -> None: ...
    @property
    def beats(self) -> int:
        """Moves with every node of the graph that a CPU computes for the call."""

@final
class Embedder:
    """Vectors for inputs, or scores for pairs, with a context of its own over a model.

    Many inputs are computed at once, each apart from the others. Calls from several threads take
    turns, a batch at a time.
    """

    def __new__(
        cls,
        model: Model,
        *,
        num_ctx: int = 2048,
        num_batch: int = 2048,
        num_thread: int = 0,
        flash_attention: bool | None = None,
        pooling: str | None = None,
    ) -> Embedder:
        """num_ctx is the most tokens of an input, within the trained context. An encoder sees a
        whole input at once, so there num_batch is a limit, too. num_thread 0: as the machine
        allows. flash_attention None leaves it to the machine. pooling None: as the file says, or
        the mean; else mean, cls, last or rank.

        INVALID_ARGUMENT: an option outside its range, or a model that gives no vectors.
        RESOURCE_EXHAUSTED: no memory.
        """

    @property
    def info(self) -> dict[str, Any]:
        """`width` (numbers for each input), `input_tokens_max`, `num_batch` (tokens computed at a
        time), `num_thread`, and `ranks`: the numbers are scores of a pair."""

    def embed(
        self, inputs: Iterable[Any], *, cancellation: Cancellation | None = None
    ) -> npt.NDArray[np.float32]:
        """A row for each input (ids, with the special tokens the model wants), shape [n, width].

        Rows have length 1, unless the model ranks; one of zeros stays so. INVALID_ARGUMENT: an
        input without tokens, longer than `input_tokens_max` or with an id outside the vocabulary,
        named by its place, or a row that is not finite. CANCELLED: `cancellation.ask()` was called.
        """
