"""Mixed traffic with faults for as long as told: `python -m soak --minutes 60`.

Ends with 1 if an answer was wrong, if the daemon ended, or if something grew. Writes samples.csv,
plot.png and report.md into `--out`.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import random
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

from e2e.daemon import Daemon
from gguf_files import tiny_bert
from soak import watch
from soak.faults import FAULTS, HEARTBEAT_TIMEOUT_S
from soak.traffic import ASKS, OUTCOMES

CALLERS = 6
FAULT_INTERVAL_S = 15.0
SAMPLE_INTERVAL_S = 5.0
FAILURES_SHOWN = 20


class Soak:
    """One daemon under traffic."""

    def __init__(self, folder: Path, seconds: float, think_s: float, seed: int) -> None:
        self.daemon = Daemon(
            folder,
            LLAMAWIRE_HEARTBEAT_TIMEOUT=str(HEARTBEAT_TIMEOUT_S),
            LLAMAWIRE_MAX_QUEUE="16",
        )
        self.daemon.add_endless_model()
        self.daemon.add_model("bert", tiny_bert(folder / "bert.gguf"))
        self.counts: collections.Counter[tuple[str, str]] = collections.Counter()
        self.failures: list[str] = []
        self.faults_s: list[float] = []
        self.samples: list[watch.Sample] = []
        self._seed = seed
        self._started = time.monotonic()
        self._seconds = seconds
        self._think_s = think_s
        self._ended = threading.Event()

    def run(self) -> None:
        with concurrent.futures.ThreadPoolExecutor(CALLERS + 2) as threads:
            work = [threads.submit(self._call, number) for number in range(CALLERS)]
            work += [threads.submit(self._harm), threads.submit(self._look)]
            self._ended.wait(self._seconds)
            self._ended.set()
        for one in work:
            one.result()

    def _call(self, number: int) -> None:
        chance = random.Random(self._seed * 1000 + number)
        asks, weights = list(ASKS), list(ASKS.values())
        while not self._ended.wait(chance.expovariate(1) * self._think_s):
            (ask,) = chance.choices(asks, weights)
            try:
                outcome = ask(self.daemon, chance)
            except Exception:
                self.failures.append(f"{ask.__name__}: {traceback.format_exc()}")
                outcome = "failed"
                if self.daemon.process.poll() is not None:
                    self._ended.set()
            self.counts[ask.__name__, outcome] += 1

    def _harm(self) -> None:
        chance = random.Random(self._seed)
        while not self._ended.wait(FAULT_INTERVAL_S):
            fault = chance.choice(FAULTS)
            self.faults_s.append(time.monotonic() - self._started)
            self.counts[fault.__name__, "done"] += 1
            fault(self.daemon, chance)

    def _look(self) -> None:
        while not self._ended.wait(SAMPLE_INTERVAL_S):
            self.samples.append(watch.take(self.daemon, self._started))


def report(soak: Soak, verdicts: list[watch.Verdict]) -> str:
    minutes = soak.samples[-1].seconds / 60
    total = sum(count for (_, what), count in soak.counts.items() if what != "done")
    lines = [f"{total} requests and {len(soak.faults_s)} faults in {minutes:.0f} minutes.", ""]
    columns = [*OUTCOMES, "failed"]
    lines += ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for ask in ASKS:
        cells = [str(soak.counts[ask.__name__, column] or "") for column in columns]
        lines.append(f"| {ask.__name__} | " + " | ".join(cells) + " |")
    faults = ", ".join(
        f"{fault.__name__} {soak.counts[fault.__name__, 'done']}" for fault in FAULTS
    )
    lines += ["", f"Faults: {faults}.", "", "| | second quarter | last quarter | limit |"]
    lines.append("|---|---|---|---|")
    lines += [
        f"| {each.name} | {each.before:.1f} | {each.after:.1f} | {each.limit:.1f} |"
        for each in verdicts
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--think", type=float, default=0, help="mean pause of a caller, seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/soak"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), arguments.minutes * 60, arguments.think, arguments.seed)
        soak.run()
        code = soak.daemon.stop()
        (arguments.out / "daemon.log").write_bytes(soak.daemon.log.read_bytes())
    watch.write(soak.samples, arguments.out / "samples.csv")
    watch.plot(soak.samples, soak.faults_s, arguments.out / "plot.png")
    verdicts = watch.judge(soak.samples)
    text = report(soak, verdicts)
    (arguments.out / "report.md").write_text(text)
    print(text)
    print("\n".join(soak.failures[:FAILURES_SHOWN]), file=sys.stderr)
    grown = [each.name for each in verdicts if not each.is_flat]
    if grown:
        print(f"grown: {', '.join(grown)}", file=sys.stderr)
    return 1 if soak.failures or grown or code else 0


if __name__ == "__main__":
    sys.exit(main())
