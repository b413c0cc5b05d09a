"""Migrations of ten tools: which files they are, in which order, what of them is run, and how the tool is told.

Plain-SQL migrations are run by devenv. Each leaves a row in the tool's own table, so that the tool agrees afterwards.
"""

from __future__ import annotations

import glob
import hashlib
import re
import uuid
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from devenv.config.schema import Migrations, Settings
from devenv.core.errors import UsageError
from devenv.steps.setup.sql import Lines
from devenv.steps.step import SourceFile, natural_key, with_named

# (rank among the tool's files, file, its name inside the folder, its text) -> the statement that records it.
Record = Callable[[int, str, str], str]


class Tool(msgspec.Struct, frozen=True):
    """One tool with plain-SQL migrations.

    `folders` are its usual ones; `pattern` matches its files' names inside the folder. `up` and `down` are the lines
    that begin a half. `table` makes its table; `record` (rank, name, text) adds a row. `known` reads names or versions
    that it has recorded, and `key` is what of a name they are compared with.
    """

    folders: tuple[str, ...]
    pattern: str
    table: str
    record: Record
    known: str
    key: Callable[[str], str]
    up: str = ""
    down: str = ""


class MigrationPlan(msgspec.Struct, frozen=True):
    """The plan for `[steps.setup] migrations`: the files in order, and the tool or the command that runs them."""

    name: str
    folder: str
    files: tuple[str, ...]
    tool: Tool | None = None
    command: tuple[str, ...] = ()


def quote(text: str) -> str:
    """An SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def digits(name: str) -> str:
    """The number at the beginning of a file's name: `20240101` of `20240101_users.sql`."""
    found = re.match(r"\d+", PurePosixPath(name).name)
    return str(int(found[0])) if found else ""


def leading(name: str) -> str:
    """The number at the beginning of a file's name, as it is written."""
    found = re.match(r"\d+", PurePosixPath(name).name)
    return found[0] if found else ""


def flyway_parts(name: str) -> tuple[str, str]:
    """(version, description): (`1.2`, `add users`) of `V1_2__add_users.sql`; of a repeatable one ("", …)."""
    found = re.match(r"[VR]([\d._]*)__(.+)\.sql$", PurePosixPath(name).name)
    version, description = (found[1], found[2]) if found else ("", name)
    return version.replace("_", "."), description.replace("_", " ")


def flyway_order(name: str) -> tuple[object, ...]:
    """Versions as numbers, the repeatable ones last, by their description."""
    version, description = flyway_parts(name)
    return (not version, [int(part) for part in version.split(".") if part], description)


def flyway_checksum(text: str) -> int:
    """Flyway's: CRC-32 of the lines without their ends, as a signed number."""
    value = 0
    for line in text.removeprefix("\ufeff").splitlines():
        value = zlib.crc32(line.encode(), value)
    return value - (1 << 32) if value >= 1 << 31 else value


def insert(table: str, values: Mapping[str, str]) -> str:
    """An INSERT of SQL expressions by column."""
    return f"INSERT INTO public.{table} ({', '.join(values)}) VALUES ({', '.join(values.values())})"  # noqa: S608


def record_flyway(rank: int, name: str, text: str) -> str:
    """A row of flyway_schema_history."""
    version, description = flyway_parts(name)
    return insert(
        "flyway_schema_history",
        {
            "installed_rank": str(rank),
            "version": quote(version) if version else "NULL",
            "description": quote(description),
            "type": "'SQL'",
            "script": quote(name),
            "checksum": str(flyway_checksum(text)),
            "installed_by": "current_user",
            "execution_time": "0",
            "success": "true",
        },
    )


def record_prisma(rank: int, name: str, text: str) -> str:
    """A row of _prisma_migrations. Its id is derived from the name, so that a second run makes the same row."""
    migration = PurePosixPath(name).parts[0]
    return insert(
        "_prisma_migrations",
        {
            "id": quote(str(uuid.uuid5(uuid.NAMESPACE_URL, migration))),
            "checksum": quote(hashlib.sha256(text.encode()).hexdigest()),
            "migration_name": quote(migration),
            "finished_at": "now()",
            "applied_steps_count": "1",
        },
    )


