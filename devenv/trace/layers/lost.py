"""A request that fails because the application's connection to a store was ended is sent again.

A pool finds out that a connection is gone when it uses it: after `devenv reset`, `setup` or `snapshot`, or a restart of
the server, the first request on each connection fails, and the next one is right. The messages are those of libpq,
asyncpg, node-postgres, JDBC, pgx and Active Record; 57P01 is `admin_shutdown` (PostgreSQL's manual, appendix A).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from devenv.core.late import late
from devenv.trace.judge.fault import is_error_line
from devenv.trace.observation import Answer

# As many as the connections that a pool usually keeps.
TRIES: Final = 20
SERVER_FAILED: Final = 500
# Sent again without harm.
SAFE: Final = frozenset(["GET", "HEAD"])
ENDED: Final = late(
    r"\b57P01\b|terminating connection due to administrator command|closed the connection unexpectedly"
    r"|\bconnection (?:is |was |has been |already |terminated )?(?:closed|unexpectedly)|\bconn closed\b"
    r"|\bbad connection\b|\bConnectionBad\b|\bclient has encountered a connection error\b",
    re.IGNORECASE,
)


def ended_connection(method: str, answers: Iterable[Answer], lines: Iterable[str] | None) -> str | None:
    """The words that say that a connection was ended, if an answer failed for it; None if asking again is no use."""
    failed = [answer for answer in answers if (answer.status or 0) >= SERVER_FAILED]
    if not failed or method not in SAFE:
        return None
    told = [*(answer.detail or "" for answer in failed), *filter(is_error_line, lines or ())]
    found = next((match for match in map(ENDED.search, told) if match), None)
    return found[0] if found else None


def note(failed: int, words: str) -> str:
    """The sentence about requests that were sent again."""
    times = "the first request" if failed == 1 else f"the first {failed} requests"
    return f"{times} failed: the application still had connections that were ended ({words}); then it connected again"
