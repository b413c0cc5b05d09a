"""Declared access patterns (`[patterns.<name>]`): as a request, run page by page, and what a read costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from devenv.capture.calls import Cost, Direction, StoreCall
from devenv.config.schema import Pattern
from devenv.config.types import Order
from devenv.core.errors import UsageError
from devenv.core.model import PostgresTarget
from devenv.core.templates import fill
from devenv.core.value import Value
from devenv.stores.dynamodb.capacity import item_bytes, read_units
from devenv.stores.dynamodb.key_schema import table_keys

if TYPE_CHECKING:
    from devenv.stores.dynamodb.client import Dynamo
    from devenv.stores.postgres.client import Rows

__all__ = ["describe", "item_bytes", "prepare", "read_units", "request_of", "run", "run_sql"]

Item = Mapping[str, Mapping[str, Any]]
DIRECTIONS: Final[Mapping[Order, Direction]] = {
    "newest first": "descending",
    "descending": "descending",
    "oldest first": "ascending",
    "ascending": "ascending",
}
# A pattern whose pages do not end is cut here: 200 MB of items.
MAX_PAGES: Final = 200
OPERATORS: Final[Mapping[str, str]] = {
    "equals": "=",
    "less": "<",
    "at_most": "<=",
    "greater": ">",
    "at_least": ">=",
}


Restriction = Literal["limit", "filter", "sort"]


class PatternResult(Value, frozen=True):
    """The result of a pattern: all items in order, of how many pages, and what was read for them.

    `more`: it stopped although there is more. `sizes` are those of the items of each page, in bytes.
    """

    items: tuple[Item, ...]
    pages: int
    scanned: int
    units: float | None
    computed: float
    more: bool
    sizes: tuple[tuple[int, ...], ...] = ()

    @property
    def cost(self) -> Cost:
        """The figures for a report."""
        return Cost(self.pages, self.scanned, len(self.items), self.units, self.computed)


class PreparedPattern(Value, frozen=True):
    """A pattern with its parameters filled in. `keys` are the hash and the sort key of the table or the index."""

    pattern: Pattern
    key: Mapping[str, str | int]
    sort: Mapping[str, Any]
    values: Mapping[str, Any]
    filter: str | None
    keys: tuple[str, ...]
    types: Mapping[str, str] = {}

    def lifted(self, *restrictions: Restriction) -> PreparedPattern:
        """The same without some of its restrictions: `limit`, `filter`, `sort`."""
        pattern = self.pattern
        if "limit" in restrictions:
            from msgspec.structs import replace as changed

            pattern = changed(pattern, limit=None, paged=True, paging=None)
        return replace(
            self,
            pattern=pattern,
            sort={} if "sort" in restrictions else self.sort,
            filter=None if "filter" in restrictions else self.filter,
        )

    @property
    def restrictions(self) -> tuple[Restriction, ...]:
        """The declared restrictions that can remove items, in the order in which to lift them."""
        given: dict[Restriction, bool] = {
            "limit": not self.pattern.followed,
            "filter": self.filter is not None,
            "sort": bool(self.sort),
        }
        return tuple(name for name, present in given.items() if present)


def prepare(pattern: Pattern, values: Mapping[str, str], table: Mapping[str, Any] | None) -> PreparedPattern:
    """Fill in the parameters. `table` is DescribeTable's answer, for the key attributes. Unknown for a parameter."""
    return PreparedPattern(
        pattern=pattern,
        key=fill(pattern.key, values),
        sort=fill(dict(pattern.sort), values),
        values=fill(pattern.values, values),
        filter=None if pattern.filter is None else fill(pattern.filter, values),
        keys=key_names(table, pattern.index),
        types={each["AttributeName"]: each["AttributeType"] for each in (table or {}).get("AttributeDefinitions", ())},
    )


