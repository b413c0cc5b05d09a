"""Seed items: from JSON values to DynamoDB's own form, checked against the table definitions. And items compared."""

from __future__ import annotations

import binascii
import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Context, Decimal
from typing import Any, Final

import msgspec

from devenv.config.schema import SeedFile
from devenv.core.errors import UsageError
from devenv.core.value import Value
from devenv.links.read import Kind, match
from devenv.links.values import DYNAMO_TYPES
from devenv.steps.ledger import Item, encode
from devenv.steps.seed import forms
from devenv.steps.seed.formats import csv_rows
from devenv.steps.seed.references import Reference, split_text
from devenv.steps.seed.stream import SeedPath, documents
from devenv.steps.step import SourceFile
from devenv.stores.dynamodb.capacity import ITEM_LIMIT, item_bytes, value_bytes
from devenv.stores.dynamodb.key_schema import table_keys

KEY_BYTES: Final = {"HASH": 2048, "RANGE": 1024}
NAME_BYTES: Final = 65_535
NAME_SHOWN: Final = 80
DIGITS: Final = 38
EXPONENTS: Final = (-130, 125)
DEPTH: Final = 32
WORDS: Final = {"S": "a text", "N": "a number", "B": "a binary value"}
EXACT: Final = Context(prec=200)


class Keys(msgspec.Struct, frozen=True):
    """A table's demands on its items: its key attributes, and the type of each attribute in any key."""

    names: tuple[str, ...]
    types: Mapping[str, str]


class SeedItem(Value, frozen=True):
    """One item of a seed file, in DynamoDB's form. A text with references is a tuple of parts until it is filled."""

    file: str
    number: int
    table: str
    value: Item
    references: tuple[Reference, ...]

    @property
    def place(self) -> str:
        """`file: item 3`, for messages."""
        return f"{self.file}: item {self.number}"


def read_items(
    files: Iterable[SourceFile],
    tables: Mapping[str, Keys] | None,
    mapping: Mapping[str, SeedFile] | None = None,
    left_out: list[str] | None = None,
) -> tuple[SeedItem, ...]:
    """All items of all files. UsageError names the file, the item and what is wrong with it.

    `tables` are the declared ones; None when they are not known before the step runs. What the files do not load is
    added to `left_out`.
    """
    found = tuple(stream_items(files, tables, mapping or {}, [] if left_out is None else left_out))
    if tables is not None:
        refuse_twins(found, tables)
    return found


def stream_items(
    files: Iterable[SourceFile | SeedPath],
    tables: Mapping[str, Keys] | None,
    mapping: Mapping[str, SeedFile],
    left_out: list[str],
) -> Iterator[SeedItem]:
    """Yield the items of all files, each checked by itself. UsageError."""
    for file in files:
        number = 0
        for document in documents(file, mapping, left_out):
            table = document.table or forms.table_of(
                file.name,
                document,
                None if tables is None else {name: keys.names for name, keys in tables.items()},
                {name: keys.types for name, keys in (tables or {}).items()},
            )
            check_table(table, file.name, tables)
            rule = forms.find_rule(file.name, mapping)
            for item in document.items:
                number += 1
                place = f"{file.name}: item {number}"
                if document.typed:
                    seed = SeedItem(file.name, number, table, typed_item(place, item), ())
                else:
                    keyed = {**(tables[table].types if tables else {}), **(rule.types if rule else {})}
                    value = with_types(place, item, keyed) if file.name.endswith(csv_rows.FORMAT.endings) else item
                    seed = read_item(file.name, number, table, value)
                if tables is not None:
                    check_item(seed, tables[table])
                yield seed


def check_table(table: str, file: str, tables: Mapping[str, Keys] | None) -> None:
    """UsageError when a seed file names no known table."""
    if tables is not None and table not in tables:
        near = difflib.get_close_matches(table, tables, n=1)
        raise UsageError(
            f"{file}: table {table} has no definition",
            hint=f"did you mean `{near[0]}`?" if near else "define it in a file of [steps.schema-load]",
        )


