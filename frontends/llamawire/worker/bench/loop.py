"""The lowest layer: `native.Loop` alone, with a thread that waits for its events."""

from __future__ import annotations

import sys
import threading
import time

from llamawire import native
from llamawire.worker.bench.recording import Recordings
from llamawire.worker.bench.work import Places, load_request, read_job
from llamawire.worker.prompt import tokenize
from llamawire.worker.service import decode_loop
from llamawire.worker.session import option_arguments

__all__ = ["play_in_loop"]

WAIT_S = 1.0


def play_in_loop(path: str, places: Places) -> None:
    """Plays what comes on the standard input. NativeError for a file or a request that cannot be
    run."""
    model = native.Model(path)
    loop = decode_loop(model, load_request(path, places), None)
    recordings = Recordings(sys.stdout)
    # A daemon: the process ends with its input, whatever is under way.
    threading.Thread(target=collect, args=(loop, recordings), daemon=True).start()
    recordings.ready()
    for line in sys.stdin:
        started_s = time.perf_counter()
        job = read_job(line, places)
        recording = recordings.begin(job.id, started_s)
        tokens = tokenize(model, job.text).tokens
        recording.prompt_count = len(tokens)
        loop.submit(job.id, tokens, **option_arguments(job.options))
    loop.close()


def collect(loop: native.Loop, recordings: Recordings) -> None:
    while True:
        events = loop.wait(WAIT_S)
        at_s = time.perf_counter()
        for event in events:
            take(event, at_s, recordings)


def take(event: native.Event, at_s: float, recordings: Recordings) -> None:
    recording = recordings[event.job_id]
    if event.kind == native.EVENT_TOKENS:
        recording.messages.append((at_s, event.text))
    elif event.kind == native.EVENT_FAILED:
        recordings.fail(event.job_id, event.message)
    elif event.kind == native.EVENT_FINISHED:
        recording.ended_s = at_s
        recording.generated_count = event.generated_count
        recording.prompt_ns, recording.generate_ns = event.prompt_ns, event.generate_ns
        recordings.end(event.job_id)
