"""DynamoDB on the Data page: tables, pages of items, one item. A Scan of a whole table only after it was agreed to."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from devenv.core.errors import UsageError
from devenv.core.plural import number_of
from devenv.query.items import schema_of, sort_condition, typed_key, types_of
from devenv.query.queries import amount_words, ask, judge_statement
from devenv.stores.dynamodb.client import Dynamo, verb
from devenv.stores.dynamodb.key_schema import places_of
from devenv.stores.dynamodb.partiql import UnreadableStatement, parse
from devenv.ui.rows import NotAgreed
from devenv.ui.tables import ShownTable

PAGE: Final = 50
TABLES: Final = 40
NAMES: Final = 100
LOOKED: Final = 12_000
# A Scan with a filter may read for long and find nothing: then it stops, and can be continued.
PATIENCE_S: Final = 2.0
ATTRIBUTES: Final = 60
Item = Mapping[str, Mapping[str, Any]]
# A table as it is known, by its name and the index that is asked for.
Look = Callable[[str, str], ShownTable]


@dataclass(frozen=True)
class ItemsAsked:
    """A page of `table` on the right side, as the address says it. Empty texts: not given."""

    table: str = ""
    index: str = ""
    hash: str = ""
    sort: str = ""
    upto: str = ""
    how: str = ""
    newest: bool = False
    partiql: str = ""
    start: str = ""
    item: str = ""
    value: str = ""
    agreed: bool = False


@dataclass(frozen=True)
class ItemsSeen:
    """Items in DynamoDB's JSON. `said`: which operation it was, `words` the command that does the same.

    `read`: how many items DynamoDB looked at, None where it does not tell; `start`: where the next page begins.
    """

    table: str
    keys: tuple[str, ...]
    said: str
    words: tuple[str, ...]
    items: Sequence[Item]
    start: str = ""
    read: int | None = None
    units: float | None = None


def list_item_tables(
    dynamodb: Dynamo, glance: Callable[[str], ShownTable | None], wanted: str, after: str
) -> tuple[list[dict[str, Any]], str]:
    """Tables whose name has `wanted` in it, with their counts, and the name behind which there are more ("": none).

    `glance` gives what is known of a table at once. `later`: its count (and keys) come when they are known.
    """
    names: list[str] = []
    cursor = after
    looked = 0
    while len(names) <= TABLES and looked < LOOKED:
        request: dict[str, Any] = {"Limit": NAMES}
        if cursor:
            request["ExclusiveStartTableName"] = cursor
        answer = dynamodb.call("ListTables", request)
        looked += len(answer["TableNames"])
        names += [name for name in answer["TableNames"] if wanted.lower() in name.lower()]
        cursor = answer.get("LastEvaluatedTableName", "")
        if not cursor:
            break
    shown = names[:TABLES]
    tables = []
    for name in shown:
        known = glance(name)
        places = places_of(known.described) if known else ()
        tables.append(
            {
                "table": name,
                "keys": list(places[0].keys) if places else [],
                "indexes": [place.index for place in places if place.index],
                "items": known.count if known else None,
                "about": bool(known and known.about),
                "later": known is None or known.due,
            }
        )
    return tables, shown[-1] if len(names) > TABLES else ""


def read_items(dynamodb: Dynamo, look: Look, asked: ItemsAsked) -> ItemsSeen:
    """The page that was asked for. NotAgreed for a Scan that nobody agreed to, UsageError for what cannot be asked."""
    known = look(asked.table, asked.index)
    described = known.described
    if asked.item:
        return one_item(dynamodb, described, asked)
    if asked.partiql.strip():
        return by_partiql(dynamodb, look, described, asked)
    if asked.value:
        return by_value(dynamodb, known, asked)
    return by_key(dynamodb, described, asked) if asked.hash else from_start(dynamodb, described, asked)


def from_start(dynamodb: Dynamo, described: Mapping[str, Any], asked: ItemsAsked) -> ItemsSeen:
    """One page in the table's own order: a Scan that reads as many items as it shows."""
    body: dict[str, Any] = {"TableName": asked.table, "Limit": PAGE}
    if asked.index:
        schema_of(described, asked.index)
        body["IndexName"] = asked.index
    answer, items, start = page(dynamodb, "Scan", body, asked.start)
    of = f"index {asked.index}" if asked.index else "the table"
    said = f"a Scan of one page of {of}: {number_of(len(items), 'item')} in the order of storage"
    words = ("ddb", "scan", asked.table, "--limit", str(PAGE))
    return seen(described, asked, said, words, answer, items, start)


