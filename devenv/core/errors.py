"""The one error a user sees, and the one place where a kind becomes an exit code (help/exit-codes.md)."""

from __future__ import annotations

from enum import IntEnum

from devenv.core.model import Failure

MAKE_ROOM = "free disk space, then run it again: df -h"


class Exit(IntEnum):
    """Exit codes by name; scripts rely on the numbers."""

    DONE = 0
    FOUND = 1
    USAGE = 2
    UNCHECKED = 3
    TIMEOUT = 4
    CRASHED = 5
    PORT = 6
    LOCKED = 7
    STEP = 8
    VERSION = 9
    MISSING = 10
    RUN_FAILED = 125
    NOT_EXECUTABLE = 126
    NO_COMMAND = 127
    INTERRUPTED = 130
    TERMINATED = 143


class DevenvError(Exception):
    """A failure that is the user's to read: what failed, the driver's words, the cause, one next command.

    Stores and engines raise it without a hint; the command adds the hint, because only the command knows
    what the user was doing (`with_hint`).
    """

    def __init__(
        self,
        what: str,
        *,
        exit_code: Exit = Exit.FOUND,
        detail: str | None = None,
        cause: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.exit_code = exit_code
        self.detail = detail
        self.cause = cause
        self.hint = hint

    def with_hint(self, hint: str) -> DevenvError:
        """The same error (same object) with `hint` unless it already has one."""
        self.hint = self.hint or hint
        return self

    @property
    def failure(self) -> Failure:
        """The error as a value for a report."""
        return Failure(self.what, self.detail, self.cause, self.hint)


class UsageError(DevenvError):
    """Input or configuration refused before anything was written (exit 2)."""

    def __init__(self, what: str, *, detail: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, exit_code=Exit.USAGE, detail=detail, hint=hint)


class StoreError(DevenvError):
    """A store refused or could not be asked. `code` is the driver's own: SQLSTATE, AWS error type, or None.

    `reached` is False when the store did not answer at all (refused connection, timeout).
    """

    def __init__(self, what: str, *, detail: str | None = None, code: str | None = None, reached: bool = True) -> None:
        super().__init__(what, exit_code=Exit.FOUND if reached else Exit.UNCHECKED, detail=detail)
        self.code = code
        self.reached = reached
