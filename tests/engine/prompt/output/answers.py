"""Answers of models and what is in them, a table a format. Written by hand.

Expected is what a client sees: T thinking, C content, one entry a call, R rejected with its reason.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from llamawire.engine.prompt import Parameters, Property, ThinkValue, Tool
from llamawire.engine.prompt.output import (
    DEFAULT_OUTPUT_LIMITS,
    Call,
    Content,
    Markup,
    OutputEvent,
    OutputFormat,
    OutputLimits,
    OutputParser,
    Rejected,
    Thinking,
    generic_format,
    output_format,
)

Seen: TypeAlias = tuple[str, object] | tuple[str, str, object]


def tool(name: str, **types: str) -> Tool:
    properties = {key: Property(types=(type_,)) for key, type_ in types.items()}
    return Tool(name, parameters=Parameters(properties=properties))


TOOLS = (
    tool("get_weather", city="string", days="integer", units="string"),
    tool("get", key="string"),
    tool("now"),
    tool("write", path="string", text="string", mode="object"),
    tool("python", code="string"),
)

PARIS = ("call", "get_weather", {"city": "Paris"})
OSLO = ("call", "get_weather", {"city": "Oslo"})
NOW = ("call", "now", {})


def T(text: str) -> Seen:
    return ("T", text)


def C(text: str) -> Seen:
    return ("C", text)


def R(reason: str) -> Seen:
    return ("R", reason)


@dataclass(frozen=True)
class Answer:
    format: OutputFormat
    text: str
    seen: tuple[Seen, ...]
    prompt: str = ""
    tools: tuple[Tool, ...] = TOOLS
    think: ThinkValue = None
    limits: OutputLimits = DEFAULT_OUTPUT_LIMITS

    def parser(self) -> OutputParser:
        return self.format.parser(
            tools=self.tools, think=self.think, prompt=self.prompt, limits=self.limits
        )


def events(answer: Answer, *cuts: int) -> list[OutputEvent]:
    """What the parser says of the text, cut at these places; neighbours of a kind merged."""
    parser = answer.parser()
    places = [0, *sorted(cuts), len(answer.text)]
    found: list[OutputEvent] = []
    for start, end in pairwise(places):
        found += parser.feed(answer.text[start:end])
    return merged(found + parser.finish())


def merged(found: list[OutputEvent]) -> list[OutputEvent]:
    whole: list[OutputEvent] = []
    for event in found:
        assert event.text or isinstance(event, Call)
        last = whole[-1] if whole else None
        if isinstance(event, Call) or not is_same_kind(last, event):
            whole.append(event)
        elif isinstance(event, Rejected):
            whole[-1] = Rejected(last.text + event.text, event.reason)
        else:
            whole[-1] = type(event)(last.text + event.text)
    return whole


def is_same_kind(a: OutputEvent | None, b: OutputEvent) -> bool:
    return type(a) is type(b) and getattr(a, "reason", "") == getattr(b, "reason", "")


def seen(found: list[OutputEvent]) -> tuple[Seen, ...]:
    """As a client sees it: neither ids nor markup."""
    shown: list[OutputEvent] = merged([e for e in found if not isinstance(e, Markup)])
    return tuple(map(_seen, shown))


def _seen(event: OutputEvent) -> Seen:
    match event:
        case Thinking(text):
            return T(text)
        case Content(text):
            return C(text)
        case Rejected(_, reason):
            return R(reason)
        case Call(call, _):
            return ("call", call.name, dict(call.arguments))
    raise AssertionError(event)


def table(name: str, *rows: tuple[object, ...], **options: object) -> list[Answer]:
    format_ = output_format(name) or generic_format(name)
    return [Answer(format_, str(row[0]), tuple(row[1:]), **options) for row in rows]


PARIS_JSON = '{"name": "get_weather", "arguments": {"city": "Paris"}}'
OSLO_JSON = '{"name": "get_weather", "arguments": {"city": "Oslo"}}'
FUNCTION = "<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>"

QWEN3 = [
    *table(
        "qwen3",
        ("Hello.", C("Hello.")),
        ("<think>\nHm.\n</think>\n\nHello.", T("Hm.\n"), C("Hello.")),
        ("\n <think>Hm.</think>Hello.", T("Hm."), C("Hello.")),
        ("<think>\n\n</think>\n\nHello <think>.", C("Hello <think>.")),
        ("<thin", C("<thin")),
        (" <thin", C(" <thin")),
        ("<think>Hm.</thin", T("Hm.</thin")),
        ("<think>Hm.", T("Hm.")),
        (f"<tool_call>\n{PARIS_JSON}\n</tool_call>", PARIS),
        (f"Sure. <tool_call>{PARIS_JSON}</tool_call>", C("Sure. "), PARIS),
        (
            f"<tool_call>{PARIS_JSON}</tool_call>\n<tool_call>{OSLO_JSON}</tool_call>\nDone.",
            *(PARIS, OSLO, C("\nDone.")),
        ),
        (f"<think>I call.</think>\n<tool_call>{PARIS_JSON}</tool_call>", T("I call."), PARIS),
        (f"<think>I call.\n<tool_call>{PARIS_JSON}</tool_call>", T("I call.\n"), PARIS),
        (f"<tool_call>{PARIS_JSON}", PARIS),
        (f"<tool_call>{PARIS_JSON}{OSLO_JSON}</tool_call>", PARIS, OSLO),
        ('<tool_call>{"name": "now"}</tool_call>', NOW),
        ('<tool_call>{"name": "now", "arguments": null}</tool_call>', NOW),
        ('<tool_call>{"name": "now", "arguments": "{}"}</tool_call>', NOW),
        ('<tool_call>{"type": "function", "function": {"name": "now"}}</tool_call>', NOW),
        ('<tool_call>{"name": "other", "arguments": {}}</tool_call>', ("call", "other", {})),
        (
            '<tool_call>{"name": "get", "arguments": {"key": "}</tool_call>\\"{"}}</tool_call>!',
            *(("call", "get", {"key": '}</tool_call>"{'}), C("!")),
        ),
        (f"<tool_call>{PARIS_JSON[:-1]}</tool_call>", PARIS),
        (f"<tool_call>{PARIS_JSON[:-2]}</tool_call> Well.", PARIS, C(" Well.")),
        ('<tool_call>{"name": "now", "arguments": []}</tool_call>!', R("malformed"), C("!")),
        ("<tool_call>{name: now}</tool_call>!", R("malformed"), C("!")),
        ("<tool_call>now</tool_call>!", R("malformed"), C("!")),
        (f"<tool_call>now<tool_call>{PARIS_JSON}</tool_call>", R("malformed"), PARIS),
        ('<tool_call>{"name": "now", "argu', R("incomplete")),
        ("Hello <tool_c", C("Hello <tool_c")),
        (f"<tool_call>{FUNCTION}</tool_call>", PARIS),
    ),
    *table("qwen3", ("Hm.</think>\nHi", T("Hm."), C("Hi")), prompt="user: Hi\n<think>\n"),
    *table("qwen3", ("<think>Hm.</think>", C("<think>Hm.</think>")), think=False),
    *table(
        "qwen3",
        ("<think>A <tool_call>?</think>B", T("A <tool_call>?"), C("B")),
        (f"<tool_call>{PARIS_JSON}</tool_call>", C(f"<tool_call>{PARIS_JSON}</tool_call>")),
        tools=(),
    ),
]

QWEN3_CODER = table(
    "qwen3-coder",
    (f"<tool_call>\n{FUNCTION}\n</tool_call>", PARIS),
    (f"I look.\n{FUNCTION}\n</tool_call>\n\nWell.", C("I look.\n"), PARIS, C("\n\nWell.")),
    (f"{FUNCTION}\n{FUNCTION} So.", PARIS, PARIS, C(" So.")),
    (f"<tool_call>{FUNCTION}\n{FUNCTION}</tool_call>", PARIS, PARIS),
    ("<tool_call><function=now></function></tool_call>", NOW),
    ("<tool_call><function=now></tool_call>", NOW),
    (
        "<function=get_weather><parameter=days>3</parameter><parameter=city>7</parameter>"
        "<parameter=units> </parameter></function>",
        ("call", "get_weather", {"days": 3, "city": "7", "units": " "}),
    ),
    (
        "<function=write><parameter=text>\n<a>\n</function>\n\n</parameter>"
        '<parameter=mode>\n{"x": [1, null]}\n</parameter></function>',
        ("call", "write", {"text": "<a>\n</function>\n", "mode": {"x": [1, None]}}),
    ),
    (
        "<function=get_weather><parameter=days>many</parameter></function>",
        ("call", "get_weather", {"days": "many"}),
    ),
    (
        "<function=other><parameter=x>True</parameter></function>",
        ("call", "other", {"x": "True"}),
    ),
    ("<function=get_weather>\n<parameter=city>\nPar", R("incomplete")),
    ("<function=get_wea", R("incomplete")),
    ("a < b <func", C("a < b <func")),
)

LLAMA3 = table(
    "llama3",
    ("Hello.", C("Hello.")),
    (' {"name": "get_weather", "parameters": {"city": "Paris"}}', PARIS),
    (f"{PARIS_JSON}; {OSLO_JSON}", PARIS, OSLO),
    (f"{PARIS_JSON}<|eom_id|>", PARIS),
    ('{"answer": 42} is it.', C('{"answer": 42} is it.')),
    ('{"name": "Ada", "parameters": {}}', C('{"name": "Ada", "parameters": {}}')),
    ('{"name": "now", "para', C('{"name": "now", "para')),
    ('{"name": "now", "parameters": {}}{"x": 1} {', NOW, R("malformed"), R("incomplete")),
    (f"<|python_tag|>{PARIS_JSON}; {OSLO_JSON}", PARIS, OSLO),
    (f"I look. <|python_tag|>{PARIS_JSON}", C("I look. "), PARIS),
    (
        '<|python_tag|>brave_search.call(query="tea")<|eom_id|>',
        ("call", "brave_search", {"query": "tea"}),
    ),
    ("<|python_tag|>print(1)\n", ("call", "python", {"code": "print(1)"})),
    ("<|python_tag|>", R("malformed")),
    ('<|python_tag|>{"name": "now", ', R("incomplete")),
    ('{"name": "now", "parameters": {}', C('{"name": "now", "parameters": {}')),
)

MISTRAL = table(
    "mistral",
    (f"[TOOL_CALLS] [{PARIS_JSON}, {OSLO_JSON}]", PARIS, OSLO),
    (f"[TOOL_CALLS][{PARIS_JSON}] Done.", PARIS, C(" Done.")),
    (f"[TOOL_CALLS]{PARIS_JSON}", PARIS),
    (
        'Well.[TOOL_CALLS]get_weather{"city": "Paris"}[TOOL_CALLS]now{}',
        *(C("Well."), PARIS, NOW),
    ),
    ('[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}', PARIS),
    ('[TOOL_CALLS]get_weather[CALL_ID]a1B2c3D4e[ARGS]{"city": "Paris"}', PARIS),
    ('[TOOL_CALLS]get[ARGS]{"key": "[TOOL_CALLS]"}', ("call", "get", {"key": "[TOOL_CALLS]"})),
    ("[TOOL_CALLS]now[TOOL_CALLS]now{}", R("malformed"), NOW),
    ("[TOOL_CALLS]that is, it is {now}", R("malformed")),
    ('[TOOL_CALLS]get{"key": ', R("incomplete")),
    (f"[TOOL_CALLS][{PARIS_JSON}, ", PARIS, R("incomplete")),
    (f"[TOOL_CALLS][{{}}, {PARIS_JSON}]", R("malformed"), PARIS),
    ("[THINK]Hm.[/THINK]Hello.", T("Hm."), C("Hello.")),
    ("[TOOL", C("[TOOL")),
)

GEMMA = [
    *table(
        "gemma",
        ('```tool_code\nget_weather(city="Paris")\n```', PARIS),
        ("I look.\n```tool_code\nprint(default_api.now())\n```\n", C("I look.\n"), NOW),
        ("```tool_code\nget_weather('Paris')\nnow()\n``` So.", PARIS, NOW, C(" So.")),
        ("[get_weather(city='Paris'), now()]", PARIS, NOW),
        ("[now()]\nSo.", NOW, C("\nSo.")),
        ("[now(), other()]", C("[now(), other()]")),
        ("[now is the time]", C("[now is the time]")),
        ("[now(", C("[now(")),
        (
            '```tool_code\nwrite(path="a\\n\\u00e9\'", text="""x\n"y""", mode={"a": [1, -2.5, '
            "None, (True,)]})\n```",
            (
                *("call", "write"),
                {"path": "a\né'", "text": 'x\n"y', "mode": {"a": [1, -2.5, None, [True]]}},
            ),
        ),
        ("```tool_code\nx = 1\n```!", R("malformed"), C("!")),
        ("```tool_code\nnow(1)\n```", R("malformed")),
        ("```tool_code\nnow(", R("incomplete")),
        ("```tool_code\nnow()", NOW),
        ("```python\nnow()\n```", C("```python\nnow()\n```")),
    ),
    *table(
        "functiongemma",
        (
            "<start_function_call>call:get_weather{city:<escape>Paris<escape>}"
            "<end_function_call><start_function_call>call:now{}<end_function_call>",
            *(PARIS, NOW),
        ),
        ("<start_function_call>call:now{}", NOW),
        ("<start_function_call>call:now{", R("incomplete")),
    ),
    *table(
        "gemma4",
        (
            "<|channel>thought\nHm.\n<channel|>I look.<|tool_call>call:get_weather{city:"
            '<|"|>Paris<|"|>}<tool_call|>',
            *(T("Hm.\n"), C("I look."), PARIS),
        ),
        (
            '<|tool_call>call:write{mode:{a b:[1,true,<|"|>x,}<|"|>],c:null},path:/tmp/x}'
            "<tool_call|>",
            (
                *("call", "write"),
                {"mode": {"a b": [1, True, "x,}"], "c": None}, "path": "/tmp/x"},
            ),
        ),
        ("<|channel>thought\nHm.<|tool_call>call:now{}<tool_call|>", T("Hm."), NOW),
        ("<|tool_call>now?<tool_call|>!", R("malformed"), C("!")),
    ),
]