EMPTY_VERSIONS: Final = "DELETE FROM public.schema_migrations;\n"
TOOLS: Final[Mapping[str, Tool]] = {
    "flyway": Tool(
        ("db/migration", "src/main/resources/db/migration", "sql", "migrations", "db/migrations", "."),
        r"(.*/)?(V\d[\d._]*|R)__.+\.sql",
        """CREATE TABLE IF NOT EXISTS public.flyway_schema_history (installed_rank integer NOT NULL
  CONSTRAINT flyway_schema_history_pk PRIMARY KEY, version varchar(50), description varchar(200) NOT NULL,
  type varchar(20) NOT NULL, script varchar(1000) NOT NULL, checksum integer, installed_by varchar(100) NOT NULL,
  installed_on timestamp NOT NULL DEFAULT now(), execution_time integer NOT NULL, success boolean NOT NULL);
CREATE INDEX IF NOT EXISTS flyway_schema_history_s_idx ON public.flyway_schema_history (success)""",
        record_flyway,
        "SELECT script FROM public.flyway_schema_history WHERE success",
        str,
    ),
    "dbmate": Tool(
        ("db/migrations", "migrations"),
        r"\d+.*\.sql",
        "CREATE TABLE IF NOT EXISTS public.schema_migrations (version varchar NOT NULL PRIMARY KEY)",
        lambda rank, name, text: insert("schema_migrations", {"version": quote(leading(name))}),
        "SELECT version FROM public.schema_migrations",
        leading,
        r"--\s*migrate:up\b",
        r"--\s*migrate:down\b",
    ),
    "goose": Tool(
        ("migrations", "db/migrations", "sql/migrations", "sql/schema", "."),
        r"\d+_.*\.sql",
        """CREATE TABLE IF NOT EXISTS public.goose_db_version (id integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY,
  version_id bigint NOT NULL, is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now());
INSERT INTO public.goose_db_version (version_id, is_applied)
SELECT 0, true WHERE NOT EXISTS (SELECT FROM public.goose_db_version)""",
        lambda rank, name, text: insert("goose_db_version", {"version_id": digits(name), "is_applied": "true"}),
        "SELECT version_id::text FROM public.goose_db_version WHERE is_applied",
        digits,
        r"--\s*\+goose\s+up\b",
        r"--\s*\+goose\s+down\b",
    ),
    "sql-migrate": Tool(
        ("migrations", "db/migrations", "migrations/postgres"),
        r".+\.sql",
        "CREATE TABLE IF NOT EXISTS public.gorp_migrations (id text NOT NULL PRIMARY KEY, applied_at timestamptz)",
        lambda rank, name, text: insert("gorp_migrations", {"id": quote(name), "applied_at": "now()"}),
        "SELECT id FROM public.gorp_migrations",
        str,
        r"--\s*\+migrate\s+up\b",
        r"--\s*\+migrate\s+down\b",
    ),
    "golang-migrate": Tool(
        ("migrations", "db/migrations", "db/migration", "sql/migrations"),
        r"\d+_.*\.up\.sql",
        "CREATE TABLE IF NOT EXISTS public.schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL)",
        lambda rank, name, text: (
            EMPTY_VERSIONS + insert("schema_migrations", {"version": digits(name), "dirty": "false"})
        ),
        "SELECT version::text FROM public.schema_migrations WHERE NOT dirty",
        digits,
    ),
    "prisma": Tool(
        ("prisma/migrations", "migrations"),
        r"[^/]+/migration\.sql",
        """CREATE TABLE IF NOT EXISTS public._prisma_migrations (id varchar(36) PRIMARY KEY NOT NULL,
  checksum varchar(64) NOT NULL, finished_at timestamptz, migration_name varchar(255) NOT NULL, logs text,
  rolled_back_at timestamptz, started_at timestamptz NOT NULL DEFAULT now(),
  applied_steps_count integer NOT NULL DEFAULT 0)""",
        record_prisma,
        "SELECT migration_name || '/migration.sql' FROM public._prisma_migrations WHERE finished_at IS NOT NULL",
        str,
    ),
}
# Tools whose migrations are programs: their usual folders, what their files look like, and the command.
COMMANDS: Final = {
    "alembic": (("alembic", "migrations"), "versions/*.py", ("{python}", "-m", "alembic", "upgrade", "head")),
    "flask-migrate": (("migrations",), "versions/*.py", ("{python}", "-m", "flask", "db", "upgrade")),
    "django": ((".",), "**/migrations/[0-9]*.py", ("{python}", "manage.py", "migrate", "--noinput")),
    "knex": (
        ("migrations", "db/migrations", "src/migrations"),
        "*.[jt]s",
        ("npx", "--no-install", "knex", "migrate:latest"),
    ),
}
SKIPPED: Final = {"node_modules", ".venv", "venv", "site-packages", "vendor", ".git"}


