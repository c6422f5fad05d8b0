"""Loads models for `gguf_loads`: a line names the files by what they are, what came of them goes
out; both are JSON.

Each model is loaded by a child in the worker's sandbox, made to say some tokens if it can.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from llamawire import native
from llamawire.worker import sandbox

MEMORY_BYTES = 3 << 30
TIMEOUT_S = 60
PREDICTED = 5
REFUSED = 3


def load(files: dict[str, str]) -> None:
    """What a worker does with a model, in small."""
    sandbox.enter(memory_bytes=MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_CPU, (TIMEOUT_S, TIMEOUT_S))
    try:
        adapters = [files["adapter"]] if "adapter" in files else []
        model = native.Model(files["model"], num_gpu=0, adapters=adapters)
        if "projector" in files:
            see(model, files["projector"])
        ids = model.tokenize("Hi, you 1\n", add_special=True, parse_special=True)
        model.detokenize(ids)
        try:
            embedder = native.Embedder(model, num_ctx=64, num_batch=64, num_thread=1)
            embedder.embed([ids])
        except native.NativeError:
            pass
        loop = native.Loop(model, num_parallel=2, num_ctx=64, num_batch=32, num_thread=1)
        for job in (1, 2):
            loop.submit(job, ids, num_predict=PREDICTED, seed=job)
        running = 2
        while running:
            ends = (native.EVENT_FINISHED, native.EVENT_FAILED)
            running -= sum(event.kind in ends for event in loop.wait(1.0))
        loop.close()
    except native.NativeError as error:
        print(error, file=sys.stderr)
        os._exit(REFUSED)
    os._exit(0)


def see(model: native.Model, projector: str) -> None:
    encoder = native.ImageEncoder(model, projector, num_thread=1)
    for side in (16, 40):
        encoder.encode(bytes([side]) * 32, np.full((side, 16, 3), 99, np.uint8))


def answer(files: dict[str, str], said: Path) -> dict[str, object]:
    child = os.fork()
    if not child:
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 2)
        try:
            load(files)
        finally:
            os._exit(1)
    deadline = time.monotonic() + TIMEOUT_S
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return {"end": "hangs", "said": last_words(said)}
        time.sleep(0.002)
    code = os.waitstatus_to_exitcode(ended[1])
    names = {0: "loaded", REFUSED: "refused"}
    end = names.get(code) or (signal.Signals(-code).name if code < 0 else f"exit {code}")
    return {"end": end, "said": last_words(said)}


def last_words(said: Path) -> str:
    """The assertion, or the last line."""
    lines = [line.strip() for line in said.read_text(errors="replace").splitlines() if line.strip()]
    asserted = [line for line in lines if re.search(r"ASSERT|assert|what\(\)|abort", line)]
    return re.sub(r"0x[0-9a-f]+|^.*/", "", (asserted or lines or [""])[-1])[:200]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            print(json.dumps(answer(json.loads(line), Path(folder, "said"))), flush=True)


if __name__ == "__main__":
    main()
