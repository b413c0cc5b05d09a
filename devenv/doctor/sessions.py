"""Sessions that block others in the project's database, read through a connection that reads no table."""

from __future__ import annotations

from typing import Final

import msgspec

from devenv.core.model import PostgresTarget
from devenv.core.plural import number_of

SHOWN: Final = 80
# Locks that keep readers or writers of a table out.
STRONG: Final = ("AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock")
SESSIONS: Final = r"""
SELECT a.pid, a.application_name, coalesce(a.state, ''),
  extract(epoch FROM clock_timestamp() - coalesce(a.state_change, a.backend_start))::float,
  (SELECT count(*)::int FROM pg_stat_activity w WHERE a.pid = ANY (pg_blocking_pids(w.pid))),
  coalesce(left(regexp_replace(a.query, '\s+', ' ', 'g'), $1), ''),
  (SELECT string_agg(DISTINCT l.mode || ' on ' || l.relation::regclass::text, ', ') FROM pg_locks l
   JOIN pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p', 'm')
   WHERE l.pid = a.pid AND l.granted AND l.locktype = 'relation' AND l.mode = ANY ($2))
FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
  AND (a.state LIKE 'idle in transaction%' OR EXISTS (
    SELECT 1 FROM pg_stat_activity w WHERE a.pid = ANY (pg_blocking_pids(w.pid))))
ORDER BY a.pid
"""


class DatabaseSession(msgspec.Struct, frozen=True):
    """Another session in the project's database.

    `for_s`: seconds in its state; `blocks`: how many wait for it; `locks`: those that keep others out.
    """

    pid: int
    application: str
    state: str
    for_s: float
    blocks: int
    statement: str
    locks: str | None


def read_sessions(target: PostgresTarget) -> tuple[DatabaseSession, ...]:
    """Return the sessions that are idle inside a transaction, or that others wait for. StoreError."""
    import psycopg

    from devenv.stores.postgres import client as postgres
    from devenv.stores.postgres.reader import reading

    with reading(target, autocommit=True) as connection, postgres.translated(target.address):
        found = postgres.rows_of(psycopg.RawCursor(connection), SESSIONS, [SHOWN, list(STRONG)])
    return tuple(DatabaseSession(*row) for row in found.rows)


def describe_session(session: DatabaseSession) -> str:
    """`session 812 (psql) is idle in transaction for 34 s, holds AccessExclusiveLock on users: ALTER TABLE …`."""
    parts = [f"session {session.pid} ({session.application or 'unnamed'}) is {session.state} for {session.for_s:.0f} s"]
    if session.locks:
        parts.append(f"holds {session.locks}")
    if session.blocks:
        parts.append(f"{number_of(session.blocks, 'other waits', 'others wait')} for it")
    text = ", ".join(parts)
    return f"{text}; its last statement: {session.statement}" if session.statement else text