def with_types(place: str, item: Mapping[str, str], types: Mapping[str, str]) -> dict[str, Any]:
    """The texts of a CSV row as the values that `types` asks for. UsageError for what is no such value."""
    found: dict[str, Any] = {}
    for name, text in item.items():
        kind = types.get(name, "S")
        try:
            match kind:
                case "N":
                    found[name] = Decimal(text.strip())
                case "BOOL":
                    found[name] = {"true": True, "1": True, "false": False, "0": False}[text.strip().lower()]
                case "SS":
                    found[name] = {"$set": text.split("|")}
                case "NS":
                    found[name] = {"$set": [Decimal(each.strip()) for each in text.split("|")]}
                case "JSON":
                    found[name] = json.loads(text, parse_float=Decimal, parse_int=Decimal)
                case "B":
                    found[name] = {"$binary": text}
                case _:
                    found[name] = text
        except (ValueError, ArithmeticError, KeyError):
            raise UsageError(f"{place}, attribute {name}: {text[:40]!r} is not of type {kind}") from None
    return found


def typed_item(place: str, item: Mapping[str, Any]) -> Item:
    """An item that is in DynamoDB's JSON already, in the form in which DynamoDB gives it back. UsageError."""
    typed: Item = {}
    for name, value in item.items():
        try:
            typed[type_name(name)] = normal_typed(value, 1)
        except (ValueError, ArithmeticError) as error:
            raise UsageError(f"{place}, attribute {name[:NAME_SHOWN]}: {error}") from None
    return typed


def normal_typed(value: Any, depth: int) -> dict[str, Any]:
    """One attribute value of DynamoDB's JSON, checked. ValueError when it cannot be stored."""
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("it is not in DynamoDB's JSON, unlike the others")
    ((kind, content),) = value.items()
    match kind, content:
        case "S", str():
            refuse_half(content)
            return {"S": content}
        case "N", (str() | Decimal()):
            return {"N": type_number(Decimal(content))}
        case "B", str():
            return {"B": type_binary(content)}
        case ("BOOL", bool()) | ("NULL", bool()):
            return {kind: content}
        case (("SS" | "NS" | "BS"), list()):
            members = [normal_typed({kind[0]: each}, depth)[kind[0]] for each in content]
            if not members or len(set(members)) < len(members):
                raise ValueError("a set needs at least one member, and no member twice")
            return {kind: members}
        case "L", list():
            inner = deeper(depth)
            return {"L": [normal_typed(each, inner) for each in content]}
        case "M", dict():
            inner = deeper(depth)
            return {"M": {type_name(name): normal_typed(each, inner) for name, each in content.items()}}
    raise ValueError(f"{str(kind)[:20]} is not a type of DynamoDB, or its value has another type")


def read_item(file: str, number: int, table: str, value: Any) -> SeedItem:
    """One item in DynamoDB's form. UsageError names the attribute that cannot be stored."""
    references: list[Reference] = []
    place = f"{file}: item {number}"
    if not isinstance(value, dict):
        raise UsageError(f"{place} is not an object")
    typed: Item = {}
    for name, part in value.items():
        try:
            typed[type_name(name)] = type_value(part, references.append, 1)
        except ValueError as error:
            raise UsageError(f"{place}, attribute {name[:NAME_SHOWN]}: {error}", hint=f"correct {file}") from None
    return SeedItem(file, number, table, typed, tuple(references))


def type_value(value: Any, note: Callable[[Reference], None], depth: int) -> dict[str, Any]:
    """One JSON value as an attribute value; `note` is told of each reference. ValueError when it cannot be stored."""
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": type_text(value, note)}
        case Decimal():
            return {"N": type_number(value)}
        case list():
            inner = deeper(depth)
            return {"L": [type_value(part, note, inner) for part in value]}
        case {"$set": members, **rest} if not rest:
            return type_set(members, note)
        case {"$binary": text, **rest} if not rest:
            return {"B": type_binary(text)}
        case dict():
            if strange := [name for name in value if name.startswith("$")]:
                raise ValueError(f'"{strange[0]}" is unknown; there are {{"$set": […]}} and {{"$binary": "…"}}')
            inner = deeper(depth)
            return {"M": {type_name(name): type_value(part, note, inner) for name, part in value.items()}}
    raise ValueError(f"{type(value).__name__} cannot be stored")


