"""Whether a server's own timings agree with the client's clock."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from llamawire.cli.bench.exchange import Exchange

__all__ = ["TOLERANCE", "ClockCheck", "check_clock"]

TOLERANCE = 0.02
LONG_ENOUGH_S = 0.5
"""Below this the way to the client alone is more than the tolerance."""


@dataclass(frozen=True)
class ClockCheck:
    """Median over all long enough answers of (client - server) / client; None: not told."""

    total: float | None
    """Of the whole answer."""
    generate: float | None
    """From the first token to the last."""
    count: int

    @property
    def agrees(self) -> bool:
        return all(abs(each) <= TOLERANCE for each in (self.total, self.generate) if each)


def check_clock(exchanges: Sequence[Exchange]) -> ClockCheck | None:
    """None if no answer was long enough or the server tells no times."""
    totals, generates = [], []
    for exchange in exchanges:
        if not exchange.generated_count or exchange.duration_s < LONG_ENOUGH_S:
            continue
        if exchange.server.total_s is not None:
            totals.append(1 - exchange.server.total_s / exchange.duration_s)
        times = [message.at_s for message in exchange.messages if message.text]
        if exchange.server.generate_s is not None and times[-1] - times[0] > LONG_ENOUGH_S:
            generates.append(1 - exchange.server.generate_s / (times[-1] - times[0]))
    if not totals and not generates:
        return None
    return ClockCheck(
        statistics.median(totals) if totals else None,
        statistics.median(generates) if generates else None,
        max(len(totals), len(generates)),
    )
