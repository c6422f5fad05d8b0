"""Points in time as Go prints them: RFC 3339 with as many digits as are needed, at most nine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

from google.protobuf import timestamp_pb2

__all__ = ["UtcStamp", "local_time"]

_SECOND = 10**9


class UtcStamp:
    """`created_at`: the time now, in UTC. All but the fraction changes once a second."""

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self._clock_ns = clock_ns
        self._second = -1
        self._prefix = b""

    def __call__(self) -> bytes:
        second, fraction = divmod(self._clock_ns(), _SECOND)
        if second != self._second:
            self._second = second
            self._prefix = _seconds(datetime.fromtimestamp(second, timezone.utc)).encode()
        if not fraction:
            return self._prefix + b"Z"
        return self._prefix + (b".%09d" % fraction).rstrip(b"0") + b"Z"

    def now_ns(self) -> int:
        """The clock itself."""
        return self._clock_ns()


def local_time(stamp: timestamp_pb2.Timestamp) -> str:
    """`modified_at`, `expires_at`: with the offset of this machine."""
    moment = datetime.fromtimestamp(stamp.seconds, timezone.utc).astimezone()
    fraction = f".{stamp.nanos:09d}".rstrip("0").rstrip(".")
    offset = moment.strftime("%z")
    zone = f"{offset[:3]}:{offset[3:5]}" if offset.strip("+-0") else "Z"
    return f"{_seconds(moment)}{fraction}{zone}"


def _seconds(moment: datetime) -> str:
    return moment.replace(microsecond=0, tzinfo=None).isoformat()
