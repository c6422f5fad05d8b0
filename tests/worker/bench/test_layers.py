"""The layers of the bench below the daemon: what they ask of a loop, and what they tell."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("llamawire.native", reason="the extension module is not built")

from llamawire.cli.bench.exchange import Request
from llamawire.engine.job import Job, Journal
from llamawire.engine.options import resolve
from llamawire.engine.runner import load_message
from llamawire.engine.scheduler import Scheduler
from llamawire.engine.session import job_message
from llamawire.engine.settings import Settings
from llamawire.worker.bench.recording import Recordings
from llamawire.worker.bench.work import Places, load_request, read_job

REQUEST = Request("why", num_predict=9, seed=5, temperature=0.7)
PLACES = Places(streams=3, context=1024, threads=2)


def daemons_options() -> Any:
    """What the daemon makes of the options that `llamawire bench` sends."""
    given = {k: v for k, v in asdict(REQUEST).items() if k not in ("prompt", "json_schema")}
    sent = {**given, "num_thread": PLACES.threads, "min_p": 0.0, "repeat_penalty": 1.0}
    return resolve({}, sent, context_length=PLACES.context, num_ctx_train=32_768)


def test_the_loop_is_asked_for_what_the_daemon_asks_for() -> None:
    job = Job("why", daemons_options(), truncate=True, shift=True, reproducible=True)
    line = json.dumps({"id": 1, **asdict(REQUEST)})
    assert read_job(line, PLACES) == job_message(1, job, Journal())


def test_the_model_is_loaded_as_the_daemon_loads_it() -> None:
    settings = Settings(num_parallel=PLACES.streams, context_length=PLACES.context)
    scheduler = Scheduler(settings, lambda *_: None)  # type: ignore[arg-type, return-value]
    model: Any = SimpleNamespace(weights=Path("/m.gguf"), adapters=(), embeds=False, projector=None)
    wanted = load_message(scheduler.load_settings(model, daemons_options()), "")
    asked = load_request("/m.gguf", PLACES)
    asked.build_id, asked.image_cache_bytes = wanted.build_id, wanted.image_cache_bytes
    assert asked == wanted


def test_a_schema_is_refused() -> None:
    line = json.dumps({"id": 1, **asdict(Request("x", 1, json_schema="{}"))})
    with pytest.raises(ValueError, match="no JSON schemas"):
        read_job(line, PLACES)


def test_nothing_is_told_while_a_request_is_under_way() -> None:
    output = io.StringIO()
    recordings = Recordings(output)
    for number in (1, 2):
        recordings.begin(number, started_s=float(number)).messages.append((3.0, "\xe9".encode()))
    recordings.end(2)
    assert output.getvalue() == ""
    recordings.fail(1, "no memory")
    second, first = map(json.loads, output.getvalue().splitlines())
    assert (second["id"], second["started_s"], second["messages"]) == (2, 2.0, [[3.0, "\xe9"]])
    assert first == {"id": 1, "error": "no memory"}
