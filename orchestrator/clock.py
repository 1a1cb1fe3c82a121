"""Time, injected: wall time for records, monotonic time for durations."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The two clocks that code may ask."""

    def wall(self) -> float:
        """Seconds since the epoch, for records."""

    def monotonic(self) -> float:
        """Seconds that never jump, for durations."""


class SystemClock:
    """The machine's own clocks."""

    def wall(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never jump."""
        return time.monotonic()


def format_utc(seconds: float) -> str:
    """Render epoch seconds as `2026-01-31 09:05:07 UTC`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def format_duration(seconds: float) -> str:
    """Render a duration with its two largest units: `42 s`, `3 min 05 s`, `2 h 07 min`."""
    total = max(0, round(seconds))
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    if total < 86400:
        return f"{total // 3600} h {total % 3600 // 60:02d} min"
    return f"{total // 86400} d {total % 86400 // 3600:02d} h"


def format_brief(seconds: float) -> str:
    """Render a duration that may be far below a second: `0.0042 s`, `1.7 s`, `3 min 05 s`."""
    return f"{seconds:.2g} s" if seconds < 10 else format_duration(seconds)
