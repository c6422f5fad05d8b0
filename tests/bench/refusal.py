"""How soon a request beyond what fits is refused: `python tests/bench/refusal.py [requests]`.

A daemon with two streams and a queue of eight is full of requests that take long. One client more
asks again and again, in turns over REST and over gRPC, and is refused. Prints how long that took:
the median, 99 of 100, the longest.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("frontends", "proto", "tests", "models")]

from e2e.daemon import Daemon  # noqa: E402
from llamawire.cli.bench.statistics import percentile  # noqa: E402
from llamawire.v1 import generation_pb2  # noqa: E402
from llamawire.v1.options_pb2 import Options  # noqa: E402

STREAMS, QUEUE = 2, 8
LONG = generation_pb2.GenerateRequest(
    model="endless", prompt="x", raw=True, options=Options(num_predict=-1)
)


def hold(daemon: Daemon, full: threading.Event, ended: threading.Event) -> None:
    """Keeps a place until told; whoever finds none says that all are taken."""
    with daemon.generation() as stub:
        call = stub.Generate(LONG)
        call.add_callback(full.set)
        ended.wait()
        call.cancel()


def refused_over_rest(daemon: Daemon) -> None:
    answer = daemon.generate(model="endless", prompt="x", raw=True)
    assert answer.status == 503
    assert answer.headers["Retry-After"]


def measure_s(ask: Callable[[], None]) -> float:
    started = time.perf_counter()
    ask()
    return time.perf_counter() - started


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    daemon = Daemon(
        Path(tempfile.mkdtemp()),
        LLAMAWIRE_NUM_PARALLEL=str(STREAMS),
        LLAMAWIRE_MAX_QUEUE=str(QUEUE),
    )
    daemon.add_endless_model()
    daemon.generate(model="endless", prompt="x", options={"num_predict": 1})
    full, ended = threading.Event(), threading.Event()
    holders = [
        threading.Thread(target=hold, args=(daemon, full, ended))
        for _ in range(STREAMS + QUEUE + 1)
    ]
    for thread in holders:
        thread.start()
    assert full.wait(60)
    with daemon.generation() as stub:

        def refused_over_grpc() -> None:
            with pytest.raises(grpc.RpcError) as caught:
                list(stub.Generate(LONG))
            assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]

        over_rest = [measure_s(lambda: refused_over_rest(daemon)) for _ in range(count)]
        over_grpc = [measure_s(refused_over_grpc) for _ in range(count)]
    ended.set()
    for thread in holders:
        thread.join()
    daemon.stop()
    for name, found in (("REST", over_rest), ("gRPC", over_grpc)):
        milliseconds = [1000 * each for each in found]
        print(
            f"{name}: {count} refusals, median {statistics.median(milliseconds):.1f} ms, "
            f"99 of 100 at most {percentile(milliseconds, 99):.1f} ms, "
            f"the longest {max(milliseconds):.1f} ms"
        )


if __name__ == "__main__":
    main()