def key_names(table: Mapping[str, Any] | None, index: str | None) -> tuple[str, ...]:
    """The key attributes of a table or of its index, the hash key first; () when there is none of that name."""
    part: Mapping[str, Any] = table or {}
    if index is not None:
        indexes = [*part.get("GlobalSecondaryIndexes", ()), *part.get("LocalSecondaryIndexes", ())]
        part = next((each for each in indexes if each["IndexName"] == index), {})
    return table_keys(part)


def request_of(prepared: PreparedPattern) -> dict[str, Any]:
    """The request in DynamoDB's JSON. A Scan has the key as a filter, which is what makes it dear."""
    pattern = prepared.pattern
    if pattern.kind == "GetItem":
        return get_request(prepared)
    names: dict[str, str] = {}
    values: dict[str, Any] = {}

    def name(attribute: str) -> str:
        return names.setdefault(attribute, f"#n{len(names)}")

    def value(content: Any, attribute: str = "") -> str:
        key = f":v{len(values)}"
        values[key] = typed_as(content, prepared.types.get(attribute))
        return key

    conditions = [f"{name(attribute)} = {value(text, attribute)}" for attribute, text in prepared.key.items()]
    conditions += [sort_condition(prepared, name, value)] if prepared.sort else []
    filters = [prepared.filter] if prepared.filter else []
    request: dict[str, Any] = {"TableName": pattern.table, "ReturnConsumedCapacity": "TOTAL"}
    if pattern.kind == "Query":
        request["KeyConditionExpression"] = " AND ".join(conditions)
        if pattern.order is not None:
            request["ScanIndexForward"] = DIRECTIONS[pattern.order] == "ascending"
    else:
        filters += conditions
    if filters:
        request["FilterExpression"] = " AND ".join(f"({each})" for each in filters)
    request |= options_of(pattern, name)
    placeholders = {placeholder: attribute for attribute, placeholder in names.items()}
    if prepared.filter:
        placeholders |= {f"#{given.lstrip('#')}": attribute for given, attribute in pattern.names.items()}
        values |= {f":{given.lstrip(':')}": typed_as(content, None) for given, content in prepared.values.items()}
    if placeholders:
        request["ExpressionAttributeNames"] = placeholders
    if values:
        request["ExpressionAttributeValues"] = values
    return request


def options_of(pattern: Pattern, name: Callable[[str], str]) -> dict[str, Any]:
    """The parts of a Query or Scan that are said as they are; `name` gives an attribute's placeholder."""
    options: dict[str, Any] = {}
    if pattern.index is not None:
        options["IndexName"] = pattern.index
    if pattern.consistent:
        options["ConsistentRead"] = True
    if pattern.projection:
        options["ProjectionExpression"] = ", ".join(map(name, pattern.projection))
    if pattern.limit is not None:
        options["Limit"] = pattern.limit
    return options


def get_request(prepared: PreparedPattern) -> dict[str, Any]:
    """A GetItem, which takes the whole key of one item."""
    pattern = prepared.pattern
    whole = dict(prepared.key)
    if "equals" in prepared.sort and len(prepared.keys) > 1:
        whole[prepared.keys[1]] = prepared.sort["equals"]
    key = {attribute: typed_as(text, prepared.types.get(attribute)) for attribute, text in whole.items()}
    request: dict[str, Any] = {"TableName": pattern.table, "Key": key, "ReturnConsumedCapacity": "TOTAL"}
    if pattern.consistent:
        request["ConsistentRead"] = True
    if pattern.projection:
        request["ExpressionAttributeNames"] = {f"#n{n}": attribute for n, attribute in enumerate(pattern.projection)}
        request["ProjectionExpression"] = ", ".join(request["ExpressionAttributeNames"])
    return request


def typed_as(value: Any, kind: str | None) -> dict[str, Any]:
    """A value as an attribute of the key's type, where that is known."""
    from devenv.stores.dynamodb.client import typed

    if kind in ("N", "B"):
        return {kind: str(value)}
    return {"S": str(value)} if kind == "S" else typed(value)


