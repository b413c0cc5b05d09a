"""`devenv ddb get|query|put|delete|export|import`: single items by key, and whole tables as DynamoDB JSON lines."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from devenv.core.errors import DevenvError, Exit, StoreError, UsageError
from devenv.core.model import Failure, Report
from devenv.core.plural import number_of
from devenv.host.writing import open_new
from devenv.query.queries import items_report, opened, rows_report
from devenv.stack import Stack
from devenv.stores.dynamodb.client import Dynamo, Item, typed_item

WRITE_HINT = "add --write"
TYPES = frozenset(("S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"))


def get_item(stack: Stack, table: str, words: Sequence[str]) -> Report:
    """Read one item by its whole key (`pk=… sk=…`). Exit 1 if the table has no such item."""
    with opened(stack) as dynamodb:
        described = describe(dynamodb, table)
        key = key_of(described, words)
        answer = dynamodb.call("GetItem", {"TableName": table, "Key": key, "ConsistentRead": True})
    if "Item" not in answer:
        report = items_report(stack, [], "")
        missing = Failure(f"table {table} has no item with this key", hint=f"devenv ddb query {table} {words[0]}")
        return replace(report, exit_code=Exit.FOUND, error=missing)
    return items_report(stack, [answer["Item"]], "", first=key_names(described))


def query_items(
    stack: Stack,
    table: str,
    words: Sequence[str],
    *,
    index: str | None = None,
    begins_with: str | None = None,
    between: Sequence[str] = (),
    newest: bool = False,
    limit: int = 20,
) -> Report:
    """Read the items of one partition, in the order of the sort key (`newest`: descending), at most `limit`.

    `words` give the partition key and may give the sort key; `begins_with` or `between` narrow the sort key.
    """
    with opened(stack) as dynamodb:
        described = describe(dynamodb, table)
        schema = schema_of(described, index)
        given = pairs_of(words, schema)
        if schema[0] not in given:
            raise UsageError(
                f"a Query needs the partition key: {schema[0]}=…",
                hint=f"devenv ddb query {table} {schema[0]}=…  or: devenv ddb scan {table}",
            )
        types = types_of(described)
        names = {"#h": schema[0]}
        values = {":h": typed_key(types, schema[0], given[schema[0]])}
        condition = "#h = :h"
        narrowed = [*([given[schema[1]]] if len(schema) > 1 and schema[1] in given else [])]
        wishes = sum((bool(narrowed), begins_with is not None, bool(between)))
        if wishes > 1:
            raise UsageError("give the sort key once: as NAME=VALUE, with --begins-with, or with --between")
        if wishes:
            if len(schema) < 2:
                raise UsageError(f"{index or table} has no sort key to narrow")
            names["#s"] = schema[1]
            condition += sort_condition(types, schema[1], narrowed, begins_with, between, values)
        body: dict[str, Any] = {
            "TableName": table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            "ScanIndexForward": not newest,
        }
        if index:
            body["IndexName"] = index
        found = (item for page in dynamodb.pages("Query", body) for item in page["Items"])
        items = list(islice(found, limit + 1))
    more = f"; there are more: --limit {limit * 10}" if len(items) > limit else ""
    return items_report(stack, items[:limit], more, first=key_names(described, index))


def sort_condition(
    types: Mapping[str, str],
    name: str,
    exact: Sequence[str],
    begins_with: str | None,
    between: Sequence[str],
    values: dict[str, Any],
) -> str:
    """Return the condition on the sort key `#s`, and put its values into `values`. Pure but for that."""
    if exact:
        values[":s"] = typed_key(types, name, exact[0])
        return " AND #s = :s"
    if begins_with is not None:
        values[":s"] = typed_key(types, name, begins_with)
        return " AND begins_with(#s, :s)"
    values[":a"], values[":b"] = (typed_key(types, name, text) for text in between)
    return " AND #s BETWEEN :a AND :b"


def put_item(stack: Stack, table: str, text: str, *, replacing: bool, write: bool) -> Report:
    """Write one item, given as JSON (DynamoDB's own or plain). An existing item is kept unless `replacing`."""
    permit(stack, write, "ddb put")
    item = item_of(text)
    with opened(stack, write=True) as dynamodb:
        described = describe(dynamodb, table)
        names = key_names(described)
        if missing := [name for name in names if name not in item]:
            raise UsageError(f"the item has no {quoted(missing)}", hint=f"table {table} has the key {quoted(names)}")
        body: dict[str, Any] = {"TableName": table, "Item": item}
        if not replacing:
            body |= {"ConditionExpression": "attribute_not_exists(#h)", "ExpressionAttributeNames": {"#h": names[0]}}
        conditional(
            dynamodb, "PutItem", body, f"table {table} has an item with this key", "add --replace to replace it"
        )
    return items_report(stack, [item], " written", first=names)


def delete_item(stack: Stack, table: str, words: Sequence[str], *, write: bool) -> Report:
    """Delete one item by its whole key; the report shows what it was. UsageError if there is none."""
    permit(stack, write, "ddb delete")
    with opened(stack, write=True) as dynamodb:
        described = describe(dynamodb, table)
        names = key_names(described)
        body = {
            "TableName": table,
            "Key": key_of(described, words),
            "ConditionExpression": "attribute_exists(#h)",
            "ExpressionAttributeNames": {"#h": names[0]},
            "ReturnValues": "ALL_OLD",
        }
        answer = conditional(dynamodb, "DeleteItem", body, f"table {table} has no item with this key", None)
    return items_report(stack, [answer["Attributes"]], " deleted", first=names)


def export_items(stack: Stack, table: str, file: Path | None) -> Report:
    """Write every item of a table as lines `{"Item": {…}}` in DynamoDB JSON, to a new file or (None) to stdout."""
    number = 0
    with opened(stack) as dynamodb, contextlib.ExitStack() as open_files:
        describe(dynamodb, table)
        out = sys.stdout if file is None else open_files.enter_context(create(file))
        for item in dynamodb.scan(table):
            out.write(json.dumps({"Item": item}, ensure_ascii=False, separators=(",", ":")) + "\n")
            number += 1
    if file is None:
        sys.stdout.flush()
    return rows_report(stack, "ddb", [], [], f"{number_of(number, 'item')} exported")


def create(file: Path) -> TextIO:
    """Create a file that only its owner may read. UsageError if something is there already, a link too."""
    try:
        return io.TextIOWrapper(open_new(file), encoding="utf-8")
    except FileExistsError:
        raise UsageError(f"{file} exists", hint="name another file, or delete it") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be written", detail=str(error)) from None


def import_items(stack: Stack, table: str, file: Path, *, write: bool) -> Report:
    """Write the items of a file of lines (`{"Item": {…}}` or one item each), replacing items of the same key.

    The whole file is checked first: nothing is written if a line is wrong.
    """
    permit(stack, write, "ddb import")
    with opened(stack, write=True) as dynamodb:
        names = key_names(describe(dynamodb, table))
        for number, item in read_lines(file):
            if missing := [name for name in names if name not in item]:
                raise UsageError(f"{file}:{number}: the item has no {quoted(missing)}")
        written = 0
        lines = read_lines(file)
        while batch := [item for _, item in islice(lines, 1000)]:
            unique = {tuple(json.dumps(item[name], sort_keys=True) for name in names): item for item in batch}
            dynamodb.write_batch(table, [{"PutRequest": {"Item": item}} for item in unique.values()])
            written += len(batch)
    return rows_report(stack, "ddb", [], [], f"{number_of(written, 'item')} imported")


def read_lines(file: Path) -> Iterator[tuple[int, Item]]:
    """Yield (line number, raw item) of a file of JSON lines. UsageError names the line that is wrong."""
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        yield number, item_of(line)
                    except UsageError as error:
                        raise UsageError(
                            f"{file}:{number}: {error.failure.what}", detail=error.failure.detail
                        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read", detail=str(error)) from None


def item_of(text: str) -> Item:
    """Return the raw item of one JSON text: DynamoDB JSON (with or without `{"Item": …}`), or plain values.

    UsageError for what is no object, or has no exact DynamoDB form.
    """
    try:
        tree = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise UsageError("this is not JSON", detail=str(error)) from None
    if isinstance(tree, dict) and set(tree) == {"Item"} and isinstance(tree["Item"], dict):
        tree = tree["Item"]
    if not isinstance(tree, dict) or not tree:
        raise UsageError("an item is a JSON object")
    if all(isinstance(value, dict) and len(value) == 1 and set(value) <= TYPES for value in tree.values()):
        return tree
    try:
        return typed_item(tree)
    except TypeError as error:
        raise UsageError("this is not an item", detail=str(error)) from None


def describe(dynamodb: Dynamo, table: str) -> Mapping[str, Any]:
    """Return DescribeTable's description. StoreError if there is no such table."""
    found: Mapping[str, Any] = dynamodb.call("DescribeTable", {"TableName": table})["Table"]
    return found


def schema_of(described: Mapping[str, Any], index: str | None = None) -> tuple[str, ...]:
    """Return the key attributes, partition key first. UsageError if there is no such index."""
    keys = described["KeySchema"]
    if index is not None:
        indexes = [each for kind in ("Global", "Local") for each in described.get(f"{kind}SecondaryIndexes", ())]
        found = next((each for each in indexes if each["IndexName"] == index), None)
        if found is None:
            known = ", ".join(each["IndexName"] for each in indexes)
            raise UsageError(
                f"table {described['TableName']} has no index {index}",
                hint=f"one of: {known}" if known else "devenv ddb list-tables",
            )
        keys = found["KeySchema"]
    return tuple(key["AttributeName"] for key in sorted(keys, key=lambda key: key["KeyType"] != "HASH"))


def key_names(described: Mapping[str, Any], index: str | None = None) -> tuple[str, ...]:
    """Return the names to show first: the keys of the index, then those of the table."""
    own = schema_of(described)
    return own if index is None else tuple(dict.fromkeys((*schema_of(described, index), *own)))


def types_of(described: Mapping[str, Any]) -> dict[str, str]:
    """Return the declared type (S, N, B) of each key attribute."""
    return {each["AttributeName"]: each["AttributeType"] for each in described["AttributeDefinitions"]}


def pairs_of(words: Iterable[str], names: Sequence[str]) -> dict[str, str]:
    """Return `NAME=VALUE` words as a mapping. UsageError for another form or a name that is no key."""
    found: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or name not in names:
            raise UsageError(
                f"{word!r} is not one of the keys",
                hint="give " + " ".join(f"{each}=…" for each in names),
            )
        found[name] = value
    return found


def key_of(described: Mapping[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """Return the whole key of an item, typed. UsageError if a part is missing."""
    names = schema_of(described)
    given = pairs_of(words, names)
    if missing := [name for name in names if name not in given]:
        raise UsageError(
            f"the key of table {described['TableName']} also has {quoted(missing)}",
            hint="give " + " ".join(f"{each}=…" for each in names),
        )
    types = types_of(described)
    return {name: typed_key(types, name, given[name]) for name in names}


def typed_key(types: Mapping[str, str], name: str, text: str) -> dict[str, str]:
    """Return a key's value as DynamoDB takes it (`B`: base64). UsageError if it does not fit the key's type."""
    kind = types[name]
    if kind == "N":
        try:
            if not Decimal(text).is_finite():
                raise InvalidOperation
        except InvalidOperation:
            raise UsageError(f"{name} is a number in this table, but {text!r} is not") from None
    return {kind: text}


def quoted(names: Iterable[str]) -> str:
    """`pk`, `sk`: names of attributes in backticks."""
    return ", ".join(f"`{name}`" for name in names)


def permit(stack: Stack, write: bool, command: str) -> None:
    """UsageError unless writing was asked for and this store is devenv's."""
    if not write:
        raise UsageError(f"devenv {command} changes the table; nothing was done", hint=WRITE_HINT)
    stack.engine.permit(None)


def conditional(
    dynamodb: Dynamo, operation: str, body: Mapping[str, Any], refused: str, hint: str | None
) -> dict[str, Any]:
    """Send a conditional write. DevenvError `refused` (exit 1) if the condition does not hold."""
    try:
        return dynamodb.call(operation, body)
    except StoreError as error:
        if error.code == "ConditionalCheckFailedException":
            raise DevenvError(refused, exit_code=Exit.FOUND, hint=hint) from None
        raise
