"""The table that a lookup's wrong row comes from, where another schema has one of the same name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from devenv.core.errors import StoreError
from devenv.trace.layers.services import relation_of
from devenv.trace.observation import Ran
from devenv.trace.question import TraceContext

if TYPE_CHECKING:
    from devenv.stores.postgres.client import Connection

LIMIT: Final = 20
NAMESAKES: Final = """
    SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm') ORDER BY n.nspname LIMIT %s
"""
HAS: Final = """
    SELECT EXISTS (SELECT FROM {} AS t WHERE %s::text[] <@ ARRAY(SELECT value FROM jsonb_each_text(to_jsonb(t))))
"""


def find_namesake(inquiry: TraceContext, ran: Ran) -> str | None:
    """`archive.users`: the only table named like the person's that has all that the lookup returned; None without."""
    person = inquiry.settings.person
    found = [observed for _, _, observed in ran.returned if observed is not None]
    if person is None or not found or all(wanted == observed for _, wanted, observed in ran.returned):
        return None
    from devenv.stores.postgres import client as postgres
    from devenv.stores.postgres.reader import reading

    target = inquiry.facts.context.targets.postgres
    schema, name = relation_of(person.table)
    try:
        with reading(target) as connection, postgres.translated(target.address):
            homes = homes_of(connection, name, found)
    except StoreError:
        return None
    return f"{homes[0]}.{name}" if len(homes) == 1 and homes != [schema] else None


def homes_of(connection: Connection, name: str, values: Sequence[str]) -> list[str]:
    """The schemas whose table of this name has a row with all of these values."""
    from psycopg import sql

    from devenv.stores.postgres import client as postgres

    schemas = postgres.execute(connection, sql.SQL(NAMESAKES), (name, LIMIT)).fetchall()
    found = []
    for (schema,) in schemas:
        query = sql.SQL(HAS).format(sql.Identifier(schema, name))
        if (row := postgres.execute(connection, query, (list(values),)).fetchone()) and row[0]:
            found.append(str(schema))
    return found
