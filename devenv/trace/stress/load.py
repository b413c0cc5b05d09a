"""How busy the machine is: an application that only waits for a processor is not held to be at fault."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import Final

import psutil

# With less of the processors' time left over than this, a process may have waited for one.
SPARE: Final = 0.1
# From here on a computation takes noticeably longer than on a quiet machine.
SLOWED: Final = 1.5
# On a busier machine, times say nothing about the application.
MOST: Final = 8.0
BURN_S: Final = 0.02
SAMPLES: Final = 3


@dataclass(frozen=True)
class Processors:
    """Time that all processors had, and left over, since the start of the machine: in seconds."""

    total: float
    idle: float

    @classmethod
    def read(cls) -> Processors:
        """The present figures."""
        times = psutil.cpu_times()
        # A guest's time is a part of the user's.
        total = sum(times) - sum(getattr(times, name, 0.0) for name in ("guest", "guest_nice"))
        return cls(total, times.idle + getattr(times, "iowait", 0.0))

    def spare(self, before: Processors) -> float:
        """The share that was left over since an earlier moment; 1.0 when no time passed."""
        passed = self.total - before.total
        return (self.idle - before.idle) / passed if passed > 0 else 1.0


def slowness() -> float:
    """How many times as long as on a free processor a short computation takes now."""
    return max(1.0, median(burn() for _ in range(SAMPLES)))


def burn() -> float:
    """Compute for BURN_S; the time that passed for each second of it."""
    began, used = time.perf_counter(), time.thread_time()
    while (spent := time.thread_time() - used) < BURN_S:
        pass
    return (time.perf_counter() - began) / spent


def was_busy(since: Processors) -> bool:
    """Return True if a process had to wait for a processor since an earlier moment, or has to now."""
    return Processors.read().spare(since) < SPARE or slowness() > SLOWED
