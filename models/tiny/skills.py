"""What tiny can do besides answering: JSON, calls of tools, thinking, filling a gap in code.

    make serve                               # and, beside it:
    python models/tiny/skills.py [--model tiny] [--url http://127.0.0.1:11434]

It asks a running server, greedily, and prints how many of each kind are right. A person wrote the
questions: the corpus asks none of them in these words (a test sees to it), though it knows their
subjects, the names of the tools and the functions.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Answer = dict[str, Any]
Post = Callable[[str, dict[str, Any]], Answer]
"""Sends a body to a path of the REST API and returns what it answers."""

OPTIONS = {"temperature": 0, "seed": 1, "num_predict": 160}


@dataclass(frozen=True)
class Trial:
    """One request but for the model's name, and how to tell whether its answer is right."""

    path: str
    body: dict[str, Any]
    is_right: Callable[[Answer], bool]

    @property
    def question(self) -> str:
        if "prompt" in self.body:
            return str(self.body["prompt"])
        return str(self.body["messages"][-1]["content"])


def _chat(question: str, is_right: Callable[[Answer], bool], **fields: Any) -> Trial:
    return Trial(
        "/api/chat", {"messages": [{"role": "user", "content": question}], **fields}, is_right
    )


# ---- JSON ----------------------------------------------------------------------------------------

OBJECTS: list[tuple[str, dict[str, object] | str]] = [
    ("What colors does the sky have during a whole day? Respond using JSON",
     {"morning": "blue", "noon": "blue", "evening": "red", "night": "black"}),
    ("Ollama is 22 years old and is busy saving the whole world. Respond using JSON",
     {"age": 22, "available": False}),
    ("Ada is 36 years old and is busy writing code. Respond in JSON.",
     {"age": 36, "available": False}),
    ("Could you tell me something about Poland? Respond using JSON", "Poland"),
    ("Why did the ocean get salty? Answer as JSON.", "salt"),
    ("Which person painted the famous Mona Lisa? Reply with JSON", "Leonardo"),
    ("How many legs has a spider really got? Use JSON.", "eight"),
    ("Of all the planets, which one is the biggest? Output JSON", "Jupiter"),
    ("What is it that makes the trees look green? Respond using JSON", "chlorophyll"),
    ("The speed of light in space, please. Respond using JSON", "300,000"),
]  # fmt: skip
"""A question and the object, or a word of the object, that a right answer is."""


def _is_object(wanted: dict[str, object] | str, said: str) -> bool:
    try:
        value = json.loads(said)
    except ValueError:
        return False
    if isinstance(wanted, str):
        return isinstance(value, dict) and wanted.lower() in said.lower()
    return bool(value == wanted)


def _object_trial(question: str, wanted: dict[str, object] | str, **fields: Any) -> Trial:
    return Trial(
        "/api/generate",
        {"prompt": question, **fields},
        lambda answer: _is_object(wanted, answer["response"]),
    )


# ---- tools ---------------------------------------------------------------------------------------


def _tool(name: str, description: str, **types: str) -> dict[str, Any]:
    properties = {
        word: {"type": kind, "description": f"The {word}"} for word, kind in types.items()
    }
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {"type": "object", "required": list(types), "properties": properties},
        },
    }


WEATHER = _tool("get_current_weather", "Get the weather for a city", city="string")
CITY_WEATHER = _tool("get_city_weather", "Get the weather for a city", location="string")
TIME = _tool("get_current_time", "Get the time in a city", city="string")
CLOCK = _tool("get_time", "Get the time in a city", location="string")
SEARCH = _tool("web_search", "Search the web", query="string")
ADD = _tool("add_two_numbers", "Add two numbers", a="integer", b="integer")
SUBTRACT = _tool("subtract_two_numbers", "Subtract two numbers", a="integer", b="integer")

CALLS: list[tuple[str, list[dict[str, Any]], str, dict[str, object]]] = [
    ("What's the weather in Paris right now?", [WEATHER], "get_current_weather", {"city": "Paris"}),
    ("Tell me what the weather is like today in Toronto", [WEATHER, TIME],
     "get_current_weather", {"city": "Toronto"}),
    ("Is it very cold in Oslo today?", [CITY_WEATHER], "get_city_weather", {"location": "Oslo"}),
    ("Will it rain tomorrow in Berlin?", [CITY_WEATHER, SEARCH],
     "get_city_weather", {"location": "Berlin"}),
    ("What time is it now in Tokyo?", [TIME], "get_current_time", {"city": "Tokyo"}),
    ("Please tell me what time it is in Madrid", [CLOCK, ADD], "get_time", {"location": "Madrid"}),
    ("Do you know the time in Rome?", [CLOCK], "get_time", {"location": "Rome"}),
    ("Please search for volcano", [SEARCH], "web_search", {"query": "volcano"}),
    ("What do you get for 17 plus 25?", [ADD], "add_two_numbers", {"a": 17, "b": 25}),
    ("How much is 50 minus 18?", [ADD, SUBTRACT], "subtract_two_numbers", {"a": 50, "b": 18}),
]  # fmt: skip
"""A question, the tools it offers, and name and arguments of the right call."""


def _is_call(name: str, arguments: dict[str, object], answer: Answer) -> bool:
    calls = answer["message"].get("tool_calls", [])
    functions = [(call["function"]["name"], call["function"]["arguments"]) for call in calls]
    return functions == [(name, arguments)]


# ---- thinking ------------------------------------------------------------------------------------

