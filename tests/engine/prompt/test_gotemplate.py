"""Go's template language. The expected texts were checked against Go 1.27 itself."""

import contextlib
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamawire.engine.prompt import (
    Limits,
    Template,
    TemplateError,
    TemplateExecutionError,
    TemplateSyntaxError,
)
from llamawire.engine.prompt.gotemplate import Struct

MESSAGES = tuple(
    Struct("template.templateMessage", {"Role": role, "Content": content}, is_pointer=True)
    for role, content in [("system", "S"), ("user", "U<1>"), ("assistant", "A é")]
)
DATA: dict[str, object] = {
    "System": "sys",
    "N": 3,
    "F": 1.5,
    "L": [1, "a", None, 2.5, True],
    "M": {"b": 2, "a": [1, {"x": None}]},
    "E": "",
    "Nul": None,
    "U": "héllo",
    "Messages": MESSAGES,
}


def run(text: str, **data: object) -> str:
    return Template.parse(text).execute({**DATA, **data}, lambda: date(2026, 3, 1))


def failure(text: str) -> str:
    with pytest.raises(TemplateError) as caught:
        run(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Trimming and comments.
        ('a {{- "b" -}} c', "abc"),
        ("a {{- 3 -}}\n\t c", "a3c"),
        ("a {{-3}} c", "a -3 c"),
        ("x{{/* c */}}y", "xy"),
        ("x {{- /* c */ -}} y", "xy"),
        ("{{- \n .N \n -}}  x", "3x"),
        ('{"name": "{{ .System }}"} { } }} {', '{"name": "sys"} { } }} {'),
        # Conditions.
        ("{{ if .N }}1{{ else }}2{{ end }}", "1"),
        ("{{ if .E }}1{{ else if .N }}2{{ else }}3{{ end }}", "2"),
        ("{{ if .Nope }}1{{ else if .Nul }}2{{ else }}3{{ end }}", "3"),
        ("{{ if and .N (not .E) (or .Nope .F) }}y{{ end }}", "y"),
        ("{{ with .E }}{{ . }}{{ else with .N }}{{ . }}w{{ else }}n{{ end }}", "3w"),
        ("{{ with $x := .N }}{{ $x }}{{ . }}{{ end }}", "33"),
        ("{{ with .N }}{{ $.System }}{{ end }}", "sys"),
        # Loops.
        ("{{ range 3 }}{{ . }},{{ end }}", "0,1,2,"),
        ("{{ range $i := .N }}{{ $i }}{{ end }}", "012"),
        ("{{ range 0 }}a{{ else }}none{{ end }}", "none"),
        ("{{ range .Nope }}a{{ else }}b{{ end }}", "b"),
        ("{{ range .L }}<{{ . }}>{{ end }}", "<1><a><<no value>><2.5><true>"),
        ("{{ range $i, $v := .L }}{{ $i }}={{ $v }};{{ end }}",
         "0=1;1=a;2=<no value>;3=2.5;4=true;"),
        ("{{ range $k, $v := .M }}{{ $k }}={{ $v }};{{ end }}", "a=[1 map[x:<nil>]];b=2;"),
        ("{{ range .Messages }}{{ .Role }} {{ end }}", "system user assistant "),
        ("{{ range 9 }}{{ if eq . 2 }}{{ break }}{{ end }}{{ . }}{{ end }}", "01"),
        (
            '{{ range .Messages }}{{ if eq .Role "user" }}{{ continue }}{{ end }}'
            "{{ .Role }} {{ end }}",
            "system assistant ",
        ),
        (
            "{{ range $i, $m := .Messages }}{{ $m.Role }}"
            "{{ if eq (len (slice $.Messages $i)) 1 }}!{{ end }}{{ end }}",
            "systemuserassistant!",
        ),
        # Variables.
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ end }}{{ $x }}", "1"),
        ("{{ $x := 0 }}{{ range $x = .N }}{{ $x }}{{ end }}{{ $x }}", "0122"),
        ("{{ $x := .M }}{{ $x.b }} {{ $x.zz }}", "2 <no value>"),
        # Pipes, parentheses, fields.
        ('{{ .System | printf "%s-%s" "a" }}', "a-sys"),
        ('{{ .N | print | len | printf "%03d" }}', "001"),
        ("{{ (index .Messages 0).Role }}", "system"),
        ("{{ (.Nope).Foo }}", "<no value>"),
        ("{{ ((.N)) }}", "3"),
        # Definitions.
        ('{{ define "x" }}[{{ . }}]{{ end }}{{ template "x" .N }}{{ template "x" }}',
         "[3][<no value>]"),
        ('{{ block "b" .N }}<{{ . }}>{{ end }}{{ template "b" 7 }}', "<3><7>"),
        ('{{ define "x" }}1{{ end }}{{ define "x" }} {{ end }}{{ template "x" }}', "1"),
        # Literals.
        ("{{ 1 }} {{ -1 }} {{ 1.5 }} {{ .5 }} {{ 1e3 }}", "1 -1 1.5 0.5 1000"),
        ("{{ 0x1F }} {{ 017 }} {{ 0b11 }} {{ 1_000 }}", "31 15 3 1000"),
        ("{{ 'a' }} {{ '\\n' }} {{ true }} {{ `raw\\n\"x\"` }}", '97 10 true raw\\n"x"'),
        (r'{{ "esc\t\"\\\x41\u00e9\101" }}', 'esc\t"\\AéA'),
        (r'{{ "\xff" }}', "\ufffd"),
        # Functions.
        ('{{ and 1 0 2 }} {{ and 1 2 }} {{ or 0 "" "x" }} {{ not 1 }}', "0 2 x false"),
        ('{{ and false (index .L 99) }}{{ or true (index .L 99) }}', "falsetrue"),
        ('{{ eq 1 2 3 1 }} {{ eq "a" "b" "a" }} {{ ne 1 2 }}', "true true true"),
        ("{{ eq .Nope .Nul }} {{ eq nil .Nope }} {{ eq .Nope 1 }}", "true true false"),
        ('{{ lt 1 2 }} {{ le 2 2 }} {{ gt 3 2 }} {{ ge "b" "a" }}', "true true true true"),
        ("{{ len .U }} {{ len .M }} {{ len .L }}", "6 2 5"),
        ('{{ index .M "a" 1 "x" }} {{ index .M "zz" }} {{ index "hello" 0 }}',
         "<no value> <no value> 104"),
        ('{{ slice .U 1 3 }} {{ slice .U 0 2 }} {{ slice .L 1 3 }}', "é h\ufffd [a <nil>]"),
        ('{{ print 1 2 "a" "b" 3 4 nil }}|{{ println 1 "a" }}', "1 2ab3 4 <nil>|1 a\n"),
        ('{{ html "<a href=\'x\'>&\\"" }}', "&lt;a href=&#39;x&#39;&gt;&amp;&#34;"),
        ('{{ js "it\'s <b> &=" }}', "it\\'s \\u003Cb\\u003E \\u0026\\u003D"),
        ('{{ urlquery "a b&c=é/~-_." }}', "a+b%26c%3D%C3%A9%2F~-_."),
        ("{{ currentDate }} {{ yesterdayDate }}", "2026-03-01 2026-02-28"),
        # Printing.
        ("{{ .Nope }} {{ .Nul }} {{ .L }} {{ .M }}",
         "<no value> <no value> [1 a <nil> 2.5 true] map[a:[1 map[x:<nil>]] b:2]"),
        ('{{ printf "%s %d %q %v %t %03d|%5s|%-5s|" "a" 3 "q\\n" .L true 7 "r" "l" }}',
         'a 3 "q\\n" [1 a <nil> 2.5 true] true 007|    r|l    |'),
        ('{{ printf "%5.2f|%e|%g" 3.14159 1234.5 0.00001 }}', " 3.14|1.234500e+03|1e-05"),
        ('{{ printf "%+d|%x|%#x|%o|%b|%c|%U" 5 255 255 8 5 65 65 }}',
         "+5|ff|0xff|10|101|A|U+0041"),
        ('{{ printf "%d" "a" }} {{ printf "%d %d" 1 }} {{ printf "%d" 1 2 }} {{ printf "%z" 1 }}',
         "%!d(string=a) 1 %!d(MISSING) 1%!(EXTRA int=2) %!z(int=1)"),
        ('{{ json .M }} {{ json "<é>&" }} {{ json .Nope }}',
         '{"a":[1,{"x":null}],"b":2} "\\u003cé\\u003e\\u0026" null'),
    ],
)  # fmt: skip
def test_a_template_renders_as_in_go(text: str, expected: str) -> None:
    assert run(text) == expected


