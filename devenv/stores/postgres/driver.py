"""psycopg, imported at its first use: that takes a third of a short command, and only statements need it.

Modules that a command imports for its files, its tables or its plan take `psycopg` and `sql` from here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from devenv.core.late import LateModule

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql
else:
    psycopg, sql = LateModule("psycopg"), LateModule("psycopg", "sql")

__all__ = ["load", "psycopg", "sql"]


def load() -> None:
    """Import psycopg now, while something else takes its time."""
    import_module("psycopg")
