"""The step `schema-load`: DynamoDB tables and indexes, from CreateTable requests in JSON.

The tables themselves say whether it is done: there is no record of it. An index is added to (or replaced in) a table
that is there; what only a new table can change stops, because its items would be lost. Billing, streams and tags
mean nothing to a local table and are not compared.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from devenv.config.schema import Settings
from devenv.core.errors import DevenvError, StoreError, UsageError
from devenv.core.late import late
from devenv.core.model import StepState
from devenv.steps.schema_load import forms
from devenv.steps.seed.strangers import count_strangers
from devenv.steps.step import Handles, Inputs, SourceFile, StepContext, StepOutcome, describe, is_active
from devenv.stores.dynamodb.client import Dynamo
from devenv.stores.dynamodb.key_schema import table_keys

WAIT_S: Final = 120.0
PAUSE_S: Final = 0.02
TABLE_NAME: Final = late(r"[A-Za-z0-9_.-]{3,255}")
KEY_TYPES: Final = ("HASH", "RANGE")
TYPES: Final = ("S", "N", "B")
Described = Mapping[str, Any]


class Definition(msgspec.Struct, frozen=True):
    """One declared table: where it is declared, the request, and what items need to know of it.

    `ttl` is the attribute after which items expire; `left_out` is what of the file is not carried over.
    """

    file: str
    request: Mapping[str, Any]
    ttl: str | None = None
    left_out: tuple[str, ...] = ()

    @property
    def table(self) -> str:
        return str(self.request["TableName"])

    @property
    def key(self) -> tuple[str, ...]:
        """Its key attributes, the partition key first."""
        return table_keys(self.request)

    @property
    def types(self) -> dict[str, str]:
        """Attribute -> S, N or B, for all attributes in keys of the table and its indexes."""
        return attribute_types(self.request)


class TableDifference(msgspec.Struct, frozen=True):
    """One difference between a declared table and the one that is there, as a sentence.

    `mend` are UpdateTable requests that remove it without losing an item. `losing`: only a new table would.
    With neither, the table just has more than is declared.
    """

    text: str
    mend: tuple[Mapping[str, Any], ...] = ()
    losing: bool = False

    def __str__(self) -> str:
        return self.text


def attribute_types(request: Mapping[str, Any]) -> dict[str, str]:
    """Attribute -> S, N or B."""
    return {each["AttributeName"]: each["AttributeType"] for each in request["AttributeDefinitions"]}


def parse(settings: Settings, root: Path, files: tuple[SourceFile, ...]) -> tuple[Definition, ...]:
    """All definitions. UsageError for what is no CreateTable request, and for a table that is declared twice."""
    found: dict[str, Definition] = {}
    for file in files:
        read = forms.read_file(file)
        for number, request in enumerate(read.requests):
            checked = check_request(request, file.name)
            left_out = () if number else tuple(read.left_out)
            definition = Definition(file.name, checked, read.ttl.get(str(checked["TableName"])), left_out)
            if other := found.get(definition.table):
                raise UsageError(f"table {definition.table} is defined in {other.file} and again in {file.name}")
            found[definition.table] = definition
    return tuple(found.values())


def check_request(request: Any, file: str) -> Mapping[str, Any]:
    """The request, when it has what every table definition has; the rest is DynamoDB's to judge. UsageError."""
    try:
        types = attribute_types(request)
        keys = table_keys(request)
        name = request["TableName"]
        check_words(request, file, name)
    except (KeyError, TypeError, AttributeError) as error:
        missing = f"it lacks {error}" if isinstance(error, KeyError) else "it has another structure"
        raise UsageError(
            f"{file} is not a table definition",
            detail=missing,
            hint="it must be a CreateTable request: TableName, AttributeDefinitions, KeySchema, …",
        ) from None
    if not isinstance(name, str) or not name:
        raise UsageError(f"{file}: TableName must be a text")
    sections = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
    indexed = [
        table_keys(index) for section in sections for index in request.get(section) or () if "KeySchema" in index
    ]
    if idle := sorted(types.keys() - set(keys).union(*indexed)):
        raise UsageError(
            f"{file}: attribute {idle[0]} of table {name} is not part of any key",
            detail="AttributeDefinitions has the attributes of keys only; items may have any others",
            hint=f"remove {idle[0]} from AttributeDefinitions in {file}",
        )
    undefined = [key for key in keys if key not in types]
    if undefined or not keys:
        what = f"{undefined[0]} is not in AttributeDefinitions" if undefined else "KeySchema is empty"
        raise UsageError(f"{file}: the key of table {name} is not defined", detail=what)
    if not TABLE_NAME.fullmatch(name):
        raise UsageError(
            f"{file}: TableName {name!r} is not a valid table name",
            detail="it must have 3 to 255 characters: letters, digits, _ - .",
            hint=f"correct {file}",
        )
    for index in (index for section in sections for index in request.get(section) or ()):
        called = index.get("IndexName")
        if isinstance(called, str) and not TABLE_NAME.fullmatch(called):
            raise UsageError(
                f"{file}: IndexName {called!r} of table {name} is not a valid name",
                detail="it must have 3 to 255 characters: letters, digits, _ - .",
                hint=f"correct {file}",
            )
    return {part: to_plain(value) for part, value in request.items()}


