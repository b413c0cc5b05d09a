"""References in seed items: `${users[handle=andrew].uuid}` is the uuid of the one row whose handle is andrew.

Names follow SQL: `${"My Users"[handle=andrew].uuid}`, `${billing.accounts[no='a]b'].id}`. `$${` is a plain `${`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from devenv.core.late import late
from devenv.stores.postgres.client import Connection, execute, name
from devenv.stores.postgres.driver import sql

NAME: Final = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
VALUE: Final = r"(?:'(?:[^']|'')*'|[^\]'\s][^\]]*)"
REFERENCE: Final = late(
    rf"\$\{{(?:(?P<schema>{NAME})\.)?(?P<table>{NAME})\[(?P<where>{NAME})=(?P<value>{VALUE})\]\.(?P<column>{NAME})\}}"
)
MARK: Final = late(r"(?P<escape>\$\$\{)|\$\{")
SOME: Final = 2_000


@dataclass(frozen=True)
class Reference:
    """One column of the one row of `relation` (a quoted name, as SQL has it) whose column `where` has `value`."""

    relation: str
    where: str
    value: str
    column: str
    text: str = field(compare=False, default="")

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The lookup itself, without its spelling."""
        return self.relation, self.where, self.value, self.column


class Unresolved(Exception):
    """A reference that names no value; `hint` says what was probably meant."""

    def __init__(self, reference: Reference, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.reference = reference
        self.what = what
        self.hint = hint


def split_text(text: str) -> tuple[str | Reference, ...]:
    """A text as literal parts and references. ValueError for a `${` that begins no reference."""
    parts: list[str | Reference] = []
    at = 0
    while mark := MARK.search(text, at):
        parts.append(text[at : mark.start()])
        if mark["escape"]:
            parts.append("${")
            at = mark.end()
            continue
        found = REFERENCE.match(text, mark.start())
        if found is None:
            shown = text[mark.start() : mark.start() + 60]
            raise ValueError(
                f"`{shown}` is not a reference like ${{users[handle=andrew].uuid}}; a plain `${{` is `$${{`"
            )
        parts.append(read_reference(found))
        at = found.end()
    parts.append(text[at:])
    return tuple(part for part in parts if part)


def read_reference(found: re.Match[str]) -> Reference:
    relation = ".".join(quote(unquote(part)) for part in (found["schema"], found["table"]) if part)
    value = found["value"]
    if value.startswith("'"):
        value = value[1:-1].replace("''", "'")
    return Reference(relation, unquote(found["where"]), value, unquote(found["column"]), found[0])


def unquote(text: str) -> str:
    """An SQL name as the catalog has it: unquoted ones are lower case."""
    return text[1:-1].replace('""', '"') if text.startswith('"') else text.lower()


def quote(text: str) -> str:
    """A catalog name as a quoted SQL name."""
    return '"' + text.replace('"', '""') + '"'


def resolve(connection: Connection, references: Iterable[Reference]) -> dict[Reference, str]:
    """Resolve each reference to its value.

    One query for each (table, column asked by). Unresolved at the first failure.
    """
    groups: dict[tuple[str, str], list[Reference]] = {}
    for reference in dict.fromkeys(references):
        groups.setdefault((reference.relation, reference.where), []).append(reference)
    relations = read_relations(connection, {relation for relation, _ in groups})
    answers: dict[Reference, str] = {}
    for (relation, where), group in groups.items():
        for reference in group:
            check_names(connection, reference, relations)
        schema, table, _ = relations[relation]
        rows = read_rows(connection, name(schema, table), where, group)
        for reference in group:
            answers[reference] = pick(connection, reference, rows.get(reference.value, []), name(schema, table))
    return answers


Relations = Mapping[str, tuple[str, str, list[str]]]


def read_relations(connection: Connection, relations: Iterable[str]) -> Relations:
    """Quoted name -> (schema, table, columns), for those that exist.

    A name without a schema is one in `public`, as in [[links]], and only else in another schema of the search_path.
    """
    query = (
        "SELECT asked, n.nspname, c.relname, ARRAY(SELECT attname::text FROM pg_attribute a"
        " WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)"
        " FROM unnest(%s::text[]) AS asked JOIN pg_class c ON c.oid = coalesce("
        "to_regclass(CASE WHEN position('\".\"' IN asked) = 0 THEN 'public.' || asked END), to_regclass(asked))"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
    )
    found = connection.execute(query, [sorted(relations)])
    return {asked: (schema, table, columns) for asked, schema, table, columns in found}


def check_names(connection: Connection, reference: Reference, relations: Relations) -> None:
    """Unresolved when the table or one of the two columns does not exist."""
    if reference.relation not in relations:
        tables = connection.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^(pg_|information_schema$|devenv$)'"
        )
        asked = unquote(reference.relation.rpartition('"."')[2].strip('"'))
        names = [row[0] for row in tables]
        raise Unresolved(reference, f"there is no table {reference.relation}", nearest(asked, names))
    columns = relations[reference.relation][2]
    for column in (reference.where, reference.column):
        if column not in columns:
            what = f"table {reference.relation} has no column `{column}`"
            raise Unresolved(reference, what, nearest(column, columns))


def read_rows(
    connection: Connection, table: sql.Identifier, where: str, group: list[Reference]
) -> dict[str, list[dict[str, Any]]]:
    """Value asked by -> the rows that have it, each with the columns that the group asks for."""
    columns = list(dict.fromkeys(reference.column for reference in group))
    query = sql.SQL("SELECT {}::text, {} FROM {} WHERE {}::text = ANY(%s)").format(
        name(where),
        sql.SQL(", ").join(sql.SQL("{}::text").format(name(column)) for column in columns),
        table,
        name(where),
    )
    rows: dict[str, list[dict[str, Any]]] = {}
    for value, *cells in execute(connection, query, [[reference.value for reference in group]]):
        rows.setdefault(value, []).append(dict(zip(columns, cells, strict=True)))
    return rows


def pick(connection: Connection, reference: Reference, rows: list[dict[str, Any]], table: sql.Identifier) -> str:
    """The one value. Unresolved when there is no row, more than one, or NULL."""
    asked = f"{reference.where} = {reference.value!r}"
    if not rows:
        query = sql.SQL("SELECT DISTINCT {}::text FROM {} LIMIT {}").format(
            name(reference.where), table, sql.Literal(SOME)
        )
        values = [row[0] for row in execute(connection, query, []) if row[0] is not None]
        raise Unresolved(reference, f"no row of {reference.relation} has {asked}", nearest(reference.value, values))
    if len(rows) > 1:
        raise Unresolved(reference, f"{len(rows)} rows of {reference.relation} have {asked}")
    value = rows[0][reference.column]
    if value is None:
        raise Unresolved(reference, f"`{reference.column}` is NULL in the row of {reference.relation} with {asked}")
    return str(value)


def nearest(asked: str, known: Iterable[str]) -> str | None:
    """`did you mean …?` for a near miss, case and blanks aside; else what there is, when that is little."""
    plain: dict[str, str] = {each.strip().lower(): each for each in known}
    near = difflib.get_close_matches(asked.strip().lower(), plain, n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f"`{plain[each]}`" for each in near) + "?"
    few = sorted(plain.values())[:8]
    return f"known are: {', '.join(few)}" if few else None