def find_plan(settings: Settings, root: Path) -> MigrationPlan | None:
    """Find the plan for `[steps.setup] migrations` in this folder.

    None without it. UsageError when there are no files.
    """
    asked = settings.steps.setup.migrations
    if asked is None:
        return None
    source = asked if isinstance(asked, Migrations) else Migrations(tool=asked)
    if source.tool is None and not source.command:
        raise UsageError(
            "[steps.setup] migrations has neither a tool nor a command",
            hint='migrations = "flyway", or { command = ["…"], folder = "migrations" }',
        )
    name = source.tool or "migrations"
    tool = None if source.command else TOOLS.get(name)
    usual, pattern, command = COMMANDS.get(name, (("migrations",), "**/*", ()))
    folders = (source.folder,) if source.folder else tool.folders if tool else usual
    for folder in folders:
        if Path(folder).is_absolute() or ".." in Path(folder).parts:
            raise UsageError(f"[steps.setup] migrations: folder {folder!r} leaves the project's folder")
        files = find_tool_files(root, folder, tool) if tool else find_files(root, folder, pattern)
        if files:
            return MigrationPlan(name, folder, files, tool, tuple(source.command) or command)
    raise UsageError(
        f"[steps.setup] migrations: no migration of {name} in {' or '.join(folders)}",
        hint=f'name its folder in devenv.toml: migrations = {{ tool = "{name}", folder = "…" }}',
    )


def find_files(root: Path, folder: str, pattern: str) -> tuple[str, ...]:
    """The files in a folder that match, in natural order, without those of dependencies."""
    found = glob.glob(str(PurePosixPath(folder) / pattern), root_dir=root, recursive=True)
    names = [str(PurePosixPath(name)) for name in found if not SKIPPED & set(Path(name).parts)]
    names = [name for name in names if "__pycache__" not in name and (root / name).is_file()]
    return tuple(sorted(names, key=natural_key))


def find_tool_files(root: Path, folder: str, tool: Tool) -> tuple[str, ...]:
    """The tool's migrations in a folder, in its order."""
    depth = "**/*.sql" if tool.pattern.startswith(("(", "[")) else "*.sql"
    names = [name for name in find_files(root, folder, depth) if re.fullmatch(tool.pattern, inside(name, folder))]
    if tool is TOOLS["flyway"]:
        names.sort(key=flyway_order)
    elif tool is TOOLS["prisma"]:
        names.sort()
    return tuple(names)


def inside(name: str, folder: str) -> str:
    """A file's name relative to the folder of migrations."""
    return str(PurePosixPath(name).relative_to(PurePosixPath(folder)))


def gather(settings: Settings, root: Path) -> tuple[str, ...]:
    """The files of the migrations, then those that run before them, which the step's hash covers. UsageError."""
    plan = find_plan(settings, root)
    return with_named(plan.files if plan else (), root, settings.steps.setup.before, "steps.setup")


def up_half(tool: Tool, file: SourceFile) -> str:
    """The text with everything but its up halves blanked, so that lines keep their numbers."""
    if not tool.up:
        return file.text
    kept, active = [], False
    for line in file.text.split("\n"):
        if re.match(rf"\s*{tool.up}", line, re.IGNORECASE):
            active = True
        elif re.match(rf"\s*{tool.down}", line, re.IGNORECASE):
            active = False
        kept.append(line if active else "")
    return "\n".join(kept)


def refuse_migration(file: SourceFile) -> None:
    """UsageError for a file of a tool's, among the plain SQL files, that also has what takes its work back."""
    lines = Lines(file.text, file.name)
    for name, tool in TOOLS.items():
        found = tool.down and re.search(rf"^\s*{tool.down}", file.text, re.IGNORECASE | re.MULTILINE)
        if found:
            raise refusal(lines.place(found.end()), f"`{found[0].strip()}`", name, tool, file.name)
    plain = PurePosixPath(file.name).name
    for name, pattern in (("golang-migrate", r"\d+_.*\.down\.sql"), ("flyway", r"U\d[\d._]*__.+\.sql")):
        if re.fullmatch(pattern, plain):
            raise refusal(file.name, "a file that undoes a migration", name, TOOLS[name], file.name)


def refusal(place: str, what: str, name: str, tool: Tool, file: str) -> UsageError:
    """The error for a migration among plain SQL files, with the setting for it."""
    folder = str(PurePosixPath(file).parent)
    setting = f'"{name}"' if folder == tool.folders[0] else f'{{ tool = "{name}", folder = "{folder}" }}'
    return UsageError(
        f"{place}: {what} belongs to {name}, and [steps.setup] files would run the whole file",
        hint=f"in devenv.toml, instead of files: [steps.setup] migrations = {setting}",
    )


def is_known(plan: MigrationPlan, name: str, known: set[str]) -> bool:
    """Return True if the tool has recorded a migration already. golang-migrate records the last one only."""
    if plan.tool is None:
        return False
    key = plan.tool.key(inside(name, plan.folder))
    if plan.tool is TOOLS["golang-migrate"]:
        return any(int(key) <= int(last) for last in known)
    return key in known


def record_statements(plan: MigrationPlan, number: int, file: SourceFile) -> Sequence[str]:
    """The statements that tell the tool of one migration; before the first one, those that make its table."""
    if plan.tool is None:
        return ()
    made = plan.tool.table.split(";\n") if number == 1 else []
    return [*made, *plan.tool.record(number, inside(file.name, plan.folder), file.text).split(";\n")]
