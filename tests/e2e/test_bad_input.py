"""Bad input: refused with its place, or stopped without a trace; the way out works, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e import world
from tests.support import ProjectDir, reference_project

USERS = "seeds/postgres/users.sql"
ITEMS = "seeds/dynamodb/items/choir.json"
TABLE = "seeds/dynamodb/tables/cruddur-messages.json"
SETTINGS = "devenv.toml"


def swap(old: str, new: str) -> Callable[[bytes], bytes]:
    """Replace the first occurrence."""

    def change(content: bytes) -> bytes:
        assert old.encode() in content
        return content.replace(old.encode(), new.encode(), 1)

    return change


def append(tail: bytes) -> Callable[[bytes], bytes]:
    return lambda content: content + tail


def cut(content: bytes) -> bytes:
    """As a file that was saved half."""
    return content[:-20]


def repeat_last_item(content: bytes) -> bytes:
    document = json.loads(content)
    document["items"].append({**document["items"][-1], "message": "another text"})
    return json.dumps(document).encode()


# What is wrong, in which file, the exit code, and what the message must name. 2: refused before anything was written;
# 8: only a store could tell, so the step had begun.
REFUSED = [
    pytest.param(USERS, append(b"INSERT INTO nowhere VALUES (1);\n"), 8, [f"{USERS}:11", "nowhere"], id="sql-error"),
    pytest.param(USERS, swap("'Mei Santangelo', 'mei'", "'Mei', NULL"), 8, [f"{USERS}:", "null"], id="sql-null"),
    pytest.param(USERS, swap("'rafael', 'raf", "'ines', 'raf"), 8, [f"{USERS}:", "users_handle_key"], id="sql-twice"),
    pytest.param(USERS, swap("('Mei", "(''Mei"), 2, [USERS, "never closed"], id="sql-broken"),
    pytest.param(USERS, append(b"-- \xff\n"), 2, [f"{USERS}:11", "not UTF-8"], id="sql-not-utf8"),
    pytest.param(
        ITEMS, swap("[handle=jonas].uuid", "[handle=nobody].uuid"), 8, [ITEMS, "nobody", "jonas"], id="unknown-handle"
    ),
    pytest.param(ITEMS, swap('"sk":', '"ks":'), 2, [ITEMS, "item 1", "no `sk`", "cruddur-messages"], id="no-key"),
    pytest.param(ITEMS, swap('"sk": "', '"sk": 5, "x": "'), 2, [ITEMS, "item 1", "sk", "text"], id="number-for-text"),
    pytest.param(
        ITEMS,
        swap('"message": "', '"message": 5, "x": "'),
        2,
        [ITEMS, "item 1", "message", "string"],
        id="number-for-string",
    ),
    pytest.param(ITEMS, repeat_last_item, 2, [ITEMS, "item 10", "item 9", "same key"], id="same-key-twice"),
    pytest.param(ITEMS, swap('"sk":', '"sk": "a", "sk":'), 2, [ITEMS, '"sk" twice'], id="same-name-twice"),
    pytest.param(ITEMS, append(b"\xff"), 2, [f"{ITEMS}:15", "not UTF-8"], id="items-not-utf8"),
    pytest.param(ITEMS, cut, 2, [ITEMS, "not valid JSON"], id="items-broken"),
    pytest.param(TABLE, cut, 2, [TABLE, "not valid JSON"], id="table-broken"),
    pytest.param(SETTINGS, append(b"[x"), 2, ["devenv.toml", "not valid TOML"], id="settings-broken"),
    pytest.param(SETTINGS, append(b"[postgre]\n"), 2, ["devenv.toml", "postgre", "`postgres`"], id="settings-unknown"),
    pytest.param(SETTINGS, append(b"\xff"), 2, ["devenv.toml", "not UTF-8"], id="settings-not-utf8"),
    pytest.param(SETTINGS, swap("users.sql", "usres.sql"), 2, ["usres.sql", "steps.setup"], id="missing-file"),
]


@pytest.fixture(scope="module")
def original(running: ProjectDir) -> world.Data:
    """The data before anything was wrong."""
    return world.data(running)


@pytest.fixture
def seeds(running: ProjectDir, original: world.Data) -> Iterator[ProjectDir]:
    """The running project; its files are put back afterwards, and then `up` has to find everything as it was."""
    files = {name: (running.path / name).read_bytes() for name in (USERS, ITEMS, TABLE, SETTINGS)}
    pids = world.pids(running)
    yield running
    for name, content in files.items():
        (running.path / name).write_bytes(content)
    document = running.json("up")
    assert document["exit_code"] == 0
    assert {service["name"]: service["pid"] for service in document["services"]} == pids
    assert world.data(running) == original


@pytest.mark.parametrize(("file", "change", "code", "named"), REFUSED)
@pytest.mark.matrix(6)
def test_a_bad_file_on_running_stores_is_named_and_loses_nothing(
    seeds: ProjectDir, file: str, change: Callable[[bytes], bytes], code: int, named: list[str]
) -> None:
    path = seeds.path / file
    path.write_bytes(change(path.read_bytes()))
    ran = seeds.devenv("up")
    assert ran.code == code, ran.all
    assert all(word in ran.err for word in named), ran.err
    assert "hint: " in ran.err
    document = seeds.json("up")
    assert document["exit_code"] == code
    assert document["error"]["what"]


FRESH = [
    pytest.param(USERS, append(b"SELECT 1/0;\n"), 8, ["users.sql:11", "division by zero"], id="setup"),
    pytest.param(TABLE, swap("PAY_PER_REQUEST", "PAY_SOMEHOW"), 8, ["refused the definition"], id="schema-load"),
    pytest.param(ITEMS, swap("[handle=jonas]", "[handle=nobody]"), 8, ["choir.json", "nobody"], id="seed"),
]


@pytest.mark.parametrize(("file", "change", "code", "named"), FRESH)
@pytest.mark.matrix(3)
def test_a_first_up_that_fails_in_a_step_continues_there(
    tmp_path: Path,
    original: world.Data,
    file: str,
    change: Callable[[bytes], bytes],
    code: int,
    named: list[str],
    request: pytest.FixtureRequest,
) -> None:
    project = reference_project(tmp_path / "project")
    failing = request.node.callspec.id
    order = ["setup", "schema-load", "seed"]
    try:
        path = project.path / file
        good = path.read_bytes()
        path.write_bytes(change(good))
        ran = project.devenv("up")
        assert ran.code == code, ran.all
        assert all(word in ran.err for word in named), ran.err
        assert "hint: " in ran.err
        states = {step["name"]: step["state"] for step in project.json("status")["steps"]}
        assert [states[name] == "done" for name in order] == [name in order[: order.index(failing)] for name in order]
        path.write_bytes(good)
        plan = {line["target"]: line["action"] for line in project.json("up")["plan"]}
        assert [plan[name] for name in order] == [
            "keep" if name in order[: order.index(failing)] else "run" for name in order
        ]
        assert world.data(project) == original
    finally:
        project.remove()


def test_the_first_error_in_sql_stops_everything(tmp_path: Path) -> None:
    """Rows before and after the error are in no database: the files run in one transaction."""
    project = reference_project(tmp_path / "project")
    try:
        world.edit(project.path / USERS, "  ('Mei", "  ('Extra', 'extra', NULL, 'x', now()),\n  ('Mei")
        ran = project.devenv("up")
        assert ran.code == 8
        assert "email" in ran.err
        rows = project.devenv("db", "SELECT count(*) FROM users")
        assert rows.code != 0 or "0" in rows.out
    finally:
        project.remove()


@pytest.mark.long
def test_a_bad_file_on_stopped_stores_leaves_them_stopped(tmp_path: Path, original: world.Data) -> None:
    project = reference_project(tmp_path / "project")
    path = project.path / ITEMS
    good = path.read_bytes()
    try:
        project.ok("up", "--no-backend")
        project.ok("down")
        path.write_bytes(cut(good))
        ran = project.devenv("up", "--no-backend")
        assert ran.code == 2, ran.all
        assert all(word in ran.err for word in (ITEMS, "not valid JSON", "hint: ")), ran.err
        # They boot while the files are read.
        stores = project.json("status")["services"][:2]
        assert [each["state"] for each in stores] == ["stopped", "stopped"]
        assert [each["pid"] for each in stores] == [None, None]
        path.write_bytes(good)
        plan = {line["target"]: line["action"] for line in project.json("up", "--no-backend")["plan"]}
        assert [plan[name] for name in ("setup", "schema-load", "seed")] == ["keep", "keep", "keep"]
        assert world.data(project) == original
    finally:
        project.remove()
