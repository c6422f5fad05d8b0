"""What stands around every answer: ids, times, frames."""

from __future__ import annotations

import random

from llamawire.v1 import generation_pb2

from ..gojson import encode

__all__ = ["DONE", "FINGERPRINT", "ZERO_USAGE", "event", "new_id", "usage"]

DONE = b"data: [DONE]\n\n"
FINGERPRINT = "fp_ollama"
ZERO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}

# Upstream's ids are no more unique than this.
_IDS = 999


def new_id(prefix: str) -> str:
    return f"{prefix}-{random.randrange(_IDS)}"


def usage(finished: generation_pb2.Finished) -> dict[str, int]:
    prompt, completion = finished.prompt_count, finished.generated_count
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def event(value: object) -> bytes:
    """One event of a stream."""
    return b"data: " + encode(value) + b"\n\n"
