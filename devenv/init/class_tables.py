"""Tables that classes of items declare, by the annotations of the AWS SDKs for Java, Kotlin and C#. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from devenv.core.late import late
from devenv.core.value import Value
from devenv.init.code import Attribute, Code, Function, Shape
from devenv.init.code_names import CodeNames
from devenv.init.java_annotations import with_index_names
from devenv.init.tables import Found, accept
from devenv.init.text_code import LARGEST, line_of

ENDINGS: Final = (".java", ".kt", ".cs")
TESTS: Final = late(r"(^|/)src/(?:test|androidTest|integrationTest)/|(^|/)[\w.]*tests?/", re.IGNORECASE)
CLASS: Final = late(
    r"(?:@DynamoDb(?P<v2>Bean|Immutable)|@DynamoDBTable\s*\((?P<v1>[^()]*)\)|@DynamoDBDocument|"
    r"\[DynamoDBTable\(\s*(?P<cs>[^)\]]*)\)\])"
    r"(?:[^{;\"]|\"[^\"]*\"){0,500}?\b(?:class|record)\s+(?P<name>\w+)"
)
PLAIN: Final = late(r"\bpublic\s+(?:sealed\s+|partial\s+)*(?:class|record)\s+(?P<name>(?P<plain>\w+))")
HEADS: Final = ("v1", "v2", "cs", "plain")
OVERRIDES: Final = late(r"\bOverrideTableName\s*=\s*([\w.\"-]+)")
ASKED: Final = late(r"\b(?:QueryAsync|LoadAsync|ScanAsync|FromQueryAsync)<(\w+)\??>")
MARKS: Final = r"((?:@(?:get:|field:)?\w+(?:\((?:[^()\"]|\"[^\"]*\")*\))?\s*)*)"
TYPE: Final = r"([\w.]+(?:<[^;=(){}\n]{1,100}>)?(?:\[\])?\??)"
FIELD: Final = late(
    rf"{MARKS}\b(?:private|protected|public)\s+((?:static\s+|final\s+|transient\s+)*){TYPE}\s+(\w+)\s*[;=]"
)
GETTER: Final = late(rf"{MARKS}\bpublic\s+{TYPE}\s+(?:get|is)([A-Z]\w*)\s*\(\s*\)")
KOTLIN: Final = late(rf"{MARKS}(?:(?:override|open|lateinit|public)\s+)*\b(?:val|var)\s+(\w+)\s*:\s*{TYPE}")
SHARP: Final = late(rf"((?:\[[^\[\]\n]*\]\s*)*)\bpublic\s+(?:virtual\s+|required\s+)*{TYPE}\s+(\w+)\s*\{{\s*get\b")
BOUND: Final = late(
    r"\.table\s*\(\s*((?:[^(),\"]|\"[^\"]*\"|\([^()]*\)){1,200}?)\s*,\s*(?:TableSchema\s*\.\s*from\w+\(\s*(\w+)(?:\.class|::class)"
    r"|(\w+)\s*\))"
)
SCHEMA: Final = late(r"\b(\w+)\s*(?::[^=\n]{1,80})?=\s*TableSchema\s*\.\s*from\w+\(\s*(\w+)(?:\.class|::class)")
TEXTS: Final = ("String", "string", "UUID", "Guid", "char")
TIMES: Final = (
    *("Instant", "LocalDateTime", "ZonedDateTime", "OffsetDateTime", "DateTime", "DateTimeOffset", "Date"),
    *("LocalDate", "Calendar"),
)
NUMBERS: Final = (
    *("int", "Integer", "Int", "long", "Long", "double", "Double", "float", "Float", "short", "Short"),
    *("BigDecimal", "BigInteger", "Number", "decimal", "byte", "Byte"),
)
ROLES: Final = {"partition": "HASH", "hash": "HASH", "sort": "RANGE", "range": "RANGE"}
# How the annotations of the SDKs name a key of the table, and one of an index.
KEY: Final = late(r"(?<!\w)DynamoD[Bb](Partition|Hash|Sort|Range)Key\b")
INDEX_KEY: Final = late(
    r"(?<!\w)DynamoD[Bb](?P<local>LocalSecondaryIndex|GlobalSecondaryIndex|Secondary|Index)"
    r"(?P<role>Partition|Hash|Sort|Range)Key\b\s*(?:\((?P<options>(?:[^()\"]|\"[^\"]*\")*)\))?"
)
ATTRIBUTE: Final = late(r"DynamoDbAttribute\(\s*(?:value\s*=\s*)?\"([^\"]+)\"|\battributeName\s*=\s*\"([^\"]+)\"")
SHARP_NAME: Final = late(
    r"DynamoDB(?:Property|HashKey|RangeKey)\(\s*(?:AttributeName\s*=\s*)?\"([^\"]+)\"|AttributeName\s*=\s*\"([^\"]+)\""
)
USES: Final = late(r"Dynamo|TableSchema")
HIDDEN: Final = late(r"\bJsonIgnore\b")
RENAMED: Final = late(r"\b(?:JsonProperty|JsonPropertyName)\(\s*(?:value\s*=\s*)?\"([^\"]+)\"")
IGNORED: Final = late(r"DynamoD[Bb]Ignore\b")


class ItemClass(Value, frozen=True):
    """One class of items: attribute -> type ("": not known), its table's key and the keys of its indexes.

    `table` is the expression of the table's name, None where another file binds it. `indexes`: name -> role ->
    attribute; those in `local` are local. `shown`: field of the class as JSON -> attribute.
    """

    file: str
    line: int
    name: str
    table: str | None
    types: Mapping[str, str]
    key: Mapping[str, str]
    indexes: Mapping[str, Mapping[str, str]]
    local: frozenset[str] = frozenset()
    shown: Mapping[str, str] = {}


class ClassTables(Value, frozen=True):
    """The tables of classes, file -> the shapes of their items, class -> what is known of it and its table."""

    tables: tuple[Found, ...] = ()
    code: Mapping[str, Code] = {}
    classes: Mapping[str, tuple[str, ItemClass]] = {}


def class_tables(texts: Mapping[str, str], variables: Mapping[str, str], names: CodeNames | None = None) -> ClassTables:
    """The declarations of the classes of items whose table has a name that is known."""
    own = {
        file: text
        for file, text in texts.items()
        if file.endswith(ENDINGS) and not TESTS.search(file) and len(text) <= LARGEST and USES.search(text)
    }
    names = names or CodeNames(texts, variables)
    own = {file: with_index_names(file, text, names) for file, text in own.items()}
    classes = [each for file, text in own.items() for each in item_classes(file, text)]
    if not classes:
        return ClassTables()
    bound = dict(bound_classes(own, names))
    overridden = dict(overriding(own, names))
    found: dict[str, Found] = {}
    known: dict[str, tuple[str, ItemClass]] = {}
    shapes: dict[str, list[Shape]] = {}
    for each in classes:
        table = names.text(each.file, each.table) if each.table is not None else bound.get(each.name)
        if each.file.endswith(".cs") and (other := overridden.get(each.name)):
            table = other
        made = accept(each.file, each.line, request_of(each, table)) if table and "HASH" in each.key else None
        if made is None:
            continue
        found.setdefault(made.table, made)
        known[each.name] = (made.table, each)
        keys = set(each.key.values())
        attributes = {
            name: Attribute(kind if name in keys or not kind else f"{kind}?", None) for name, kind in each.types.items()
        }
        function = Function(each.file, each.line, each.name)
        shapes.setdefault(each.file, []).append(Shape(function, each.line, attributes))
    code = {
        file: Code(file, (), (), tuple(own_), (), {}, {}, uses_dynamodb=False, writes=False)
        for file, own_ in shapes.items()
    }
    return ClassTables(tuple(found.values()), code, known)


def item_classes(file: str, text: str) -> Iterator[ItemClass]:
    """The classes of items of a file, each with the properties up to the next one."""
    heads = [*CLASS.finditer(text)]
    if file.endswith(".cs") and not heads and "DynamoDBHashKey" in text:
        # Without an attribute, its table is called as the class.
        heads = [*PLAIN.finditer(text)]
    for at, head in enumerate(heads):
        if "name" not in head.groupdict() or not any(head.groupdict().get(each) is not None for each in HEADS):
            continue
        body = text[head.end() : heads[at + 1].start() if at + 1 < len(heads) else len(text)]
        marks: dict[str, str] = {}
        kinds: dict[str, str] = {}
        for name, mark, kind in properties(file, body):
            marks[name] = marks.get(name, "") + mark
            kinds.setdefault(name, kind)
        types: dict[str, str] = {}
        key: dict[str, str] = {}
        indexes: dict[str, dict[str, str]] = {}
        local: set[str] = set()
        shown: dict[str, str] = {}
        for name, mark in marks.items():
            if IGNORED.search(mark):
                continue
            given = (SHARP_NAME if file.endswith(".cs") else ATTRIBUTE).search(mark)
            attribute = (given[1] or given[2]) if given else name
            types[attribute] = type_of(kinds[name])
            if not HIDDEN.search(mark) and types[attribute]:
                renamed = RENAMED.search(mark)
                # ASP.NET writes `ScannedAt` as `scannedAt`.
                shown[renamed[1] if renamed else name[:1].lower() + name[1:]] = attribute
            for role in KEY.findall(mark):
                key[ROLES[role.lower()]] = attribute
            for one in INDEX_KEY.finditer(mark):
                options = one["options"] or ""
                options = re.sub(r"\b(?:attributeName|AttributeName|value)\s*=\s*\"[^\"]*\"", "", options)
                for index in re.findall(r"\"([^\"]+)\"", options):
                    indexes.setdefault(index, {})[ROLES[one["role"].lower()]] = attribute
                    if one["local"].startswith("Local") or "localSecondaryIndexName" in options:
                        local.add(index)
        found = head.groupdict()
        table = found.get("v1") if found.get("v1") is not None else found.get("cs")
        table = f'"{found["plain"]}"' if found.get("plain") else table
        table = re.sub(r"^\s*tableName\s*=\s*", "", table) if table is not None else None
        line = line_of(text, head.start())
        yield ItemClass(file, line, head["name"], table, types, key, indexes, frozenset(local), shown)


def properties(file: str, body: str) -> Iterator[tuple[str, str, str]]:
    """(name, annotations, type) of the fields and getters of a class."""
    if file.endswith(".cs"):
        yield from ((name, marks, kind) for marks, kind, name in SHARP.findall(body))
    elif file.endswith(".kt"):
        yield from ((name, marks, kind) for marks, name, kind in KOTLIN.findall(body))
    else:
        fields = [
            (name, marks, kind)
            for marks, how, kind, name in FIELD.findall(body)
            if not re.search("static|transient", how)
        ]
        known = {name for name, _, _ in fields}
        getters = [(name[:1].lower() + name[1:], marks, kind) for marks, kind, name in GETTER.findall(body)]
        # A getter of no field is computed, unless an annotation says what it is stored as.
        yield from fields
        yield from (each for each in getters if each[0] in known or "Dynamo" in each[1] or not known)


def type_of(kind: str) -> str:
    """The declared type of a type of Java, Kotlin or C#; "" for a class."""
    name = kind.rstrip("?").rpartition(".")[2] if "<" not in kind else kind.partition("<")[0].rpartition(".")[2]
    if name in ("UUID", "Guid"):
        return "uuid"
    if name in TIMES:
        # Only a time of the day tells a time from a date.
        return "string" if name == "LocalDate" else "time"
    if name in TEXTS:
        return "string"
    if name in NUMBERS:
        return "number"
    if name.lower() in ("boolean", "bool"):
        return "boolean"
    return ""


