"""The `[steps.*]` sections: migrations and SQL files in order, the table definitions, the seeds. Pure."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from typing import Any

from devenv.init.django_code import management_command
from devenv.init.draft_trace import TraceDrafter
from devenv.init.entities import LABEL
from devenv.init.golang_code import go_run
from devenv.init.listing import COMPILED, SCRIPTS
from devenv.init.names import bare
from devenv.init.python_module import module_of
from devenv.init.second_stores import noted
from devenv.init.shell_items import MADE
from devenv.init.sql_order import against_numbers
from devenv.init.step_commands import StepCommand, joined, script_of
from devenv.init.step_files import sql_patterns


class StepDrafter(TraceDrafter):
    """Writes which data each step loads."""

    def steps(self) -> None:
        """`[steps.*]`: the SQL files in order, the table definitions, the seed script."""
        self.sheet.title(
            "Steps: what `devenv up` loads, always in this order",
            "setup: the database and its rows; schema-load: the tables of DynamoDB; seed: their items.",
        )
        in_seed = self.setup_section()
        self.table_section()
        self.seed_section(in_seed)

    def setup_section(self) -> StepCommand | None:
        """`[steps.setup]`: migrations and SQL files. The command that inserts rows, where it belongs to step seed."""
        for file in self.survey.sql:
            if file.problem:
                self.sheet.note(
                    f"{file.problem}: devenv cannot load {file.name}."
                    " Fix it, then uncomment the `#~` lines of this EDIT."
                )
        migrations = self.survey.migrations
        behind, in_seed = self.row_seeds()
        if migrations and migrations.doubts and not self.survey.sql:
            why = "; ".join(migrations.doubts)
            self.sheet.ask(f"Do the migrations run before the program's first start ({migrations.evidence})? {why}.")
        if self.survey.sql or migrations:
            self.sheet.section("steps", "setup")
            if told := noted(self.survey):
                self.sheet.comment(told)
        early = [file.name for file in self.survey.sql if file.first]
        if early:
            self.sheet.comment("The migrations use what these files make, so they run before the migrations.")
            self.sheet.key("before", sql_patterns(early, self.survey.names))
        if migrations:
            note = (
                f"run by the project's own command ({migrations.evidence})"
                if migrations.program
                else migrations.evidence
            )
            if behind and self.survey.row_seed:
                self.sheet.comment(
                    f"{self.survey.row_seed.evidence} inserts rows: it runs after the migrations, each time."
                )
            self.sheet.key("migrations", behind or migrations.setting, note)
        chosen = [file.name for file in self.survey.sql if not file.first]
        if chosen:
            aside = [glob.escape(file.name) for file in self.survey.sql if file.problem]
            for sentence in against_numbers([file for file in self.survey.sql if not file.first]):
                self.sheet.comment(sentence)
            files = [*map(glob.escape, chosen)] if aside else sql_patterns(chosen, self.survey.names)
            self.sheet.key("files", files, aside=aside)
        self.sheet.agreed()
        return in_seed

    def table_section(self) -> None:
        """`[steps.schema-load]`, and the requests that it needs as files."""
        whole = [table for table in self.survey.tables if table.whole]
        names = list(dict.fromkeys(glob.escape(table.file) for table in whole))
        for table in (table for table in self.survey.tables if not table.whole):
            name = f"seeds/dynamodb/tables/{LABEL.sub('-', table.table)}.json"
            self.files[name] = table.request
            names.append(name)
            if table.derived:
                self.sheet.note(
                    f"No file defines table {table.table}: its key in {name} is the one that {table.derived} uses."
                    " Correct it if it has another one, or more indexes."
                )
                continue
            self.sheet.above(
                f"Table {table.table} is defined in {table.file}:{table.line}; this is its request in JSON."
                + (f" Its name is filled in from {table.named_by}." if table.named_by else "")
            )
        for table in (table for table in self.survey.tables if table.computed and not table.defaults):
            self.sheet.note(
                f"Is {table.table} the table's name? {table.file} computes it ({table.computed}). If not,"
                f" change it in the table's JSON file and everywhere in this file."
            )
        if names:
            self.sheet.section("steps", "schema-load")
            self.sheet.key("files", names)
        else:
            self.creator()

    def row_seeds(self) -> tuple[Mapping[str, Any] | None, StepCommand | None]:
        """(the setting of migrations with the command that inserts rows, that command as a part of step seed).

        Step seed must leave items where there are tables: rows alone belong to setup.
        """
        rows, migrations = self.survey.row_seed, self.survey.migrations
        if rows is None:
            return None, None
        has_tables = bool(self.survey.tables or self.survey.creators)
        if self.seed or not (has_tables or self.survey.seeds.files) or self.lacking(rows):
            return None, rows
        setting = migrations.followed_by(rows) if migrations else None
        if setting is None:
            self.undeclared.append(
                f"[steps]: {rows.evidence} inserts rows, but no step runs it yet: `{rows.shell}`. Add it to the command"
                " of [steps.seed], or run it after `devenv up`"
            )
        return setting, None

    def lacking(self, rows: StepCommand) -> list[str]:
        """The models whose items a seed writes, and whose tables nothing makes."""
        made = {bare(table.table) for table in self.survey.tables}
        return [name for name in rows.items if not any(each.endswith(bare(name.rpartition("::")[2])) for each in made)]

    def seed_section(self, rows: StepCommand | None) -> None:
        """`[steps.seed]`: the project's own script, else the files with items. `rows`: what inserts rows first."""
        lacking = self.lacking(rows) if rows else []
        if rows and self.seed and lacking:
            rows = None
        if rows and lacking:
            self.sheet.ask(
                f"Does {rows.evidence} run here? It writes items of {', '.join(lacking)}, and no step makes"
                f" {'their tables' if len(lacking) > 1 else 'its table'}{rows.habits}."
            )
            self.sheet.section("steps", "seed")
            self.sheet.key("command", rows.command)
            self.sheet.key("files", [*map(glob.escape, rows.files)])
            self.sheet.agreed()
        elif rows and not self.seed:
            self.sheet.above(f"{rows.evidence}: it inserts rows; `devenv up` runs it once, and again if it changes.")
            self.sheet.section("steps", "seed")
            self.sheet.key("command", rows.command)
            self.sheet.key("files", [*map(glob.escape, rows.files)])
        elif self.seed:
            self.seed_command(self.seed.file, rows)
            if scripts := self.survey.seeds.scripts:
                self.sheet.comment(f"Not loaded: the items that {', '.join(scripts)} writes.")
        elif self.survey.seeds.files:
            if self.survey.seeds.document:
                self.files[MADE] = self.survey.seeds.document
                self.sheet.above(f"{MADE} has the items of {', '.join(self.survey.seeds.scripts)}.")
            self.sheet.section("steps", "seed")
            self.sheet.key("files", [glob.escape(name) for name in self.survey.seeds.files])

    def creator(self) -> None:
        """`[steps.schema-load]` with a script that makes tables whose definition is not read."""
        named = {word for each in self.survey.manifests for script in each.scripts.values() for word in script.split()}
        files = sorted(self.survey.creators, key=lambda file: (not any(file.endswith(w) for w in named), file))
        packages = {name for each in self.survey.manifests for name in each.packages}
        # Node alone does not run TypeScript.
        files = [file for file in files if not file.endswith("ts") or "tsx" in packages]
        if not files:
            return
        program = ["npx", "--no-install", "tsx"] if files[0].endswith("ts") and "tsx" in packages else ["node"]
        program = program if files[0].endswith(SCRIPTS) else ["{python}"]
        self.sheet.ask(
            f"Does {files[0]} create the tables? The script computes the definition, so devenv would run the script.",
            likely=True,
        )
        self.sheet.section("steps", "schema-load")
        self.sheet.key("command", [*program, files[0]])
        self.sheet.key("files", [glob.escape(files[0])])
        self.sheet.agreed()

    def seed_command(self, file: str, rows: StepCommand | None) -> None:
        """`[steps.seed]` with the project's own script."""
        again = (
            " `devenv setup` gives every row a new id: then run `devenv seed`, which empties the tables first. Items in"
            " JSON files are updated by `devenv up`."
            if self.gives_new_ids()
            else ""
        )
        reads = self.survey.seed_data
        changes = f"it or {' or '.join(reads)}" if reads else "it"
        self.sheet.above(f"{file} runs once, and again if {changes} changes.{again}")
        self.sheet.section("steps", "seed")
        own = script_of(file, self.survey.manifests)
        if own is not None or rows is not None or self.seed_folder(file):
            alone = own or StepCommand(tuple(self.seed_program(file)), self.seed_folder(file), (file,), file)
            self.sheet.key("command", joined([rows, alone] if rows else [alone]))
            self.sheet.key("files", [*map(glob.escape, (*(rows.files if rows else ()), file, *reads))])
            return
        if file.endswith(COMPILED):
            # The program is a folder's.
            self.sheet.key("command", go_run(file, ())[1])
            self.sheet.key("files", [glob.escape(file)])
            return
        self.sheet.key("command", self.seed_program(file))
        self.sheet.key("files", [*map(glob.escape, (file, *reads))])

    def seed_program(self, file: str) -> list[str]:
        """The command that runs a script of no package.json."""
        if file.endswith(".rb"):
            return ["bundle", "exec", "ruby", file]
        program = [] if not file.endswith(SCRIPTS) else ["node"]
        runner = next(
            (n for n in ("tsx", "ts-node") if any(n in each.packages for each in self.survey.manifests)), None
        )
        if file.endswith(("ts", "mts")) and runner:
            program = ["npx", "--no-install", runner]
        return [*(program or ["{python}"]), *self.seed_words(file)]

    def gives_new_ids(self) -> bool:
        """Return True unless the SQL seeds spell out the id of every row that they insert."""
        filled = {name for file in self.survey.sql for name in file.fills}
        columns = self.values.columns
        for table in (table for table in self.columns if table.name in filled):
            ids = [column.name for column in table.columns if column.primary]
            if not ids or not all((table.name, name) in columns for name in ids):
                return True
        return not filled

    def seed_words(self, file: str) -> list[str]:
        """The script, as a module where it imports a package of the project's folder."""
        if command := management_command(file, self.survey.names):
            return command
        found = self.seed_module(file)
        return ["-m", found[1]] if found else [file]

    def seed_folder(self, file: str) -> str:
        """The folder that a script must run in; "" for the project's."""
        found = self.seed_module(file)
        return found[0] if found else ""

    def seed_module(self, file: str) -> tuple[str, str] | None:
        """(folder, module) of a script that only runs as a module."""
        seed = self.seed
        if seed is None or not file.endswith(".py") or management_command(file, self.survey.names):
            return None
        return module_of(file, seed.packages, self.survey.names, relative=seed.relative)