@pytest.mark.parametrize(
    ("number", "printed", "json"),
    [
        (123456.0, "123456", "123456"),
        (1e6, "1e+06", "1000000"),
        (1234567.0, "1.234567e+06", "1234567"),
        (1e-5, "1e-05", "0.00001"),
        (1e-7, "1e-07", "1e-7"),
        (1.50, "1.5", "1.5"),
        (1e21, "1e+21", "1e+21"),
        (-0.0, "-0", "-0"),
    ],
)
def test_a_float_prints_with_six_digits_of_room_and_more_in_json(
    number: float, printed: str, json: str
) -> None:
    assert run("{{ .X }} {{ json .X }}", X=number) == f"{printed} {json}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ .X", "template: :1: unclosed action"),
        ("a\n{{ .X\n", "template: :3: unclosed action started at :2"),
        ("{{/* a\nb", "template: :1: unclosed comment"),
        ("{{/* c */ x }}", "template: :1: comment ends before closing delimiter"),
        ("{{ foo }}", 'template: :1: function "foo" not defined'),
        ("{{ $x }}", 'template: :1: undefined variable "$x"'),
        ("{{ if .N }}a", "template: :1: unexpected EOF"),
        ("{{ end }}", "template: :1: unexpected {{end}}"),
        ("{{ }}", "template: :1: missing value for command"),
        ("{{ if }}{{ end }}", "template: :1: missing value for if"),
        ("{{ break }}", "template: :1: {{break}} outside {{range}}"),
        ("{{ (1 }}", "template: :1: unclosed left paren"),
        ("{{ ) }}", "template: :1: unexpected right paren"),
        ('{{ "abc }}', "template: :1: unterminated quoted string"),
        ('{{ "bad\\q" }}', "template: :1: invalid syntax"),
        ("{{ 1x }}", 'template: :1: bad number syntax: "1x"'),
        ("{{ 08 }}", 'template: :1: integer overflow: "08"'),
        ("{{ 'ab' }}", "template: :1: malformed character constant: 'ab'"),
        ("{{ .# }}", "template: :1: bad character U+0023 '#'"),
        ("{{ true.Foo }}", 'template: :1: unexpected . after term "true"'),
        ('{{ "a" | 3 }}', "template: :1: non executable command in pipeline stage 2"),
        ("{{ $x, $y := 1 }}", "template: :1: too many declarations in command"),
        ("{{ template nope }}", 'template: :1: unexpected "nope" in template clause'),
        (
            '{{ define "x" }}1{{ end }}{{ define "x" }}2{{ end }}',
            'template: :1: template: multiple definition of template "x"',
        ),
    ],
)
def test_a_syntax_error_is_told_in_the_words_of_go(text: str, expected: str) -> None:
    assert failure(text) == expected


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("{{ .Nope.Foo }}", "1:8 <.Nope.Foo>", "nil pointer evaluating interface {}.Foo"),
        ("a\nbé{{ .Nope.Foo }}", "2:11 <.Nope.Foo>", "nil pointer evaluating interface {}.Foo"),
        (
            "{{ range .Messages }}{{ .Bogus }}{{ end }}",
            "1:24 <.Bogus>",
            "can't evaluate field Bogus in type *template.templateMessage",
        ),
        (
            "{{ .System.Foo }}",
            "1:10 <.System.Foo>",
            "can't evaluate field Foo in type interface {}",
        ),
        ("{{ index .L 9 }}", "1:3 <index .L 9>", "error calling index: index out of range: 9"),
        (
            "{{ eq .System 1 }}",
            "1:3 <eq .System 1>",
            "error calling eq: incompatible types for comparison: string and int",
        ),
        ("{{ len .N }}", "1:3 <len .N>", "error calling len: len of type int"),
        ("{{ len 1 2 }}", "1:3 <len>", "wrong number of args for len: want 1 got 2"),
        ("{{ eq }}", "1:3 <eq>", "wrong number of args for eq: want at least 1 got 0"),
        ("{{ 3 4 }}", "1:3 <3>", "can't give argument to non-function 3"),
        ("{{ nil }}", "1:3 <nil>", "nil is not a command"),
        ("{{ printf 1 }}", "1:10 <1>", "expected string; found 1"),
        ("{{ printf .N }}", "1:10 <.N>", "wrong type for value; expected string; got int"),
        ("{{ range .F }}{{ end }}", "1:9 <.F>", "range can't iterate over 1.5"),
        (
            '{{ template "nope" }}',
            '1:12 <{{template "nope"}}>',
            'template "nope" not defined',
        ),
    ],
)
def test_an_execution_error_names_its_place(text: str, place: str, reason: str) -> None:
    position, node = place.split(" ", 1)
    assert failure(text) == f'template: :{position}: executing "" at {node}: {reason}'