def by_key(dynamodb: Dynamo, described: Mapping[str, Any], asked: ItemsAsked) -> ItemsSeen:
    """The items of one partition, in the order of the sort key."""
    schema = schema_of(described, asked.index or None)
    types = types_of(described)
    attributes = {"#h": schema[0]}
    values: dict[str, Any] = {":h": typed_key(types, schema[0], asked.hash)}
    condition = "#h = :h"
    words = ["ddb", "query", asked.table, f"{schema[0]}={asked.hash}"]
    if asked.sort:
        if len(schema) < 2:
            raise UsageError(f"{asked.index or asked.table} has no sort key to narrow")
        attributes["#s"] = schema[1]
        begins = asked.sort if asked.how == "begins" else None
        between = (asked.sort, asked.upto) if asked.how == "between" else ()
        condition += (
            sort_condition(types, schema[1], [asked.sort], begins, between, values)
            if not (begins or between)
            else sort_condition(types, schema[1], [], begins, between, values)
        )
        words += sort_words(schema[1], asked)
    body: dict[str, Any] = {
        "TableName": asked.table,
        "KeyConditionExpression": condition,
        "ExpressionAttributeNames": attributes,
        "ExpressionAttributeValues": values,
        "ScanIndexForward": not asked.newest,
        "Limit": PAGE,
    }
    if asked.index:
        body["IndexName"] = asked.index
        words += ["--index", asked.index]
    words += ["--newest"] if asked.newest else []
    answer, items, start = page(dynamodb, "Query", body, asked.start)
    of = f"index {asked.index}" if asked.index else "one partition"
    order = f", by {schema[1]}{' descending' if asked.newest else ''}" if len(schema) > 1 else ""
    return seen(described, asked, f"a Query of {of}{order}", tuple(words), answer, items, start)


def sort_words(name: str, asked: ItemsAsked) -> list[str]:
    """The condition on the sort key, as `ddb query` takes it."""
    if asked.how == "begins":
        return ["--begins-with", asked.sort]
    return ["--between", asked.sort, asked.upto] if asked.how == "between" else [f"{name}={asked.sort}"]


def by_partiql(dynamodb: Dynamo, look: Look, described: Mapping[str, Any], asked: ItemsAsked) -> ItemsSeen:
    """The items of a SELECT. What reads a whole table is not run before it was agreed to."""
    if verb(asked.partiql) != "SELECT":
        raise UsageError("this page only reads: a PartiQL statement here begins with SELECT")
    try:
        amount = judge_statement(dynamodb, asked.partiql, asked.agreed, lambda *each: look(*each).described)
    except UsageError as error:
        raise NotAgreed(f"{error.what}: {error.detail}") from None
    body: dict[str, Any] = {"Statement": asked.partiql, "Limit": PAGE, "ReturnConsumedCapacity": "TOTAL"}
    if asked.start:
        body["NextToken"] = asked.start
    answer = ask(dynamodb, body)
    words = ["ddb", "sql", asked.partiql, *(["--scan"] if asked.agreed else [])]
    start = str(answer.get("NextToken") or "")
    return seen(described, asked, amount_words(amount), tuple(words), answer, answer.get("Items", []), start)


def amount_of_partiql(dynamodb: Dynamo, look: Look, statement: str) -> str:
    """The amount of a statement, in words, without running it."""
    if verb(statement) != "SELECT":
        return "only SELECT is run here"
    try:
        parse(statement)
    except UnreadableStatement as error:
        return f"devenv cannot determine its operation: {error}"
    return amount_words(judge_statement(dynamodb, statement, True, lambda *each: look(*each).described))