THOUGHTS: list[tuple[str, str]] = [
    ("Can you say why the sky looks blue?", "scatter"),
    ("So why is the sea full of salt?", "salt"),
    ("And how come that ice floats on water?", "dense"),
    ("Who was it that wrote Hamlet?", "Shakespeare"),
    ("Is there a planet that is the largest?", "Jupiter"),
    ("Tell me how many legs spiders have", "eight"),
    ("Explain what gravity is, please do", "force"),
    ("Where does a rainbow come from?", "raindrop"),
    ("How is it that planes can fly?", "lift"),
    ("Why would leaves be green at all?", "chlorophyll"),
]
"""A question and a word of the answer."""


def _is_thinking(answer: Answer) -> bool:
    message = answer["message"]
    tags = any(tag in message["content"] for tag in ("<think>", "</think>"))
    return bool(message.get("thinking")) and bool(message["content"]) and not tags


def _is_thought(word: str, answer: Answer) -> bool:
    return _is_thinking(answer) and word.lower() in answer["message"]["content"].lower()


# ---- gaps ----------------------------------------------------------------------------------------

Gap = tuple[str, str, str]
"""A prompt, the text of the gap, and the suffix."""

LINES: list[Gap] = [
    ("def compute_gcd(a, b):",
     "\n    while b:\n        a, b = b, a % b\n    result = a\n", "    return result"),
    ("def add(a, b):\n", "    return a + b", ""),
    ("def maximum(a, b):", "\n    return a if a > b else b", ""),
    ("def factorial(n):\n    result = 1\n",
     "    for i in range(2, n + 1):\n        result *= i\n", "    return result"),
    ("def fibonacci(n):\n    a, b = 0, 1\n    for _ in range(n):\n",
     "        a, b = b, a + b\n", "    return a"),
    ("def is_prime(n):\n    if n < 2:\n", "        return False\n",
     "    for i in range(2, int(n**0.5) + 1):\n        if n % i == 0:\n            return False\n"
     "    return True"),
    ("def total(numbers):\n    result = 0\n    for number in numbers:",
     "\n        result += number\n", "    return result"),
    ("def reverse(text):\n", "    return text[::-1]", ""),
    ("def average(numbers):\n", "    return sum(numbers) / len(numbers)", ""),
    ("def is_palindrome(text):", "\n    return text == text[::-1]", ""),
]  # fmt: skip
"""Gaps of whole lines. The corpus has these functions with gaps of lines cut by chance, so it may
have had the same ones; a suffix that is empty stands for a newline, as a request needs one."""

WITHIN_A_LINE: list[Gap] = [
    ("def compute_gcd(a, b):\n    while b:\n        a, b =", " b, a % b", "\n    return a\n"),
    ("def add(a, b):\n    return ", "a + b", "\n"),
    ("def square(x):\n    return x *", " x", "\n"),
    ("def is_even(n):\n    return n %", " 2 == 0", "\n"),
    ("def count_words(text):\n    return len(", "text.split())", "\n"),
]
"""The corpus has no such gaps."""


def _is_filled(gap: Gap, answer: Answer) -> bool:
    """Whether the answer makes the same program, spaces and brackets aside."""
    prefix, wanted, suffix = gap
    try:
        program = ast.parse(prefix + answer["response"] + suffix)
    except (SyntaxError, ValueError):
        return False
    return ast.dump(program) == ast.dump(ast.parse(prefix + wanted + suffix))


def _gap_trial(gap: Gap) -> Trial:
    body = {"prompt": gap[0], "suffix": gap[2] or "\n"}
    return Trial("/api/generate", body, lambda answer: _is_filled(gap, answer))


# ---- all of it -----------------------------------------------------------------------------------

SKILLS: dict[str, list[Trial]] = {
    "JSON asked for in words": [_object_trial(*pair) for pair in OBJECTS],
    "JSON with `format`": [_object_trial(*pair, format="json") for pair in OBJECTS],
    "calls of tools": [
        _chat(question, lambda answer, n=name, a=arguments: _is_call(n, a, answer), tools=tools)
        for question, tools, name, arguments in CALLS
    ],
    "thinking and answer told apart": [
        _chat(question, _is_thinking, think=True) for question, _ in THOUGHTS
    ],
    "the same, and the answer right": [
        _chat(question, lambda answer, w=word: _is_thought(w, answer), think=True)
        for question, word in THOUGHTS
    ],
    "gaps of whole lines of code": [_gap_trial(gap) for gap in LINES],
    "gaps within a line of code": [_gap_trial(gap) for gap in WITHIN_A_LINE],
}

AT_LEAST = {
    "JSON asked for in words": 6,
    "JSON with `format`": 6,
    "calls of tools": 3,
    "thinking and answer told apart": 9,
    "the same, and the answer right": 1,
    "gaps of whole lines of code": 6,
    "gaps within a line of code": 0,
}
"""What a test demands: the file's score and a little room: other processors round otherwise."""


def outcomes(skill: str, post: Post, model: str = "tiny") -> Iterator[tuple[Trial, Answer, bool]]:
    """Each trial of a skill with the answer it got and whether that is right."""
    for trial in SKILLS[skill]:
        body = {"model": model, "stream": False, "options": OPTIONS, **trial.body}
        answer = post(trial.path, body)
        yield trial, answer, trial.is_right(answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--url", default="http://127.0.0.1:11434")
    parser.add_argument("--verbose", action="store_true", help="print every answer")
    arguments = parser.parse_args()

    def post(path: str, body: dict[str, Any]) -> Answer:
        request = urllib.request.Request(arguments.url + path, json.dumps(body).encode())
        with urllib.request.urlopen(request) as answer:
            return dict(json.load(answer))

    for skill in SKILLS:
        right = 0
        for trial, answer, good in outcomes(skill, post, arguments.model):
            right += good
            if arguments.verbose:
                said = answer.get("response", answer.get("message"))
                print("right" if good else "WRONG", repr(trial.question), repr(said), sep=" | ")
        print(f"{skill}: {right} of {len(SKILLS[skill])}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