def request_of(each: ItemClass, table: str) -> dict[str, Any]:
    """The CreateTable request of a class; its indexes have all attributes."""
    used = dict.fromkeys([*each.key.values(), *(name for index in each.indexes.values() for name in index.values())])
    made: dict[str, Any] = {
        "TableName": table,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": "N" if each.types.get(name) == "number" else "S"} for name in used
        ],
        "KeySchema": schema(each.key),
    }
    for kind, wanted in (("GlobalSecondaryIndexes", False), ("LocalSecondaryIndexes", True)):
        indexes = [
            {
                "IndexName": name,
                "KeySchema": schema({"HASH": each.key.get("HASH", ""), **key} if wanted else key),
                "Projection": {"ProjectionType": "ALL"},
            }
            for name, key in each.indexes.items()
            if is_local(each, name) == wanted
        ]
        if indexes:
            made[kind] = indexes
    return made


def is_local(each: ItemClass, name: str) -> bool:
    """Return True for a local index: one that is called so, or that has a sort key alone."""
    return name in each.local or "HASH" not in each.indexes[name]


def schema(key: Mapping[str, str]) -> list[dict[str, str]]:
    """A KeySchema, the hash key first."""
    return [{"AttributeName": key[role], "KeyType": role} for role in ("HASH", "RANGE") if role in key]


def bound_classes(own: Mapping[str, str], names: CodeNames) -> Iterator[tuple[str, str]]:
    """(class, table) of `client.table("scans", TableSchema.fromBean(Scan.class))`."""
    schemas = {name: kind for text in own.values() for name, kind in SCHEMA.findall(text)}
    for file, text in own.items():
        for found in BOUND.finditer(text):
            expression, kind, name = found.groups()
            table = names.text(file, expression, found.start())
            if table and (kind or name in schemas):
                yield kind or schemas[name], table


def overriding(own: Mapping[str, str], names: CodeNames) -> Iterator[tuple[str, str]]:
    """(class, table) of files of C# that give one OverrideTableName to what they ask for one class."""
    for file, text in own.items():
        tables = {names.text(file, found[1], found.start()) for found in OVERRIDES.finditer(text)}
        classes = set(ASKED.findall(text))
        if len(tables) == 1 and len(classes) == 1 and (table := tables.pop()):
            yield classes.pop(), table
