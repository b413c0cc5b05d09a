"""Regular expressions that are compiled on first use: a short command imports many and uses few."""

from __future__ import annotations

import re
from typing import Any, cast


class LatePattern:
    """Stands for a compiled pattern; what is asked of it once is kept, so that a second call costs nothing more."""

    def __init__(self, text: str, flags: int) -> None:
        # Other patterns are made of it.
        self.pattern = text
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        value = getattr(re.compile(self.pattern, self._flags), name)
        setattr(self, name, value)
        return value


def late(text: str, flags: int = 0) -> re.Pattern[str]:
    """A pattern for the top of a module that everyday commands import, and that few of them use.

    It has the methods of a pattern, and `re.sub(pattern, …)` does not take it.
    """
    return cast("re.Pattern[str]", LatePattern(text, flags))