FINAL = "<|channel|>final<|message|>"
ANALYSIS = "<|channel|>analysis<|message|>"
TO_WEATHER = "to=functions.get_weather"
CITY = '<|message|>{"city": "Paris"}'
HARMONY = [
    *table(
        "harmony",
        (f"{FINAL}Hello.<|return|>", C("Hello.")),
        (f"{ANALYSIS}Hm.<|end|><|start|>assistant{FINAL}Hello.", T("Hm."), C("Hello.")),
        (
            f"{ANALYSIS}Hm.<|end|><|start|>assistant<|channel|>commentary {TO_WEATHER} "
            f"<|constrain|>json{CITY}<|call|>",
            *(T("Hm."), PARIS),
        ),
        (f"<|channel|>commentary {TO_WEATHER}{CITY}", PARIS),
        (f" {TO_WEATHER}<|channel|>commentary json{CITY}<|call|>", PARIS),
        (f"<|start|>assistant {TO_WEATHER}<|channel|>analysis{CITY}", PARIS),
        (
            "<|channel|>commentary<|message|>I look.<|end|>\n<|start|>assistant"
            f"<|channel|>commentary {TO_WEATHER}{CITY}<|call|>",
            *(C("I look."), PARIS),
        ),
        ("<|channel|>commentary to=functions.now<|message|><|call|>", NOW),
        ("<|channel|>commentary to=functions.now<|message|>", R("incomplete")),
        ("<|channel|>commentary to=functions.now<|message|>now<|end|>", R("malformed")),
        (
            '<|channel|>commentary to=browser.search<|message|>{"query": "tea"}',
            ("call", "browser.search", {"query": "tea"}),
        ),
        (f"{ANALYSIS}Hm.{FINAL}Hello.", T("Hm."), C("Hello.")),
        ("Hello, no frame.", C("Hello, no frame.")),
        (f"{FINAL}A <|message|> <|retu", C("A <|message|> <|retu")),
        ("<|channel|>fin", R("incomplete")),
        (f"{ANALYSIS}Hm.<|e", T("Hm.<|e")),
    ),
    *table("harmony", (f"{FINAL}Hi", C("Hi")), prompt="x<|start|>assistant"),
    *table(
        "harmony",
        ("<|message|>Hm.<|end|>", T("Hm.")),
        prompt="<|start|>assistant<|channel|>analysis",
    ),
    *table(
        "harmony",
        (f"Hm.<|end|><|start|>assistant{FINAL}Hi", T("Hm."), C("Hi")),
        prompt=f"<|start|>user<|message|>Hi<|end|><|start|>assistant{ANALYSIS}",
    ),
    *table(
        "harmony",
        (f"{ANALYSIS}Hm.<|end|><|start|>assistant{FINAL}Hi", T("Hm."), C("Hi")),
        (f"<|channel|>commentary {TO_WEATHER}{CITY}<|call|>", R("unknown_tool")),
        tools=(),
    ),
]

