"""The migrations of a project: their tool, their folder, and the setting for them. Pure."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Final

from devenv.init.entity_framework import framework_command, migration_files, unrun
from devenv.init.liquibase import changelogs, maven_command, next_step, of_liquibase
from devenv.init.manifests import PackageFile
from devenv.init.own_migrations import own_migrations
from devenv.init.script_configs import script_migrations, told_files
from devenv.init.step_commands import StepCommand, chained, migration_command
from devenv.init.step_doubts import doubts_of_migrations
from devenv.steps.setup.migrations import TOOLS

MARKED: Final = ("goose", "dbmate", "sql-migrate")
NAMED: Final = (
    ("prisma", re.compile(r"(?:(.*)/)?[^/]+/migration\.sql")),
    ("golang-migrate", re.compile(r"(?:(.*)/)?\d+_[^/]*\.(?:up|down)\.sql")),
    ("flyway", re.compile(r"(?:(.*)/)?(?:[VU]\d[\d._]*|R)__[^/]+\.sql")),
)
# Of several folders, this one is no set of demo data.
MIGRATIONS: Final = re.compile(r"(?:^|[/_-])migrations?(?:/|$)")
SCRIPT_LOCATION: Final = re.compile(r"^\s*script_location\s*=\s*(\S+)", re.MULTILINE)
DJANGO: Final = re.compile(r"(.*/)?migrations/\d{4}_\w+\.py")
FIXTURE: Final = re.compile(r"(?!(?:.*/)?tests?/)(?:.*/)?fixtures/[\w-]+\.json")
KNEX: Final = re.compile(r"(?:(.*)/)?migrations/[^/]+\.[cm]?[jt]s")
KNEX_UP: Final = re.compile(r"\bexports\.up\b|\bexport\s+(?:const|(?:async\s+)?function)\s+up\b|\bup\s*[:=(].*knex")
DRIZZLE: Final = re.compile(r"drizzle[\w.-]*\.config[\w.-]*\.[cm]?[jt]s|drizzle\.config\.[\w.-]*[cm]?[jt]s")
DRIZZLE_DOTS: Final = 2
PRISMA_POSTGRES: Final = re.compile(r"\bprovider\s*=\s*\"(?:postgresql|postgres|cockroachdb)\"")
# What the journal calls Postgres; the second one in files of older versions.
DIALECTS: Final = ("postgresql", "pg")
JOURNAL: Final = "/meta/_journal.json"
KNEXFILE: Final = re.compile(r"knexfile\.[cm]?[jt]s")
# Tools that devenv knows no command of: they are named, and left to the project.
OTHERS: Final = (
    ("Rails", re.compile(r"(?:.*/)?db/migrate/\d+_\w+\.rb")),
    ("TypeORM, Sequelize or another tool", re.compile(r"(?:.*/)?migrations/\d+[-_][^/]+\.[cm]?[jt]s")),
    ("Laravel", re.compile(r"(?:.*/)?database/migrations/\d{4}_\d\d_\d\d_\w+\.php")),
    ("Doctrine", re.compile(r"(?:.*/)?migrations/(?:\d+/)?Version\d{14}\.php")),
    ("Ecto", re.compile(r"(?:.*/)?priv/repo/migrations/\d+_\w+\.exs")),
)


@dataclass(frozen=True)
class FoundMigrations:
    """The migrations that `[steps.setup]` can run. `setting` is the value of its key, `files` are theirs.

    `command` is the program that runs them, where the setting does not only name the tool; `doubts`: why it may fail.
    """

    tool: str
    setting: str | Mapping[str, Any]
    files: tuple[str, ...]
    evidence: str
    program: bool = False
    command: StepCommand | None = None
    fixtures: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    def followed_by(self, seed: StepCommand) -> Mapping[str, Any] | None:
        """The setting that runs the seed behind the migrations; None where devenv itself runs them."""
        folder = self.setting["folder"] if isinstance(self.setting, Mapping) else None
        folder = folder or str(PurePosixPath(self.files[0]).parents[self.tool == "prisma"])
        base = self.command
        if base is None and self.tool == "prisma":
            base = StepCommand(("npx", "--no-install", "prisma", "migrate", "deploy"), seed.folder, (), "")
        return {"command": chained(base, seed), "folder": folder} if base else None


def find_migrations(
    names: Iterable[str],
    texts: Mapping[str, str],
    manifests: Sequence[PackageFile] = (),
    documents: Mapping[str, str] | None = None,
) -> FoundMigrations | None:
    """The one set of migrations that a folder has: of programs before plain SQL, the uppermost one."""
    names = sorted(names, key=lambda name: (name.count("/"), name))
    for finder in (find_alembic, find_django, find_knex, find_drizzle, find_plain):
        if found := finder(names, texts):
            return found
    found = find_other(names, texts, manifests) or find_framework(names, texts)
    found = found or find_maven(names, texts)
    found = found or find_own(names, texts, manifests, documents or {})
    return found or find_prisma_schema(names, texts)


def find_maven(names: list[str], texts: Mapping[str, str]) -> FoundMigrations | None:
    """Liquibase's, where Maven has its plugin."""
    logs = changelogs(texts)
    command = maven_command(names, texts) if logs else None
    if command is None:
        return None
    setting = {"command": command.command, "folder": str(PurePosixPath(logs[0]).parent)}
    files = tuple(dict.fromkeys([*logs, *of_liquibase(texts)]))
    return FoundMigrations("Liquibase", setting, files, command.evidence, True, command)


