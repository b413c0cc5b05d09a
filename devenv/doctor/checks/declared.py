"""`config check --live`: do the stores have the tables, attributes and columns that devenv.toml names?

The same mistakes as `devenv.config.references` finds, with the stores' own names as suggestions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from devenv.config.references import Mistake, unknown_name
from devenv.config.schema import Settings
from devenv.core.errors import StoreError
from devenv.core.templates import names_in
from devenv.links.read import compile_edge, compile_plan
from devenv.links.shown import linked_columns

if TYPE_CHECKING:
    from devenv.core.model import Targets

# Attributes are looked for in so many items of each table: further ones may have others.
ITEMS: Final = 1_000
COLUMNS: Final = """
SELECT n.nspname, c.relname, array_agg(a.attname::text)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'devenv')
GROUP BY 1, 2
"""
Relations = Mapping[tuple[str, str], list[str]]


def ask_stores(settings: Settings, targets: Targets) -> tuple[list[Mistake], list[str], list[str]]:
    """(mistakes, what was looked at, what could not be): a store that does not answer is no mistake."""
    mistakes: list[Mistake] = []
    looked: list[str] = []
    unasked: list[str] = []
    for store, ask in (("postgres", ask_postgres), ("dynamodb", ask_dynamodb)):
        try:
            found = list(ask(settings, targets, looked))
        except StoreError as error:
            unasked.append(f"{store}: {error.what}")
        else:
            mistakes += found
    return mistakes, looked, unasked


def ask_postgres(settings: Settings, targets: Targets, looked: list[str]) -> Iterator[Mistake]:
    """Tables and columns of `[[links]]` and `[person]`. StoreError when Postgres does not answer."""
    from devenv.stores.postgres import client as postgres

    if not settings.links and settings.person is None:
        return
    target = targets.postgres
    with postgres.connect(target, read_only=True) as connection, postgres.translated(target.address):
        rows = connection.execute(COLUMNS.encode()).fetchall()
    yield from compare_columns(settings, {(schema, name): columns for schema, name, columns in rows})
    looked.append(f"the tables and columns of {target.address}")


def compare_columns(settings: Settings, relations: Relations) -> Iterator[Mistake]:
    """Compare the tables and columns that links and `[person]` name with those in Postgres. Pure."""
    for number, link in enumerate(settings.links):
        edge = compile_edge(link)
        place = ("links", number)
        yield from missing_columns((*place, "to"), edge.relation, [edge.column], relations)
        if edge.relation in relations:
            for key, used in (("natural_key", link.natural_key), ("copies", link.copies)):
                yield from missing_columns((*place, key), edge.relation, used.values(), relations)
    yield from compare_shown(settings, relations)
    person = settings.person
    if person is None:
        return
    schema, _, name = person.table.rpartition(".")
    relation = (schema or "public", name)
    yield from missing_columns(("person", "table"), relation, [], relations)
    if relation not in relations:
        return
    for key in ("id", "name", "sign_in"):
        yield from missing_columns(("person", key), relation, filter(None, [getattr(person, key)]), relations)
    for name, trace in settings.trace.items():
        texts: Mapping[tuple[str, ...], Any] = {
            ("where",): trace.where,
            ("library", "arguments"): trace.library.arguments if trace.library else {},
            ("request", "path"): trace.request.path if trace.request else "",
        }
        for keys, template in texts.items():
            columns = sorted(place[7:] for place in names_in(template) if place.startswith("person."))
            yield from missing_columns(("trace", name, *keys), relation, columns, relations)


def compare_shown(settings: Settings, relations: Relations) -> Iterator[Mistake]:
    """Compare the columns of linked rows that answers show with those in Postgres. Pure."""
    plan = compile_plan(settings, {})
    for name, trace in settings.trace.items():
        for number, part in enumerate(trace.kinds):
            keys = ("trace", name, *(("entities", number) if trace.entities else ()), "fields")
            for linked in linked_columns(plan, plan.kind(part.entity), part.fields).values():
                for edge in linked.edges:
                    if edge.relation in relations:
                        yield from missing_columns(keys, edge.relation, [linked.column], relations)


def missing_columns(
    keys: tuple[str | int, ...], relation: tuple[str, str], columns: Iterable[str], relations: Relations
) -> Iterator[Mistake]:
    """A mistake for a relation that is not there, or for each column that it lacks."""
    if relation not in relations:
        same = [f"{schema}.{name}" for schema, name in relations]
        yield from unknown_name(keys, "table", ".".join(relation), same)
        return
    for column in columns:
        lacks = f"{'.'.join(relation)} has no column"
        yield from unknown_name(keys, "column", column, relations[relation], lacks=lacks)


def ask_dynamodb(settings: Settings, targets: Targets, looked: list[str]) -> Iterator[Mistake]:
    """Tables and indexes of entities, links and patterns; attributes of links. StoreError when there is no answer."""
    from devenv.stores.dynamodb.client import Dynamo

    if not (settings.links or settings.entities or settings.patterns):
        return
    tables: dict[str, dict[str, Any]] = {}
    attributes: dict[str, set[str] | None] = {}
    with Dynamo(targets.dynamodb) as dynamodb:
        wanted = {compile_edge(link).table for link in settings.links}
        for page in dynamodb.pages("ListTables"):
            for name in page["TableNames"]:
                tables[name] = dynamodb.call("DescribeTable", {"TableName": name})["Table"]
        for name in sorted(wanted & set(tables)):
            items = list(islice(dynamodb.scan(name), ITEMS))
            # Nothing can be told of a table without items.
            attributes[name] = {attribute for item in items for attribute in item} if items else None
            looked.append(f"{len(items)} items of {name}" + (", not all of them" if len(items) == ITEMS else ""))
    looked.append(f"the tables of {targets.dynamodb.endpoint}")
    yield from compare_tables(settings, tables, attributes)


def compare_tables(
    settings: Settings, tables: Mapping[str, Mapping[str, Any]], attributes: Mapping[str, set[str] | None]
) -> Iterator[Mistake]:
    """Compare the tables and indexes that entities, links and patterns name with those in DynamoDB. Pure."""
    for name, entity in settings.entities.items():
        yield from unknown_name(("entities", name, "table"), "table", entity.table, tables)
    for name, pattern in settings.patterns.items():
        if pattern.table is None:
            continue
        yield from unknown_name(("patterns", name, "table"), "table", pattern.table, tables)
        if pattern.index is not None and pattern.table in tables:
            table = tables[pattern.table]
            both = [*table.get("GlobalSecondaryIndexes", ()), *table.get("LocalSecondaryIndexes", ())]
            indexes = [index["IndexName"] for index in both]
            lacks = f"table `{pattern.table}` has no index"
            yield from unknown_name(("patterns", name, "index"), "index", pattern.index, indexes, lacks=lacks)
    for number, link in enumerate(settings.links):
        edge = compile_edge(link)
        yield from unknown_name(("links", number, "from"), "table", edge.table, tables)
        known = attributes.get(edge.table)
        if known is None:
            continue
        used = {"from": [edge.attribute], "natural_key": list(link.natural_key), "copies": list(link.copies)}
        for key, names in used.items():
            for attribute in names:
                lacks = f"no item of table `{edge.table}` has the attribute"
                yield from unknown_name(("links", number, key), "attribute", attribute, known, lacks=lacks)
