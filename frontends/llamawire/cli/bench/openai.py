"""OpenAI's protocol: POST /v1/completions, server-sent events.

Fields that only some servers know are sent to all: `ignore_eos` and `min_p` (llama-server, vLLM),
`json_schema` (llama-server), `response_format` (vLLM). A server that leaves a form out is found by
the scenario that asks for it.
"""

from __future__ import annotations

import json
from typing import Any

from llamawire.cli.bench.exchange import BenchError, Exchange, Message, Request, ServerTimes
from llamawire.cli.bench.http_call import HttpCall, cut_short
from llamawire.cli.bench.http_record import Chunk, post, timed_lines

__all__ = ["OpenAiClient", "read_openai"]


class OpenAiClient:
    """One model of a server."""

    def __init__(self, url: str, model: str) -> None:
        self._url = url.rstrip("/")
        self._model = model

    async def begin(self, request: Request) -> HttpCall:
        body: dict[str, Any] = {
            "model": self._model,
            "prompt": request.prompt,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": request.num_predict,
            "ignore_eos": True,
            "seed": request.seed,
            "temperature": request.temperature,
            "top_k": request.top_k,
            "top_p": request.top_p,
            "min_p": 0.0,
        }
        if request.json_schema:
            schema = json.loads(request.json_schema)
            body["json_schema"] = schema
            body["response_format"] = {
                "type": "json_schema", "json_schema": {"name": "bench", "schema": schema},
            }  # fmt: skip
        return HttpCall(await post(f"{self._url}/v1/completions", body), read_openai)

    async def unload(self) -> None:
        raise BenchError("OpenAI's protocol has no way to unload a model")

    async def close(self) -> None:
        """Each request has closed its own connection."""


def read_openai(started_s: float, chunks: list[Chunk], *, left: bool = False) -> Exchange:
    """The answer in `chunks`. BenchError if it has no end and nobody left."""
    messages: list[Message] = []
    usage: dict[str, int] = {}
    timings: dict[str, float] = {}
    for at_s, line in timed_lines(chunks):
        if not line.startswith((b"data:", b"error:", b"{")):
            continue
        data = line.partition(b":")[2].strip() if not line.startswith(b"{") else line
        if data == b"[DONE]":
            return Exchange(
                started_s,
                messages[-1].at_s if messages else at_s,
                messages,
                prompt_count=usage.get("prompt_tokens", 0),
                generated_count=usage.get("completion_tokens", 0),
                server=_times(timings),
            )
        try:
            found = json.loads(data)
        except ValueError:
            break  # cut by whoever left
        if line.startswith(b"error:") or "error" in found:
            raise BenchError(f"the server answered: {found.get('error', found)}")
        usage = found.get("usage") or usage
        timings = found.get("timings") or timings
        for choice in found.get("choices", ()):
            messages.append(Message(at_s, choice.get("text") or ""))
    return cut_short(started_s, messages, left=left)


def _times(timings: dict[str, float]) -> ServerTimes:
    """llama-server's; other servers tell none."""
    if "predicted_ms" not in timings:
        return ServerTimes()
    prompt_s, generate_s = timings["prompt_ms"] / 1e3, timings["predicted_ms"] / 1e3
    return ServerTimes(prompt_s=prompt_s, generate_s=generate_s)