def test_an_error_in_a_definition_names_it() -> None:
    text = '{{ define "x" }}{{ .Foo }}{{ end }}{{ template "x" .N }}'
    assert failure(text).startswith('template: :1:19: executing "x" at <.Foo>: ')


@pytest.mark.parametrize(
    ("template", "tags"),
    [
        (
            "{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}"
            "{{ end }}",
            ("<think>", "</think>"),
        ),
        (
            "{{ range $i, $m := .Messages }}A{{ if .Thinking }}\n[T] {{ .Thinking }}\n[/T]\n"
            "{{ end }}B{{ end }}",
            ("[T]", "[/T]"),
        ),
        ("{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}", None),
        ("{{ range .Tools }}<think>{{ .Thinking }}</think>{{ end }}", None),
        ("{{ range .Messages }}{{ .Thinking }}</think>{{ end }}", None),
        ("{{ range .Messages }}{{ .Content }}{{ end }}", None),
    ],
)
def test_thinking_tags_are_the_texts_around_the_thinking(
    template: str, tags: tuple[str, str] | None
) -> None:
    assert Template.parse(template).thinking_tags() == tags


@pytest.mark.parametrize(
    ("body", "tag"),
    [
        ('{{ if .ToolCalls }}<tool_call>\n{"name": "{{ . }}"}{{ end }}', "<tool_call>"),
        ("{{ if .ToolCalls }} {{ .Role }}[TOOL_CALLS] [{{{ end }}", "[TOOL_CALLS] ["),
        ('{{ if and .ToolCalls .Role }}{"name": 1}{{ end }}', "{"),
        ("{{ .Content }}", "{"),
    ],
)
def test_the_tool_call_tag_is_the_text_before_the_json(body: str, tag: str) -> None:
    text = "{{ range .Messages }}" + body.replace("[{{{ end", '[{{ "{" }}{{ end') + "{{ end }}"
    assert Template.parse(text).tool_call_tag() == tag


