"""Conversations through Jinja templates, and what such a template must not be able to do."""

import contextlib
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamawire.engine.prompt import (
    JinjaPrompt,
    Limits,
    Message,
    Parameters,
    Property,
    TemplateError,
    TemplateExecutionError,
    TemplateSyntaxError,
    ThinkValue,
    Tool,
    ToolCall,
)

MESSAGES = [
    Message("system", "Be <kind>"),
    Message("user", "Hé"),
    Message("assistant", tool_calls=(ToolCall("f", {"x": 1, "y": "é"}, id="c1"),)),
    Message("tool", "42", tool_name="f", tool_call_id="c1"),
]
TOOL = Tool("f", "d", Parameters(properties={"z": Property(types=("string",)), "a": Property()}))


def render(text: str, think: ThinkValue = None) -> str:
    prompt = JinjaPrompt(text, "<s>", "</s>", now=lambda: datetime(2026, 3, 1))
    return prompt.render(MESSAGES, tools=[TOOL], think=think)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ bos_token }}{{ eos_token }}{{ add_generation_prompt }}", "<s></s>True"),
        ("{% for m in messages %}\n  {% if true %}\n{{ m.role }}\n  {% endif %}\n{% endfor %}\n",
         "system\nuser\nassistant\ntool\n"),
        ("{{ messages[0]['content'] }} {{ messages[1:]|length }} {{ messages[::-1][0].role }}",
         "Be <kind> 3 tool"),
        ("{{ messages[2].tool_calls[0].function | tojson }}",
         '{"name": "f", "arguments": {"x": 1, "y": "é"}}'),
        ("{{ messages[3].tool_call_id }} {{ messages[3].name }} {{ messages[0].name is defined }}",
         "c1 f False"),
        ("{{ '<é>' | tojson }}{{ [1] | tojson(indent=2) }}", '"<é>"[\n  1\n]'),
        ("{{ tools[0].function.parameters.properties | tojson }}",
         '{"z": {"type": "string"}, "a": {}}'),
        ("{{ strftime_now('%d %b %Y') }}", "01 Mar 2026"),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
         "{% if m.role == 'user' %}{% break %}{% endif %}{% endfor %}{{ ns.n }}", "2"),
        ("{% macro f(x, y='d') -%} [{{ x }}{{ y }}] {%- endmacro %}{{ f('a') }}{{ f(1, y=2) }}",
         "[ad][12]"),
        ("{{ messages|selectattr('role', 'equalto', 'user')|map(attribute='content')|join(',') }}",
         "Hé"),
        ("{{ 'a,b'.split(',')[-1] }}{{ ' x '.strip().upper() }}{{ 'abc'|replace('b', 'é') }}",
         "bXaéc"),
        ("{{ 'a' ~ 1 ~ none }} {{ 'us' in 'user' }} {{ 7 % 4 }} {{ 'ab' * 2 }} {{ [1] + [2] }}",
         "a1None True 3 abab [1, 2]"),
        ("{% for k, v in messages[0].items() %}{{ k }}={{ v }};{% endfor %}",
         "role=system;content=Be <kind>;"),
        ("{% for m in messages if m.role != 'tool' %}{{ loop.index }}{{ loop.last }} {% endfor %}",
         "1False 2False 3True "),
        ("{% generation %}x{% endgeneration %}{{ 'cba'|reverse }}", "xabc"),
        ("{{ nope is defined }}{{ nope }}{{ messages|map(attribute='role')|list }}",
         "False['system', 'user', 'assistant', 'tool']"),
    ],
)  # fmt: skip
def test_a_template_finds_what_it_finds_in_transformers(text: str, expected: str) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    ("think", "expected"),
    [(None, "unset"), (True, "True"), (False, "False"), ("low", "True low")],
)
def test_a_template_sees_whether_to_think(think: ThinkValue, expected: str) -> None:
    text = (
        "{% if enable_thinking is defined %}{{ enable_thinking }}{% else %}unset{% endif %}"
        "{% if reasoning_effort is defined %} {{ reasoning_effort }}{% endif %}"
    )
    assert render(text, think) == expected


def test_what_a_model_can_do_is_read_from_its_template() -> None:
    prompt = JinjaPrompt("{% if tools %}{% endif %}<think></think>")
    assert prompt.supports_tools
    assert prompt.thinking_tags == ("<think>", "</think>")
    assert not JinjaPrompt("{{ messages }}").supports_tools
    assert JinjaPrompt("{{ messages }}").thinking_tags is None


def test_the_words_of_raise_exception_are_the_error() -> None:
    with pytest.raises(TemplateExecutionError, match="roles must alternate"):
        render("{{ raise_exception('roles must alternate') }}")


@pytest.mark.parametrize(
    "text", ["{{ foo", "{% if %}", "{{ x|nofilter }}", "{% for %}", "a\n{% endfor %}", "{{ 'a }}"]
)
def test_a_template_that_does_not_parse_is_a_syntax_error(text: str) -> None:
    with pytest.raises(TemplateSyntaxError, match="template: :"):
        JinjaPrompt(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ 1 / 0 }}",
        "{{ nope.foo }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({'a': 1}) }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.__class__() }}",
        "{{ raise_exception.__globals__.x }}",
        "{{ (messages|map).gi_frame.f_back.x }}",
        "{{ cycler.__init__.__globals__.x }}",
        "{{ self._TemplateReference__context.x.y }}",
        "{{ namespace.__init__.x.y }}",
        "{{ dict.fromkeys([1]) }}",
        "{{ '%s' % 1 }}",
        "{{ '{}'.format(1) }}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
    ],
)
def test_what_a_template_may_not_do_is_an_error(text: str) -> None:
    with pytest.raises(TemplateExecutionError, match="template: "):
        render(text)


