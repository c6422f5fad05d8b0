"""The 21 options of a request: their types, defaults and ranges, and how they are resolved.

Precedence: request, then the model's PARAMETERs, then the default. The names are Ollama's, from the
REST body down to csrc.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from llamawire.engine.errors import InvalidArgument

__all__ = ["Options", "has_seed", "resolve"]

NUM_CTX_MIN = 4
VISION_NUM_CTX_MIN = 2048
"""An image alone takes hundreds of tokens; this is Ollama's limit, too."""
NUM_CTX_MAX = 1 << 24
EMBED_BATCH = 2048
STOP_MAX = 64
STOP_BYTES_MAX = 1024
INT32 = 1 << 31


@dataclass(frozen=True, slots=True)
class Options:
    """How one request is run. `seed` is never negative once resolved, nor is num_ctx 0."""

    seed: int = -1
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.9
    min_p: float = 0.0
    typical_p: float = 1.0
    repeat_last_n: int = 64
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    penalize_newline: bool = True
    num_predict: int = -1
    num_keep: int = 4
    stop: tuple[str, ...] = ()
    num_ctx: int = 0
    num_batch: int = 512
    num_gpu: int = -1
    main_gpu: int = 0
    use_mmap: bool | None = None
    num_thread: int = 0
    numa: bool = False
    reproducible: bool = False


TYPES = {field.name: field.type for field in fields(Options)}


def resolve(
    parameters: Mapping[str, object],
    request: Mapping[str, object],
    *,
    context_length: int,
    num_ctx_train: int,
    embeds: bool = False,
    sees: bool = False,
    reproducible: bool = False,
) -> Options:
    """The options a request runs with.

    `parameters` are the model's and may have any type; `request` holds only what the client gave.
    Unknown names and nulls are skipped. InvalidArgument names the option and what it must be.
    """
    values: dict[str, object] = {"reproducible": reproducible}
    for source in (parameters, request):
        for name, value in source.items():
            if name in TYPES and value is not None:
                values[name] = converted(name, value)
    options = Options(**values)  # type: ignore[arg-type]
    check_ranges(options)
    least = VISION_NUM_CTX_MIN if sees else NUM_CTX_MIN
    num_ctx = max(options.num_ctx or context_length, least)
    if num_ctx_train > 0:
        num_ctx = min(num_ctx, num_ctx_train)
    seed = options.seed if options.seed >= 0 else secrets.randbits(31)
    num_batch = options.num_batch
    if embeds and "num_batch" not in values:  # an input has to fit in it
        num_batch = min(EMBED_BATCH, num_ctx)
    return replace(options, num_ctx=num_ctx, num_batch=num_batch, seed=seed)


def has_seed(parameters: Mapping[str, object], request: Mapping[str, object]) -> bool:
    """Whether somebody chose the seed, and so wants to see the same text again."""
    seed = request.get("seed", parameters.get("seed"))
    return isinstance(seed, int | float) and seed >= 0


def converted(name: str, value: object) -> object:
    """`value` as the option's type; whole-number options cut a fraction off, as Ollama does."""
    kind = TYPES[name]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "int":
        if not number or not math.isfinite(value):  # type: ignore[arg-type]
            raise wrong_type(name, "integer")
        return int(value)  # type: ignore[call-overload]
    if kind == "float":
        if not number or not math.isfinite(value):  # type: ignore[arg-type]
            raise wrong_type(name, "float32")
        return float(value)  # type: ignore[arg-type]
    if kind in ("bool", "bool | None"):
        if not isinstance(value, bool):
            raise wrong_type(name, "boolean")
        return value
    if not isinstance(value, list | tuple):
        raise wrong_type(name, "array")
    if not all(isinstance(text, str) for text in value):
        raise InvalidArgument(
            f'option "{name}" must be of an array of strings',
            reason="INVALID_OPTION",
            option=name,
            expected="array of strings",
        )
    return tuple(value)


def wrong_type(name: str, expected: str) -> InvalidArgument:
    return InvalidArgument(
        f'option "{name}" must be of type {expected}',
        reason="INVALID_OPTION",
        option=name,
        expected=expected,
    )


def check_ranges(options: Options) -> None:
    """Refuses what no machine can do; strange but harmless values are the caller's business."""
    if not options.seed < 1 << 63:
        raise out_of_range("seed", "less than 2^63")
    for name, kind in TYPES.items():
        if kind == "int" and name != "seed" and not -INT32 <= getattr(options, name) < INT32:
            raise out_of_range(name, "a 32-bit integer")
        if kind == "float" and abs(getattr(options, name)) > 3.4e38:
            raise out_of_range(name, "a 32-bit float")
    if options.num_ctx < 0 or options.num_ctx > NUM_CTX_MAX:
        raise out_of_range("num_ctx", f"0 to {NUM_CTX_MAX}")
    if options.num_batch < 1:
        raise out_of_range("num_batch", "1 or more")
    if options.repeat_last_n < -1:
        raise out_of_range("repeat_last_n", "-1 or more")
    if options.repeat_penalty <= 0:
        raise out_of_range("repeat_penalty", "more than 0")
    if options.num_thread < 0:
        raise out_of_range("num_thread", "0 or more")
    if len(options.stop) > STOP_MAX:
        raise out_of_range("stop", f"at most {STOP_MAX} texts")
    if any(len(text.encode()) > STOP_BYTES_MAX for text in options.stop):
        raise out_of_range("stop", f"texts of at most {STOP_BYTES_MAX} bytes")


def out_of_range(name: str, expected: str) -> InvalidArgument:
    return InvalidArgument(
        f'option "{name}" must be {expected}',
        reason="INVALID_OPTION",
        option=name,
        expected=expected,
    )