CALLS = "<｜tool▁calls▁begin｜>"  # noqa: RUF001
CALL = "<｜tool▁call▁begin｜>"  # noqa: RUF001
SEP = "<｜tool▁sep｜>"  # noqa: RUF001
CALL_END = "<｜tool▁call▁end｜>"  # noqa: RUF001
CALLS_END = "<｜tool▁calls▁end｜>"  # noqa: RUF001
V3 = f'{CALL}function{SEP}get_weather\n```json\n{{"city": "Paris"}}\n```{CALL_END}'
V31 = f'{CALL}get_weather{SEP}{{"city": "Paris"}}{CALL_END}'
DEEPSEEK = table(
    "deepseek",
    (f"{CALLS}{V3}{CALLS_END}", PARIS),
    (f"I look.{CALLS}{V3}\n{V3}{CALLS_END}\n", C("I look."), PARIS, PARIS),
    (f"<think>\nHm.\n</think>\n\n{CALLS}{V31}{V31}{CALLS_END}!", T("Hm.\n"), PARIS, PARIS, C("!")),
    (f"{CALLS}{CALL}now{SEP}{{}}", NOW),
    (f"{CALLS}{CALL}now{CALL_END}{V31}{CALLS_END}", R("malformed"), PARIS),
    (f"{CALLS}{CALL}function{SEP}now\n```json\n{CALL_END}{CALLS_END}.", R("malformed"), C(".")),
    (f"{CALLS}{CALL}get{SEP}{{", R("incomplete")),
)

