"""The model in the box does what its README says, asked through the daemon.

Questions, drawings and the least scores are those of models/tiny/skills.py and pictures.py.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from e2e.daemon import Daemon

sys.path.insert(0, str(Path(__file__).parents[2] / "models" / "tiny"))

import pictures
import skills
from drawing import draw, png

COLD: dict[str, Any] = {"options": {"temperature": 0, "seed": 1, "num_predict": 24}}


def ask(daemon: Daemon, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = daemon.post(path, body)
    assert answer.status == 200, answer.body
    return dict(answer.json)


@pytest.mark.parametrize("skill", skills.SKILLS)
def test_tiny_has_the_skill(daemon: Daemon, skill: str) -> None:
    outcomes = list(skills.outcomes(skill, lambda path, body: ask(daemon, path, body)))
    wrong = [trial.question for trial, _, is_right in outcomes if not is_right]
    assert len(outcomes) - len(wrong) >= skills.AT_LEAST[skill], wrong


def test_with_a_format_every_answer_is_an_object(daemon: Daemon) -> None:
    for _, answer, _ in skills.outcomes(
        "JSON with `format`", lambda path, body: ask(daemon, path, body)
    ):
        assert isinstance(json.loads(answer["response"]), dict)


def test_tiny_says_what_it_can(daemon: Daemon) -> None:
    shown = ask(daemon, "/api/show", {"model": "tiny"})
    assert shown["capabilities"] == ["completion", "tools", "insert", "thinking"]


# ---- pictures ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawings() -> list[Any]:
    """Ten drawings of pairs, places, sizes and backgrounds that training never had."""
    return pictures.held_out_drawings(Random(10), 2)[:10]


def encoded(drawing: Any, size: tuple[int, int]) -> str:
    return base64.b64encode(png(draw(drawing, *size))).decode()


@pytest.mark.parametrize("route", ["/api/generate", "/api/chat"])
@pytest.mark.parametrize(("size", "least"), [((96, 96), 8), ((160, 120), 7)])
def test_tiny_vision_names_most_of_ten_drawings(
    daemon: Daemon, drawings: list[Any], route: str, size: tuple[int, int], least: int
) -> None:
    question = pictures.HELD_OUT["both"][0]
    said = []
    for drawing in drawings:
        image = {"images": [encoded(drawing, size)]}
        message = {"role": "user", "content": question, **image}
        body = {"messages": [message]} if route == "/api/chat" else {"prompt": question, **image}
        answer = ask(daemon, route, {"model": "tiny-vision", "stream": False, **COLD, **body})
        said.append(answer["message"]["content"] if "message" in answer else answer["response"])
    pairs = list(zip(drawings, said, strict=True))
    wrong = [
        (d.colour, d.shape, text) for d, text in pairs if not pictures.is_right("both", d, text)
    ]
    assert len(drawings) - len(wrong) >= least, wrong


def test_tiny_vision_answers_without_a_picture_as_well(daemon: Daemon) -> None:
    body = {"model": "tiny-vision", "prompt": "Why is the sky blue?", "stream": False, **COLD}
    assert "scatter" in ask(daemon, "/api/generate", body)["response"]


def test_tiny_vision_says_that_it_sees(daemon: Daemon) -> None:
    shown = ask(daemon, "/api/show", {"model": "tiny-vision"})
    assert "vision" in shown["capabilities"]
    assert shown["projector_info"]["general.name"] == "tiny-vision"