def check_words(request: Mapping[str, Any], file: str, table: str) -> None:
    """UsageError for a KeyType or an AttributeType that there is not: DynamoDB would refuse it only later."""
    sections = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
    indexes = [index for section in sections for index in request.get(section) or ()]
    words: list[tuple[str, Any, tuple[str, ...]]] = [
        ("AttributeType", each["AttributeType"], TYPES) for each in request["AttributeDefinitions"]
    ]
    words += [
        ("KeyType", part.get("KeyType"), KEY_TYPES)
        for keyed in (request, *indexes)
        for part in keyed.get("KeySchema", ())
    ]
    for what, value, known in words:
        if value not in known:
            raise UsageError(
                f"{file}: {what} {value!r} of table {table} is unknown",
                detail=f"it must be {' or '.join(known)}",
                hint=f"correct {file}",
            )
    for keyed in (request, *indexes):
        kinds = [part["KeyType"] for part in keyed.get("KeySchema", ())]
        if kinds and sorted(kinds) not in (["HASH"], ["HASH", "RANGE"]):
            where = f"index {keyed['IndexName']} of table {table}" if "IndexName" in keyed else f"table {table}"
            raise UsageError(
                f"{file}: the key of {where} is {', '.join(kinds)}",
                detail="it must be one HASH, or one HASH and one RANGE",
                hint=f"correct {file}",
            )


def to_plain(value: Any) -> Any:
    """Numbers of a request as int, for the wire."""
    if isinstance(value, Mapping):
        return {name: to_plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [to_plain(part) for part in value]
    return value if isinstance(value, str | bool | None) else int(value)


def diff_table(declared: Mapping[str, Any], described: Described) -> tuple[TableDifference, ...]:
    """Return how the table that is there (DescribeTable's `Table`) differs from the CreateTable request. Pure."""
    found: list[TableDifference] = []
    wanted, present = show_key(declared, declared), show_key(described, described)
    if wanted != present:
        found.append(TableDifference(f"its key is {present}; declared: {wanted}", losing=True))
    found += diff_local(declared, described)
    found += diff_global(declared, described)
    return tuple(found)


def show_key(part: Mapping[str, Any], table: Mapping[str, Any]) -> str:
    """`pk (S), sk (S)`: the key of a table or of one of its indexes."""
    types = attribute_types(table)
    return ", ".join(f"{name} ({types.get(name, '?')})" for name in table_keys(part))


def show_index(index: Mapping[str, Any], table: Mapping[str, Any]) -> str:
    """`user (S), sk (S), projection ALL`, `user (S), projection INCLUDE (a, b)`."""
    projection = index.get("Projection", {})
    kind = projection.get("ProjectionType", "ALL")
    attributes = f" ({', '.join(sorted(projection.get('NonKeyAttributes', ())))})" if kind == "INCLUDE" else ""
    return f"{show_key(index, table)}, projection {kind}{attributes}"


def show_indexes(table: Mapping[str, Any], section: str) -> dict[str, str]:
    """Index name -> what it is, for one section of a table."""
    return {index["IndexName"]: show_index(index, table) for index in table.get(section) or ()}


def diff_local(declared: Mapping[str, Any], described: Described) -> list[TableDifference]:
    """Differences of the local indexes, which only a new table can change."""
    wanted = show_indexes(declared, "LocalSecondaryIndexes")
    present = show_indexes(described, "LocalSecondaryIndexes")
    found = []
    for name in wanted:
        if name not in present:
            found.append(TableDifference(f"it has no local index `{name}` ({wanted[name]})", losing=True))
        elif present[name] != wanted[name]:
            text = f"its local index `{name}` is {present[name]}; declared: {wanted[name]}"
            found.append(TableDifference(text, losing=True))
    return found + [
        TableDifference(f"it has a local index `{name}` that is not declared") for name in present if name not in wanted
    ]


def diff_global(declared: Mapping[str, Any], described: Described) -> list[TableDifference]:
    """Differences of the global indexes, which can be added and replaced without losing an item."""
    wanted = show_indexes(declared, "GlobalSecondaryIndexes")
    present = show_indexes(described, "GlobalSecondaryIndexes")
    requests = {index["IndexName"]: index for index in declared.get("GlobalSecondaryIndexes") or ()}
    types, have = attribute_types(declared), attribute_types(described)
    found = []
    for name in wanted:
        attributes = dict.fromkeys([*table_keys(declared), *table_keys(requests[name])])
        create = {
            "TableName": declared["TableName"],
            "AttributeDefinitions": [
                {"AttributeName": each, "AttributeType": types.get(each, have.get(each))} for each in attributes
            ],
            "GlobalSecondaryIndexUpdates": [{"Create": requests[name]}],
        }
        delete = {
            "TableName": declared["TableName"],
            "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": name}}],
        }
        if name not in present:
            found.append(TableDifference(f"index `{name}` is missing ({wanted[name]})", (create,)))
        elif present[name] != wanted[name]:
            text = f"index `{name}` has {present[name]}; declared: {wanted[name]}"
            found.append(TableDifference(text, (delete, create)))
    return found + [
        TableDifference(f"it has an index `{name}` that is not declared") for name in present if name not in wanted
    ]


