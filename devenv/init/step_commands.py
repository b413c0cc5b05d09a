"""The project's own commands for migrations and seeds: of package.json, Knex, Prisma, Sequelize, Rails. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final

from devenv.core.late import late
from devenv.init.listing import SCRIPTS
from devenv.init.manifests import PackageFile
from devenv.init.script_configs import sequelize_files, told_files
from devenv.init.step_doubts import habits_of_seed, items_of_seed

PROGRAM: Final = late(r"[\w@./-]+\.[cm]?[jt]s")
LOADS: Final = late(r"(^|[:_-])(seed|import|load|populate|fixtures?|demo|bootstrap)(s|ing)?($|[:_-])")
MIGRATES: Final = late(r"^(db[:_-])?migrat(e|ions?)([:_-](up|latest|run|deploy|dev))?$")
# What in a script runs migrations, whatever the script is called.
RUNS: Final = late(r"\bmigration:run\b|\bnode-pg-migrate\b.*\bup\b|\bmikro-orm\b.*\bmigration:up\b|\bdb:migrate\b")
BACK: Final = late(r"revert|rollback|\bdown\b|generate|create|undo")
KNEX_SEED: Final = late(r"(?:(.*)/)?seeds/[^/]+\.[cm]?[jt]s")
SEEDS: Final = late(r"\b(?:exports\.seed|export\s+(?:const|(?:async\s+)?function)\s+seed)\b|\bseed\s*[:=(]")
SEEDER: Final = late(r"(?:(.*)/)?seeders/[^/]+\.[cm]?js")
INSERTS: Final = late(
    r"\bINSERT\s+INTO\b|\.insert\(|\.create(?:Many)?\(|\.upsert\(|\.save\(|\.bulkCreate\(", re.IGNORECASE
)
ENV_FILES: Final = late(r"(?:^|/)(?:\.env[\w.-]*|(?:docker-)?compose[\w.-]*\.ya?ml)$")
LARAVEL: Final = late(r"\bDB_CONNECTION[\"']?\s*[:=]\s*[\"']?pgsql")
LARAVEL_HOST: Final = late(r"\bDB_HOST\b")
SYMFONY: Final = late(r"^[^#\n]*\bDATABASE_URL[\"']?\s*[:=]\s*[\"']?(?:postgres|pgsql)", re.MULTILINE)
NPX: Final = ("npx", "--no-install")


@dataclass(frozen=True)
class StepCommand:
    """A program of the project: its words, the folder that it runs in ("": the project's), the files that it reads.

    `items` are models of DynamoDB whose items it writes, `habits` what else it does that a step should not, in words.
    """

    words: tuple[str, ...]
    folder: str
    files: tuple[str, ...]
    evidence: str
    items: tuple[str, ...] = ()
    habits: str = ""

    @property
    def shell(self) -> str:
        """The command as a shell's text, in its folder."""
        words = " ".join(word if re.fullmatch(r"[\w./:@=-]+", word) else f"'{word}'" for word in self.words)
        return f"(cd {self.folder} && {words})" if self.folder else words

    @property
    def command(self) -> list[str]:
        """The command that runs from the project's folder."""
        if not self.folder:
            return [*self.words]
        if self.words[:2] == ("npm", "run"):
            return ["npm", "--prefix", self.folder, *self.words[1:]]
        return joined([self])


def joined(commands: Sequence[StepCommand]) -> list[str]:
    """One command that runs several, each in its folder, up to the first that fails."""
    if len(commands) == 1 and (not commands[0].folder or commands[0].words[:2] == ("npm", "run")):
        return commands[0].command
    texts = [each.shell for each in commands]
    return ["sh", "-c", " && ".join(texts) if len(texts) > 1 else texts[0][1:-1]]


def packages_of(manifests: Iterable[PackageFile]) -> list[PackageFile]:
    """The package.json files, the deepest first."""
    found = [each for each in manifests if each.file.endswith("package.json")]
    return sorted(found, key=lambda each: -each.file.count("/"))


def script_of(file: str, manifests: Iterable[PackageFile]) -> StepCommand | None:
    """The script of a package.json that runs a file: `npm run seed`."""
    for manifest in packages_of(manifests):
        for name, script in manifest.scripts.items():
            named = [posixpath.normpath(posixpath.join(manifest.folder, word)) for word in PROGRAM.findall(script)]
            if file in named:
                return StepCommand(("npm", "run", name), manifest.folder, (file,), f'{manifest.file}, script "{name}"')
    return None


def loading_files(manifests: Iterable[PackageFile]) -> set[str]:
    """The programs of scripts whose names tell that they load data: `import`, `db:seed`."""
    found: set[str] = set()
    for manifest in packages_of(manifests):
        for name, script in manifest.scripts.items():
            if LOADS.search(name):
                found |= {posixpath.normpath(posixpath.join(manifest.folder, w)) for w in PROGRAM.findall(script)}
    return found


def row_seed(
    names: Sequence[str], texts: Mapping[str, str], manifests: Sequence[PackageFile], other: str | None
) -> StepCommand | None:
    """The command that inserts the rows of Postgres; `other` is the program that loads the items."""
    for finder in (prisma_seed, knex_seed, sequelize_seed, rails_seed):
        found = finder(names, texts, manifests)
        if found and other not in found.files:
            return found
    for file in sorted(loading_files(manifests) & set(texts), key=lambda each: (each.count("/"), each)):
        if file != other and "seed" in file.lower() and INSERTS.search(texts[file]):
            return script_of(file, manifests)
    return None


def prisma_seed(names: Sequence[str], texts: Mapping[str, str], manifests: Sequence[PackageFile]) -> StepCommand | None:
    """`prisma db seed`, where package.json (or prisma.config.ts) names its program."""
    for manifest in packages_of(manifests):
        place = f"{manifest.folder}/" if manifest.folder else ""
        config = next(
            (texts[f"{place}prisma.config{end}"] for end in SCRIPTS if f"{place}prisma.config{end}" in texts), ""
        )
        told = re.search(r"\bseed\s*:\s*['\"]([^'\"]+)['\"]", config)
        command = manifest.seed or (told[1] if told else "")
        if command:
            files = tuple(n for word in PROGRAM.findall(command) if (n := posixpath.normpath(place + word)) in names)
            return StepCommand((*NPX, "prisma", "db", "seed"), manifest.folder, files, f"{manifest.file}, prisma.seed")
    return None


def knex_seed(names: Sequence[str], texts: Mapping[str, str], manifests: Sequence[PackageFile]) -> StepCommand | None:
    """`knex seed:run`, where a knexfile and files in a folder `seeds` are."""
    knexfile = next((n for n in names if re.fullmatch(r"knexfile\.[cm]?[jt]s", PurePosixPath(n).name)), None)
    own = told_files(knexfile, texts.get(knexfile, ""), names, "seeds", "directory") if knexfile else []
    files = own or [n for n in names if KNEX_SEED.fullmatch(n)]
    files = [n for n in files if SEEDS.search(texts.get(n, ""))]
    if knexfile is None or not files:
        return None
    folder = knexfile.rpartition("/")[0]
    return StepCommand((*NPX, "knex", "seed:run"), folder, tuple(sorted(files)), files[0])


def sequelize_seed(
    names: Sequence[str], texts: Mapping[str, str], manifests: Sequence[PackageFile]
) -> StepCommand | None:
    """`sequelize-cli db:seed:all`, where a folder `seeders` is."""
    told = sequelize_files(names, texts, "seeders-path")
    files = [n for n in told or names if (told or SEEDER.fullmatch(n)) and "bulkInsert" in texts.get(n, "")]
    owner = next((each for each in packages_of(manifests) if {"sequelize", "sequelize-cli"} & each.packages), None)
    if not files or owner is None:
        return None
    return StepCommand((*NPX, "sequelize-cli", "db:seed:all"), owner.folder, tuple(sorted(files)), files[0])


def rails_folder(names: Sequence[str]) -> str | None:
    """The folder of a Rails application; None without one."""
    found = [n for n in names if n == "config/application.rb" or n.endswith("/config/application.rb")]
    return found[0].removesuffix("config/application.rb").rstrip("/") if found else None


def rails(names: Sequence[str], folder: str) -> tuple[str, ...]:
    """The words that run Rails."""
    there = f"{folder}/bin/rails" if folder else "bin/rails"
    return ("bin/rails",) if there in names else ("bundle", "exec", "rails")


def rails_seed(names: Sequence[str], texts: Mapping[str, str], manifests: Sequence[PackageFile]) -> StepCommand | None:
    """`bin/rails db:seed`, where db/seeds.rb has statements."""
    folder = rails_folder(names)
    file = f"{folder}/db/seeds.rb" if folder else "db/seeds.rb"
    if folder is None or not re.search(r"^\s*[^#\s]", texts.get(file, ""), re.MULTILINE):
        return None
    words, parts = (*rails(names, folder), "db:seed"), [file, *(n for n in texts if n.startswith(f"{file[:-3]}/"))]
    return StepCommand(words, folder, (file,), file, items_of_seed(parts, texts), habits_of_seed(parts, texts))


# --- migrations


def migration_command(
    folder: str, names: Sequence[str], texts: Mapping[str, str], manifests: Sequence[PackageFile]
) -> StepCommand | None:
    """The command that runs the migrations in a folder, of a tool that devenv does not know by itself."""
    if folder.endswith("db/migrate") and (place := rails_folder(names)) is not None:
        base = rails(names, place)
        structure = posixpath.join(place, "db/structure.sql")
        # `db:migrate` would write db/structure.sql anew, by the machine's pg_dump.
        words = (*base, "runner", "ActiveRecord::Tasks::DatabaseTasks.migrate")
        words = words if structure in names else (*base, "db:migrate")
        return StepCommand(words, place, (), "config/application.rb")
    if folder.endswith("migrations") and (command := php_command(folder, names, texts)) is not None:
        return command
    known = packages_of(manifests)
    scripts = [(each, name, text) for each in reversed(known) for name, text in each.scripts.items()]
    scripts = [each for each in scripts if not BACK.search(f"{each[1]} {each[2]}")]
    running = [each for each in scripts if RUNS.search(each[2])] or [
        each for each in scripts if MIGRATES.search(each[1])
    ]
    for manifest, name, _ in running[:1]:
        return StepCommand(("npm", "run", name), manifest.folder, (), f'{manifest.file}, script "{name}"')
    for manifest in known:
        for name, script in manifest.scripts.items():
            if name == "typeorm" or re.match(r"typeorm[\w-]*(\s+-d\s+\S+)?$", script):
                words = ("npm", "run", name, "--", "migration:run")
                return StepCommand(words, manifest.folder, (), f'{manifest.file}, script "{name}"')
        if {"sequelize-cli"} & manifest.packages:
            return StepCommand((*NPX, "sequelize-cli", "db:migrate"), manifest.folder, (), manifest.file)
    return None


def php_command(folder: str, names: Sequence[str], texts: Mapping[str, str]) -> StepCommand | None:
    """Laravel's or Doctrine's command, where the variables of the database come from the environment: Postgres's."""
    place = re.sub(r"(?:^|/)(?:database/)?migrations$", "", folder)
    settings = [text for name, text in texts.items() if ENV_FILES.search(name)]
    laravel = folder.endswith("database/migrations")
    program = "artisan" if laravel else "bin/console"
    words = ("migrate", "--force") if laravel else ("doctrine:migrations:migrate", "--no-interaction")
    needed = [LARAVEL, LARAVEL_HOST] if laravel else [SYMFONY]
    if posixpath.join(place, program) not in names or not any(all(p.search(t) for p in needed) for t in settings):
        return None
    return StepCommand(("php", program, *words), place, (), posixpath.join(place, program))


def chained(first: StepCommand, second: StepCommand) -> list[str]:
    """One command for two, with one `cd` where both run in the same folder."""
    if first.folder == second.folder and first.folder:
        alone = [replace(each, folder="").shell for each in (first, second)]
        return ["sh", "-c", f"cd {first.folder} && {' && '.join(alone)}"]
    return joined([first, second])
