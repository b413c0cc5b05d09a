"""Regular expressions and modules that are compiled or imported on first use: a short command uses few of them."""

from __future__ import annotations

import re
from importlib import import_module
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


class LateModule:
    """Stands for a package, or for one of its modules that it imports itself.

    The package comes first: two threads that each import a part of it could wait for each other.
    """

    def __init__(self, package: str, part: str = "") -> None:
        self._package = package
        self._part = part

    def __getattr__(self, name: str) -> Any:
        package = import_module(self._package)
        value = getattr(getattr(package, self._part) if self._part else package, name)
        setattr(self, name, value)
        return value
