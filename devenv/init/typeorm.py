"""TypeORM: the tables of its entities, and the option by which it makes them when the application starts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from devenv.core.late import late
from devenv.init.listing import is_script
from devenv.init.sql_tables import DeclaredColumn, DeclaredTable, with_references
from devenv.init.text_code import LARGEST, line_of

ENTITY: Final = late(
    r"@Entity\s*\(\s*(?:['\"](?P<plain>[\w.]+)['\"]|\{(?P<options>[^{}]*)\})?[^{;]{0,300}?\bclass\s+(?P<name>\w+)"
)
NAMED: Final = late(r"\bname\s*:\s*['\"](\w+)['\"]")
SCHEMA: Final = late(r"\bschema\s*:\s*['\"](\w+)['\"]")
# `@PrimaryGeneratedColumn('uuid') id: string;`, with other decorators between the two.
COLUMN: Final = late(
    r"@(?P<kind>PrimaryGeneratedColumn|PrimaryColumn|Column|CreateDateColumn|UpdateDateColumn|DeleteDateColumn|JoinColumn"
    r"|ManyToOne|OneToOne)\s*\((?P<given>(?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)"
    r"(?:\s*@\w+\s*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*\s*"
    r"(?:(?:public|private|readonly)\s+)*(?P<field>\w+)[!?]?\s*:\s*(?P<type>\w+)"
)
JOINED: Final = late(r"@JoinColumn\s*\(\s*\{[^{}]*?\bname\s*:\s*['\"](\w+)['\"]")
TYPE: Final = late(r"^\s*['\"]([\w ]+)['\"]|\btype\s*:\s*['\"]([\w ]+)['\"]")
UNIQUE: Final = late(r"\bunique\s*:\s*true\b")
SYNCHRONIZE: Final = late(r"\bsynchronize\s*:(?!\s*false\b)\s*([^,\n}]{1,80})")
EMPTIES: Final = late(r"\bdropSchema\s*:\s*true\b")
KINDS: Final = {"string": "text", "number": "integer", "Date": "timestamp", "boolean": "boolean"}


def typeorm_tables(texts: Mapping[str, str]) -> list[DeclaredTable]:
    """The tables of the entities."""
    found: dict[str, tuple[DeclaredTable, list[tuple[str, str]]]] = {}
    for file, text in texts.items():
        if "@Entity" in text and "typeorm" in text and is_script(file) and len(text) <= LARGEST:
            heads = [*ENTITY.finditer(text)]
            for at, head in enumerate(heads):
                body = text[head.end() : heads[at + 1].start() if at + 1 < len(heads) else len(text)]
                found[head["name"]] = entity_table(head, body)
    return with_references(found)


def entity_table(head: re.Match[str], body: str) -> tuple[DeclaredTable, list[tuple[str, str]]]:
    """(table, (column, class that it refers to) of each reference) of one entity."""
    options = head["options"] or ""
    schema, named = SCHEMA.search(options), NAMED.search(options)
    name = head["plain"] or (named[1] if named else underscored(head["name"]))
    columns: dict[str, DeclaredColumn] = {}
    references: list[tuple[str, str]] = []
    for kind, given, field, type_ in columns_of(body):
        refers = kind in ("ManyToOne", "OneToOne")
        own = NAMED.search(given)
        column = own[1] if own else f"{field}Id" if refers else field
        if refers:
            references.append((column, type_))
        primary = kind.startswith("Primary")
        told = TYPE.search(given)
        declared = (told[1] or told[2]) if told else "integer" if kind == "PrimaryGeneratedColumn" else ""
        shown = "" if refers else declared or KINDS.get(type_, "")
        columns.setdefault(column, DeclaredColumn(column, shown, primary or bool(UNIQUE.search(given)), primary))
    return DeclaredTable(
        schema[1] if schema else "public", name.rpartition(".")[2], tuple(columns.values())
    ), references


def columns_of(body: str) -> Iterator[tuple[str, str, str, str]]:
    """(decorator, its options, field, type) of each column; of a reference, with the name of its @JoinColumn."""
    for found in COLUMN.finditer(body):
        joined = JOINED.search(found[0])
        if found["kind"] == "OneToOne" and not joined:
            continue  # The column is in the other table.
        if found["kind"] == "JoinColumn":
            if found["type"][:1].isupper():
                yield "ManyToOne", found["given"], found["field"], found["type"]
        elif found["kind"] == "ManyToOne" or joined:
            yield "ManyToOne", f"name: '{joined[1]}'" if joined else "", found["field"], found["type"]
        else:
            yield found["kind"], found["given"], found["field"], found["type"]


def underscored(name: str) -> str:
    """`HiveCheck` as `hive_check`, as TypeORM calls a table without a name."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def made_by_typeorm(texts: Mapping[str, str]) -> list[str]:
    """The sentence about tables that TypeORM makes when the application starts."""
    for file in sorted(texts, key=lambda name: (name.count("/"), name)):
        text = texts[file]
        if not is_script(file) or not ("DataSource" in text or "TypeOrm" in text or "createConnection" in text):
            continue
        if found := SYNCHRONIZE.search(text):
            value = found[1].strip()
            when = "" if value == "true" else f" where `{value}` holds"
            drops = " and drops their rows at each start (dropSchema)" if EMPTIES.search(text) else ""
            return [
                f"{file}:{line_of(text, found.start())}: TypeORM (synchronize) makes the tables of Postgres when the"
                f" application starts{when}{drops}: no step of devenv creates them"
            ]
    return []