def find_framework(names: list[str], texts: Mapping[str, str]) -> FoundMigrations | None:
    """Entity Framework's, where the project has the command that runs them."""
    command = framework_command(names, texts)
    if command is None:
        return None
    files = migration_files(texts)
    setting = {"command": command.command, "folder": str(PurePosixPath(files[0]).parent)}
    return FoundMigrations("Entity Framework", setting, tuple(files), command.evidence, True, command)


def find_own(
    names: list[str], texts: Mapping[str, str], manifests: Sequence[PackageFile], documents: Mapping[str, str]
) -> FoundMigrations | None:
    """Those that a program of the project runs: it keeps a list of its own of what it ran."""
    found = own_migrations(names, texts, manifests, documents.get("Makefile", ""))
    if found is None:
        return None
    program, folder, command = found
    files = tuple(n for n in names if n.endswith(".sql") and str(PurePosixPath(n).parent) == folder)
    setting = {"command": command.command, "folder": folder}
    return FoundMigrations(program, setting, files, command.evidence, True, command)


def find_prisma_schema(names: list[str], texts: Mapping[str, str]) -> FoundMigrations | None:
    """A schema of Prisma for Postgres that has no migrations: `db push` makes its tables."""
    for name in names:
        if name.endswith("schema.prisma") and PRISMA_POSTGRES.search(texts.get(name, "")):
            folder, place = posixpath.dirname(name), posixpath.dirname(posixpath.dirname(name))
            usual = posixpath.basename(folder) == "prisma"
            there = place if usual else folder
            named = () if usual else (f"--schema={posixpath.basename(name)}",)
            words = ("npx", "--no-install", "prisma", "db", "push", *named)
            command = StepCommand(words, there, (), name)
            setting = {"command": command.command, "folder": folder or "."}
            return FoundMigrations("Prisma (db push)", setting, (name,), name, True, command)
    return None


def journals(texts: Mapping[str, str]) -> dict[str, tuple[str, list[str]]]:
    """Folder of Drizzle's migrations -> (dialect, its files in the order of the journal)."""
    found: dict[str, tuple[str, list[str]]] = {}
    for name, text in texts.items():
        folder = name.removesuffix(JOURNAL)
        if folder == name:
            continue
        try:
            journal = json.loads(text)
            tags = [str(each["tag"]) for each in sorted(journal["entries"], key=lambda each: int(each["idx"]))]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        files = [file for tag in tags if (file := f"{folder}/{tag}.sql") in texts]
        found[folder] = str(journal.get("dialect") or "postgresql"), files
    return found


def find_drizzle(names: list[str], texts: Mapping[str, str]) -> FoundMigrations | None:
    """Drizzle's, in the folder that its configuration names: in the order of its journal."""
    known = journals(texts)
    for config in (name for name in names if DRIZZLE.fullmatch(PurePosixPath(name).name)):
        told = re.search(r"\bout\s*:\s*['\"]([^'\"]+)['\"]", texts.get(config, ""))
        place = str(PurePosixPath(config).parent)
        folder = posixpath.normpath(posixpath.join(place, told[1] if told else "drizzle"))
        there = sorted(n for n in names if n.endswith(".sql") and str(PurePosixPath(n).parent) == folder)
        dialect, files = known.get(folder, ("postgresql", there))
        if files and f"{folder}{JOURNAL}" in names and dialect in DIALECTS:
            base = PurePosixPath(config).name
            named = (
                () if base.startswith("drizzle.config.") and base.count(".") == DRIZZLE_DOTS else (f"--config={base}",)
            )
            words = ("npx", "--no-install", "drizzle-kit", "migrate", *named)
            command = StepCommand(words, "" if place == "." else place, (), config)
            setting = {"command": command.command, "folder": folder}
            return FoundMigrations("drizzle", setting, tuple(files), config, True, command)
    return None


