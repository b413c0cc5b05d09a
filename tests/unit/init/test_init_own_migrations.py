"""`devenv init` on migrations that a program of the project runs: a folder of SQL files, and its own list of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.init.test_init_kinds import made
from tests.unit.init.test_init_single_table import TABLE

NODE = """
const dir = path.join(__dirname, '..', 'db', 'changes');
await pool.query('CREATE TABLE IF NOT EXISTS applied (name text PRIMARY KEY)');
for (const name of fs.readdirSync(dir).sort()) await pool.query(fs.readFileSync(path.join(dir, name), 'utf8'));
"""
PYTHON = """
for path in sorted(Path("db/changes").glob("*.sql")):
    connection.execute(path.read_text())
"""
PACKAGE = '{"name": "hives", "scripts": {"db:migrate": "node tools/migrate.js", "migrate:undo": "node tools/undo.js"}}'
MAKEFILE = (
    "up:\n\tdocker compose up -d\n\nmigrate: up\n\tpython tools/migrate.py\n\nrollback:\n\tpython tools/back.py\n"
)
SQL = {
    "db/changes/1_hives.sql": "CREATE TABLE hives (id int PRIMARY KEY, place text);",
    "db/changes/2_frames.sql": "CREATE TABLE frames (id int PRIMARY KEY, hive_id int REFERENCES hives (id));",
    "table.json": TABLE,
}


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"package.json": PACKAGE, "tools/migrate.js": NODE}, ["npm", "run", "db:migrate"]),
        ({"Makefile": MAKEFILE, "tools/migrate.py": PYTHON}, ["{python}", "tools/migrate.py"]),
        (
            {"server/package.json": PACKAGE, "server/tools/migrate.js": NODE.replace("'..', 'db'", "'../..', 'db'")},
            ["npm", "--prefix", "server", "run", "db:migrate"],
        ),
    ],
    ids=["package.json", "Makefile", "in a folder"],
)
def test_the_projects_own_program_runs_its_migrations(
    tmp_path: Path, files: dict[str, str], command: list[str]
) -> None:
    settings, body = made(tmp_path, SQL | files)
    setup: Any = settings.steps.setup
    assert (list(setup.migrations.command), setup.migrations.folder, list(setup.files)) == (command, "db/changes", [])
    assert not [each for each in body["unused"] if "changes" in each]


@pytest.mark.parametrize(
    "files",
    [
        # Nothing runs the program under such a name, it reads another folder, or none.
        {"package.json": PACKAGE.replace("db:migrate", "start"), "tools/migrate.js": NODE},
        {"package.json": PACKAGE, "tools/migrate.js": NODE.replace("'changes'", "'queries'")},
        {"package.json": PACKAGE, "tools/migrate.js": "await api.migrateUsers('changes');"},
        {"Makefile": MAKEFILE.replace("migrate: up", "check:"), "tools/migrate.py": PYTHON},
    ],
    ids=["other name", "other folder", "no files", "other target"],
)
def test_without_such_a_program_the_files_are_loaded(tmp_path: Path, files: dict[str, str]) -> None:
    settings, _ = made(tmp_path, SQL | files)
    setup: Any = settings.steps.setup
    assert (setup.migrations, list(setup.files)) == (None, ["db/changes/*.sql"])