@pytest.mark.parametrize(
    "text",
    [
        "{{ .Messages }}",
        "{{ $.messages }}",
        "{{ if or .X (index (slice .MESSAGES 1) 0) }}{{ end }}",
        "{{ range $m := .A.Messages.B }}{{ end }}",
        '{{ define "x" }}{{ .Messages }}{{ end }}',
        "{{ (index .X 0).Messages }}",
    ],
)
def test_a_name_is_mentioned_wherever_it_stands(text: str) -> None:
    template = Template.parse(text)
    assert template.mentions("Messages")
    assert not template.mentions("Response")


@given(st.text() | st.text(alphabet="{}-.$|()\"`'\\/*:=, \nabAB01éifrangend"))
@settings(max_examples=300)
def test_any_text_parses_or_is_a_syntax_error(text: str) -> None:
    for source in (text, "{{" + text + "}}"):
        with contextlib.suppress(TemplateSyntaxError):
            template = Template.parse(source)
            with contextlib.suppress(TemplateExecutionError):
                template.execute(DATA)


@given(st.text().filter(lambda text: "{{" not in text))
@settings(max_examples=200)
def test_text_without_actions_renders_to_itself(text: str) -> None:
    assert run(text) == text


WORDS = (
    "{{ }} {{- -}} if else end range with $x := = . .N .L .M .Messages .Nope ( ) | len index slice "
    'print printf "%s" eq and or not 1 -2 "a" nil true break continue define template block text'
)


@given(st.lists(st.sampled_from(WORDS.split()), max_size=30).map(" ".join))
@settings(max_examples=300)
def test_no_sequence_of_words_breaks_the_interpreter(text: str) -> None:
    with contextlib.suppress(TemplateError):
        run(text)


DOUBLING = '{{ $x := "aaaaaaaa" }}' + '{{ $x = printf "%s%s" $x $x }}' * 60
NESTED_LOOPS = "{{ range 100000 }}" * 5 + "{{ end }}" * 5


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        (DOUBLING, "text_chars_max"),
        ("{{ range 1000000 }}" + "x" * 1000 + "{{ end }}", "text_chars_max"),
        ('{{ range 1000000 }}{{ $x := printf "%100000d" 1 }}{{ end }}', "text_chars_max"),
        (NESTED_LOOPS, "steps_max"),
        ("{{ range 1000000000000 }}{{ end }}", "steps_max"),
        ('{{ define "x" }}{{ template "x" }}{{ end }}{{ template "x" }}', "depth_max"),
        ("{{ if 1 }}" * 1000 + "{{ end }}" * 1000, "depth_max"),
        ("{{ " + "(" * 1000 + "1" + ")" * 1000 + " }}", "depth_max"),
        ("{{ if 1 }}" + "{{ else if 1 }}" * 1000 + "{{ end }}", "depth_max"),
        ("x" * 1000, "source_chars_max"),
    ],
)
def test_a_hostile_template_meets_a_limit(text: str, limit: str) -> None:
    is_source = limit == "source_chars_max"
    limits = Limits(
        source_chars_max=100 if is_source else 200_000,
        text_chars_max=1_000_000,
        steps_max=200_000,
    )
    with pytest.raises(TemplateError, match=limit):
        Template.parse(text, limits).execute({})


def test_the_deepest_template_allowed_runs() -> None:
    depth = Limits().depth_max - 5
    text = "{{ if 1 }}" * depth + "x" + "{{ end }}" * depth
    assert run(text) == "x"
    assert run("{{ " + "(" * depth + "1" + ")" * depth + " }}") == "1"


def test_values_nested_too_deeply_are_an_error() -> None:
    value: object = 1
    for _ in range(100_000):
        value = [value]
    with pytest.raises(TemplateExecutionError, match="nested too deeply"):
        Template.parse("{{ .X }}").execute({"X": value})
