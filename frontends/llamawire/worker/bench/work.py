"""What a request asks of a loop: the same for both layers, and the same as the daemon would ask."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llamawire import native
from llamawire.session.v1 import worker_service_pb2 as pb

__all__ = ["Places", "load_request", "read_job"]

NUM_BATCH, PREFILL_BUDGET_MS, WAITING_MAX = 512, 50, 512
"""The daemon's defaults, as are the options of a job that a request does not name."""


@dataclass(frozen=True)
class Places:
    """How many requests run at once, the tokens of each, and the threads that compute them."""

    streams: int
    context: int
    threads: int = 0
    """0: found by trying."""


def load_request(path: str, places: Places) -> pb.LoadRequest:
    return pb.LoadRequest(
        build_id=native.build_id(),
        path=path,
        num_parallel=places.streams,
        num_ctx=places.context,
        num_batch=NUM_BATCH,
        num_gpu=-1,
        num_thread=places.threads,
        kv_cache_type="f16",
        prefill_budget_ms=PREFILL_BUDGET_MS,
        queue_max=WAITING_MAX + places.streams,
    )


def read_job(line: str | bytes, places: Places) -> pb.Job:
    """The job of a line. ValueError for one that is none, or asks for a form."""
    asked: Mapping[str, Any] = json.loads(line)
    if asked.get("json_schema"):
        raise ValueError("below the daemon there are no JSON schemas")
    return pb.Job(
        id=asked["id"],
        text=asked["prompt"],
        generated=pb.Tokens(),
        truncate=True,
        options=pb.JobOptions(
            seed=asked["seed"],
            temperature=asked["temperature"],
            top_k=asked["top_k"],
            top_p=asked["top_p"],
            typical_p=1.0,
            repeat_last_n=64,
            repeat_penalty=1.0,
            penalize_newline=True,
            num_predict=asked["num_predict"],
            num_keep=4,
            num_ctx=places.context,
            num_batch=NUM_BATCH,
            shift=True,
            reproducible=True,
            grammar_root="root",
            top_logprobs=-1,
        ),
    )