def find_other(names: list[str], texts: Mapping[str, str], manifests: Sequence[PackageFile]) -> FoundMigrations | None:
    """Those of another tool, where the project has a command that runs them."""
    sets = [(tool, [name for name in names if pattern.fullmatch(name)]) for tool, pattern in OTHERS]
    for tool, files in (*script_migrations(names, texts), *sets, ("Liquibase", changelogs(texts))):
        folder = str(PurePosixPath(files[0]).parent) if files else ""
        command = migration_command(folder, names, texts, manifests) if files else None
        if command is not None:
            files = [name for name in files if name.startswith(f"{folder}/")]
            files += of_liquibase(texts) if tool == "Liquibase" else ()
            name = "TypeORM" if "typeorm" in texts.get(files[0], "").lower() else tool
            setting = {"command": command.command, "folder": folder}
            found = FoundMigrations(name, setting, tuple(dict.fromkeys(files)), command.evidence, True, command)
            own = [each.scripts for each in manifests if each.folder == command.folder]
            script = next((scripts[name] for scripts in own for name in command.words[2:3] if name in scripts), "")
            return replace(found, doubts=tuple(doubts_of_migrations(found.files, script, texts)))
    return None


def find_alembic(names: list[str], texts: Mapping[str, str]) -> FoundMigrations | None:
    """Alembic's `versions/*.py`, by hand or through Flask-Migrate."""
    files = [n for n in names if re.search(r"(^|/)versions/[^/]+\.py$", n) and "revision" in texts.get(n, "")]
    if not files:
        return None
    folder = str(PurePosixPath(files[0]).parent.parent)
    files = [name for name in files if name.startswith(f"{folder}/")]
    environment = texts.get(f"{folder}/env.py", "")
    if "current_app" in environment or f"{folder}/alembic.ini" in names:
        where = str(PurePosixPath(folder).parent)
        setting: str | dict[str, Any] = "flask-migrate"
        if folder != "migrations":
            # `flask db` finds the application from the folder that it runs in.
            own = (f"{where}/{name}.py" for name in ("app", "wsgi", "main", "run"))
            app = next((each for each in own if each in names), f"{where}/app.py")
            command = ["{python}", "-m", "flask", "--app", app, "db", "upgrade", "-d", folder]
            setting = {"command": command, "folder": folder}
        return FoundMigrations("flask-migrate", setting, tuple(files), f"{folder}/env.py", program=True)
    ini, place = alembic_ini(folder, names, texts)
    words = ("{python}", "-m", "alembic", "upgrade", "head")
    if ini is None or ini == "alembic.ini":
        setting = "alembic" if folder in ("alembic", "migrations") else {"tool": "alembic", "folder": folder}
        return FoundMigrations("alembic", setting, tuple(files), ini or files[0], True, StepCommand(words, "", (), ""))
    # Its paths, and the modules that env.py imports, start at the folder that it runs in.
    named = () if ini == f"{place}/alembic.ini" else ("-c", posixpath.relpath(ini, place or "."))
    program = StepCommand((*words[:3], *named, *words[3:]), place, (), ini)
    mine = {"command": program.command, "folder": folder}
    return FoundMigrations("alembic", mine, tuple(files), ini, True, program)


def alembic_ini(folder: str, names: Iterable[str], texts: Mapping[str, str]) -> tuple[str | None, str]:
    """(the alembic.ini whose script_location is a folder, the folder to run Alembic in); (None, "") without one."""
    inis = [name for name in names if PurePosixPath(name).name == "alembic.ini"]
    for ini in inis:
        place = posixpath.dirname(ini)
        found = SCRIPT_LOCATION.search(texts.get(ini, ""))
        location = found[1].replace("%(here)s/", "").strip() if found else ""
        for start in (place, ""):
            if location and posixpath.normpath(posixpath.join(start, location)) == folder:
                return ini, start
    return (inis[0], posixpath.dirname(inis[0])) if inis else (None, "")


