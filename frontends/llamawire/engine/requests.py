"""What a client may ask of a model, and the checks that need no loaded model.

The order of the checks is Ollama's; the first that fails answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from llamawire.engine.catalog import ServedModel
from llamawire.engine.errors import InvalidArgument, Unsupported
from llamawire.engine.prompt import Message, ThinkValue, Tool
from llamawire.engine.structure import Form

__all__ = [
    "MESSAGES_MAX",
    "TOOLS_MAX",
    "ChatRequest",
    "GenerateRequest",
    "Request",
    "check",
    "with_default_think",
]

PROMPT_TOKENS_MAX = 1 << 24
MESSAGES_MAX = 16_384
TOOLS_MAX = 1_024
TOP_LOGPROBS_MAX = 20
PRIORITY_MAX = 10
USER_BYTES_MAX = 256
THINKING_BUDGET_MAX = (1 << 31) - 1
IMAGES_MAX = 64
"""Of one request."""
IMAGE_BYTES_MAX = 32 << 20
"""Of one picture's file."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What every request has. None: not given."""

    model: str
    format: Form | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    keep_alive_s: float | None = None
    truncate: bool = True
    shift: bool | None = None
    think: ThinkValue = None
    thinking_budget: int | None = None
    """Most tokens of thinking."""
    top_logprobs: int | None = None
    timeout_s: float | None = None
    priority: int = 0
    user: str = ""


@dataclass(frozen=True, kw_only=True)
class GenerateRequest(Request):
    """A prompt. `prompt_tokens`, if given, stands in place of `prompt`."""

    prompt: str = ""
    prompt_tokens: tuple[int, ...] | None = None
    suffix: str = ""
    images: tuple[bytes, ...] = ()
    system: str = ""
    template: str = ""
    raw: bool = False
    context: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class ChatRequest(Request):
    """A conversation, oldest message first."""

    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()


AnyRequest = TypeVar("AnyRequest", bound=Request)


def with_default_think(request: AnyRequest, model: ServedModel) -> AnyRequest:
    """The request as it is, or not to think if only the model's PARAMETERs say so."""
    says = request.think is not None or request.thinking_budget is not None
    if says or model.parameters.get("think") is not False:
        return request
    return replace(request, think=False)


def check(request: Request, model: ServedModel) -> None:
    """Raises InvalidArgument or Unsupported for what cannot be served."""
    if isinstance(request, GenerateRequest):
        check_contradictions(request)
    for capability, is_wanted in wanted_capabilities(request):
        if is_wanted and capability not in model.capabilities:
            raise Unsupported(request.model, model.name.full, capability)
    if isinstance(request, ChatRequest):
        check_messages(request)
    check_images(request, model)
    check_thinking_budget(request)
    if request.top_logprobs is not None and not 0 <= request.top_logprobs <= TOP_LOGPROBS_MAX:
        raise InvalidArgument(f"logprobs.top must be 0 to {TOP_LOGPROBS_MAX}", field="logprobs.top")
    check_place_in_line(request)


def wanted_capabilities(request: Request) -> list[tuple[str, bool]]:
    """In the order in which a missing one is told. Any model may be told not to think."""
    return [
        ("thinking", bool(request.think) or request.thinking_budget is not None),
        ("completion", True),
        ("insert", isinstance(request, GenerateRequest) and bool(request.suffix)),
        ("tools", isinstance(request, ChatRequest) and bool(request.tools)),
    ]


def check_contradictions(request: GenerateRequest) -> None:
    contradicts = request.system or request.template or request.context
    if (request.raw or request.prompt_tokens is not None) and contradicts:
        raise InvalidArgument(
            "raw mode does not support template, system, or context", reason="RAW_CONFLICT"
        )
    if request.prompt_tokens is not None and not 0 < len(request.prompt_tokens) < PROMPT_TOKENS_MAX:
        raise InvalidArgument(
            f"prompt_tokens must have 1 to {PROMPT_TOKENS_MAX - 1} ids", field="prompt_tokens"
        )


def check_place_in_line(request: Request) -> None:
    if abs(request.priority) > PRIORITY_MAX:
        raise InvalidArgument(
            f"priority must be {-PRIORITY_MAX} to {PRIORITY_MAX}", field="priority"
        )
    if len(request.user.encode()) > USER_BYTES_MAX:
        raise InvalidArgument(f"user must have at most {USER_BYTES_MAX} bytes", field="user")


def check_messages(request: ChatRequest) -> None:
    if not request.messages:
        raise InvalidArgument("messages must have at least one message", field="messages")


def check_thinking_budget(request: Request) -> None:
    budget = request.thinking_budget
    if budget is None:
        return
    if not 0 <= budget <= THINKING_BUDGET_MAX:
        raise InvalidArgument(
            f"think.budget_tokens must be 0 to {THINKING_BUDGET_MAX}", field="think.budget_tokens"
        )
    if request.think is False:
        raise InvalidArgument(
            "think.budget_tokens limits thinking, and think is false", field="think.budget_tokens"
        )


def check_images(request: Request, model: ServedModel) -> None:
    """Refuses what is wrong before a picture is looked at; the worker sees the rest."""
    images = images_of(request)
    if not images:
        return
    if model.projector is None:
        raise InvalidArgument(
            f"{model.name.display} takes no images: it has no projector",
            reason="IMAGES_UNSUPPORTED",
            field="images",
        )
    if len(images) > IMAGES_MAX:
        raise InvalidArgument(f"images must be at most {IMAGES_MAX}", field="images")
    for index, image in enumerate(images):
        if len(image) > IMAGE_BYTES_MAX:
            raise InvalidArgument(
                f"images[{index}] has {len(image)} bytes, and the limit is {IMAGE_BYTES_MAX}",
                field="images",
            )
    if isinstance(request, GenerateRequest) and (request.suffix or request.prompt_tokens):
        other = "suffix" if request.suffix else "prompt_tokens"
        raise InvalidArgument(f"images cannot be sent with {other}", field="images")


def images_of(request: Request) -> list[bytes]:
    if isinstance(request, ChatRequest):
        return [image for message in request.messages for image in message.images]
    return list(request.images) if isinstance(request, GenerateRequest) else []
