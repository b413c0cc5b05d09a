"""The contents of a database.

Tables with columns, constraints and indexes, and other objects, read in two statements.
"""

from __future__ import annotations

import msgspec

from devenv.stores.postgres.client import Connection, one


class Column(msgspec.Struct, frozen=True):
    """One column. `made` says who makes its value: "" the writer, "identity" a sequence, or an expression, whose
    value is "stored" or "virtual"; the expression is then in `default`.
    """

    name: str
    type: str
    not_null: bool = False
    default: str | None = None
    made: str = ""

    @property
    def computed(self) -> bool:
        """True if nobody but Postgres can write it."""
        return self.made in ("stored", "virtual")


class Constraint(msgspec.Struct, frozen=True):
    """One constraint. `kind`: primary, unique, foreign, check or exclude. A foreign one names its parent."""

    name: str
    kind: str
    definition: str
    columns: tuple[str, ...] = ()
    parent: tuple[str, str] | None = None
    parent_columns: tuple[str, ...] = ()


class Index(msgspec.Struct, frozen=True):
    """One index that no constraint made. `key`: its columns, when it is unique and about plain columns of all rows."""

    name: str
    definition: str
    key: tuple[str, ...] = ()


class Table(msgspec.Struct, frozen=True):
    """One table of the project. `partition_key` is set for a partitioned one; its partitions are not listed."""

    schema: str
    name: str
    partition_key: str | None = None
    columns: tuple[Column, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()

    @property
    def id(self) -> tuple[str, str]:
        """(schema, name)."""
        return self.schema, self.name

    @property
    def title(self) -> str:
        """`schema.name`, for messages."""
        return f"{self.schema}.{self.name}"

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Its columns, () without one."""
        return next((each.columns for each in self.constraints if each.kind == "primary"), ())

    @property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """The column sets that name one row: the primary key first, then the unique ones by name."""
        unique = sorted((each.name, each.columns) for each in self.constraints if each.kind == "unique")
        unique += sorted((each.name, each.key) for each in self.indexes if each.key)
        first = (self.primary_key,) if self.primary_key else ()
        return first + tuple(columns for _, columns in unique)


class Object(msgspec.Struct, frozen=True):
    """A thing without rows of its own. `kind`: schema, extension, enum, sequence, owner, function, view or trigger.

    `definition` makes it; `removal` drops it, where nothing can be lost by that, else "".
    """

    kind: str
    name: str
    definition: str
    removal: str = ""


class Catalog(msgspec.Struct, frozen=True):
    """The declared objects of a database, without the server's own, devenv's own and extensions' objects."""

    tables: tuple[Table, ...] = ()
    objects: tuple[Object, ...] = ()

    def table(self, id: tuple[str, str]) -> Table | None:
        """The table of that (schema, name)."""
        return next((table for table in self.tables if table.id == id), None)


OURS = "devenv"


# One round trip each. `project` are the schemas that belong to the project.
PROJECT = """
WITH project AS (
    SELECT oid, nspname FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'devenv')
), extension AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
)
"""
TABLES = (
    PROJECT  # noqa: S608 - constant text
    + """
SELECT jsonb_build_object('schema', n.nspname, 'name', c.relname, 'partition_key', pg_get_partkeydef(c.oid),
  'columns', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull,
      'default', CASE WHEN a.attidentity <> '' THEN NULL ELSE pg_get_expr(d.adbin, d.adrelid) END,
      'made', CASE WHEN a.attidentity <> '' THEN 'identity' WHEN a.attgenerated = 's' THEN 'stored'
              WHEN a.attgenerated <> '' THEN 'virtual' ELSE '' END)
      ORDER BY a.attnum), '[]')
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'constraints', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'name', k.conname,
      'kind', CASE k.contype WHEN 'p' THEN 'primary' WHEN 'u' THEN 'unique' WHEN 'f' THEN 'foreign'
              WHEN 'c' THEN 'check' ELSE 'exclude' END,
      'definition', pg_get_constraintdef(k.oid),
      'columns', (SELECT coalesce(jsonb_agg(a.attname ORDER BY p.place), '[]')
        FROM unnest(k.conkey) WITH ORDINALITY AS p(number, place)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = p.number),
      'parent', (SELECT jsonb_build_array(pn.nspname, pc.relname) FROM pg_class pc
        JOIN pg_namespace pn ON pn.oid = pc.relnamespace WHERE pc.oid = k.confrelid),
      'parent_columns', (SELECT coalesce(jsonb_agg(a.attname ORDER BY p.place), '[]')
        FROM unnest(k.confkey) WITH ORDINALITY AS p(number, place)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = p.number))
      ORDER BY k.conname), '[]')
    FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'f', 'c', 'x')),
  'indexes', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'name', ic.relname, 'definition', pg_get_indexdef(i.indexrelid),
      'key', CASE WHEN i.indisunique AND i.indpred IS NULL AND NOT 0 = ANY(i.indkey::int2[]) THEN
        (SELECT jsonb_agg(a.attname ORDER BY p.place)
         FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY AS p(number, place)
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.number) ELSE '[]' END)
      ORDER BY ic.relname), '[]')
    FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
    WHERE i.indrelid = c.oid AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid
      AND k.conrelid = c.oid)))
FROM pg_class c JOIN project n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND NOT EXISTS (SELECT FROM extension e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid)
ORDER BY n.nspname, c.relname
"""
)
VIEWS = (
    PROJECT
    + """
SELECT n.nspname, c.relname, array_agg(ARRAY[a.attname::text, format_type(a.atttypid, a.atttypmod)] ORDER BY a.attnum)
FROM pg_class c JOIN project n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind IN ('v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
GROUP BY 1, 2
"""
)
OBJECTS = (
    PROJECT  # noqa: S608 - constant text
    + """
SELECT kind, name, definition, removal FROM (
SELECT n.oid, 'schema' AS kind, quote_ident(nspname) AS name, format('CREATE SCHEMA %I', nspname) AS definition,
    '' AS removal
FROM project n WHERE nspname <> 'public'
UNION ALL
SELECT x.oid, 'extension', quote_ident(x.extname), format('CREATE EXTENSION %I SCHEMA %I', x.extname, n.nspname), ''
FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace WHERE x.extname <> 'plpgsql'
UNION ALL
SELECT t.oid, 'enum', format('%I.%I', n.nspname, t.typname), format('CREATE TYPE %I.%I AS ENUM (%s)', n.nspname,
    t.typname, (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e
                WHERE e.enumtypid = t.oid)), ''
FROM pg_type t JOIN project n ON n.oid = t.typnamespace WHERE t.typtype = 'e'
  AND NOT EXISTS (SELECT FROM extension e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid)
UNION ALL
SELECT c.oid, 'sequence', format('%I.%I', n.nspname, c.relname),
    format('CREATE SEQUENCE %I.%I AS %s START %s INCREMENT %s MINVALUE %s MAXVALUE %s', n.nspname, c.relname,
           format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax), ''
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN project n ON n.oid = c.relnamespace
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
  AND d.deptype IN ('i', 'e'))
UNION ALL
SELECT c.oid, 'owner', format('%I.%I', n.nspname, c.relname),
    format('ALTER SEQUENCE %I.%I OWNED BY %s.%I', n.nspname, c.relname, d.refobjid::regclass, a.attname), ''
FROM pg_class c JOIN project n ON n.oid = c.relnamespace
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'a'
  AND d.refclassid = 'pg_class'::regclass
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE c.relkind = 'S'
UNION ALL
SELECT p.oid, 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid),
    format('DROP ROUTINE %s', p.oid::regprocedure)
FROM pg_proc p JOIN project n ON n.oid = p.pronamespace WHERE p.prokind IN ('f', 'p')
  AND NOT EXISTS (SELECT FROM extension e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
UNION ALL
SELECT c.oid, 'view', format('%I.%I', n.nspname, c.relname),
    format('CREATE OR REPLACE VIEW %I.%I AS %s', n.nspname, c.relname, pg_get_viewdef(c.oid)),
    format('DROP VIEW %I.%I', n.nspname, c.relname)
FROM pg_class c JOIN project n ON n.oid = c.relnamespace WHERE c.relkind = 'v'
  AND NOT EXISTS (SELECT FROM extension e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid)
UNION ALL
SELECT t.oid, 'trigger', format('%I.%I.%I', n.nspname, c.relname, t.tgname), pg_get_triggerdef(t.oid),
    format('DROP TRIGGER %I ON %I.%I', t.tgname, n.nspname, c.relname)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN project n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND t.tgparentid = 0
) AS objects ORDER BY oid
"""
)


def read_catalog(connection: Connection) -> Catalog:
    """Return what the database declares now. Names in definitions are qualified, whatever the session's search_path."""
    path = one(connection, "SELECT current_setting('search_path')")
    connection.execute("SELECT set_config('search_path', 'pg_catalog', false)")
    tables = [row[0] for row in connection.execute(TABLES.encode()).fetchall()]
    objects = [Object(*row) for row in connection.execute(OBJECTS.encode()).fetchall()]
    connection.execute("SELECT set_config('search_path', %s, false)", [path])
    return msgspec.convert({"tables": tables, "objects": objects}, Catalog)


def read_views(connection: Connection) -> tuple[Table, ...]:
    """The views, materialized and foreign tables with their columns: what a link may name besides tables."""
    return tuple(
        Table(schema, name, columns=tuple(Column(each, kind) for each, kind in columns))
        for schema, name, columns in connection.execute(VIEWS.encode())
    )
