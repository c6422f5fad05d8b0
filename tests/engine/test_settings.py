"""Settings from the environment."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from llamawire.engine.settings import Settings, parse_duration_s


def test_ours_wins_over_the_twin() -> None:
    environ = {"OLLAMA_NUM_PARALLEL": "2", "LLAMAWIRE_NUM_PARALLEL": "8"}
    assert Settings.from_environment(environ).num_parallel == 8
    assert Settings.from_environment({"OLLAMA_NUM_PARALLEL": "2"}).num_parallel == 2


def test_a_server_is_reproducible_if_it_is_asked_to_be() -> None:
    assert not Settings.from_environment({}).reproducible
    assert Settings.from_environment({"LLAMAWIRE_REPRODUCIBLE": "1"}).reproducible


def test_blanks_and_quotes_are_trimmed() -> None:
    settings = Settings.from_environment({"OLLAMA_MODELS": ' "/srv/my models" '})
    assert settings.models == Path("/srv/my models")


def test_a_bad_number_leaves_the_default(caplog: pytest.LogCaptureFixture) -> None:
    assert Settings.from_environment({"LLAMAWIRE_MAX_QUEUE": "-3"}).max_queue == 512
    assert "LLAMAWIRE_MAX_QUEUE" in caplog.text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5m", 300), ("1h2m3s", 3723), ("1.5h", 5400), ("300", 300), ("-1", math.inf), ("0", 0)],
)
def test_durations_are_gos_or_seconds(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["1d", "???", "5 m", "m", ""])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration_s(text)


def test_mirrors_are_a_list_of_addresses(caplog: pytest.LogCaptureFixture) -> None:
    text = "https://a, hf.co=http://b:5000/x"
    settings = Settings.from_environment({"LLAMAWIRE_REGISTRY_MIRROR": text})
    assert settings.registry_mirrors == ("https://a", "hf.co=http://b:5000/x")
    assert Settings.from_environment({"LLAMAWIRE_REGISTRY_MIRROR": "a"}).registry_mirrors == ()
    assert "LLAMAWIRE_REGISTRY_MIRROR" in caplog.text


def test_any_other_text_is_true() -> None:
    assert Settings.from_environment({"OLLAMA_NOPRUNE": "yes please"}).no_prune
    assert not Settings.from_environment({"OLLAMA_NOPRUNE": "False"}).no_prune
