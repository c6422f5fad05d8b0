"""Documents, and the chat format of the model."""

from __future__ import annotations

from dataclasses import dataclass

Turn = tuple[str, str]
"""What the user says, and what the model is to answer."""


@dataclass(frozen=True)
class Segment:
    """A piece of a document; `trained` marks what the model is to say itself."""

    text: str
    trained: bool


Document = list[Segment]

SYSTEMS = [
    "You are a helpful assistant.",
    "You are a helpful AI assistant.",
    "You are a friendly teacher.",
    "You are tiny, a small model.",
    "Answer in one sentence.",
    "Be brief.",
    "你是一个有用的助手。",
    "请简短回答。",
]


def chat(system: str, turns: list[Turn]) -> Document:
    """The chat format; `Modelfile` and `template.jinja` write the same text."""
    head = f"<|im_start|>system\n{system}<|im_end|>\n" if system else ""
    document: Document = []
    for question, answer in turns:
        prompt = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        document += [Segment(head + prompt, False), Segment(f"{answer}<|im_end|>", True)]
        head = "\n"
    return document
