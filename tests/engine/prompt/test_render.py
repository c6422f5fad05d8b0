"""Conversations through Go templates."""

import pytest

from llamawire.engine.prompt import (
    GoPrompt,
    Message,
    Parameters,
    Property,
    TemplateExecutionError,
    ThinkValue,
    Tool,
    ToolCall,
)

ROLES = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}


def talk(text: str) -> list[Message]:
    """`u:Hi a:Hello` as messages."""
    pairs = (word.split(":", 1) for word in text.split())
    return [Message(ROLES[role], content) for role, content in pairs]


def render(template: str, conversation: str, think: ThinkValue = None) -> str:
    return GoPrompt(template).render(talk(conversation), think=think)


IF_RESPONSE = "{{ .System }}/{{ .Prompt }}{{ if .Response }}R:{{ .Response }}{{ end }}tail"


@pytest.mark.parametrize(
    ("template", "conversation", "expected"),
    [
        (IF_RESPONSE, "u:U1", "/U1"),
        (IF_RESPONSE, "s:S u:U1 a:A1 u:U2", "S/U1R:A1tail/U2"),
        ("{{ .Prompt }} {{ .Response }} tail", "u:U1 a:A1 u:U2", "U1 A1 tailU2 "),
        ("[{{ .System }}|{{ .Prompt }}|{{ .Response }}]", "u:U", "[|U|"),
        ("[{{ .Prompt }}|{{ .Response }}]", "u:U a:A", "[U|A"),
        ("{{ .Prompt }}", "u:U a:A", "UA"),
        ("{{ .Prompt }}", "u:U a:A u:V", "UAV"),
        ("<{{ .System }}|{{ .Prompt }}>{{ .Response }}", "s:S u:U s:T u:V", "<S|U><T|V>"),
        ("<{{ .System }}|{{ .Prompt }}>{{ .Response }}", "s:S t:ignored u:U", "<S|U>"),
        ('{{ .Prompt }}{{ print .Response "<end>" }}', "u:U a:A u:V a:B", "UA<end>VB"),
        ("{{ .Prompt }} {{ currentDate | len }}{{ .Response }}", "u:U", "U 10"),
        ("{{ .Prompt }}{{ .Tools }}{{ .Response }}", "u:U", "U<no value>"),
        ("{{ .Prompt }}{{ .Response }}", "", ""),
    ],
)
def test_a_template_of_turns_ends_where_the_answer_begins(
    template: str, conversation: str, expected: str
) -> None:
    assert render(template, conversation) == expected


@pytest.mark.parametrize(
    ("conversation", "expected"),
    [
        ("u:a u:b", "user=a\n\nb;"),
        ("s:a s:b u:c a:d a:e", "system=a\n\nb;user=c;assistant=d\n\ne;"),
        ("t:a t:b", "tool=a;tool=b;"),
    ],
)
def test_neighbours_of_one_role_are_merged_except_tools(conversation: str, expected: str) -> None:
    template = "{{ range .Messages }}{{ .Role }}={{ .Content }};{{ end }}"
    assert render(template, conversation) == expected


def test_the_system_texts_are_joined_and_stay_among_the_messages() -> None:
    template = "{{ .System }}|{{ len .Messages }}{{ .Prompt }}"
    assert render(template, "s:a u:b s:c") == "a\n\nc|3<no value>"


@pytest.mark.parametrize(
    ("think", "expected"),
    [
        (None, "false//false"),
        (False, "false//true"),
        (True, "true/medium/true"),
        ("high", "true/high/true"),
    ],
)
def test_a_template_sees_how_to_think(think: ThinkValue, expected: str) -> None:
    template = "{{ .Think }}/{{ .ThinkLevel }}/{{ .IsThinkSet }}{{ .Response }}"
    assert render(template, "u:a", think) == expected
    assert render("{{ $x := .Messages }}" + template, "u:a", think) == expected
    assert GoPrompt(template).render_suffix("a", "b", think=think) == expected


def test_a_suffix_is_rendered_without_system_and_messages() -> None:
    prompt = GoPrompt("<P>{{ .Prompt }}<S>{{ .Suffix }}<M>{{ .System }}")
    assert prompt.supports_suffix
    assert prompt.render_suffix("a", "b") == "<P>a<S>b<M><no value>"


