"""What eight forms cost eight streams: `python tests/bench/structured.py`, from the checkout.

A model of random weights with a vocabulary of 128,256 tokens, once with logits as flat as random
ones are, which is the worst case for a search in falling order, and once as peaked as a trained
model's. Prints tokens a second of all streams, and the time to the first token, with a schema for
each stream and without any.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("frontends", "pyx", "proto", "tests")]

from gguf_files import large_bpe_vocabulary, tiny_llama  # noqa: E402
from llamawire import native  # noqa: E402
from llamawire.engine.structure import Form  # noqa: E402

VOCABULARY = 128_256
STREAMS = 8
TOKENS = 100


def schema(index: int) -> str:
    """An object of nested parts that is long enough never to end early."""
    properties = {
        f"title_{index}": {"type": "string", "minLength": 10 + index},
        f"author_{index}": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "year": {"type": "integer", "minimum": 1900 + index, "maximum": 2100},
            },
            "required": ["name", "year"],
        },
        f"tags_{index}": {
            "type": "array",
            "items": {"enum": ["red", "green", f"blue{index}"]},
            "minItems": 2,
        },
        f"pages_{index}": {"type": "number"},
        f"isOpen_{index}": {"type": "boolean"},
    }
    item = {"type": "object", "properties": properties, "required": list(properties)}
    return json.dumps({"type": "array", "minItems": 200, "items": item})


def measure(loop: native.Loop, grammars: list[str]) -> tuple[float, float]:
    """Tokens a second, and the median time to the first token in milliseconds."""
    begin = time.perf_counter()
    submitted, first, ended, tokens = {}, {}, 0, 0
    for index, grammar in enumerate(grammars):
        submitted[index] = time.perf_counter()
        loop.submit(index, [1, 2, 300 + index], grammar=grammar, seed=index, num_predict=TOKENS)
    while ended < len(grammars):
        for event in loop.wait(10):
            now = time.perf_counter()
            tokens += len(event.tokens)
            if event.tokens:
                first.setdefault(event.job_id, now - submitted[event.job_id])
            if event.kind == native.EVENT_FAILED:
                raise SystemExit(f"a stream failed: {event.message}")
            ended += event.kind == native.EVENT_FINISHED
    rate = tokens / (time.perf_counter() - begin)
    return rate, statistics.median(first.values()) * 1000


def main() -> None:
    vocabulary = large_bpe_vocabulary(VOCABULARY)
    forms = [Form("json_schema", schema(index)) for index in range(STREAMS)]
    print(f"{STREAMS} streams, {TOKENS} tokens each, {VOCABULARY} tokens in the vocabulary")
    for name, scale in (("flat", 1.0), ("peaked", 8.0)):
        with tempfile.TemporaryDirectory() as folder:
            path = tiny_llama(
                Path(folder) / "large.gguf", vocabulary=vocabulary, embedding=256, heads=4,
                blocks=4, feed_forward=1024, scale=scale, dtype="float16",
            )  # fmt: skip
            model = native.Model(path)
        loop = native.Loop(model, num_parallel=STREAMS, num_ctx=1024)
        measure(loop, [""] * STREAMS)
        begin = time.perf_counter()
        texts = [form.grammar().text for form in forms]
        for text in texts:
            loop.prepare_grammar(text)
        prepared = (time.perf_counter() - begin) * 1000 / STREAMS
        rows = {"free": [], "schemas": []}
        for _ in range(3):
            rows["free"].append(measure(loop, [""] * STREAMS))
            rows["schemas"].append(measure(loop, texts))
        (free, free_first), (bound, bound_first) = (
            (statistics.median(r for r, _ in each), statistics.median(f for _, f in each))
            for each in rows.values()
        )
        print(
            f"{name:7} free {free:7.1f} tok/s, first {free_first:6.1f} ms | with schemas "
            f"{bound:7.1f} tok/s, first {bound_first:6.1f} ms | ratio {bound / free:.2f}, "
            f"{(8 / bound - 8 / free) * 1e3 / 8:.2f} ms a token; "
            f"schema to grammar to sampler {prepared:.1f} ms"
        )
        loop.close()


if __name__ == "__main__":
    main()
