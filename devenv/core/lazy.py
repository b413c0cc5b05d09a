"""A value that is computed when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from devenv.core.errors import DevenvError

Value = TypeVar("Value")


class Lazy(Generic[Value]):
    """Reads on the first call, in whichever thread that is, and keeps the value, or the DevenvError, for later ones."""

    def __init__(self, read: Callable[[], Value]) -> None:
        self._read = read
        self._lock = Lock()
        self._value: list[Value] = []
        self._error: DevenvError | None = None

    def __call__(self) -> Value:
        """The value. Raises the DevenvError that reading it raised, each time."""
        with self._lock:
            if not self._value and self._error is None:
                try:
                    self._value.append(self._read())
                except DevenvError as error:
                    self._error = error
            if self._error is not None:
                raise self._error
            return self._value[0]
