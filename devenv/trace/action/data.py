"""Everything that both scratch stores hold, at one moment, as plain things that can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from devenv.links.read import ReadPlan, read_record
from devenv.links.values import as_text
from devenv.stores.dynamodb.client import plain_value
from devenv.stores.dynamodb.key_schema import table_keys

if TYPE_CHECKING:
    from devenv.core.model import DynamoTarget, PostgresTarget, StoreName, Targets
    from devenv.stores.dynamodb.client import Item

TABLES: Final = (
    "SELECT n.nspname, c.relname, ARRAY(SELECT a.attname FROM pg_index i JOIN pg_attribute a"
    " ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = c.oid AND i.indisprimary)"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')"
    " AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'devenv')"
    " ORDER BY 1, 2"
)


@dataclass(frozen=True)
class Thing:
    """An item or a row. `table` is where it lies, `kind` its entity (None: of no declared one) or the table of a row.

    `key` tells it from all others in its table; `values` are its fields as text.
    """

    store: StoreName
    table: str
    kind: str | None
    key: str
    values: Mapping[str, str | None]

    @property
    def place(self) -> tuple[str, str]:
        """Its table and key."""
        return self.table, self.key


@dataclass(frozen=True)
class ThingChange:
    """One thing before and after; None: it was not there."""

    before: Thing | None
    after: Thing | None


def read_things(targets: Targets, plan: ReadPlan) -> dict[tuple[str, str], Thing]:
    """All items of all tables, and all rows. StoreError when a store does not answer."""
    found = [*read_items(targets.dynamodb, plan), *read_rows(targets.postgres)]
    return {thing.place: thing for thing in found}


def read_items(target: DynamoTarget, plan: ReadPlan) -> Iterator[Thing]:
    """Every item of every table, declared or not."""
    from devenv.stores.dynamodb.client import Dynamo, read_only

    with Dynamo(read_only(target)) as dynamo:
        tables = [name for page in dynamo.pages("ListTables") for name in page["TableNames"]]
        for table in tables:
            keys = table_keys(dynamo.call("DescribeTable", {"TableName": table})["Table"])
            for item in dynamo.scan(table, ConsistentRead=True):
                yield read_item(plan, table, keys, item)


def read_item(plan: ReadPlan, table: str, keys: tuple[str, ...], item: Item) -> Thing:
    """One item: its declared fields, and what else it has."""
    kinds = tuple(kind for kind in plan.kinds if kind.table == table)
    record = read_record(kinds, table, keys, item)
    kind = record.kind or record.near
    known = {field.attribute for field in kind.fields} if kind else set()
    others = {name: as_text(plain_value(value)) for name, value in item.items() if name not in known}
    if kind is None:
        # An item of a declared kind in a table where none is: known by the attributes it has.
        kind = next((one for one in plan.kinds if one.table != table and matches(one.matchers, item)), None)
    return Thing("dynamodb", table, kind.name if kind else None, record.key_text, {**others, **record.values})


def matches(matchers: object, item: Item) -> bool:
    """Return True if an item has the key of a kind."""
    from devenv.links.values import scalar_text

    assert isinstance(matchers, tuple)  # noqa: S101 - of a Kind
    texts = [(scalar_text(item.get(attribute)), template) for attribute, template in matchers]
    return all(text is not None and template.parse(text) is not None for text, template in texts)


def read_rows(target: PostgresTarget) -> Iterator[Thing]:
    """Every row of every table."""
    from psycopg import sql

    from devenv.stores.postgres import client as postgres

    with postgres.connect(target) as connection, postgres.translated(target.address):
        for schema, table, keys in connection.execute(TABLES.encode()).fetchall():
            query = sql.SQL("SELECT to_jsonb(t) FROM {} t").format(postgres.name(schema, table))
            for (row,) in connection.execute(query).fetchall():
                values = {name: as_text(value) for name, value in row.items()}
                key = " ".join(str(values[name]) for name in keys or values)
                yield Thing("postgres", f"{schema}.{table}", f"{schema}.{table}", key, values)


def differences(
    before: Mapping[tuple[str, str], Thing], after: Mapping[tuple[str, str], Thing]
) -> dict[tuple[str, str], ThingChange]:
    """The changes between two moments, by place."""
    places = dict.fromkeys([*before, *after])
    pairs = {place: ThingChange(before.get(place), after.get(place)) for place in places}
    return {place: change for place, change in pairs.items() if change.before != change.after}
