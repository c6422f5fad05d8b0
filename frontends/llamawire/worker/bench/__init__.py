"""What `llamawire bench` runs below the public API, in processes of its own.

    python -m llamawire.worker.bench loop FILE     the loop, driven directly
    python -m llamawire.worker.bench worker FILE   a worker, driven over its session

Each plays the requests that come on its standard input, a JSON object a line, and answers with a
line a request: what came, and when. It ends when its input closes. Times are `time.perf_counter`'s.

work        the lines, and what they ask of a loop
recording   what comes of a request, put aside while it comes and told afterwards
loop, worker   the two layers
"""

__all__: list[str] = []