def test_an_unknown_field_of_a_message_is_an_error() -> None:
    with pytest.raises(TemplateExecutionError, match=r"Bogus in type \*template.templateMessage"):
        render("{{ range .Messages }}{{ .Bogus }}{{ end }}", "u:a")


WEATHER = Tool(
    "get_weather",
    "The weather <now>",
    Parameters(
        properties={
            "unit": Property(types=("string", "null"), enum=("C", "F")),
            "city": Property(types=("string",), description="Where"),
        },
        required=("city",),
    ),
)
PARAMETERS_JSON = (
    '{"type":"object","required":["city"],"properties":{"city":{"type":"string",'
    '"description":"Where"},"unit":{"type":["string","null"],"enum":["C","F"]}}}'
)
FUNCTION_JSON = (
    '{"name":"get_weather","description":"The weather \\u003cnow\\u003e",'
    f'"parameters":{PARAMETERS_JSON}}}'
)
TOOL_JSON = f'{{"type":"function","function":{FUNCTION_JSON}}}'


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ .Tools }}", f"[{TOOL_JSON}]"),
        ("{{ json .Tools }}", f"[{TOOL_JSON}]"),
        ("{{ range .Tools }}{{ . }}{{ end }}", TOOL_JSON),
        ("{{ range .Tools }}{{ .Function }}{{ end }}", FUNCTION_JSON),
        ("{{ range .Tools }}{{ json .Function }}{{ end }}", FUNCTION_JSON),
        ("{{ range .Tools }}{{ .Function.Parameters }}{{ end }}", PARAMETERS_JSON),
        ("{{ range .Tools }}{{ .Function.Parameters.Required }}{{ end }}", "[city]"),
        (
            "{{ range .Tools }}{{ range $k, $v := .Function.Parameters.Properties }}"
            "{{ $k }}:{{ $v.Type }}:{{ toTypeScriptType $v }};{{ end }}{{ end }}",
            "city:string:string;unit:[string null]:string | null;",
        ),
    ],
)
def test_a_tool_prints_as_json(template: str, expected: str) -> None:
    prompt = GoPrompt(template + "{{ if .Messages }}{{ end }}")
    assert prompt.supports_tools
    assert prompt.render(talk("u:a"), tools=[WEATHER]) == expected


@pytest.mark.parametrize(
    ("property_", "expected"),
    [
        (Property(types=("integer",)), "number"),
        (Property(types=("array",)), "any[]"),
        (Property(types=("object",)), "Record<string, any>"),
        (Property(types=("boolean",)), "boolean"),
        (Property(types=("strange",)), "any"),
        (Property(), "any"),
        (
            Property(any_of=(Property(types=("string",)), Property(types=("null",)))),
            "string | null",
        ),
    ],
)
def test_a_property_has_a_type_of_typescript(property_: Property, expected: str) -> None:
    tool = Tool("f", parameters=Parameters(properties={"p": property_}))
    template = "{{ range (index .Tools 0).Function.Parameters.Properties }}{{ toTypeScriptType . }}{{ end }}{{ if .Messages }}{{ end }}"  # noqa: E501
    assert GoPrompt(template).render(talk("u:a"), tools=[tool]) == expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (".Function.Name", "f"),
        (".ID", "c1"),
        (".Function.Index", "2"),
        (".Function.Arguments", '{"a":1.5,"b":"\\u003c","n":1000000}'),
        (".Function.Arguments.n", "1e+06"),
        (".Function", '{2 f {"a":1.5,"b":"\\u003c","n":1000000}}'),
    ],
)
def test_a_tool_call_prints_as_in_go(field: str, expected: str) -> None:
    call = ToolCall("f", {"n": 1000000, "b": "<", "a": 1.50}, id="c1", index=2)
    template = f"{{{{ range .Messages }}}}{{{{ range .ToolCalls }}}}{{{{ {field} }}}}{{{{ end }}}}{{{{ end }}}}"  # noqa: E501
    message = Message("assistant", tool_calls=(call,))
    assert GoPrompt(template).render([message]) == expected


def test_messages_as_json_have_null_for_absent_lists() -> None:
    expected = (
        '[{"Role":"user","Content":"a","Thinking":"","Images":null,"ToolCalls":null,'
        '"ToolName":"","ToolCallID":""}]'
    )
    assert render("{{ json .Messages }}", "u:a") == expected