def by_value(dynamodb: Dynamo, known: ShownTable, asked: ItemsAsked) -> ItemsSeen:
    """The items that have a text anywhere in an attribute that is known: a Scan of the whole table."""
    described = known.described
    if not asked.agreed:
        many = "a table that is not counted yet" if known.count is None else f"about {number_of(known.count, 'item')}"
        raise NotAgreed(f"This reads the whole table {asked.table} (a Scan of {many})")
    names = attributes_of(dynamodb, described, asked)
    keys = {name for name, kind in types_of(described).items() if kind == "S"}
    parts = [f"contains(#a{n}, :v)" if name in keys else f"#a{n} = :v" for n, name in enumerate(names)]
    body: dict[str, Any] = {
        "TableName": asked.table,
        "FilterExpression": " OR ".join(parts),
        "ExpressionAttributeNames": {f"#a{n}": name for n, name in enumerate(names)},
        "ExpressionAttributeValues": {":v": {"S": asked.value}},
    }
    end = monotonic() + PATIENCE_S
    items: list[Item] = []
    read, units, start = 0, 0.0, asked.start
    while True:
        answer, found, start = page(dynamodb, "Scan", body, start)
        items += found
        read += answer.get("ScannedCount", 0)
        units += float((answer.get("ConsumedCapacity") or {}).get("CapacityUnits", 0.0))
        if not start or len(items) >= PAGE or monotonic() > end:
            break
    said = f"a Scan for {asked.value}: {number_of(len(items), 'item')} of {read:,} read"
    words = ("ddb", "scan", asked.table)
    return ItemsSeen(asked.table, schema_of(described), said, words, items, start, read, units)


def attributes_of(dynamodb: Dynamo, described: Mapping[str, Any], asked: ItemsAsked) -> list[str]:
    """The names of the attributes that a value is looked for in: the keys', and those of the first items."""
    found = dict.fromkeys(name for name, kind in types_of(described).items() if kind == "S")
    for item in dynamodb.call("Scan", {"TableName": asked.table, "Limit": PAGE})["Items"]:
        found |= dict.fromkeys(name for name, value in item.items() if "S" in value)
    return list(found)[:ATTRIBUTES]


def one_item(dynamodb: Dynamo, described: Mapping[str, Any], asked: ItemsAsked) -> ItemsSeen:
    """One item by its whole key."""
    key = decode(asked.item)
    names = schema_of(described)
    if set(key) != set(names):
        raise UsageError(f"the key of table {asked.table} is {', '.join(names)}")
    answer = dynamodb.call("GetItem", {"TableName": asked.table, "Key": key, "ConsistentRead": True})
    items = [answer["Item"]] if "Item" in answer else []
    texts = [f"{name}={next(iter(key[name].values()))}" for name in names]
    return ItemsSeen(asked.table, names, "a GetItem", ("ddb", "get", asked.table, *texts), items)


def page(
    dynamodb: Dynamo, operation: str, body: dict[str, Any], start: str
) -> tuple[Mapping[str, Any], list[Item], str]:
    """One request from `start` on: its answer, its items, and where the next page begins."""
    request = {**body, "ReturnConsumedCapacity": "TOTAL"}
    if start:
        request["ExclusiveStartKey"] = decode(start)
    answer = dynamodb.call(operation, request)
    last = answer.get("LastEvaluatedKey")
    return answer, list(answer["Items"]), encode(last) if last else ""


def seen(
    described: Mapping[str, Any],
    asked: ItemsAsked,
    said: str,
    words: tuple[str, ...],
    answer: Mapping[str, Any],
    items: Sequence[Item],
    start: str,
) -> ItemsSeen:
    """A page with what it cost."""
    capacity = answer.get("ConsumedCapacity") or {}
    units = float(capacity["CapacityUnits"]) if "CapacityUnits" in capacity else None
    read = answer.get("ScannedCount")
    return ItemsSeen(asked.table, schema_of(described), said, words, items, start, read, units)


def encode(key: Mapping[str, Any]) -> str:
    """A key for an address."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def decode(text: str) -> dict[str, Any]:
    """A key out of an address. UsageError when it is none."""
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(part, dict) and len(part) == 1 for part in found.values()):
        raise UsageError("this address has no usable key")
    return found
