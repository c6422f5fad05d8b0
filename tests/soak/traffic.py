"""Callers of every kind. Each asks for one thing and says what must be true of the answer.

An ask returns what happened, one of OUTCOMES; AssertionError says that an answer was wrong.
"""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Callable
from typing import Any

import grpc

from e2e.daemon import Answer, Daemon
from e2e.test_crash import ALPHABET
from llamawire.v1 import generation_pb2
from llamawire.v1.options_pb2 import Options

__all__ = ["ASKS", "OUTCOMES", "Ask"]

OUTCOMES = ("answered", "left", "refused", "rejected", "given up")
"""Answered; the caller left; the server was full; the request was wrong, and was told so; its
worker died twice over it."""
COUNT_MAX = 300
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}

Ask = Callable[[Daemon, random.Random], str]


def judged(answer: Answer) -> bool:
    """Whether it is an answer to look at; an honest refusal is none."""
    if answer.status == 200:
        return True
    assert answer.status == 503 or "died again and again" in answer.json["error"], answer.body
    assert answer.status != 503 or int(answer.headers["Retry-After"]) >= 1
    return False


def refusal(answer: Answer) -> str:
    return "refused" if answer.status == 503 else "given up"


def recite(daemon: Daemon, chance: random.Random) -> str:
    """The alphabet, whole and in order, however many workers died meanwhile."""
    count = chance.randint(1, COUNT_MAX)
    answer = daemon.generate(
        model="endless", prompt="z", raw=True, options={"num_predict": count, "seed": 1}
    )
    if not judged(answer):
        return refusal(answer)
    assert answer.json["response"] == ALPHABET[:count], answer.body
    assert answer.json["eval_count"] == count
    return "answered"


def recite_over_grpc(daemon: Daemon, chance: random.Random) -> str:
    count = chance.randint(1, COUNT_MAX)
    options = Options(num_predict=count, seed=1)
    asked = generation_pb2.GenerateRequest(model="endless", prompt="z", raw=True, options=options)
    text = ""
    with daemon.generation() as stub:
        try:
            for reply in stub.Generate(asked):
                text += "".join(piece.text for piece in reply.pieces.pieces)
        except grpc.RpcError as error:
            refused = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
            if not refused and "died again" not in error.details():  # type: ignore[attr-defined]
                raise
            return "refused" if refused else "given up"
    assert text == ALPHABET[:count]
    return "answered"


def ask_for_json(daemon: Daemon, chance: random.Random) -> str:
    options = {"num_predict": 200, "seed": chance.randint(0, 5), "temperature": 1.0}
    answer = daemon.chat("Who are you?", format=SCHEMA, options=options)
    if not judged(answer):
        return refusal(answer)
    if answer.json["done_reason"] == "stop":
        assert json.loads(answer.json["message"]["content"]).keys() == {"name", "age"}
    return "answered"


def embed(daemon: Daemon, chance: random.Random) -> str:
    texts = ["a b c"] * chance.randint(1, 20)
    answer = daemon.post("/api/embed", {"model": "bert", "input": texts})
    if not judged(answer):
        return refusal(answer)
    assert len(answer.json["embeddings"]) == len(texts)
    return "answered"


def hang_up(daemon: Daemon, chance: random.Random) -> str:
    """Leaves a stream that would never end."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.rest_port, timeout=120)
    body = {"model": "endless", "prompt": "z", "raw": True, "options": {"num_predict": -1}}
    connection.request("POST", "/api/generate", json.dumps(body))
    if chance.random() < 0.7:
        answer = connection.getresponse()
        for _ in range(chance.randint(0, 50)):
            answer.readline()
        time.sleep(chance.choice((0, 0, 0.5)))  # a reader who does not read
    connection.close()
    return "left"


def send_nonsense(daemon: Daemon, chance: random.Random) -> str:
    bodies: list[Any] = [
        b"{", {"model": 5}, {"model": "none-such", "prompt": "x"},
        {"model": "tiny", "prompt": "x", "options": {"num_predict": 1, "stop": 5}},
        {"model": "tiny", "prompt": "x", "format": {"type": "strange"}},
        {"model": "tiny", "prompt": "x", "images": ["%%"]},
    ]  # fmt: skip
    answer = daemon.request("POST", "/api/generate", chance.choice(bodies))
    # 500 is Ollama's answer to an option of the wrong type.
    assert answer.status in (400, 404, 500, 503), answer.body
    assert answer.json["error"]
    return "refused" if answer.status == 503 else "rejected"


def manage_models(daemon: Daemon, chance: random.Random) -> str:
    name = f"copy-{chance.randint(0, 1_000_000_000)}"
    copied = daemon.post("/api/copy", {"source": "tiny", "destination": name})
    assert copied.status == 200, copied.body
    assert daemon.post("/api/show", {"model": name}).status == 200
    assert daemon.request("DELETE", "/api/delete", {"model": name}).status == 200
    return "answered"


def unload(daemon: Daemon, chance: random.Random) -> str:
    """So that models are loaded again and again."""
    model = chance.choice(("endless", "tiny", "bert"))
    route = "/api/embed" if model == "bert" else "/api/generate"
    answer = daemon.post(route, {"model": model, "keep_alive": 0})
    return "answered" if judged(answer) else refusal(answer)


ASKS: dict[Ask, float] = {
    recite: 6, recite_over_grpc: 6, ask_for_json: 3, embed: 3, hang_up: 3, send_nonsense: 2,
    manage_models: 1, unload: 0.2,
}  # fmt: skip
"""How often each comes, beside the others."""
