"""The clock and the source files of an application's interpreter.

`runner.py` loads this file by its path, so it may import nothing but the standard library.
"""

from __future__ import annotations

import datetime
import os
import sys
import time
from typing import Any

REAL_TIME = time.time
# A process reads its code some time after its start.
SETTLED_S = 0.2


def newest_source(before: float, runner: str) -> list[Any] | None:
    """The application's source file that was changed last, and when; None when none is newer than `before`.

    `before` is the start of another process that may run it: a change right after it does not count.
    """
    found: list[Any] = []
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        if not name or "site-packages" in name or name.startswith(sys.base_prefix) or name == runner:
            continue
        try:
            found.append([name, os.stat(name).st_mtime])
        except OSError:
            continue
    late = [one for one in found if one[1] > before + SETTLED_S]
    return max(late, key=lambda one: float(one[1])) if late else None


class ClockKind(type):
    """Lets values of the real classes be instances of the shifted ones."""

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, cls.__mro__[1])


class ShiftedMoment(datetime.datetime, metaclass=ClockKind):
    """A datetime whose present is another one. It makes plain datetimes."""

    later = datetime.timedelta()

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        """The present."""
        return cls.__mro__[1].now(tz) + cls.later  # type: ignore[attr-defined]

    @classmethod
    def utcnow(cls) -> Any:
        """The present in UTC, without a zone."""
        return cls.now(datetime.timezone.utc).replace(tzinfo=None)  # noqa: UP017 - older interpreters too

    @classmethod
    def today(cls) -> Any:
        """The present, local."""
        return cls.now()


class ShiftedDay(datetime.date, metaclass=ClockKind):
    """A date whose today is another one."""

    @classmethod
    def today(cls) -> Any:
        """The present day, local."""
        return ShiftedMoment.now().date()


def set_clock(moment: float) -> None:
    """Let this interpreter's clock go from another moment (epoch seconds), for what is imported from now on."""
    shift = moment - REAL_TIME()
    ShiftedMoment.later = datetime.timedelta(seconds=shift)
    gmtime, localtime = time.gmtime, time.localtime
    datetime.datetime, datetime.date = ShiftedMoment, ShiftedDay  # type: ignore[misc]
    time.time = lambda: REAL_TIME() + shift
    time.time_ns = lambda: int((REAL_TIME() + shift) * 1e9)
    time.gmtime = lambda seconds=None: gmtime(time.time() if seconds is None else seconds)
    time.localtime = lambda seconds=None: localtime(time.time() if seconds is None else seconds)
