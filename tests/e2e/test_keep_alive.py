"""How long a model stays, and what /api/ps shows of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from e2e.daemon import Daemon

FEW = {"num_predict": 1}


def loaded(daemon: Daemon) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = daemon.request("GET", "/api/ps").json["models"]
    return models


def remaining(daemon: Daemon) -> timedelta:
    """Until the only model in memory leaves it."""
    (model,) = loaded(daemon)
    found = re.fullmatch(r"(.{19})(?:\.\d+)?(Z|[+-]\d\d:\d\d)", model["expires_at"])
    assert found is not None
    zone = "+00:00" if found[2] == "Z" else found[2]
    return datetime.fromisoformat(found[1] + zone) - datetime.now(timezone.utc)


def test_what_one_request_says_holds_until_another_says_otherwise(
    start_daemon: Callable[..., Daemon],
) -> None:
    daemon = start_daemon()
    assert loaded(daemon) == []
    daemon.generate(prompt="x", options=FEW)
    assert timedelta(minutes=4) < remaining(daemon) <= timedelta(minutes=5)
    for value, least, most in (("2h", 119, 120), (1800, 29, 30), ("1h30m", 89, 90)):
        daemon.generate(prompt="x", options=FEW, keep_alive=value)
        for _ in range(2):
            assert timedelta(minutes=least) < remaining(daemon) <= timedelta(minutes=most)
            daemon.chat("x", options=FEW)  # says nothing about it
    daemon.generate(keep_alive=-1)
    daemon.generate(prompt="x", options=FEW)
    assert remaining(daemon) > timedelta(days=365 * 100)


def test_the_context_in_ps_is_that_of_the_model_at_most(
    start_daemon: Callable[..., Daemon],
) -> None:
    daemon = start_daemon()
    length = daemon.post("/api/show", {"model": "tiny"}).json["model_info"]["llama.context_length"]
    daemon.generate(prompt="x", options={**FEW, "num_ctx": 10**7})
    (model,) = loaded(daemon)
    assert model["context_length"] == length
    assert list(model) == [
        "name", "model", "size", "digest", "details", "expires_at", "size_vram", "context_length",
    ]  # fmt: skip
    assert (model["name"], model["size_vram"]) == ("tiny:latest", 0)
    assert model["size"] > 1_000_000
    assert re.fullmatch("[0-9a-f]{64}", model["digest"])


def test_the_last_to_leave_comes_first_in_ps(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon()
    daemon.add_endless_model()
    daemon.generate(prompt="x", options=FEW, keep_alive="10m")
    daemon.generate(model="endless", prompt="x", options=FEW, keep_alive="20m")
    assert [model["name"] for model in loaded(daemon)] == ["endless:latest", "tiny:latest"]
    daemon.generate(keep_alive=-1)
    assert [model["name"] for model in loaded(daemon)] == ["tiny:latest", "endless:latest"]


def test_the_time_of_a_load_is_told(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon()
    small = {**FEW, "num_ctx": 512}
    cold = daemon.generate(prompt="x", options=small).json
    warm = daemon.generate(prompt="x", options=small).json
    again = daemon.generate(prompt="x", options={**FEW, "num_ctx": 1024}).json
    assert cold["load_duration"] > warm["load_duration"] > 0
    assert again["load_duration"] > warm["load_duration"]
    for answer in (cold, warm, again):
        parts = ("load_duration", "prompt_eval_duration", "eval_duration")
        assert answer["total_duration"] >= sum(answer.get(part, 0) for part in parts)