def deeper(depth: int) -> int:
    """The level of what is in a list or a map. ValueError when there is none, whether or not something is in it."""
    if depth >= DEPTH:
        raise ValueError(f"it is nested more than {DEPTH} levels deep")
    return depth + 1


def type_name(text: str) -> str:
    """An attribute name. ValueError when it is no Unicode, or of a length that DynamoDB does not take."""
    refuse_half(text)
    if not 0 < len(text.encode()) <= NAME_BYTES:
        raise ValueError(f"an attribute's name has 1 to {NAME_BYTES} bytes")
    return text


def refuse_half(text: str) -> None:
    """ValueError for a text with half of a surrogate pair, which JSON can escape and nothing can store."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("the text has half of a surrogate pair, which is not valid Unicode") from None


def type_text(text: str, note: Callable[[Reference], None]) -> str | tuple[str | Reference, ...]:
    """A text; a tuple of parts when it has references."""
    refuse_half(text)
    if "${" not in text:
        return text
    parts = split_text(text)
    references = [part for part in parts if isinstance(part, Reference)]
    for reference in references:
        note(reference)
    return parts if references else "".join(map(str, parts))


def type_number(number: Decimal) -> str:
    """A number as text, exactly. ValueError when DynamoDB cannot keep it exactly."""
    if number and not EXPONENTS[0] <= number.adjusted() <= EXPONENTS[1]:
        raise ValueError(f"{number:.20g} is outside of DynamoDB's range (1E{EXPONENTS[0]} to 1E{EXPONENTS[1] + 1})")
    exact = EXACT.normalize(number) if len(number.as_tuple().digits) <= EXACT.prec else number
    if number and len(exact.as_tuple().digits) > DIGITS:
        raise ValueError(f"a number has more than {DIGITS} digits")
    return number_text(number)


def number_text(number: Decimal) -> str:
    """A number as DynamoDB gives it back: no exponent, no zeros that mean nothing."""
    return format(EXACT.normalize(number), "f") if number else "0"


def type_binary(text: Any) -> str:
    """Base64 as DynamoDB gives it back. ValueError when it is not base64."""
    if not isinstance(text, str):
        raise ValueError('"$binary" must be a text in base64')
    try:
        return binascii.b2a_base64(binascii.a2b_base64(text, strict_mode=True), newline=False).decode()
    except (binascii.Error, ValueError):
        raise ValueError('"$binary" is not base64') from None


def type_set(members: Any, note: Callable[[Reference], None]) -> dict[str, Any]:
    """A set of texts, numbers or binary values. ValueError when it is empty, mixed, or has a member twice."""
    if not isinstance(members, list) or not members:
        raise ValueError('"$set" must be a list that is not empty')
    typed = [type_value(member, note, 1) for member in members]
    kinds = {kind for member in typed for kind in member}
    if len(kinds) > 1 or not kinds <= {"S", "N", "B"}:
        raise ValueError("a set must have only texts, only numbers or only binary values")
    kind = kinds.pop()
    values = [member[kind] for member in typed]
    if len(set(values)) < len(values):
        raise ValueError("a set has a member twice")
    return {f"{kind}S": values}


def check_item(seed: SeedItem, keys: Keys) -> None:
    """UsageError when the item lacks a key attribute, has one of the wrong type, or is too large."""
    place = f"{seed.place} of table {seed.table}"
    # What references will add is not known yet.
    value = fill(seed.value, dict.fromkeys(seed.references, "")) if seed.references else seed.value
    for name in keys.names:
        if name not in value:
            raise UsageError(f"{place} has no `{name}`", detail=f"the key of the table is {', '.join(keys.names)}")
    for name, kind in keys.types.items():
        if name not in value:
            continue
        (have,) = value[name]
        if have != kind:
            raise UsageError(f"{place}: `{name}` must be {WORDS[kind]}, as it is part of a key", detail=f"it is {have}")
        if not seed.value[name][kind]:
            raise UsageError(f"{place}: `{name}` is empty, but is part of a key")
        limit = KEY_BYTES["HASH" if name == keys.names[0] else "RANGE"]
        if name in keys.names and value_bytes(value[name]) > limit:
            raise UsageError(f"{place}: `{name}` is longer than {limit} bytes, but is part of the key")
    size = item_bytes(value)
    if size > ITEM_LIMIT:
        raise UsageError(f"{place} has {size} bytes; DynamoDB keeps at most {ITEM_LIMIT}")


def check_types(seed: SeedItem, kinds: Sequence[Kind]) -> None:
    """UsageError when an attribute has another type than `[entities]` declares. `kinds`: the most specific first."""
    known = {name: known_text(value) for name, value in seed.value.items()}
    for kind in kinds:
        if kind.table == seed.table and match(kind, known, loose=False) is not None:
            check_kind(seed, kind)
            break


def known_text(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """An attribute value in which a reference, not yet resolved, stands as any text: enough to tell the item's kind."""
    text = value.get("S")
    return {"S": "".join(str(part) for part in text)} if isinstance(text, tuple) else value


