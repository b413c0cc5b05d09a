"""The inputs of step `setup`, read and parsed: what a user is asked to trust needs no driver of Postgres."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from devenv.config.schema import Settings
from devenv.steps.setup.migrations import MigrationPlan, find_plan, record_statements, refuse_migration, up_half
from devenv.steps.setup.mounts import COPIES, read_mounts
from devenv.steps.setup.psql import LeftOut, Mounts, PsqlReader
from devenv.steps.setup.sign_in import fill_sign_in
from devenv.steps.setup.sql import Statement
from devenv.steps.step import SourceFile, list_named, read_text


class Migration(msgspec.Struct, frozen=True):
    """One migration: its file, the hash of its text, and its statements with those that tell the tool of it."""

    file: str
    hash: str
    statements: tuple[Statement, ...]


class Script(msgspec.Struct, frozen=True):
    """The parsed inputs: migrations, then plain files. `seal`: what the hash needs beside the files' texts.

    `first` run before a tool's own command, `statements` after it. `mounts`: the folders of containers, if they were
    looked up.
    """

    statements: tuple[Statement, ...]
    first: tuple[Statement, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    seal: bytes = b""
    plan: MigrationPlan | None = None
    migrations: tuple[Migration, ...] = ()
    mounts: Mounts = ()

    @property
    def by_command(self) -> bool:
        """True if the tool's own command runs the migrations."""
        return self.plan is not None and self.plan.tool is None


def place_of(root: Path, name: str, *, inside: bool) -> Path | None:
    """Where a file is that SQL files name; None if there is none. `inside`: it lies in the project, links followed."""
    place = root / name
    if not name or not place.is_file() or (inside and not place.resolve().is_relative_to(root.resolve())):
        return None
    return place


def parse(
    settings: Settings,
    root: Path,
    files: tuple[SourceFile, ...],
    note: Callable[[str, bool], None] = lambda name, inside: None,
) -> Script:
    """All statements of all files, in order. UsageError for what devenv cannot run.

    A file that another one includes does not run by itself, too. `note` takes what `place_of` is asked, before it is.
    """

    def read(name: str, *, inside: bool) -> str | None:
        note(name, inside)
        place = place_of(root, name, inside=inside)
        return read_text(place, name) if place else None

    find, find_rows = partial(read, inside=False), partial(read, inside=True)
    mounts = read_mounts(root) if any(COPIES.search(file.text) for file in files) else ()
    reader = PsqlReader(settings.postgres.database, find, mounts=mounts, find_rows=find_rows)
    plan = find_plan(settings, root)
    listed = plan.files if plan else ()
    migrations = []
    for number, file in enumerate(files[: len(listed)], 1):
        statements: tuple[Statement, ...] = ()
        if plan and plan.tool:
            records = record_statements(plan, number, file)
            statements = reader.read(up_half(plan.tool, file), file.name)
            statements += tuple(Statement(file.name, 1, text, f"{file.name} (record)") for text in records)
        migrations.append(Migration(file.name, hashlib.sha256(file.text.encode()).hexdigest(), statements))
    early = set(list_named(root, settings.steps.setup.before, "steps.setup"))
    parts = {}
    for file in files[len(listed) :]:
        refuse_migration(file)
        parts[file.name] = reader.read(file.text, file.name)
    parts = {name: part for name, part in parts.items() if name not in reader.included}
    before = tuple(each for name, part in parts.items() if name in early for each in part)
    plain = [each for name, part in parts.items() if name not in early for each in part]
    filling = fill_sign_in(settings)
    of_tool = plan is not None and plan.tool is None
    first = before if of_tool else ()
    every = (
        *(() if of_tool else before),
        *(each for migration in migrations for each in migration.statements),
        *plain,
        *filling,
    )
    seal = reader.seal + "".join((*(each.text for each in filling), *sorted(early))).encode()
    named = "\0".join((plan.name, plan.folder, *plan.command)).encode() if plan else b""
    return Script(every, first, tuple(reader.left_out), seal + named, plan, tuple(migrations), mounts)
