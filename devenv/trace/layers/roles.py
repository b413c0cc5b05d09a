"""Why a role of the application sees no row of the person's table: it has no right, or a row-level policy hides it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from devenv.core.errors import StoreError
from devenv.trace.layers.services import relation_of
from devenv.trace.observation import Denied, Ran
from devenv.trace.question import TraceContext

if TYPE_CHECKING:
    from devenv.stores.postgres.client import Connection

PERMISSION: Final = "42501"
RIGHTS: Final = """
    SELECT has_table_privilege(r.rolname, c.oid, 'SELECT'),
           c.relrowsecurity AND NOT (r.rolsuper OR r.rolbypassrls) AND c.relowner <> r.oid
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, pg_roles r
    WHERE n.nspname = %s AND c.relname = %s AND r.rolname = %s
"""
POLICIES: Final = """
    SELECT policyname, qual FROM pg_policies
    WHERE schemaname = %s AND tablename = %s AND cmd IN ('ALL', 'SELECT')
      AND ('public' = ANY(roles) OR EXISTS (
          SELECT FROM unnest(roles) AS named WHERE pg_has_role(%s, named, 'MEMBER')))
    ORDER BY policyname
"""


def explain_role(inquiry: TraceContext, ran: Ran) -> Denied | None:
    """The missing right or the policy that hides the row from the role of a lookup; None where nothing does."""
    person = inquiry.settings.person
    asked = next((one for one in reversed(ran.asked or ()) if one.role is not None), None)
    if person is None or asked is None or asked.role is None or asked.elsewhere is not None:
        return None
    nothing = bool(ran.returned) and all(observed is None for _, _, observed in ran.returned)
    if not nothing and not any(one.error == PERMISSION for one in ran.asked or ()):
        return None
    from devenv.stores.postgres import client as postgres
    from devenv.stores.postgres.reader import reading

    target = inquiry.facts.context.targets.postgres
    try:
        with reading(target) as connection, postgres.translated(target.address):
            return next(find_denied(connection, relation_of(person.table), asked.role), None)
    except StoreError:
        return None


def find_denied(connection: Connection, relation: tuple[str, str], role: str) -> Iterator[Denied]:
    """The missing right, else the policies."""
    from psycopg import sql

    from devenv.stores.postgres import client as postgres

    table = ".".join(relation)
    row = postgres.execute(connection, sql.SQL(RIGHTS), (*relation, role)).fetchone()
    if row is None:
        return
    if not row[0]:
        yield Denied(f"role {role} has no right to SELECT from {table}", f"GRANT SELECT ON {table} TO {role}")
    elif row[1]:
        found = postgres.execute(connection, sql.SQL(POLICIES), (*relation, role)).fetchall()
        told = ", ".join(f"{name} ({condition or 'no condition'})" for name, condition in found)
        yield Denied(
            f"row-level security of {table} lets role {role} see only the rows that these policies allow: {told}"
            if told
            else f"row-level security of {table} lets role {role} see no row: no policy applies to it"
        )
