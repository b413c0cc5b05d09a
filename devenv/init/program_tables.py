"""Postgres tables that programs create: Alembic's operations, SQLAlchemy's models. Read as text, never run. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Final

from devenv.core.late import late
from devenv.init.sql_tables import DeclaredColumn, DeclaredTable

# A type in an annotation of SQLModel -> how it is stored.
SQLMODEL: Final = {"UUID": "uuid", "uuid": "uuid", "str": "varchar", "int": "integer", "datetime": "timestamp"}
CREATE_ALL: Final = late(r"^[^#\n]*\bmetadata\.create_all\b", re.MULTILINE)
TESTS: Final = late(r"(^|/)(?:tests?/|test_|conftest)")
COLUMNS: Final = ("Column", "mapped_column")


def read_program_tables(tree: ast.Module) -> list[DeclaredTable]:
    """The tables that a module makes or maps."""
    found = [*created(tree), *mapped(tree)]
    return [table for table in found if table.columns]


def created(tree: ast.Module) -> Iterator[DeclaredTable]:
    """`op.create_table("users", sa.Column("id", …), …)`, and `Table("users", metadata, Column(…))`."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="create_table"), args=[ast.Constant(value=str(name)), *parts]):
                pass
            case ast.Call(
                func=ast.Attribute(attr="Table") | ast.Name(id="Table"), args=[ast.Constant(value=str(name)), *parts]
            ):
                pass
            case _:
                continue
        columns = [made for part in parts if isinstance(part, ast.Call) and (made := column(part))]
        keys = {each for part in parts for each in constraint(part, "PrimaryKeyConstraint")}
        single = {each for part in parts for each in constraint(part, "UniqueConstraint")}
        yield DeclaredTable(
            "public",
            name,
            tuple(
                DeclaredColumn(c.name, c.type, c.unique or c.name in keys | single, c.primary or c.name in keys)
                for c in columns
            ),
            foreign=tuple(f for part in parts if isinstance(part, ast.Call) for f in foreign_of(part)),
        )


def mapped(tree: ast.Module) -> Iterator[DeclaredTable]:
    """Classes with a `__tablename__`."""
    for node in (each for each in ast.walk(tree) if isinstance(each, ast.ClassDef)):
        name, columns, foreign = None, list[DeclaredColumn](), list[tuple[str, str]]()
        for part in node.body:
            match part:
                case ast.Assign(targets=[ast.Name(id="__tablename__")], value=ast.Constant(value=str(text))):
                    name = text
                case ast.Assign(targets=[ast.Name(id=field)], value=ast.Call() as call):
                    columns += [made] if (made := column(call, field)) else []
                case ast.AnnAssign(target=ast.Name(id=field), value=ast.Call() as call):
                    columns += [made] if (made := column(call, field)) else []
                case ast.AnnAssign(target=ast.Name(id=field), annotation=ast.Subscript(value=ast.Name(id="Mapped"))):
                    columns.append(DeclaredColumn(field, ""))
            match part:
                case (
                    ast.Assign(targets=[ast.Name(id=field)], value=ast.Call() as call)
                    | ast.AnnAssign(target=ast.Name(id=field), value=ast.Call() as call)
                ):
                    foreign += foreign_of(call, field)
        if any(word.arg == "table" and is_true(word.value) for word in node.keywords):
            name = name or node.name.lower()
            columns, foreign = sqlmodel_columns(node)
        if name:
            yield DeclaredTable("public", name, tuple(columns), foreign=tuple(foreign))


def sqlmodel_columns(node: ast.ClassDef) -> tuple[list[DeclaredColumn], list[tuple[str, str]]]:
    """(columns, column -> table that it refers to) of `class Plant(SQLModel, table=True)`."""
    columns: list[DeclaredColumn] = []
    foreign: list[tuple[str, str]] = []
    for part in node.body:
        if not isinstance(part, ast.AnnAssign) or not isinstance(part.target, ast.Name):
            continue
        call = part.value if isinstance(part.value, ast.Call) else None
        called = ast.unparse(call.func).rpartition(".")[2] if call else ""
        if called == "Relationship":
            continue
        words = {word.arg: word.value for word in call.keywords} if call else {}
        primary = is_true(words.get("primary_key"))
        shown = ast.unparse(part.annotation)
        kind = next((stored for word, stored in SQLMODEL.items() if re.search(rf"\b{word}\b", shown)), "")
        columns.append(DeclaredColumn(part.target.id, kind, primary or is_true(words.get("unique")), primary))
        match words.get("foreign_key"):
            case ast.Constant(value=str(target)):
                foreign.append((part.target.id, table_of(target)))
    return columns, foreign


def made_by_sqlalchemy(texts: Mapping[str, str]) -> list[str]:
    """The sentence about tables that a program makes by SQLAlchemy's create_all."""
    for file in sorted(texts, key=lambda name: (name.count("/"), name)):
        if not file.endswith(".py") or TESTS.search(file):
            continue
        if found := CREATE_ALL.search(texts[file]):
            line = texts[file].count("\n", 0, found.start()) + 1
            return [
                f"{file}:{line}: SQLAlchemy makes the tables of Postgres when this program runs: no step of devenv"
                " creates them"
            ]
    return []


def foreign_of(call: ast.Call, field: str = "") -> Iterator[tuple[str, str]]:
    """column -> table of `Column("created_by", ForeignKey("staff.id"))`, and of `ForeignKeyConstraint(…)` of one."""
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if called == "ForeignKeyConstraint":
        match call.args:
            case [ast.List(elts=[ast.Constant(value=str(name))]), ast.List(elts=[ast.Constant(value=str(target))]), *_]:
                yield name, table_of(target)
    made = column(call, field)
    for each in call.args if made else ():
        match each:
            case ast.Call(
                func=ast.Attribute(attr="ForeignKey") | ast.Name(id="ForeignKey"),
                args=[ast.Constant(value=str(target)), *_],
            ) if made:
                yield made.name, table_of(target)


def table_of(target: str) -> str:
    """The table of `staff.id` and `public.staff.id`."""
    return target.split(".")[-2] if "." in target else target


def column(call: ast.Call, field: str = "") -> DeclaredColumn | None:
    """One Column(…) or mapped_column(…). None for anything else."""
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if called not in COLUMNS:
        return None
    first = call.args[0] if call.args else None
    name = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else field
    if not name:
        return None
    words = {word.arg: word.value for word in call.keywords}
    primary, unique = (is_true(words.get(each)) for each in ("primary_key", "unique"))
    kinds = [each for each in call.args if isinstance(each, ast.Call | ast.Attribute | ast.Name)]
    kind = ast.unparse(kinds[0]).rpartition(".")[2].partition("(")[0].lower() if kinds else ""
    return DeclaredColumn(name, kind, unique or primary, primary)


def is_true(node: ast.expr | None) -> bool:
    """Return True for the constant True."""
    return isinstance(node, ast.Constant) and node.value is True


def constraint(part: ast.expr, kind: str) -> list[str]:
    """The one column of a constraint; [] for one of several, or of another kind."""
    match part:
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=[ast.Constant(value=str(only))]):
            return [only] if name == kind else []
    return []