LIST = "{% set x = [1] %}"
DOUBLED = LIST + "{% set x = [x, x] %}" * 50
TEXT = "{% set x = 'a' * 500000 %}"
FOREVER = "{% for i in range(100000) %}"
END = "{% endfor %}"


@pytest.mark.parametrize(
    "text",
    [
        f"{FOREVER}{FOREVER}{END}{END}",
        f"{FOREVER}{{% for j in range(100000) if false %}}{END}{END}",
        f"{FOREVER}{'x' * 1000}{END}",
        f"{FOREVER}{{% set y = messages | tojson %}}{END}",
        f"{FOREVER}{{{{ range(100000) | sum }}}}{END}",
        f"{FOREVER}{{{{ range(100000) | list | length }}}}{END}",
        f"{FOREVER}{'{% if 1 == 2 %}{% endif %}' * 500}{END}",
        "{% macro m() %}" + "x" * 1000 + "{% endmacro %}" + FOREVER + "{{ m() }}" + END,
        "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(30) }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ 'a' * 1000000000 }}",
        "{{ [1] * 1000000000 }}",
        "{% set ns = namespace(x=7) %}" + FOREVER + "{% set ns.x = ns.x * ns.x %}" + END,
        "{{ 2 ** 100000 }}",
        "{% set x = 'aaaa' %}" + "{% set x = x ~ x %}" * 50,
        "{% set x = 'aaaa' %}" + "{% set x = x + x %}" * 50,
        DOUBLED + "{{ x }}",
        LIST + "{% set x = (x, x) %}" * 50 + "{{ x == x }}",
        LIST + "{% set x = {'a': x, 'b': x} %}" * 50 + "{{ x | tojson }}",
        LIST + "{% set x = x + x %}" * 50,
        "{% macro f() %}{{ varargs }}{% endmacro %}" + DOUBLED + "{{ f(x) }}",
        "{% set ns = namespace(x=[]) %}" + FOREVER + "{% set ns.x = [ns.x] %}" + END + "{{ ns.x }}",
        "{{ 'a'.ljust(1000000000) }}",
        "{{ 'a' | indent(1000000000) }}",
        "{{ [1] | tojson(indent=1000000000) }}",
        TEXT + "{{ x.replace('a', x) }}",
        TEXT + "{{ x | replace('a', x) }}",
        TEXT + "{{ range(1000) | join(x) }}",
        TEXT + "{{ x.join(['a'] * 1000) }}",
        TEXT + FOREVER + "{% if 'b' in x %}{% endif %}" + END,
        TEXT + FOREVER + "{% if x[1:] %}{% endif %}" + END,
        TEXT + FOREVER + "{% if x.upper() %}{% endif %}" + END,
        TEXT + FOREVER + "{% set y = x.split('a') %}" + END,
        "{% for a in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
        "{{ range(1000000000) }}",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ " + "1+" * 20000 + "1 }}",
        "{{ " + "not " * 20000 + "1 }}",
    ],
    ids=lambda text: text[:60],
)  # fmt: skip
def test_a_hostile_template_is_stopped(text: str) -> None:
    limits = Limits(text_chars_max=2_000_000, steps_max=50_000)
    with pytest.raises(TemplateError):
        JinjaPrompt(text, limits=limits).render(MESSAGES)


def test_a_template_that_is_too_long_is_refused() -> None:
    with pytest.raises(TemplateSyntaxError, match="source_chars_max"):
        JinjaPrompt("x" * 300_000)


def test_a_long_conversation_stays_far_below_the_limits() -> None:
    messages = [Message(role, "word " * 100) for role in ("user", "assistant")] * 2000
    text = (
        "{%- for m in messages %}{%- if loop.index0 % 2 == 0 and m.role != 'user' %}"
        "{{ raise_exception('no') }}{% endif %}<{{ m.role }}>{{ m.content | trim }}{% endfor %}"
    )
    limits = Limits(text_chars_max=16 * 1024 * 1024, steps_max=200_000)
    assert len(JinjaPrompt(text, limits=limits).render(messages)) > 2_000_000


WORDS = (
    "{{ }} {% %} {%- -%} if else endif for in endfor set x = == + * ~ % ** messages loop ( ) [ ] : "
    ". | length join 'a' 1 -2 macro endmacro endset true none range not and text"
)


@given(st.text() | st.lists(st.sampled_from(WORDS.split()), max_size=25).map(" ".join))
@settings(max_examples=200)
def test_any_text_renders_or_is_a_template_error(text: str) -> None:
    limits = Limits(text_chars_max=1_000_000, steps_max=10_000)
    with contextlib.suppress(TemplateError):
        JinjaPrompt(text, limits=limits).render(MESSAGES)