def test_a_tool_keeps_what_models_are_told_and_drops_the_rest() -> None:
    schema = {
        "type": "function",
        "function": {
            "name": "f",
            "strict": True,
            "parameters": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"b": {"type": "string", "default": 1}, "a": {"type": ["null"]}},
            },
        },
    }
    assert Tool.from_json(schema).to_json() == {
        "type": "function",
        "function": {
            "name": "f",
            "description": "",
            "parameters": {
                "type": "object",
                "properties": {"b": {"type": "string"}, "a": {"type": "null"}},
            },
        },
    }


# Shaped like the templates of the families, in our own words.

CHATML = """{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 }}
{{- if eq .Role "assistant" }}<|im_start|>assistant
{{ if .Thinking }}<think>
{{ .Thinking }}
</think>
{{ end }}{{ .Content }}{{ if not $last }}<|im_end|>
{{ end }}
{{- else }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ if $last }}<|im_start|>assistant
{{ end }}
{{- end }}
{{- end }}"""

LLAMA3 = """{{ if .System }}<|start_header_id|>system<|end_header_id|>

{{ .System }}<|eot_id|>{{ end }}{{ if .Prompt }}<|start_header_id|>user<|end_header_id|>

{{ .Prompt }}<|eot_id|>{{ end }}<|start_header_id|>assistant<|end_header_id|>

{{ .Response }}<|eot_id|>"""

MISTRAL = """{{- range $i, $m := .Messages }}
{{- if eq .Role "user" }}
{{- if and (eq (len (slice $.Messages $i)) 1) $.Tools }}[AVAILABLE_TOOLS] {{ $.Tools }}[/AVAILABLE_TOOLS]
{{- end }}[INST] {{ .Content }}[/INST]
{{- else if eq .Role "assistant" }}
{{- if .ToolCalls }}[TOOL_CALLS] [
{{- range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}
{{- end }}]</s>
{{- else if .Content }} {{ .Content }}</s>
{{- end }}
{{- else if eq .Role "tool" }}[TOOL_RESULTS] {"content": {{ .Content }}}[/TOOL_RESULTS]
{{- end }}
{{- end }}"""  # noqa: E501

GEMMA = """{{- $system := "" }}
{{- range .Messages }}
{{- if eq .Role "system" }}{{ $system = .Content }}{{ continue }}{{ end -}}
<start_of_turn>{{ if eq .Role "assistant" }}model{{ else }}user{{ end }}
{{ if $system }}{{ $system }}

{{ $system = "" }}{{ end }}{{ .Content }}<end_of_turn>
{{ end }}<start_of_turn>model
"""


def test_a_template_like_chatml_renders() -> None:
    prompt = GoPrompt(CHATML)
    assert prompt.thinking_tags == ("<think>", "</think>")
    assert prompt.render(talk("s:S u:U a:A u:V")) == (
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n"
        "<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\nV<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert prompt.render(talk("u:U a:A")).endswith("<|im_start|>assistant\nA")


def test_a_template_like_llama3_renders() -> None:
    assert render(LLAMA3, "s:S u:U a:A u:V") == (
        "<|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nU<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nV<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_a_template_like_mistral_renders_tools_and_calls() -> None:
    prompt = GoPrompt(MISTRAL)
    assert prompt.tool_call_tag == "[TOOL_CALLS] ["
    call = Message("assistant", tool_calls=(ToolCall("f", {"x": 1}),))
    messages = [Message("user", "U"), call, Message("tool", "42"), Message("user", "V")]
    assert prompt.render(messages, tools=[Tool("f")]) == (
        '[INST] U[/INST][TOOL_CALLS] [{"name": "f", "arguments": {"x":1}}]</s>'
        '[TOOL_RESULTS] {"content": 42}[/TOOL_RESULTS]'
        '[AVAILABLE_TOOLS] [{"type":"function","function":{"name":"f","description":"",'
        '"parameters":{"type":"object","properties":{}}}}][/AVAILABLE_TOOLS][INST] V[/INST]'
    )


def test_a_template_like_gemma_renders() -> None:
    assert render(GEMMA, "s:S u:U a:A u:V") == (
        "<start_of_turn>user\nS\n\nU<end_of_turn>\n<start_of_turn>model\nA<end_of_turn>\n"
        "<start_of_turn>user\nV<end_of_turn>\n<start_of_turn>model\n"
    )
