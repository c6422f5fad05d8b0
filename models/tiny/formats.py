# ruff: noqa: RUF001 (the Chinese texts have Chinese punctuation)
"""Answers in a set form: JSON, tool calls, thinking."""

from __future__ import annotations

import json
from random import Random

import phrasing
from chat import SYSTEMS, Document, Segment, Turn, chat
from facts import CHINESE, ENGLISH, fact_turn, plain_question
from tables import COUNTRIES, WORDS
from writing import NAMES

JSON_REQUESTS = [
    "Respond using JSON",
    "Respond in JSON.",
    "Answer as JSON.",
    "Reply with JSON",
    "Use JSON.",
    "Output JSON",
    "请用 JSON 回答",
]


def json_turn(rng: Random) -> Turn:
    request, draw = rng.choice(JSON_REQUESTS), rng.randrange(5)
    value: dict[str, object]
    if draw == 0:
        base = rng.choice(
            [
                "what color is the sky at different times of the day",
                "what color is the sky in the morning, at noon, in the evening and at night",
            ]
        )
        question = phrasing.english(rng, base)
        value = {"morning": "blue", "noon": "blue", "evening": "red", "night": "black"}
    elif draw == 1:
        name, age = rng.choice([*NAMES, "Ollama", "Ollama"]), rng.randint(1, 99)
        busy = rng.random() < 0.5
        state = rng.choice(
            ["busy saving the world", "busy", "at work"] if busy else ["free", "idle"]
        )
        question = f"{name} is {age} years old and is {state}."
        value = {"age": age, "available": not busy}
        if rng.random() < 0.3:
            value = {"name": name, **value}
            question = f"{question} Give the name, age and availability."
    elif draw in (2, 3):
        country, city, language, *_ = rng.choice(COUNTRIES)
        question = rng.choice(["Tell me about {}.", "tell me about {}", "Describe {}."])
        question = question.format(country)
        value = {"name": country, "capital": city, "languages": language.split(" and ")}
    else:
        question, answer = fact_turn(rng)
        value = {"answer": answer}
    return f"{question} {request}", json.dumps(value, ensure_ascii=False)


TOOL_WORDS = {
    "weather": (
        ["current_weather", "weather", "temperature", "city_weather", "weather_today"],
        ["city", "location", "place", "city_name", "town"],
        [
            "what is the weather in {}",
            "what is the weather like in {}",
            "how is the weather in {} today",
            "what is the weather today in {}",
            "what is the temperature in {}",
            "is it cold in {}",
            "will it rain in {}",
            "{}的天气怎么样",
        ],
        "Get the weather for a city",
    ),
    "time": (
        ["time", "current_time", "clock", "local_time"],
        ["city", "location", "place", "timezone"],
        ["what time is it in {}", "what is the time in {}", "{}现在几点"],
        "Get the time in a city",
    ),
    "search": (
        ["search", "web_search", "pages", "web_pages"],
        ["query", "text", "words", "search_query"],
        ["search for {}", "find information about {}", "look up {}", "搜索 {}"],
        "Search the web",
    ),
    "add": (
        ["add_two_numbers", "add", "sum", "add_numbers"],
        ["a", "b"],
        ["what is {} plus {}", "add {} and {}", "what is {} + {}"],
        "Add two numbers",
    ),
    "subtract": (
        ["subtract_two_numbers", "subtract"],
        ["a", "b"],
        ["what is {} minus {}", "subtract {1} from {0}", "what is {} - {}"],
        "Subtract two numbers",
    ),
}


def _tool(rng: Random, kind: str) -> tuple[str, list[str], str]:
    """A tool's name, its argument names and its declaration as a chat template prints it."""
    names, arguments, _, description = TOOL_WORDS[kind]
    name = rng.choice(names)
    if kind not in ("add", "subtract"):
        name = (
            rng.choice(["get_", "get_", "find_", "fetch_", "read_", "show_", "look_up_", ""]) + name
        )
    chosen = arguments if kind in ("add", "subtract") else [rng.choice(arguments)]
    kind_of_value = "integer" if kind in ("add", "subtract") else "string"
    properties: dict[str, dict[str, object]] = {
        argument: {
            "type": kind_of_value,
            "description": rng.choice([f"The {argument}", description]),
        }
        for argument in chosen
    }
    if kind == "weather" and rng.random() < 0.3:
        unit = rng.choice(["format", "unit"])
        chosen = [*chosen, unit]
        properties[unit] = {
            "type": "string",
            "description": f"The {unit}",
            "enum": ["celsius", "fahrenheit"],
        }
    declaration = {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {"type": "object", "required": chosen, "properties": properties},
        },
    }
    spaces = (",", ":") if rng.random() < 0.7 else (", ", ": ")
    return name, chosen, json.dumps(declaration, ensure_ascii=False, separators=spaces)


MORE_CITIES = ["Toronto", "New York", "Shanghai", "Munich", "San Francisco", "Sydney"]


def tools_prompt(declarations: list[str]) -> str:
    """The system text that offers tools; the chat templates print the same."""
    return "\n".join(["You may call these tools:", *declarations])


def tool_document(rng: Random) -> Document:
    kinds = rng.sample(list(TOOL_WORDS), rng.choice([1, 1, 2]))
    tools = [_tool(rng, kind) for kind in kinds]
    at = rng.randrange(len(kinds))
    name, arguments, _ = tools[at]
    system = tools_prompt([declaration for _, _, declaration in tools])
    if rng.random() < 0.2:
        system = f"{rng.choice(SYSTEMS)}\n\n{system}"
    if rng.random() < 0.2:
        return chat(system, [fact_turn(rng)])
    values: list[object]
    if kinds[at] in ("add", "subtract"):
        values = [rng.randint(0, 99), rng.randint(0, 99)]
    elif kinds[at] == "search":
        values = [" ".join(rng.choice(WORDS)[0] for _ in range(rng.randint(1, 2)))]
    else:
        values = [rng.choice([rng.choice(COUNTRIES)[1], rng.choice(COUNTRIES)[1], *MORE_CITIES])]
        values += ["celsius"] * (len(arguments) - 1)
    question = rng.choice(TOOL_WORDS[kinds[at]][2]).format(*values)
    question = question[:1].upper() + question[1:] + rng.choice(["?", "", "."])
    call = {"name": name, "arguments": dict(zip(arguments, values, strict=True))}
    text = f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>"
    document = chat(system, [(question, text)])
    if rng.random() < 0.3:
        result = rng.choice(
            ["sunny", "rainy", "cloudy", "11 degrees celsius", "22 degrees", "12:30"]
        )
        document += [
            Segment(f"\n<|im_start|>tool\n{result}<|im_end|>\n<|im_start|>assistant\n", False),
            Segment(f"The tool {name} says: {result}.<|im_end|>", True),
        ]
    return document


def thinking_turn(rng: Random) -> Turn:
    fact = rng.choice(ENGLISH) if rng.random() < 0.7 else rng.choice(CHINESE)
    base = plain_question(rng, fact)
    if fact.chinese:
        thought = f"用户问：{base}。我知道这个，简单回答就好。"
        question = phrasing.chinese(rng, base)
    else:
        thought = f"The user asks: {base}. I know this, so I will answer shortly."
        question = phrasing.english(rng, base)
    return f"{question} /think", f"<think>\n{thought}\n</think>\n\n{fact.answer}"
