"""The crash matrix: every command that changes something, killed (`kill -9`) at the transitions of its work and in the
midst of what a store does for it; then `up`. What is there then is what an undisturbed run makes, or what was before.

Other kills are tried where they belong: the steps alone in tests/integration/test_steps_killed.py, a repair plan
between its writes in test_verify_repair.py, `up` at random moments and with killed stores in
tests/e2e/test_bad_luck.py, snapshots after each of their own functions in tests/e2e/test_snapshots.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from tests.chaos.scenario import (
    FULL,
    Change,
    Kill,
    changes,
    check_whole,
    choose_kills,
    count,
    kill,
    own_snapshots,
    told,
    transitions,
)
from tests.e2e import world
from tests.support import ProjectDir, dice

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("CHAOS_KILLS", "2"))
MINE = {"pk": "MINE#1", "sk": "1", "user_uuid": "", "text": "of my own"}
UP = ("up", "--no-backend")


@dataclass(frozen=True)
class State:
    """What a user would call the state of his project."""

    data: world.Data
    tables: tuple[str, ...]
    snapshots: frozenset[str]


def state(project: ProjectDir) -> State:
    """The state now; both stores must run."""
    tables = sorted(table.name for table in world.dynamodb(project).tables.all())
    orphans = world.orphans(project)
    assert orphans == set()
    return State(world.data(project), tuple(tables), frozenset(own_snapshots(project)))


def bring_mine(project: ProjectDir) -> None:
    """A row and an item that devenv did not write. (The same ones each time.)"""
    world.sql(
        project,
        "INSERT INTO activities (uuid, user_uuid, message, created_at) SELECT"
        " '11111111-2222-3333-4444-555555555555', uuid, 'of my own', '2024-01-01' FROM users WHERE handle = 'ines'"
        " ON CONFLICT DO NOTHING",
    )
    uuid = world.sql(project, "SELECT uuid::text FROM users WHERE handle = 'ines'")[0][0]
    world.dynamodb(project).Table(world.TABLE).put_item(Item={**MINE, "user_uuid": uuid})


def saved(name: str) -> Callable[[ProjectDir], None]:
    """There is a snapshot of that name, with other data than now."""

    def prepare(project: ProjectDir) -> None:
        world.sql(project, "DELETE FROM activities WHERE message = 'of my own'")
        if name not in own_snapshots(project):
            told(project, "snapshot", "save", name)
        bring_mine(project)

    return prepare


def unsaved(name: str) -> Callable[[ProjectDir], None]:
    """There is no snapshot of that name."""

    def prepare(project: ProjectDir) -> None:
        if name in own_snapshots(project):
            told(project, "snapshot", "delete", name)
        bring_mine(project)

    return prepare


def exported(project: ProjectDir) -> None:
    """There is a file to import, and no snapshot of that name."""
    unsaved("taken")(project)
    if not (project.path / "given").exists():
        told(project, "snapshot", "save", "given")
        told(project, "snapshot", "export", "given", str(project.path / "given"))
        told(project, "snapshot", "delete", "given")


def other_files(project: ProjectDir) -> None:
    """The seeds changed: another name, another item, an index; or back again."""
    bring_mine(project)
    users = project.path / "seeds" / "postgres" / "users.sql"
    items = project.path / "seeds" / "dynamodb" / "items" / "choir.json"
    schema = project.path / "seeds" / "postgres" / "schema.sql"
    if "Inez" in users.read_text():
        users.write_text(users.read_text().replace("Inez", "Ines"))
        document = json.loads(items.read_text())
        items.write_text(json.dumps({**document, "items": document["items"][:-1]}))
    else:
        users.write_text(users.read_text().replace("Ines", "Inez"))
        document = json.loads(items.read_text())
        more = {**document["items"][0], "pk": "EXTRA#1"}
        items.write_text(json.dumps({**document, "items": [*document["items"], more]}))
        if "by_message" not in schema.read_text():
            schema.write_text(schema.read_text() + "CREATE INDEX by_message ON activities (message);\n")


# Command, and what is to be there before it. After a kill, `up` must find or make one of the two states. (`db --write`
# is one statement in one transaction: nothing of it is devenv's own to leave half done.)
ON_DATA = [
    pytest.param(("setup", "-y"), bring_mine, id="setup"),
    pytest.param(("schema-load", "-y"), bring_mine, id="schema-load"),
    pytest.param(("seed", "-y"), bring_mine, id="seed"),
    pytest.param(("reset", "-y"), bring_mine, id="reset"),
    pytest.param(("down",), bring_mine, id="down"),
    pytest.param(("snapshot", "save", "made"), unsaved("made"), id="snapshot-save"),
    pytest.param(("snapshot", "restore", "there"), saved("there"), id="snapshot-restore"),
    pytest.param(("snapshot", "delete", "there"), saved("there"), id="snapshot-delete"),
    pytest.param(("snapshot", "import", "given", "--as", "taken"), exported, id="snapshot-import"),
    pytest.param(
        ("ddb", "sql", "--write", f"DELETE FROM \"{world.TABLE}\" WHERE pk = 'MINE#1' AND sk = '1'"),
        bring_mine,
        id="ddb",
    ),
]


@dataclass(frozen=True)
class Matrix:
    """A running project whose commands are killed: how it is brought up, at how many moments, counted as what."""

    project: ProjectDir
    up: tuple[str, ...]
    kills: int
    counted: str

    def check_command(self, words: tuple[str, ...], prepare: Callable[[ProjectDir], None]) -> None:
        """Killed, a command has done all or nothing."""
        rng = dice(f"{self.counted} {words}")
        prepare(self.project)
        before = state(self.project)
        seen = changes(self.project, *words)
        told(self.project, *self.up)
        after = state(self.project)
        check_whole(self.project)
        for moment in choose_kills(seen, self.kills, rng):
            prepare(self.project)
            assert state(self.project) == before, "the state before is not the same twice: the test is wrong"
            killed = kill(self.project, moment, *words)
            told(self.project, *self.up)
            found = state(self.project)
            assert found in ((before, after) if killed else (after,)), f"{words} killed at {moment}"
            check_whole(self.project)
            count(self.counted, killed)

    def check_merge(self) -> None:
        """Killed while changed files are merged, the next `up` goes on to their end."""
        rng = dice(f"{self.counted} merge")
        users = self.project.path / "seeds/postgres/users.sql"
        expected = {}
        for _ in range(3):
            other_files(self.project)
            seen = changes(self.project, *self.up)
            expected[users.read_text()] = state(self.project)
        assert len(expected) == 2
        for moment in choose_kills(seen, self.kills, rng):
            other_files(self.project)
            killed = kill(self.project, moment, *self.up)
            told(self.project, *self.up)
            assert state(self.project) == expected[users.read_text()], moment
            check_whole(self.project)
            count(self.counted, killed)

    def check_taking_away(self) -> None:
        """`down --data` keeps a snapshot: killed anywhere, the data is in its place or there."""
        rng = dice(f"{self.counted} down --data")
        bring_mine(self.project)
        data = world.data(self.project)
        words = ("down", "--data", "-y")
        seen = changes(self.project, *words)
        for moment in choose_kills(seen, self.kills, rng):
            told(self.project, *self.up)
            bring_mine(self.project)
            assert world.data(self.project) == data
            known = {each["name"] for each in told(self.project, "snapshot", "list")["snapshots"]}
            killed = kill(self.project, moment, *words)
            told(self.project, *self.up)
            if world.data(self.project) != data:
                kept = [
                    each for each in told(self.project, "snapshot", "list")["snapshots"] if each["name"] not in known
                ]
                told(self.project, "snapshot", "restore", kept[-1]["name"])
                assert world.data(self.project) == data, moment
            check_whole(self.project)
            count(self.counted, killed)


@pytest.fixture
def matrix(seeded: ProjectDir) -> Matrix:
    """The shared project on the engine `embedded`."""
    return Matrix(seeded, UP, KILLS, "commands killed")


@pytest.mark.parametrize(("words", "prepare"), ON_DATA)
def test_killed_it_has_done_all_or_nothing(
    matrix: Matrix, words: tuple[str, ...], prepare: Callable[[ProjectDir], None]
) -> None:
    matrix.check_command(words, prepare)


def test_killed_in_a_first_up(lone: ProjectDir) -> None:
    rng = dice("first up")
    seen = changes(lone, *UP)
    expected = state(lone)
    for moment in choose_kills(seen, KILLS, rng):
        told(lone, "down", "--data", "--no-backup", "-y")
        killed = kill(lone, moment, *UP)
        told(lone, *UP)
        assert state(lone) == expected, moment
        check_whole(lone)
        count("commands killed", killed)


def test_killed_while_changed_files_are_merged(matrix: Matrix) -> None:
    matrix.check_merge()


def test_killed_while_the_data_is_taken_away(matrix: Matrix) -> None:
    matrix.check_taking_away()


def test_killed_while_it_exports(seeded: ProjectDir) -> None:
    """The file is there, whole, or it is not there."""
    rng = dice("export")
    saved("there")(seeded)
    file = seeded.path / "out"
    words = ("snapshot", "export", "there", str(file))
    for moment in choose_kills(changes(seeded, *words), KILLS, rng):
        file.unlink(missing_ok=True)
        killed = kill(seeded, moment, *words)
        if file.exists():
            told(seeded, "snapshot", "import", str(file), "--as", "back")
            told(seeded, "snapshot", "delete", "back")
        else:
            told(seeded, *words)
        told(seeded, *UP)
        check_whole(seeded)
        count("commands killed", killed)


FILES = [
    ("trace", "conversation", world.TELESCOPE, "--html"),
    ("trace", "conversation", world.TELESCOPE, "--otlp"),
    ("patterns", "matrix", "--html"),
    ("doctor", "--only", "SVC001", "--bundle"),
    ("policy", "deny-deletion", "-y", "--out"),
]


@pytest.mark.parametrize("words", FILES, ids=lambda words: f"{words[0]} {words[-1]}")
def test_killed_while_it_writes_a_file(seeded: ProjectDir, words: tuple[str, ...]) -> None:
    """The file is the older one or a new, whole one; the next run leaves nothing beside it."""
    rng = dice(" ".join(words))
    # A trace also looks at who listens on the application's port: on the usual one that may be another test's.
    seeded = replace(seeded, environ={**seeded.environ, "DEVENV_BACKEND_PORT": str(world.free_port())})
    folder = seeded.path / "written"
    folder.mkdir(exist_ok=True)
    file = folder / words[-1].strip("-")
    # (A trace of a project without its application is not verified.)
    code = 3 if words[0] == "trace" else 0
    seen = changes(seeded, *words, str(file), code=code)
    end = next(each for each in seen if each.what.startswith("rename ") and each.what.endswith(str(file)))
    length = file.stat().st_size
    # An older file of the same kind: one of another kind would not be replaced.
    older = file.read_bytes() + b"\n"
    # Before its temporary file, while it is written, before it takes its place; and wherever else.
    for moment in [Kill(end.number - n, 0.0, end.what) for n in (0, 1)] + choose_kills(seen, KILLS - 2, rng):
        file.write_bytes(older)
        killed = kill(seeded, moment, *words, str(file), code=code)
        assert (file.read_bytes() == older) is killed, moment
        assert file.stat().st_size > 100
        told(seeded, *words, str(file), codes=(code,))
        assert file.stat().st_size > length / 2  # (A trace's later runs have fewer spans than the first.)
        assert list(folder.glob(".*")) == []
        count("commands killed", killed)
    # Below what is a file nothing can be written, which is an error and not a word on the way to exit 0.
    told(seeded, *words, str(file / "below"), codes=(2,))
    file.unlink()


def test_killed_in_init(tmp_path: Path) -> None:
    """Killed before each of its changes, `init` can be done again, and makes what an undisturbed one makes."""
    project = ProjectDir(tmp_path / "fresh")
    project.path.mkdir()

    def tree() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in project.path.rglob("*") if path.is_file()}

    seen = changes(project, "init")
    expected = tree()
    assert len(expected) >= 3
    moments = [each for each in seen if str(project.path) in each.what]
    for each in moments if FULL else dice("init").sample(moments, KILLS):
        shutil.rmtree(project.path)
        project.path.mkdir()
        assert kill(project, Kill(each.number, 0.0, each.what), "init")
        told(project, "init")
        assert tree() == expected, each
        count("commands killed")


def test_killed_while_it_repairs(seeded: ProjectDir) -> None:
    """A killed `repair apply` is taken back exactly, a killed `repair undo` or `doctor --fix` is finished exactly."""
    rng = dice("repair")
    plan = str(seeded.path / "plan")
    world.sql(seeded, "UPDATE users SET display_name = %s WHERE handle = %s", "Renamed", "ines")
    damaged = items(seeded)
    told(seeded, "verify", "--plan", plan, codes=(1,))
    applying = changes(seeded, "repair", "apply", plan)
    repaired = items(seeded)
    assert repaired != damaged
    undoing = changes(seeded, "repair", "undo", plan)
    assert items(seeded) == damaged
    for moment in choose_kills(applying, KILLS, rng):
        killed = kill(seeded, moment, "repair", "apply", plan)
        told(seeded, "repair", "undo", plan)
        assert items(seeded) == damaged, moment
        count("commands killed", killed)
    for moment in choose_kills(undoing, KILLS, rng):
        told(seeded, "repair", "apply", plan)
        killed = kill(seeded, moment, "repair", "undo", plan)
        told(seeded, "repair", "undo", plan)
        assert items(seeded) == damaged, moment
        count("commands killed", killed)
    for moment in choose_kills(applying, KILLS // 2, rng):
        killed = kill(seeded, moment, "doctor", "--fix", "--only", "cross-store")
        told(seeded, "doctor", "--fix", "--only", "cross-store")
        assert items(seeded) == repaired, moment
        with world.dynamodb(seeded).Table(world.TABLE).batch_writer() as batch:
            for item in damaged:
                batch.put_item(Item=json.loads(item))
        count("commands killed", killed)


def items(project: ProjectDir) -> list[str]:
    """Every item, exactly."""
    return sorted(json.dumps(item, sort_keys=True, default=str) for item in world.items(project))


def test_killed_while_it_compares(seeded: ProjectDir) -> None:
    """`verify` only reads: a plan is there, whole, or not at all; the next run goes on and says the same."""
    rng = dice("verify")
    plan, findings = seeded.path / "compared", seeded.path / "findings"
    words = ("verify", "--plan", str(plan), "--findings", str(findings))
    world.sql(seeded, "UPDATE users SET display_name = %s WHERE handle = %s", "Renamed", "ines")
    before = items(seeded)
    wanted = told(seeded, *words, codes=(1,))
    number = len(plan.read_bytes().splitlines())
    points = choose_kills(changes(seeded, *words, code=1), KILLS, rng)
    for moment in points:
        plan.unlink(missing_ok=True)
        killed = kill(seeded, moment, *words, code=1)
        assert not plan.exists() or len(plan.read_bytes().splitlines()) == number, moment
        found = told(seeded, *words, codes=(1,))
        assert found["findings"] == wanted["findings"]
        assert items(seeded) == before
        count("commands killed", killed)


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        (["open a", "rename a b"], [1, 2]),
        (["mkdir /x/postgres/1", "open /x/postgres/2", "chown /x/postgres/2", "rename c d"], [1, 3, 4]),
    ],
)
def test_transitions_of_a_copied_folder_are_its_ends(labels: list[str], kept: list[int]) -> None:
    seen = [Change(number, 0.0, what) for number, what in enumerate(labels, 1)]
    assert [change.number for change in transitions(seen)] == kept


@pytest.mark.parametrize(("words", "source"), [(("setup", "-y"), None), (("reset", "-y"), "devenv-baseline")])
def test_what_the_server_still_does_for_a_killed_command_is_ended(
    seeded: ProjectDir, words: tuple[str, ...], source: str | None
) -> None:
    """The server goes on with a statement whose client is gone; a copy that it finishes later would be nobody's."""
    before, env = state(seeded), seeded.env()
    asking = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE DATABASE%' AND state = 'active'"
    with (
        psycopg.connect(env["DATABASE_URL"], dbname="postgres", autocommit=True) as looking,
        psycopg.connect(env["DATABASE_URL"], dbname="postgres") as holding,
    ):
        # The copy of this database now takes as long as that of a large one: until this comment is done.
        holding.execute(f'COMMENT ON DATABASE "{source or env["PGDATABASE"]}" IS NULL')
        running = subprocess.Popen(seeded.command(*words), env=seeded.environment(), stderr=subprocess.DEVNULL)
        world.until(lambda: looking.execute(asking).fetchone() == (1,), "the server's copy")
        running.kill()
        running.wait()
        with subprocess.Popen(seeded.command(*UP), env=seeded.environment(), stderr=subprocess.PIPE) as again:
            with contextlib.suppress(subprocess.TimeoutExpired):
                again.wait(1.5)
            holding.rollback()
            _, said = again.communicate(timeout=60)
        assert again.returncode == 0, said
        world.until(lambda: looking.execute(asking).fetchone() == (0,), "its end")
    assert state(seeded) == before
    check_whole(seeded)
    count("commands killed")


def test_a_snapshot_that_went_with_newer_data_is_refused_before_anything_is_touched(seeded: ProjectDir) -> None:
    """What `setup` keeps is a database of the cluster; an older cluster, put back, lacks it."""
    told(seeded, "snapshot", "save", "older")
    kept = told(seeded, "setup", "-y")["snapshot"]
    told(seeded, *UP)
    returning = told(seeded, "snapshot", "restore", "older")["kept"]
    before = state(seeded)
    told(seeded, "snapshot", "restore", kept, codes=(9,))
    told(seeded, *UP)
    assert state(seeded) == before
    told(seeded, "snapshot", "restore", returning)
    told(seeded, "snapshot", "restore", kept)
    for name in ("older",):
        told(seeded, "snapshot", "delete", name)