def lacks(ctx: StepContext, handles: Handles) -> str | None:
    """Return what a command should have made: at least one table, and all that devenv.toml names."""
    names = {name for page in handles.dynamo().pages("ListTables") for name in page["TableNames"]}
    if not names:
        return f"DynamoDB at {ctx.dynamodb.endpoint} has no table"
    settings = ctx.settings
    declared = [entity.table for entity in settings.entities.values()]
    declared += [pattern.table for pattern in settings.patterns.values() if pattern.table]
    missing = [name for name in dict.fromkeys(declared) if name not in names]
    return f"table {', '.join(missing)} does not exist, and devenv.toml names it" if missing else None


def examine(ctx: StepContext, inputs: Inputs, handles: Handles) -> StepState:
    """One DescribeTable for each declared table."""
    definitions: tuple[Definition, ...] = inputs.content
    for definition in definitions:
        described = handles.describe(definition.table)
        if described is None:
            return StepState("schema-load", "pending", f"table {definition.table} does not exist")
        for difference in diff_table(definition.request, described):
            if difference.mend or difference.losing:
                return StepState("schema-load", "stale", f"table {definition.table}: {difference}")
        if not is_active(described):
            return StepState("schema-load", "stale", f"table {definition.table} is still being made")
        if definition.ttl and read_ttl(handles.dynamo(), definition.table) != definition.ttl:
            return StepState(
                "schema-load", "stale", f"table {definition.table}: items do not expire by {definition.ttl}"
            )
    tables = ", ".join(definition.table for definition in definitions)
    return StepState("schema-load", "done", f"as declared: {tables}" if tables else "no tables are declared")


def apply(ctx: StepContext, inputs: Inputs, fresh: bool) -> StepOutcome:
    """Make the tables that are missing, mend those that can be mended; with `fresh`, make all of them anew."""
    definitions: tuple[Definition, ...] = inputs.content
    counts = {"tables deleted": 0, "tables made": 0, "indexes made": 0}
    with Dynamo(ctx.dynamodb) as dynamo:
        present = {each.table: describe(dynamo, each.table) for each in definitions}
        if not fresh:
            refuse_losses(definitions, present)
        for definition in definitions:
            described = present[definition.table]
            if described is not None and fresh:
                delete_table(dynamo, definition.table)
                counts["tables deleted"] += 1
            if described is None or fresh:
                ctx.say(f"making table {definition.table}")
                create_table(dynamo, definition)
                counts["tables made"] += 1
            else:
                counts["indexes made"] += mend_table(ctx, dynamo, definition, described)
            wait_active(dynamo, definition.table)
            set_ttl(dynamo, definition)
    left_out = [each for definition in definitions for each in definition.left_out]
    return StepOutcome(counts, tuple(f"left out: {each}" for each in left_out))


