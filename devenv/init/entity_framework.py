"""Entity Framework: the tables that its migrations make, and the command or program that runs them. Pure."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from devenv.core.late import late
from devenv.init.sql_tables import DeclaredColumn, DeclaredTable
from devenv.init.step_commands import StepCommand
from devenv.init.text_code import LARGEST, LONGEST, balanced, line_of

FILE: Final = late(r"(?:.*/)?Migrations/(?:\w+/)?\d{14}_\w+(?<!\.Designer)\.cs")
CREATES: Final = late(r"\.CreateTable\s*\(")
NAMED: Final = late(r"\bname:\s*\"([^\"]+)\"")
SCHEMA: Final = late(r"\bschema:\s*\"([^\"]+)\"")
COLUMN: Final = late(r"\b(\w+)\s*=\s*table\.Column<[^>]+>\(([^()]*(?:\([^()]*\)[^()]*)*)\)")
TYPED: Final = late(r"\btype:\s*\"([^\"]+)\"")
RENAMED: Final = late(r"\bname:\s*\"([^\"]+)\"")
KEY: Final = late(r"\.PrimaryKey\(\s*\"[^\"]*\"\s*,\s*x\s*=>\s*x\.(\w+)\s*\)")
FOREIGN: Final = late(
    r"column:\s*x\s*=>\s*x\.(\w+)\s*,(?:\s*principalSchema:\s*\"[^\"]*\"\s*,)?\s*principalTable:\s*\"([^\"]+)\""
)
INDEX: Final = late(r"\.CreateIndex\s*\(([^;]{1,600})\)\s*;")
RUNS: Final = late(r"\.Database\s*\.\s*Migrate(?:Async)?\s*\(")
TOOLS: Final = ("dotnet-tools.json", ".config/dotnet-tools.json")


def migration_files(texts: Mapping[str, str]) -> list[str]:
    """The migrations, the oldest first."""
    return sorted(name for name in texts if FILE.fullmatch(name))


def framework_tables(texts: Mapping[str, str]) -> Iterator[DeclaredTable]:
    """The tables that `migrationBuilder.CreateTable(…)` makes."""
    for file in migration_files(texts):
        text = texts[file].partition("void Down(")[0]
        if len(text) > LARGEST:
            continue
        single = {
            (over[1], of[1])
            for found in INDEX.finditer(text)
            if "unique: true" in found[1]
            and (over := re.search(r"table:\s*\"([^\"]+)\"", found[1]))
            and (of := re.search(r"column:\s*\"([^\"]+)\"", found[1]))
        }
        for call in CREATES.finditer(text):
            end = call.start() + LONGEST * 2
            whole = text[call.start() : min(end, balanced(text, call.end() - 1))]
            name = NAMED.search(whole)
            if name is None:
                continue
            schema, key = SCHEMA.search(whole[: whole.find("columns:")]), KEY.search(whole)
            columns = []
            for called, options in COLUMN.findall(whole):
                renamed, kind = RENAMED.search(options), TYPED.search(options)
                column = renamed[1] if renamed else called
                primary = key is not None and key[1] == called
                unique = primary or (name[1], column) in single
                columns.append(DeclaredColumn(column, kind[1] if kind else "", unique, primary))
            foreign = tuple((column, table) for column, table in FOREIGN.findall(whole))
            yield DeclaredTable(schema[1] if schema else "public", name[1], tuple(columns), foreign=foreign)


def running(texts: Mapping[str, str]) -> str | None:
    """The place in the program where it runs its migrations by itself."""
    for file, text in texts.items():
        if file.endswith(".cs") and not FILE.fullmatch(file):
            # A comment runs nothing.
            found = next(
                (m for m in RUNS.finditer(text) if "//" not in text[text.rfind("\n", 0, m.start()) + 1 : m.start()]),
                None,
            )
            if found is not None:
                return f"{file}:{line_of(text, found.start())}"
    return None


def framework_command(names: Sequence[str], texts: Mapping[str, str]) -> StepCommand | None:
    """`dotnet ef database update`, where the project's tool manifest has dotnet-ef and nothing else runs them."""
    files = migration_files(texts)
    manifest = next((name for name in names if name.endswith(TOOLS) and has_tool(texts.get(name, ""))), None)
    if not files or manifest is None or running(texts):
        return None
    project = project_of(files[0], names)
    startup = [] if project is None else ["--project", project]
    words = ("dotnet", "ef", "database", "update", *startup)
    return StepCommand(("sh", "-c", f"dotnet tool restore && {' '.join(words)}"), "", (), manifest)


def has_tool(text: str) -> bool:
    """Return True if a tool manifest has dotnet-ef."""
    try:
        return "dotnet-ef" in json.loads(text).get("tools", {})
    except (ValueError, AttributeError, RecursionError):
        return False


def project_of(file: str, names: Iterable[str]) -> str | None:
    """The folder of the project that a file belongs to."""
    projects = {posixpath.dirname(name) or "." for name in names if name.endswith(".csproj")}
    above = [folder for folder in projects if folder == "." or file.startswith(f"{folder}/")]
    return max(above, key=len, default=None)


def unrun(names: Sequence[str], texts: Mapping[str, str]) -> list[str]:
    """The sentence about migrations that no step runs."""
    files = migration_files(texts)
    if not files:
        return []
    folder = posixpath.dirname(files[0])
    if place := running(texts):
        return [f"{folder}: the application runs these migrations of Entity Framework when it starts ({place})"]
    project = project_of(files[0], names) or "."
    return [
        f"{folder}: has migrations of Entity Framework, but devenv does not know whether dotnet-ef is installed (no"
        " dotnet-tools.json has it). If it is installed, declare [steps.setup] migrations = { command ="
        f' ["dotnet", "ef", "database", "update", "--project", "{project}"], folder = "{folder}" }}'
    ]
