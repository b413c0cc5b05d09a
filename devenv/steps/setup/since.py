"""The fate of the rows that setup loaded: how many were deleted or changed since, and how to bring them back.

Only `devenv up --restore-seeds` brings one back: what a person or the application deleted stays deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from devenv.steps.setup.merge import row_json, title
from devenv.steps.setup.rows import Values
from devenv.steps.since import Since
from devenv.stores.postgres import client as postgres
from devenv.stores.postgres.catalog import Catalog, Table
from devenv.stores.postgres.client import Connection, name
from devenv.stores.postgres.driver import sql

COUNT: Final = "SELECT count(*) FROM devenv.seeded"
# A row whose parent was deleted too comes back behind it: so many rounds.
ROUNDS: Final = 8
VIEWS: Final = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' AND c.relispopulated AND n.nspname !~ '^pg_' AND n.nspname <> 'devenv' ORDER BY c.oid
"""


def compare_rows(connection: Connection, declared: Catalog, limit: int | None) -> Since:
    """Return how the recorded rows stand; above `limit` they are only counted."""
    number = int(postgres.one(connection, COUNT))
    if limit is not None and number > limit:
        return Since("row", number, compared=False)
    deleted: list[str] = []
    changed: list[str] = []
    with postgres.translated(connection.info.dbname):
        for table in declared.tables:
            for record, live in find_differing(connection, table):
                place = f"{table.name} {title(table, record)}"
                (changed if live else deleted).append(place)
    return Since("row", number, tuple(deleted), tuple(changed))


def find_differing(connection: Connection, table: Table) -> list[tuple[Values, bool]]:
    """(recorded row, whether it is still there) of each row that is no longer as it was loaded.

    Without a primary key a changed row is as good as deleted: nothing tells which one it was.
    """
    key = [(column, kind_of(table, column)) for column in table.primary_key]
    same = sql.SQL(" AND ").join(
        sql.SQL("live.{} = (ours.row ->> {})::{}").format(name(column), sql.Literal(column), sql.SQL(kind))
        for column, kind in key
    )
    own = sql.SQL(", ").join([*(name(column) for column in table.primary_key), sql.SQL("true AS devenv_there")])
    query = sql.SQL(
        "SELECT ours.row, devenv_there IS NOT NULL FROM devenv.seeded AS ours"
        " LEFT JOIN (SELECT {}, {} AS devenv_row FROM {}) AS live ON {}"
        ' WHERE ours."schema" = %s AND ours."table" = %s AND devenv_row IS DISTINCT FROM ours.row'
    ).format(own, row_json(table), name(*table.id), same if key else sql.SQL("devenv_row = ours.row"))
    return [(row, live) for row, live in connection.execute(query, [table.schema, table.name]).fetchall()]


def kind_of(table: Table, column: str) -> str:
    return next(each.type for each in table.columns if each.name == column)


def restore_rows(connection: Connection, declared: Catalog) -> int:
    """Insert the recorded rows that are not there, with their own keys; parents first. The number of rows."""
    restored = 0
    with postgres.translated(connection.info.dbname):
        for _ in range(ROUNDS):
            before = restored
            for table in declared.tables:
                gone = [record for record, live in find_differing(connection, table) if not live]
                restored += sum(insert(connection, table, record) for record in gone)
            if restored == before:
                break
    return restored


def insert(connection: Connection, table: Table, record: Values) -> bool:
    """Insert one row; False when its parent is missing yet, or its key is taken."""
    from psycopg import errors

    columns: Sequence[str] = [c.name for c in table.columns if not c.computed and c.name in record]
    query = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({}) ON CONFLICT DO NOTHING").format(
        name(*table.id), sql.SQL(", ").join(map(name, columns)), sql.SQL(", ").join(sql.SQL("%s") for _ in columns)
    )
    try:
        with connection.transaction():
            return connection.execute(query, [record[column] for column in columns]).rowcount > 0
    except errors.ForeignKeyViolation:
        return False


def refresh_views(connection: Connection) -> int:
    """Fill the materialized views anew that were filled, in the order in which they were made."""
    views = connection.execute(VIEWS.encode()).fetchall()
    for schema, view in views:
        connection.execute(sql.SQL("REFRESH MATERIALIZED VIEW {}").format(name(schema, view)))
    return len(views)