def read_ttl(dynamo: Dynamo, table: str) -> str | None:
    """The attribute after which the table's items expire; None when they do not."""
    found = dynamo.call("DescribeTimeToLive", {"TableName": table}).get("TimeToLiveDescription", {})
    return found.get("AttributeName") if found.get("TimeToLiveStatus") in ("ENABLED", "ENABLING") else None


def set_ttl(dynamo: Dynamo, definition: Definition) -> None:
    """Let items expire as declared. Where nothing is declared, nothing is changed."""
    present = read_ttl(dynamo, definition.table) if definition.ttl else None
    if definition.ttl is None or present == definition.ttl:
        return
    for attribute, enabled in ((present, False), (definition.ttl, True)):
        if attribute is not None:
            specification = {"AttributeName": attribute, "Enabled": enabled}
            dynamo.call("UpdateTimeToLive", {"TableName": definition.table, "TimeToLiveSpecification": specification})


def refuse_losses(definitions: Sequence[Definition], present: Mapping[str, Described | None]) -> None:
    """DevenvError, before anything is changed, when a table differs in what only a new table can change."""
    texts = []
    for definition in definitions:
        described = present[definition.table]
        for difference in diff_table(definition.request, described) if described else ():
            if difference.losing:
                texts.append(f"table {definition.table} ({definition.file}): {difference}")
    if texts:
        raise DevenvError(
            "existing tables differ from their definitions",
            detail="\n".join(texts),
            cause="DynamoDB cannot change this in an existing table",
            hint="devenv schema-load (recreates the declared tables; all items in them are lost), then: devenv up",
        )


def create_table(dynamo: Dynamo, definition: Definition) -> None:
    """Make one table. DevenvError with DynamoDB's own words and the file."""
    try:
        dynamo.call("CreateTable", definition.request)
    except StoreError as error:
        if not error.reached:
            raise
        alike = [
            name
            for page in dynamo.pages("ListTables")
            for name in page["TableNames"]
            if name.lower() == definition.table.lower()
        ]
        raise DevenvError(
            f"{definition.file}: DynamoDB refused the definition of table {definition.table}",
            detail=error.detail or error.code,
            cause=f"there is a table {alike[0]}, and DynamoDB Local ignores the case of names" if alike else None,
            hint=f"correct {definition.file}, then: devenv up",
        ) from None


def mend_table(ctx: StepContext, dynamo: Dynamo, definition: Definition, described: Described) -> int:
    """Add and replace indexes of a table that is there. How many were made."""
    made = 0
    wait_active(dynamo, definition.table)
    for difference in diff_table(definition.request, described):
        for request in difference.mend:
            ctx.say(f"table {definition.table}: {difference}")
            try:
                dynamo.call("UpdateTable", request)
            except StoreError as error:
                if not error.reached:
                    raise
                raise DevenvError(
                    f"{definition.file}: DynamoDB refused to change table {definition.table}",
                    detail=f"{difference}\n{error.detail or error.code}",
                    hint=f"correct {definition.file}, then: devenv up",
                ) from None
            wait_active(dynamo, definition.table)
        made += bool(difference.mend)
    return made


def delete_table(dynamo: Dynamo, table: str) -> None:
    """Delete a table and wait until it is gone. Its protection is lifted: that it goes was asked for, and agreed to."""
    described = describe(dynamo, table)
    if described is not None and described.get("DeletionProtectionEnabled"):
        dynamo.call("UpdateTable", {"TableName": table, "DeletionProtectionEnabled": False})
        wait_active(dynamo, table)
    dynamo.call("DeleteTable", {"TableName": table})
    end = time.monotonic() + WAIT_S
    while describe(dynamo, table) is not None:
        if time.monotonic() > end:
            raise DevenvError(f"table {table} is still there {WAIT_S:g} s after it was deleted")
        time.sleep(PAUSE_S)


def wait_active(dynamo: Dynamo, table: str) -> None:
    """Wait until the table and all its indexes can be used."""
    end = time.monotonic() + WAIT_S
    while not usable(dynamo, table):
        if time.monotonic() > end:
            raise DevenvError(f"table {table} is not ready {WAIT_S:g} s after it was made")
        time.sleep(PAUSE_S)


def usable(dynamo: Dynamo, table: str) -> bool:
    """Return True if the table and all its indexes can be used by now."""
    described = describe(dynamo, table)
    return described is not None and is_active(described)


def strangers(ctx: StepContext, inputs: Inputs) -> str | None:
    """Declared tables with items that are not exactly as devenv wrote them."""
    return count_strangers(ctx, [definition.table for definition in inputs.content])
