"""256 short texts against llama-server: `make peer && .venv/bin/python tests/bench/embeddings.py`.

A model of the shape of all-MiniLM-L6-v2 with random weights in 32 bits. Texts of 6 to 30 words, a
token each, all in one request: ours by `/api/embed` and by gRPC, llama-server's by `/v1/embeddings`
with 8 slots. The servers take turns; prints the median of texts a second and of the rounds' ratios.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("frontends", "pyx", "proto", "tests")]

import grpc  # noqa: E402

from bench.table.servers import Places, daemon, llama_server  # noqa: E402
from gguf_files import tiny_bert  # noqa: E402
from llamawire.v1.embedding_service_pb2 import EmbedInput, EmbedRequest  # noqa: E402
from llamawire.v1.embedding_service_pb2_grpc import EmbeddingServiceStub  # noqa: E402

TEXTS, ROUNDS = 256, 9
WORDS = ("the", "cat", "dog", "sat", "on", "mat", "sky", "is", "blue", "why")
PEER_FLAGS = ("--embeddings", "-b", "2048", "-ub", "2048")


def texts(round_number: int) -> list[str]:
    draw = random.Random(round_number)
    return [" ".join(draw.choices(WORDS, k=draw.randint(6, 30))) for _ in range(TEXTS)]


def post(url: str, body: dict[str, object]) -> dict[str, object]:
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.loads(answer.read())


def rate(embed: Callable[[list[str]], int], inputs: list[str]) -> float:
    """Texts a second."""
    begin = time.perf_counter()
    if embed(inputs) != len(inputs):
        raise SystemExit("not every text has a vector")
    return len(inputs) / (time.perf_counter() - begin)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ours").mkdir()
        path = tiny_bert(
            folder / "minilm.gguf", embedding=384, blocks=6, heads=12, feed_forward=1536,
            context=512,
        )  # fmt: skip
        places = Places(8, 512)
        with (
            daemon(folder / "ours", path, places) as ours,
            llama_server(folder, path, places, PEER_FLAGS) as port,
            grpc.insecure_channel(
                f"127.0.0.1:{ours.grpc_port}", [("grpc.max_receive_message_length", -1)]
            ) as channel,
        ):
            stub = EmbeddingServiceStub(channel)
            contenders = {
                "REST": lambda inputs: len(
                    post(f"{ours.url}/api/embed", {"model": "m", "input": inputs})["embeddings"]
                ),
                "gRPC": lambda inputs: len(
                    stub.Embed(
                        EmbedRequest(model="m", inputs=[EmbedInput(text=one) for one in inputs])
                    ).embeddings
                ),
                "llama-server": lambda inputs: len(
                    post(f"http://127.0.0.1:{port}/v1/embeddings", {"input": inputs})["data"]
                ),
            }
            rates: dict[str, list[float]] = {one: [] for one in contenders}
            for number in range(-1, ROUNDS):  # the first is for warming up
                for one, embed in contenders.items():
                    found = rate(embed, texts(number))
                    if number >= 0:
                        rates[one].append(found)
    for one, found in rates.items():
        ratios = [mine / theirs for mine, theirs in zip(found, rates["llama-server"], strict=True)]
        print(
            f"{one:13}{statistics.median(found):8.0f} texts/s, "
            f"{statistics.median(ratios):.2f} x llama-server"
        )


if __name__ == "__main__":
    main()
