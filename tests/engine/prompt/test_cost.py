"""What a prompt may cost: work that grows with what was sent, and an event loop that goes on."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from llamawire.engine.errors import InvalidArgument
from llamawire.engine.prompt import GoPrompt, Limits, Message, TemplateExecutionError
from llamawire.engine.prompt.jinja import JinjaPrompt
from llamawire.engine.prompting import Renderer
from llamawire.engine.requests import ChatRequest, GenerateRequest

LIMITS = Limits(steps_max=1000, steps_per_message=10)
USER, ANSWER = Message("user", "x"), Message("assistant", "y")
# Each costs some 600 steps.
TURN = "{{ range 600 }}{{ end }}{{ .Prompt }}{{ .Response }}"
FOREVER = "{{ range 1000000000 }}{{ end }}"


def test_the_turns_of_a_conversation_share_what_one_prompt_may_cost() -> None:
    assert GoPrompt(TURN, LIMITS).render([USER]) == "x"
    with pytest.raises(TemplateExecutionError, match=r"steps_max \(1040\)"):
        GoPrompt(TURN, LIMITS).render([USER, ANSWER, USER, ANSWER])


@pytest.mark.parametrize("kind", ["go", "jinja"])
def test_a_conversation_may_cost_more_the_longer_it_is(kind: str) -> None:
    go = "{{ range .Messages }}{{ .Role }}{{ .Content }}{{ end }}"
    jinja = "{% for message in messages %}{{ message.content | trim }}{% endfor %}"
    prompt = GoPrompt(go, LIMITS) if kind == "go" else JinjaPrompt(jinja, limits=LIMITS)
    assert prompt.render([USER, ANSWER] * 5000).count("y") == 5000


def test_neighbours_are_merged_in_time_that_grows_with_their_length() -> None:
    # Adding one to the other would copy 130 GB.
    prompt = GoPrompt("{{ range .Messages }}{{ .Content }}{{ end }}")
    rendered = prompt.render([Message("user", "x" * 1000)] * 16_384)
    assert len(rendered) == 16_384 * 1002 - 2


def model(**fields: Any) -> Any:
    """As much of a model as rendering looks at."""
    details = SimpleNamespace(family="llama")
    name = SimpleNamespace(model="m", display="m", full="m")
    output_format = SimpleNamespace(rendered_think=lambda think: think)
    given = {"go_template": None, "chat_template": None, "fill_in": None} | fields
    return SimpleNamespace(
        system="", messages=(), capabilities=(), details=details, name=name,
        output_format=output_format, **given,
    )  # fmt: skip


RUNNER: Any = SimpleNamespace(loaded=SimpleNamespace(adds_bos=False, bos_text="", eos_text=""))
CHAT = ChatRequest(model="m", messages=(USER,))
LARGE = "{{ if .Suffix }}{{ .Prompt }}{{ end }}" * 1500


@pytest.mark.parametrize(
    ("request_", "served"),
    [
        (GenerateRequest(model="m", prompt="x", template=FOREVER), model()),
        (GenerateRequest(model="m", prompt="x", template=LARGE + FOREVER), model()),
        (GenerateRequest(model="m", prompt="x", suffix="y", template=LARGE + FOREVER), model()),
        (CHAT, model(go_template="{{ .Messages }}" + FOREVER)),
        (CHAT, model(chat_template="{% for i in range(99999) %}" * 3 + "{% endfor %}" * 3)),
    ],
)
async def test_the_event_loop_goes_on_while_a_hostile_template_is_stopped(
    request_: Any, served: Any
) -> None:
    renderer = Renderer()
    rendering = asyncio.create_task(renderer.render(request_, served, 4096, RUNNER))
    turns = 0
    while not rendering.done():
        turns += 1
        await asyncio.sleep(0)
    with pytest.raises(InvalidArgument, match="steps_max"):
        await rendering
    assert turns > 20
    renderer.close()
