"""Renders a conversation through a Go template.

There are three kinds of template, and the template itself says which it is:

* It mentions `.Messages`: it is given the whole conversation and renders all of it.
* It does not: it renders one turn, `.System`, `.Prompt` and `.Response`, and is executed once for
  each. The last turn ends where the model is to go on, right after `.Response`.
* Whichever it is, it may mention `.Suffix`: then it can also render a text with a gap in it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from llamawire.engine.prompt.errors import TemplateExecutionError
from llamawire.engine.prompt.gotemplate import Template
from llamawire.engine.prompt.limits import DEFAULT_LIMITS, Budget, Limits
from llamawire.engine.prompt.messages import UNSET, Message, ThinkValue, Tool
from llamawire.engine.prompt.template_data import message_values, think_values, tool_values

__all__ = ["DEFAULT_TEMPLATE", "GoPrompt", "PromptTemplate", "merged"]

DEFAULT_TEMPLATE: Final = "{{ .Prompt }}"
"""For a model that has no template at all."""


class PromptTemplate(Protocol):
    """How a model wants its conversation written down. May be used by any number of threads."""

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        think: ThinkValue = UNSET,
    ) -> str:
        """The prompt, or TemplateExecutionError."""


@dataclass(frozen=True)
class _Turn:
    """What one execution of a template without `.Messages` renders."""

    system: str = ""
    prompt: str = ""
    response: str = ""


class GoPrompt:
    """A model's Go template."""

    def __init__(self, text: str, limits: Limits = DEFAULT_LIMITS) -> None:
        """Raises TemplateSyntaxError."""
        template = Template.parse(text, limits)
        self._limits = limits
        if not (template.mentions("Messages") or template.mentions("Response")):
            template = Template.parse(text + "{{ .Response }}", limits)
        self.template = template
        self.renders_messages = template.mentions("Messages")
        self.supports_suffix = template.mentions("Suffix")
        self.supports_tools = template.mentions("Tools")
        self.thinking_tags = template.thinking_tags()
        self.tool_call_tag = template.tool_call_tag()
        self._last_turn = template.cut_after("Response")

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        think: ThinkValue = UNSET,
    ) -> str:
        """The prompt of a conversation, or TemplateExecutionError.

        A template that renders turns knows no tools: it gets none.
        """
        try:
            if self.renders_messages:
                return self._render_messages(messages, tools, think)
            return self._render_turns(messages, think)
        except RecursionError:
            raise TemplateExecutionError("template: the values are nested too deeply") from None

    def render_suffix(self, prompt: str, suffix: str, *, think: ThinkValue = UNSET) -> str:
        """The prompt for the text between `prompt` and `suffix`, or TemplateExecutionError."""
        values = {"Prompt": prompt, "Suffix": suffix, "Response": ""}
        return self.template.execute({**values, **think_values(think)})

    def _render_messages(
        self, messages: Sequence[Message], tools: Sequence[Tool], think: ThinkValue
    ) -> str:
        system = [message.content for message in messages if message.role == "system"]
        values = {
            "System": "\n\n".join(system),
            "Messages": message_values(merged(messages)),
            "Tools": tool_values(tools),
            "Response": "",
        }
        budget = Budget(self._limits, len(messages))
        return self.template.execute({**values, **think_values(think)}, budget=budget)

    def _render_turns(self, messages: Sequence[Message], think: ThinkValue) -> str:
        *finished, last = _turns(merged(messages))
        budget = Budget(self._limits, len(messages))

        def rendered(template: Template, turn: _Turn) -> str:
            values = {"System": turn.system, "Prompt": turn.prompt, "Response": turn.response}
            return template.execute({**values, **think_values(think)}, budget=budget)

        texts = [rendered(self.template, turn) for turn in finished]
        return "".join([*texts, rendered(self._last_turn, last)])


def merged(messages: Iterable[Message]) -> list[Message]:
    """Neighbours of the same role made one, as of the first, a blank line between their contents.

    Results of tools stay apart: each answers its own call.
    """
    groups: list[list[Message]] = []
    for message in messages:
        if groups and groups[-1][0].role == message.role != "tool":
            groups[-1].append(message)
        else:
            groups.append([message])
    return [
        replace(group[0], content="\n\n".join(message.content for message in group))
        for group in groups
    ]


def _turns(messages: Iterable[Message]) -> Iterator[_Turn]:
    """At least one; other roles than system, user and assistant have no place in a turn."""
    turn = _Turn()
    for message in messages:
        if message.role == "system":
            if turn.prompt or turn.response:
                yield turn
                turn = _Turn()
            turn = replace(turn, system=message.content)
        elif message.role == "user":
            if turn.response:
                yield turn
                turn = _Turn()
            turn = replace(turn, prompt=message.content)
        elif message.role == "assistant":
            turn = replace(turn, response=message.content)
    yield turn
