"""JPA: the tables of its entities, and the setting by which Hibernate makes them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from devenv.core.late import late
from devenv.init.class_tables import FIELD, KOTLIN, NUMBERS, TESTS, TIMES
from devenv.init.spring import PLACE, settings_in
from devenv.init.sql_tables import DeclaredColumn, DeclaredTable, with_references
from devenv.init.text_code import LARGEST, line_of

ENTITY: Final = late(r"@Entity\b(?P<marks>(?:[^{;\"]|\"[^\"]*\"){0,600}?)\b(?:class|record)\s+(?P<name>\w+)")
TABLE: Final = late(r"@Table\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)")
NAMED: Final = late(r"\bname\s*=\s*\"([^\"]+)\"|^\s*\"([^\"]+)\"")
SCHEMA: Final = late(r"\bschema\s*=\s*\"(\w+)\"")
COLUMN: Final = late(r"@(?:get:|field:)?(?:Column|JoinColumn)\s*\(([^()]*)\)")
NO_COLUMN: Final = late(r"@(?:get:|field:)?(?:Transient|OneToMany|ManyToMany|ElementCollection|Embedded|EmbeddedId)\b")
REFERENCE: Final = late(r"@(?:get:|field:)?(?:ManyToOne|OneToOne)\b")
ID: Final = late(r"@(?:get:|field:)?Id\b")
UNIQUE: Final = late(r"\bunique\s*=\s*true\b|@NaturalId\b")
# A profile's own file counts, too.
PROFILES: Final = late(r"application(?:-(?!test)\w+)?\.(?:ya?ml|properties)")
AUTO: Final = ("spring.jpa.hibernate.ddl-auto", "spring.jpa.properties.hibernate.hbm2ddl.auto")
MAKES: Final = ("create", "create-drop", "update", "create-only")
EMPTIES: Final = ("create", "create-drop")
# `class Boat(` of Kotlin, up to where the next class of the file begins.
NEXT: Final = late(r"\n(?:@Entity\b|(?:public\s+|data\s+|abstract\s+|open\s+)*class\s)")


def jpa_tables(texts: Mapping[str, str]) -> list[DeclaredTable]:
    """The tables of the entities, called as Spring Boot's naming strategy calls them."""
    found: dict[str, tuple[DeclaredTable, list[tuple[str, str]]]] = {}
    for file, text in texts.items():
        if file.endswith((".java", ".kt")) and "@Entity" in text and not TESTS.search(file) and len(text) <= LARGEST:
            for head in ENTITY.finditer(text):
                after = NEXT.search(text, head.end())
                body = text[head.end() : after.start() if after else len(text)]
                found[head["name"]] = entity_table(file, head, body)
    return with_references(found)


def entity_table(file: str, head: re.Match[str], body: str) -> tuple[DeclaredTable, list[tuple[str, str]]]:
    """(table, (column, class that it refers to) of each reference) of one entity."""
    given = TABLE.search(head["marks"])
    named = NAMED.search(given[1]) if given else None
    schema = SCHEMA.search(given[1]) if given else None
    columns: list[DeclaredColumn] = []
    references: list[tuple[str, str]] = []
    for marks, name, kind in fields_of(file, body):
        if NO_COLUMN.search(marks):
            continue
        options = COLUMN.search(marks)
        own = NAMED.search(options[1]) if options else None
        refers = REFERENCE.search(marks) is not None
        column = own[1] or own[2] if own else underscored(name) + ("_id" if refers else "")
        if refers:
            references.append((column, kind.rstrip("?")))
        primary = ID.search(marks) is not None
        unique = primary or (UNIQUE.search(f"{marks}") is not None and not refers)
        columns.append(DeclaredColumn(column, "" if refers else stored_as(kind), unique, primary))
    name = (named[1] or named[2]) if named else underscored(head["name"])
    return DeclaredTable(schema[1] if schema else "public", name, tuple(columns)), references


def fields_of(file: str, body: str) -> Iterator[tuple[str, str, str]]:
    """(annotations, name, type) of the properties."""
    if file.endswith(".kt"):
        yield from KOTLIN.findall(body)
    else:
        for marks, how, kind, name in FIELD.findall(body):
            if "static" not in how and "transient" not in how:
                yield marks, name, kind


def underscored(name: str) -> str:
    """`fileName` as `file_name`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def stored_as(kind: str) -> str:
    """The type of a column for a type of Java; "" for one that it does not tell."""
    name = kind.rstrip("?").rpartition(".")[2]
    if name == "UUID":
        return "uuid"
    if name == "String":
        return "varchar"
    if name in TIMES:
        return "timestamp"
    return "bigint" if name in NUMBERS else ""


def made_by_hibernate(texts: Mapping[str, str]) -> list[str]:
    """The sentence about tables that Hibernate makes when the application starts."""
    for file in sorted(texts, key=lambda name: (name.count("/"), name)):
        if not PROFILES.fullmatch(file.rpartition("/")[2]) or TESTS.search(file):
            continue
        settings = dict(settings_in(file, texts[file]))
        value = next((PLACE.sub(lambda m: m[2] or "", settings[key]) for key in AUTO if key in settings), "")
        if value in MAKES:
            drops = " and drops their rows at each start" if value in EMPTIES else ""
            line = line_of(texts[file], max(0, texts[file].find("auto")))
            return [
                f"{file}:{line}: Hibernate (ddl-auto {value}) makes the tables of Postgres when the application"
                f" starts{drops}: no step of devenv creates them"
            ]
    return []