def check_kind(seed: SeedItem, kind: Kind) -> None:
    """UsageError when the item, which is of this kind, has an attribute of another type than declared."""
    for field in kind.fields:
        value = seed.value.get(field.attribute)
        if value is None or "NULL" in value or field.template is not None:
            continue
        wanted = DYNAMO_TYPES[field.type]
        if not value.keys() & set(wanted):
            raise UsageError(
                f"{seed.place} of table {seed.table}: {field.attribute} must be of type {wanted[0]}",
                detail=f"it is of type {next(iter(value))}; [entities.{kind.name}] declares it as {field.type}",
            )


def refuse_twins(items: Iterable[SeedItem], tables: Mapping[str, Keys]) -> None:
    """UsageError when two items have the same key."""
    seen: dict[tuple[Any, ...], SeedItem] = {}
    for item in items:
        key = (item.table, *(next(iter(item.value[name].values())) for name in tables[item.table].names))
        if key in seen:
            raise UsageError(f"{item.place} has the same key as {seen[key].place} (table {item.table})")
        seen[key] = item


def fill(value: Any, answers: Mapping[Reference, str]) -> Any:
    """An item, or a part of one, with the answers in the places of the references."""
    if isinstance(value, tuple):
        return "".join(part if isinstance(part, str) else answers[part] for part in value)
    if isinstance(value, dict):
        return {name: fill(part, answers) for name, part in value.items()}
    if isinstance(value, list):
        return [fill(part, answers) for part in value]
    return value


def normal_item(item: Mapping[str, Mapping[str, Any]]) -> Item:
    """An item in the one form in which equal items are equal: numbers without exponent, sets in order."""
    return {name: normal_value(value) for name, value in item.items()}


def normal_value(value: Mapping[str, Any]) -> dict[str, Any]:
    """One attribute value in its one form."""
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return {"N": number_text(Decimal(content))}
        case "NS":
            return {"NS": sorted(number_text(Decimal(part)) for part in content)}
        case "SS" | "BS":
            return {kind: sorted(content)}
        case "L":
            return {"L": [normal_value(part) for part in content]}
        case "M":
            return {"M": normal_item(content)}
    return {kind: content}


def key_of(item: Mapping[str, Mapping[str, Any]], names: Iterable[str]) -> bytes:
    """An item's key as bytes: its key attributes in DynamoDB's JSON."""
    return encode({name: normal_value(item[name]) for name in names})


def described_keys(described: Mapping[str, Any]) -> Keys:
    """Return what a table that is there demands of its items (DescribeTable's `Table`)."""
    types = {each["AttributeName"]: each["AttributeType"] for each in described["AttributeDefinitions"]}
    return Keys(table_keys(described), types)


def identity(described: Mapping[str, Any]) -> str:
    """Return what tells this table from one of the same name that is made later."""
    return str(described.get("TableId") or described["CreationDateTime"])
