"""The SQL files that step setup runs, in order, and the reason for each that it does not run. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Final

from devenv.init.container_scripts import (
    ContainerScripts,
    included_by,
    only_includes,
    runs_first,
    with_included,
)
from devenv.init.liquibase import of_liquibase
from devenv.init.migrations import DIALECTS, FoundMigrations, journals
from devenv.init.set_aside import INCLUDE, included, old_folder, set_aside
from devenv.init.sql_order import order_files
from devenv.init.sql_tables import DeclaredTable, SqlFile, read_sql

# Tables in which migration tools record what they ran: a dump of the schema has one, too.
LEDGERS: Final = frozenset(
    ["schema_migrations", "ar_internal_metadata", "flyway_schema_history", "goose_db_version", "gorp_migrations"]
)
# The dump of the schema that Rails keeps.
STRUCTURE: Final = "structure.sql"
NO_SCRIPTS: Final = ContainerScripts()


def choose_sql(
    texts: Mapping[str, str], migrations: FoundMigrations | None, scripts: ContainerScripts = NO_SCRIPTS
) -> tuple[list[SqlFile], list[str]]:
    """The SQL files that `setup` runs, in order, and why it runs no others. `scripts`: of Postgres's container."""
    chosen: dict[str, SqlFile] = {}
    reasons: list[str] = []
    owners: dict[str, str] = {}
    of_tool = set(migrations.files) if migrations else set()
    if migrations:
        owners = {table.name: f"the migrations ({migrations.tool})" for n in of_tool for table in up_tables(texts[n])}
    sql = sorted((n for n in texts if n.endswith(".sql") and n not in of_tool), key=lambda n: (n.count("/"), n))
    in_container = [
        *dict.fromkeys(n for root in scripts.roots if root in sql for n in with_included(root, texts, sql, scripts))
    ]
    others = other_scripts(texts, sql, scripts, in_container)
    lists, steps, of_changelog = included(texts, sql), journals(texts), of_liquibase(texts)
    in_use = [name for name in sql if not old_folder(name)]
    for name in [*in_container, *(n for n in sql if n not in in_container)]:
        if name in others:
            reasons.append(f"{name}: {others[name]}")
            continue
        if files := lists.get(name):
            reasons.append(f"{name}: it only includes {', '.join(files)}; these run in the order that it gives")
            continue
        if name in of_changelog:
            reasons.append(f"{name}: not loaded: {of_changelog[name]}")
            continue
        if reason := outside_journal(name, steps):
            reasons.append(f"{name}: not loaded: {reason}")
            continue
        aside = set_aside(name, texts[name]) or (old_folder(name) if migrations or in_use else None)
        if aside is not None and not any(name in files for files in lists.values()):
            reasons.append(f"{name}: {aside}")
            continue
        read = read_sql(name, texts[name])
        if migrations and migrations.tool == "Rails" and PurePath(name).name == STRUCTURE:
            reasons.append(f"{name}: the migrations (Rails) create what it contains")
            continue
        if isinstance(read, str):
            reasons.append(f"{name}: {read}")
            continue
        twice = [table.name for table in read.tables if table.name in owners]
        if twice and all(table.name in owners or table.name in LEDGERS for table in read.tables):
            reasons.append(f"{name}: table {twice[0]} is already made by {owners[twice[0]]}")
            continue
        if migrations and PurePath(name).parent == PurePath(migrations.files[0]).parent and not read.fills:
            reasons.append(
                f"{name}: it is in the folder of {migrations.tool}'s migrations, but its name is not a migration's"
            )
            continue
        owners |= {table.name: name for table in read.tables}
        chosen[name] = replace(read, first=bool(migrations) and runs_first(read, texts[name]))
    ordered = [in_container, *lists.values(), *(files for _, files in steps.values())]
    listed = [name for files in ordered for name in files if name in chosen]
    first = [chosen.pop(name) for name in dict.fromkeys(listed)]
    return [*first, *order_files(chosen.values())], reasons


def other_scripts(
    texts: Mapping[str, str], sql: Sequence[str], scripts: ContainerScripts, used: Sequence[str]
) -> dict[str, str]:
    """File -> why it is not loaded, of those that the container's scripts replace, and of those that only include."""
    if not used:
        return {}
    made = {each for name in used for each in makes(name, texts[name])}
    by = next(iter(scripts.roots.values()))
    first = next(iter(scripts.roots))
    found: dict[str, str] = {}
    rest = [n for n in sql if n not in used]
    for name in rest:
        files = included_by(name, texts[name], sql, scripts)
        # In a container that is not used, the paths are not known: the names are.
        called = {PurePath(path).name for _, path in INCLUDE.findall(texts[name])}
        files += [each for each in rest if PurePath(each).name in called and each not in files]
        if name in scripts.roots:
            found[name] = f"it only includes {', '.join(files)}; these run in the order that it gives"
        elif files and only_includes(texts[name]):
            found |= {each: f"not loaded: only {name} includes it" for each in files if each not in used}
            found[name] = f"not loaded: {by} gives the container {first} instead"
        elif twice := sorted(made & {*makes(name, texts[name])}):
            found[name] = f"not loaded: {by} gives the container {first}, which already makes {twice[0]}"
    return found


def makes(name: str, text: str) -> Iterator[str]:
    """The tables and extensions that an SQL file makes, in words."""
    read = read_sql(name, text)
    if not isinstance(read, str):
        yield from (f"table {table.name}" for table in read.tables)
        yield from (f"extension {each}" for each in read.extensions)


def outside_journal(name: str, steps: Mapping[str, tuple[str, list[str]]]) -> str | None:
    """Why Drizzle's own journal leaves a file out, or is none of Postgres."""
    folder = name.rpartition("/")[0]
    if folder not in steps:
        return None
    dialect, files = steps[folder]
    if dialect not in DIALECTS:
        return f'{folder}/meta/_journal.json has the dialect "{dialect}"'
    return None if name in files else f"{folder}/meta/_journal.json does not list it, so Drizzle does not run it"


def up_tables(text: str) -> tuple[DeclaredTable, ...]:
    """The tables that a migration in plain SQL makes."""
    up = re.split(r"(?im)^\s*--\s*(?:migrate:down|\+goose\s+down|\+migrate\s+down)\b", text)[0]
    read = read_sql("up.sql", up)
    return () if isinstance(read, str) else read.tables