GENERIC = [
    *table(
        "<tool_call>",
        ("Hello.", C("Hello.")),
        (f"<tool_call>\n{PARIS_JSON}\n</tool_call>\nDone.", PARIS),
        (f"Hi <tool_call>{PARIS_JSON}</tool_call>", C("Hi "), PARIS),
        (f"<tool_call>[{PARIS_JSON}, {OSLO_JSON}]", PARIS, OSLO),
        (f"<tool_call>{PARIS_JSON}<tool_call>{OSLO_JSON}", PARIS, OSLO),
        ('<tool_call>{"name": "now", "parameters": "{}"}', NOW),
        ('<tool_call>get_weather {"city": "Paris"}', PARIS),
        ('<tool_call>{"get_weather": {"city": "Paris"}}', PARIS),
        ('<tool_call>{"calls": [{"name": "now", "arguments": {}}]}', NOW),
        (
            '<tool_call>{"tool": "get", "key": "x"}',
            ("call", "get", {"tool": "get", "key": "x"}),
        ),
        ('<tool_call>get {"name": "Ada"}', ("call", "get", {"name": "Ada"})),
        (
            '<tool_call>{"arguments": {"key": "now"}, "name": "get"}',
            ("call", "get", {"key": "now"}),
        ),
        ('<tool_call>{"name": "other", "arguments": {"key": "x"}}', R("unknown_tool")),
        ('<tool_call>{"name": "other", "arguments": {}}</tool_call>', R("unknown_tool")),
        ("<tool_call>Well.", R("incomplete")),
        ('<tool_call>{"name": "now"}', R("malformed")),
        ('<tool_call>{"name": "now", "argu', R("incomplete")),
        (f"<tool_call>{{bad}} {PARIS_JSON}", R("malformed"), PARIS),
        ("Hello <tool", C("Hello <tool")),
    ),
    *table("[TOOL_CALLS] [", (f"[TOOL_CALLS] [{PARIS_JSON}]", PARIS)),
    *table(
        "{",
        (f" {PARIS_JSON}", PARIS),
        (f"{PARIS_JSON}\n{OSLO_JSON}\nDone.", PARIS, OSLO),
        (f"Hi {PARIS_JSON}", C(f"Hi {PARIS_JSON}")),
        ('{"x": 1} and {"y": 2}', C('{"x": 1} and {"y": 2}')),
        ('{"x": ', C('{"x": ')),
        ("{x} is a set", C("{x} is a set")),
        ('{"name": "other", "arguments": {}}', C('{"name": "other", "arguments": {}}')),
        ('{"name": "now"}', C('{"name": "now"}')),
        ('{"get": {"key": "x"}}', ("call", "get", {"key": "x"})),
        ("", *()),
        ("  ", C("  ")),
    ),
    *table(
        "[",
        (f"[{PARIS_JSON}, {OSLO_JSON}]", PARIS, OSLO),
        ("[1] is a footnote", C("[1] is a footnote")),
        ('[{"x": 1}, {"y": ', C('[{"x": 1}, {"y": ')),
    ),
]

OVERFLOW = [
    *table("qwen3", (f"Hi <tool_call>{PARIS_JSON}</tool_call>!", C("Hi "), R("call_chars_max"))),
    *table("llama3", (f"{PARIS_JSON}!", C(f"{PARIS_JSON}!"))),
    *table("gemma", ("[now('" + "```tool_code" * 9, C("[now('" + "```tool_code" * 9))),
    *table("<call>", (f"<call>{PARIS_JSON} and", R("call_chars_max"))),
]
OVERFLOW = [
    Answer(answer.format, answer.text, answer.seen, limits=OutputLimits(call_chars_max=40))
    for answer in OVERFLOW
]

TABLES = {
    "qwen3": QWEN3,
    "qwen3-coder": QWEN3_CODER,
    "llama3": LLAMA3,
    "mistral": MISTRAL,
    "gemma": GEMMA,
    "harmony": HARMONY,
    "deepseek": DEEPSEEK,
    "generic": GENERIC,
    "overflow": OVERFLOW,
}
ANSWERS = [answer for answers in TABLES.values() for answer in answers]
