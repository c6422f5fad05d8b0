"""The model in the box does what its README says, asked through the daemon.

The questions and the least scores are those of models/tiny/skills.py.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from e2e.daemon import Daemon

sys.path.insert(0, str(Path(__file__).parents[2] / "models" / "tiny"))

import skills


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
