"""Tables that no file defines: their keys as the code uses them, in requests that name a whole key. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from devenv.core.late import late
from devenv.core.value import Value
from devenv.init.conditions import CONDITION, plain_value
from devenv.init.item_types import plain_type
from devenv.init.names import FILLERS
from devenv.init.source import Scope, dict_of, entries, typed_part
from devenv.init.tables import Found, accept

EQUALS: Final = late(r"(#?\w+)\s*=\s*:\w+")
SORTED: Final = late(r"(?:begins_with\s*\(\s*(#?\w+)|(#?\w+)\s*(?:<=?|>=?|\bBETWEEN\b))", re.IGNORECASE)
# What keys of one table for everything are called.
USUAL: Final = (("pk", "sk"), ("PK", "SK"), ("partitionKey", "sortKey"), ("hashKey", "rangeKey"))
TABLE: Final = late(r"(?:^|_)TABLE(?:_|$|NAME)")
EXPIRES: Final = ("ttl", "TTL")
KEY_REQUESTS: Final = frozenset(("GetItem", "DeleteItem", "UpdateItem"))


class KeyUse(Value, frozen=True):
    """A request, with the attributes of the key that it names and their types.

    `kind`: `key` names the whole key, `query` a condition (the attributes of `=`, then the sorted one), `item` all
    attributes of an item. `table` None: its name is computed.
    """

    file: str
    line: int
    kind: str
    table: str | None
    attributes: tuple[tuple[str, str], ...]
    index: str | None = None


def use_of(operation: str, request: Mapping[str, ast.expr], scope: Scope, file: str, line: int) -> KeyUse | None:
    """The use of a request of the SDK; None for one that tells nothing of the key."""
    table = plain_value(request.get("TableName"), scope)
    table = table if isinstance(table, str) else None
    if operation in KEY_REQUESTS:
        found = typed_attributes(request.get("Key"), scope)
        return KeyUse(file, line, "key", table, found) if 0 < len(found) < 3 else None
    if operation == "PutItem":
        found = typed_attributes(request.get("Item"), scope)
        return KeyUse(file, line, "item", table, found) if found else None
    condition = plain_value(request.get("KeyConditionExpression"), scope)
    if not isinstance(condition, str):
        return None
    names = plain_value(request.get("ExpressionAttributeNames"), scope) or {}
    text = condition[:CONDITION]
    equal = EQUALS.findall(text)
    after = [first or second for first, second in SORTED.findall(text)]
    given = list(dict.fromkeys(str(names.get(name, name)) for name in (*equal, *after)))
    if not equal or len(given) > 2 or any(name.startswith("#") for name in given):
        return None
    index = plain_value(request.get("IndexName"), scope)
    if "IndexName" in request and not isinstance(index, str):
        return None
    return KeyUse(file, line, "query", table, tuple((name, "") for name in given), index)


def typed_attributes(node: ast.expr | None, scope: Scope) -> tuple[tuple[str, str], ...]:
    """(attribute, type) of a Key or an Item that is spelt out, "" for a type that is not known; else nothing."""
    match node:
        case ast.Call(func=ast.Name(id="marshall"), args=[inner, *_]):
            return typed_attributes(inner, scope)
    whole = dict_of(node, scope)
    if whole is None or None in whole.keys:
        return ()
    found = []
    for name, value in entries(whole, scope).items():
        typed = typed_part(value)
        kind = typed[0] if typed else plain_type(name, value, scope)
        found.append(
            (name, {"string": "S", "number": "N"}.get(kind, kind) if kind in ("S", "N", "string", "number") else "")
        )
    return tuple(found)


def derived_tables(
    uses: Iterable[KeyUse], known: Iterable[str], variables: Mapping[str, str], read: Iterable[str]
) -> Iterator[Found]:
    """The tables of these uses that are not `known`. `read` are the variables that the code reads."""
    known = set(known)
    uses = list(uses)
    named = {use.table for use in uses if use.table}
    # A name that is computed is that of the only table.
    only = min(named) if len(named) == 1 else None
    if not named and not known:
        only = name_by_variable(variables, read)
    settled = [(use.table or only, use) for use in uses]
    for table in sorted({name for name, _ in settled if name and name not in known}):
        if len(named | known) > 1 and table not in named:
            continue
        mine = [use for name, use in settled if name == table]
        if (found := derived_table(table, mine)) is not None:
            yield found


def name_by_variable(variables: Mapping[str, str], read: Iterable[str]) -> str | None:
    """The value of the only variable for a table, or a name after it: `USER_LOGS_TABLE` is `user-logs`."""
    names = {name for name in (*variables, *read) if TABLE.search(name)}
    if len(names) != 1:
        return None
    name = names.pop()
    words = [word for word in name.removesuffix("NAME").split("_") if word and word not in FILLERS]
    made = variables.get(name) or "-".join(words).lower()
    return made if re.fullmatch(r"[\w.-]{3,255}", made) else None


def derived_table(table: str, uses: Sequence[KeyUse]) -> Found | None:
    """The definition that all uses of one table agree on; None where the whole key is not known."""
    whole = {frozenset(name for name, _ in use.attributes) for use in uses if use.kind == "key"}
    asked = [use for use in uses if use.kind == "query" and use.index is None]
    hashes = {use.attributes[0][0] for use in asked}
    pairs = [tuple(name for name, _ in use.attributes) for use in asked if len(use.attributes) == 2]
    evidence = next((use for kind in ("key", "query", "item") for use in uses if use.kind == kind), None)
    if len(whole) > 1 or len(hashes) > 1 or evidence is None:
        return None
    key: tuple[str, ...] = ()
    if whole:
        given = [name for name, _ in next(use for use in uses if use.kind == "key").attributes]
        key = tuple(sorted(given, key=lambda name: name not in (hashes or {given[0]})))
        if hashes and not hashes <= set(key):
            return None
    elif pairs:
        key = pairs[0] if len(set(pairs)) == 1 else ()
    else:
        items = [{name for name, _ in use.attributes} for use in uses if use.kind == "item"]
        key = next((pair for pair in USUAL if items and all({*pair} <= item for item in items)), ())
        if hashes and not hashes <= set(key[:1]):
            return None
    if not key:
        return None
    types = {name: kind for use in uses for name, kind in use.attributes if kind}
    request: dict[str, Any] = {"TableName": table, "BillingMode": "PAY_PER_REQUEST", "KeySchema": schema(key)}
    used = [*key]
    for index, attributes in indexes(uses).items():
        kind = "LocalSecondaryIndexes" if attributes[0] == key[0] and len(key) > 1 else "GlobalSecondaryIndexes"
        if kind.startswith("Local") and len(attributes) < 2:
            continue
        made = {"IndexName": index, "KeySchema": schema(attributes), "Projection": {"ProjectionType": "ALL"}}
        request.setdefault(kind, []).append(made)
        used += attributes
    request["AttributeDefinitions"] = [
        {"AttributeName": name, "AttributeType": types.get(name, "S")} for name in dict.fromkeys(used)
    ]
    expiring = [name for use in uses if use.kind == "item" for name, _ in use.attributes if name in EXPIRES]
    if expiring:
        request["TimeToLiveSpecification"] = {"Enabled": True, "AttributeName": expiring[0]}
    found = accept(evidence.file, evidence.line, request)
    return found.with_evidence(f"{evidence.file}:{evidence.line}") if found else None


def indexes(uses: Iterable[KeyUse]) -> dict[str, tuple[str, ...]]:
    """Index -> its key, as the longest of its queries names it."""
    found: dict[str, tuple[str, ...]] = {}
    for use in uses:
        key = tuple(name for name, _ in use.attributes)
        if use.kind == "query" and use.index and len(key) > len(found.get(use.index, ())):
            found[use.index] = key
    return found


def schema(key: Sequence[str]) -> list[dict[str, str]]:
    """A KeySchema."""
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(key, ("HASH", "RANGE"), strict=False)]
