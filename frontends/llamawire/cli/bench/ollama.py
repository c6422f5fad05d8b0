"""Ollama's protocol: POST /api/generate, NDJSON."""

from __future__ import annotations

import json
from typing import Any

from llamawire.cli.bench.exchange import BenchError, Exchange, Message, Request, ServerTimes
from llamawire.cli.bench.http_call import HttpCall, cut_short
from llamawire.cli.bench.http_record import Chunk, post, timed_lines

__all__ = ["OllamaClient", "read_ollama"]


class OllamaClient:
    """One model of a server."""

    def __init__(self, url: str, model: str) -> None:
        self._url = url.rstrip("/")
        self._model = model

    async def begin(self, request: Request) -> HttpCall:
        body: dict[str, Any] = {
            "model": self._model,
            "prompt": request.prompt,
            "raw": True,
            "options": {
                "num_predict": request.num_predict,
                "seed": request.seed,
                "temperature": request.temperature,
                "top_k": request.top_k,
                "top_p": request.top_p,
                "min_p": 0.0,
                "repeat_penalty": 1.0,
            },
        }
        if request.json_schema:
            body["format"] = json.loads(request.json_schema)
        return HttpCall(await post(f"{self._url}/api/generate", body), read_ollama)

    async def unload(self) -> None:
        recording = await post(f"{self._url}/api/generate", {"model": self._model, "keep_alive": 0})
        await recording.wait_closed()
        timed_lines(recording.chunks)

    async def close(self) -> None:
        """Each request has closed its own connection."""


def read_ollama(started_s: float, chunks: list[Chunk], *, left: bool = False) -> Exchange:
    """The answer in `chunks`. BenchError if it has no end and nobody left."""
    messages: list[Message] = []
    for at_s, line in timed_lines(chunks):
        try:
            found = json.loads(line)
        except ValueError:
            break  # cut by whoever left
        if "error" in found:
            raise BenchError(f"the server answered: {found['error']}")
        messages.append(Message(at_s, found.get("response", "")))
        if found.get("done"):
            return Exchange(
                started_s,
                at_s,
                messages,
                prompt_count=found.get("prompt_eval_count", 0),
                generated_count=found.get("eval_count", 0),
                server=ServerTimes(
                    total_s=_seconds(found, "total_duration"),
                    prompt_s=_seconds(found, "prompt_eval_duration"),
                    generate_s=_seconds(found, "eval_duration"),
                ),
            )
    return cut_short(started_s, messages, left=left)


def _seconds(found: dict[str, Any], name: str) -> float | None:
    return found[name] / 1e9 if name in found else None