def find_django(names: list[str], texts: Mapping[str, str]) -> FoundMigrations | None:
    """Django's, where there is a manage.py."""
    files = [name for name in names if DJANGO.fullmatch(name)]
    manage = next((name for name in names if PurePosixPath(name).name == "manage.py"), None)
    if not files or manage is None:
        return None
    fixtures = [n for n in names if FIXTURE.fullmatch(n) and re.search(r'"model"\s*:', texts.get(n, ""))]
    folder = str(PurePosixPath(manage).parent)
    command = ["{python}", manage, "migrate", "--noinput"]
    setting: str | dict[str, Any] = "django" if manage == "manage.py" else {"command": command, "folder": folder}
    if fixtures:
        # Rows that the project keeps as fixtures; loading them again changes nothing.
        load = f'"{{python}}" {manage} loaddata {" ".join(PurePosixPath(name).stem for name in fixtures)}'
        line = f'"{{python}}" {manage} migrate --noinput && {load}'
        setting = {"command": ["sh", "-c", line], "folder": str(PurePosixPath(files[0]).parent)}
    return FoundMigrations("django", setting, tuple(files), manage, program=True, fixtures=tuple(fixtures))


def find_knex(names: list[str], texts: Mapping[str, str]) -> FoundMigrations | None:
    """Knex's, where there is a knexfile."""
    knexfile = next((name for name in names if KNEXFILE.fullmatch(PurePosixPath(name).name)), None)
    own = told_files(knexfile, texts.get(knexfile, ""), names, "migrations", "directory") if knexfile else []
    files = own or [name for name in names if KNEX.fullmatch(name)]
    files = [name for name in files if KNEX_UP.search(texts.get(name, ""))]
    if knexfile is None or not files:
        return None
    folder = str(PurePosixPath(files[0]).parent)
    if knexfile.count("/"):
        command = ["npx", "--no-install", "knex", "migrate:latest", "--knexfile", knexfile]
        setting: str | dict[str, Any] = {"command": command, "folder": folder}
    else:
        usual = ("migrations", "db/migrations", "src/migrations")
        setting = "knex" if folder == usual[0] else {"tool": "knex", "folder": folder}
    mine = tuple(n for n in files if n.startswith(f"{folder}/"))
    words = ("npx", "--no-install", "knex", "migrate:latest")
    return FoundMigrations(
        "knex", setting, mine, knexfile, True, StepCommand(words, knexfile.rpartition("/")[0], (), "")
    )


def find_plain(names: list[str], texts: Mapping[str, str]) -> FoundMigrations | None:
    """Migrations in plain SQL: by the marks in them, or by their names."""
    for tool in MARKED:
        up = re.compile(rf"^\s*{TOOLS[tool].up}", re.IGNORECASE | re.MULTILINE)
        files = [name for name in names if name.endswith(".sql") and up.search(texts.get(name, ""))]
        if files:
            return plain(tool, str(PurePosixPath(files[0]).parent), files)
    for tool, pattern in NAMED:
        found = [(match[1] or ".", name) for name in names if (match := pattern.fullmatch(name)) and name in texts]
        if found:
            folder = min((folder for folder, _ in found), key=lambda each: not MIGRATIONS.search(each))
            return plain(tool, folder, [name for _, name in found])
    return None


def plain(tool: str, folder: str, files: Iterable[str]) -> FoundMigrations:
    """A tool's migrations in one folder."""
    prefix = "" if folder == "." else f"{folder}/"
    mine = tuple(name for name in files if name.startswith(prefix))
    setting = tool if folder == TOOLS[tool].folders[0] else {"tool": tool, "folder": folder}
    return FoundMigrations(tool, setting, mine, mine[0])


def other_migrations(names: Iterable[str], texts: Mapping[str, str], known: FoundMigrations | None) -> list[str]:
    """Sentences about migrations of tools that devenv does not run by itself."""
    names = [name for name in names if known is None or name not in known.files]
    said = []
    sets = [(tool, [name for name in names if pattern.fullmatch(name)]) for tool, pattern in OTHERS]
    for tool, all_ in (*script_migrations(names, texts), *sets):
        found = [name for name in all_ if name in names]
        if found:
            folder = PurePosixPath(found[0]).parent
            said.append(
                f"{folder}: has migrations of {tool}, but devenv does not know their command. Declare it:"
                f' [steps.setup] migrations = {{ command = ["…"], folder = "{folder}" }}'
            )
            names = [name for name in names if name not in found]
    if known is None or known.tool != "Entity Framework":
        said += unrun([*names], texts)
    return [*said, *(next_step(texts) if known is None or known.tool != "Liquibase" else ())]