def sort_condition(prepared: PreparedPattern, name: Any, value: Any) -> str:
    """The condition on the sort key. UsageError when there is no sort key, or more than one condition."""
    if len(prepared.keys) < 2 or len(prepared.sort) != 1:
        where = f"index {prepared.pattern.index}" if prepared.pattern.index else f"table {prepared.pattern.table}"
        raise UsageError(f"sort = {dict(prepared.sort)!r} does not fit {where}", hint="one condition, on a sort key")
    attribute = prepared.keys[1]
    ((operator, operand),) = prepared.sort.items()
    if operator == "begins_with":
        return f"begins_with({name(attribute)}, {value(operand, attribute)})"
    if operator == "between":
        low, high = operand
        return f"{name(attribute)} BETWEEN {value(low, attribute)} AND {value(high, attribute)}"
    return f"{name(attribute)} {OPERATORS[operator]} {value(operand, attribute)}"


def describe(prepared: PreparedPattern) -> StoreCall:
    """The pattern as a read, to be held against what the application really sends."""
    pattern = prepared.pattern
    if pattern.sql is not None:
        return StoreCall("SQL", sql=pattern.sql, store="postgres")
    sort = None
    if prepared.sort and len(prepared.keys) > 1:
        ((operator, operand),) = prepared.sort.items()
        attribute = prepared.keys[1]
        if operator == "begins_with":
            sort = f"begins_with({attribute}, {operand})"
        elif operator == "between":
            sort = f"{attribute} BETWEEN {' AND '.join(map(str, operand))}"
        else:
            sort = f"{attribute} {OPERATORS[operator]} {operand}"
    return StoreCall(
        operation=pattern.kind,
        table=pattern.table,
        index=pattern.index,
        key={attribute: str(text) for attribute, text in prepared.key.items()},
        sort=sort,
        filter=prepared.filter,
        projection=", ".join(pattern.projection) or None,
        limit=pattern.limit,
        direction=DIRECTIONS[pattern.order] if pattern.order else None,
        followed=pattern.followed,
    )


def run(dynamodb: Dynamo, prepared: PreparedPattern) -> PatternResult:
    """All pages that the pattern asks for. StoreError with the store's own code when it refuses."""
    pattern = prepared.pattern
    request = request_of(prepared)
    items: list[Item] = []
    pages = scanned = 0
    units = computed = 0.0
    told = False
    more = False
    sizes: list[tuple[int, ...]] = []
    for page in take(read_pages(dynamodb, prepared, request), pattern.followed):
        pages += 1
        items += page["Items"]
        scanned += page["ScannedCount"]
        sizes.append(tuple(map(item_bytes, page["Items"])))
        computed += read_units(sizes[-1], pattern.consistent)
        if capacity := page.get("ConsumedCapacity"):
            told = True
            units += float(capacity["CapacityUnits"])
        more = bool(page.get("LastEvaluatedKey"))
    return PatternResult(tuple(items), pages, scanned, units if told else None, computed, more, tuple(sizes))


def read_pages(dynamodb: Dynamo, prepared: PreparedPattern, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The pages of a read; the answer of a GetItem as one page."""
    if prepared.pattern.kind != "GetItem":
        yield from dynamodb.pages(prepared.pattern.kind, request)
        return
    answer = dynamodb.call("GetItem", request)
    items = [answer["Item"]] if answer.get("Item") else []
    yield {**answer, "Items": items, "ScannedCount": len(items)}


def take(pages: Iterator[dict[str, Any]], paged: bool) -> Iterator[dict[str, Any]]:
    """The first page, or all of them."""
    for number, page in enumerate(pages, 1):
        yield page
        if not paged or number == MAX_PAGES:
            return


def run_sql(target: PostgresTarget, text: str, values: Mapping[str, Any]) -> tuple[Rows, str]:
    """The answer to an SQL pattern, and its plan ("" for what has none). PostgresError."""
    from devenv.stores.postgres.reader import PLANNED, asking, first_word

    with asking(target) as each:
        answer = each.ask(text, values)
        plan = each.ask(f"EXPLAIN {text}", values).rows if first_word(text) in PLANNED else []
    return answer, "\n".join(str(line[0]) for line in plan)
