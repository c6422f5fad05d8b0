"""Renders a conversation through the chat template that a GGUF brings along.

These templates are written for Hugging Face's transformers, so they find here what they find there:
the same variables and functions, `{% break %}`, and block tags that leave no blank lines behind.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import jinja2
from jinja2 import meta

from llamawire.engine.prompt.errors import (
    TemplateError,
    TemplateExecutionError,
    TemplateSyntaxError,
)
from llamawire.engine.prompt.jinja.sandbox import Sandbox
from llamawire.engine.prompt.limits import DEFAULT_LIMITS, Limits, check_source
from llamawire.engine.prompt.messages import UNSET, Message, ThinkValue, Tool, ToolCall

__all__ = ["JinjaPrompt"]

_DATE_FORMAT_CHARS_MAX: Final = 100
_THINKING_TAGS: Final = ("<think>", "</think>")


class JinjaPrompt:
    """A model's Jinja template."""

    def __init__(
        self,
        text: str,
        bos: str = "",
        eos: str = "",
        *,
        limits: Limits = DEFAULT_LIMITS,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        """`bos` and `eos` are the texts of the model's tokens. Raises TemplateSyntaxError.

        Where the template writes `bos` itself, the tokenizer must not add another.
        """
        check_source(text, limits)
        self._now = now
        self._tokens = {"bos_token": bos, "eos_token": eos}
        sandbox = Sandbox(limits)
        sandbox.allow("raise_exception", _raise)
        sandbox.allow("strftime_now", self._strftime)
        try:
            self._variables = meta.find_undeclared_variables(sandbox.parse(text))
            self._render = sandbox.compiled(text)
        except jinja2.TemplateSyntaxError as error:
            raise TemplateSyntaxError(f"template: :{error.lineno}: {error.message}") from None
        except (RecursionError, SyntaxError, MemoryError):
            raise TemplateSyntaxError("template: nested too deeply") from None
        self.supports_tools = "tools" in self._variables
        has_tags = all(tag in text for tag in _THINKING_TAGS)
        self.thinking_tags = _THINKING_TAGS if has_tags else None

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        think: ThinkValue = UNSET,
    ) -> str:
        """The prompt of a conversation, or TemplateExecutionError."""
        try:
            return self._render(
                {
                    "messages": list(map(_message, messages)),
                    "tools": [tool.to_json() for tool in tools] or None,
                    "add_generation_prompt": True,
                    **self._tokens,
                    **_thinking(think),
                }
            )
        except TemplateError:
            raise
        except RecursionError:
            raise TemplateExecutionError("template: nested too deeply") from None
        except Exception as error:  # A template is a program: it can fail in every way there is.
            raise TemplateExecutionError(f"template: {error or type(error).__name__}") from error

    def _strftime(self, format_: str) -> str:
        if len(format_) > _DATE_FORMAT_CHARS_MAX:
            raise TemplateExecutionError("template: strftime_now: the format is too long")
        return self._now().strftime(format_)


def _raise(message: object) -> None:
    raise TemplateExecutionError(f"template: {message}")


def _thinking(think: ThinkValue) -> dict[str, object]:
    if think is None:
        return {}
    level = {"reasoning_effort": think} if isinstance(think, str) else {}
    return {"enable_thinking": bool(think), **level}


def _message(message: Message) -> dict[str, object]:
    optional = {
        "tool_calls": list(map(_tool_call, message.tool_calls)),
        "name": message.tool_name,
        "tool_call_id": message.tool_call_id,
    }
    return {
        "role": message.role,
        "content": message.content,
        **{name: value for name, value in optional.items() if value},
    }


def _tool_call(call: ToolCall) -> dict[str, object]:
    function = {"name": call.name, "arguments": dict(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}
