"""`devenv snapshot diff` against a comparison by hand, on random changes; `prune`, `ps --forget`; what stays."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from devenv.config.load import data_home
from devenv.snapshots.diff_folder import diff_folder
from tests.support import REPOSITORY, ProjectDir, dice, reference_project

TABLE = "cruddur-messages"
ROWS = {"public.users": "uuid", "public.activities": "uuid"}
Seen = dict[str, dict[tuple[str, ...], Any]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    project = reference_project(tmp_path_factory.mktemp("diff") / "project")
    project.ok("up", "--no-backend")
    yield project
    project.remove()


def seen(project: ProjectDir) -> Seen:
    """Everything that is there, by key: the comparison by hand."""
    found: Seen = {}
    with psycopg.connect(project.env()["DATABASE_URL"]) as connection:
        for table, key in ROWS.items():
            rows = connection.execute(f"SELECT {key}::text, to_jsonb(t) FROM {table} t")
            found[table] = {(row[0],): row[1] for row in rows}
    with project.dynamodb() as dynamodb:
        found[TABLE] = {(item["pk"]["S"], item["sk"]["S"]): item for item in dynamodb.scan(TABLE)}
    return found


def change(project: ProjectDir, random_numbers: random.Random) -> None:
    """Some rows and items added, removed and changed; and some written again as they were."""
    with psycopg.connect(project.env()["DATABASE_URL"]) as connection:
        people = [row[0] for row in connection.execute("SELECT uuid FROM users ORDER BY uuid")]
        for person in random_numbers.sample(people, 2):
            connection.execute(
                "UPDATE users SET display_name = %s WHERE uuid = %s", [f"É {random_numbers.random()}", person]
            )
        connection.execute("UPDATE users SET handle = handle")
        first = connection.execute("SELECT uuid FROM activities ORDER BY uuid").fetchall()
        for (activity,) in random_numbers.sample(first, 2):
            connection.execute("DELETE FROM activities WHERE uuid = %s", [activity])
        connection.execute("INSERT INTO activities (user_uuid, message) VALUES (%s, 'new')", [people[0]])
    with project.dynamodb() as dynamodb:
        items = list(dynamodb.scan(TABLE))
        drawn = random_numbers.sample(items, 15)
        for item in drawn[:4]:
            dynamodb.call("DeleteItem", {"TableName": TABLE, "Key": {name: item[name] for name in ("pk", "sk")}})
        for item in drawn[4:8]:
            dynamodb.call(
                "PutItem", {"TableName": TABLE, "Item": {**item, "message": {"S": str(random_numbers.random())}}}
            )
        for item in drawn[8:12]:
            again = dict(reversed(item.items()))
            dynamodb.call("PutItem", {"TableName": TABLE, "Item": again})
        for number in range(3):
            key = {"pk": {"S": f"MSG#{uuid.UUID(int=random_numbers.getrandbits(128))}"}, "sk": {"S": str(number)}}
            dynamodb.call("PutItem", {"TableName": TABLE, "Item": {**key, "tags": {"SS": ["b", "a"]}}})


def by_hand(old: Seen, new: Seen) -> dict[str, dict[str, set[tuple[str, ...]]]]:
    found = {}
    for table in old:
        before, after = old[table], new[table]
        found[table] = {
            "added": set(after) - set(before),
            "removed": set(before) - set(after),
            "changed": {key for key in set(before) & set(after) if before[key] != after[key]},
        }
    return {table: each for table, each in found.items() if any(each.values())}


def as_told(document: dict[str, Any]) -> dict[str, dict[str, set[tuple[str, ...]]]]:
    found: dict[str, dict[str, set[tuple[str, ...]]]] = {}
    for table in document["tables"]:
        kinds: dict[str, set[tuple[str, ...]]] = {"added": set(), "removed": set(), "changed": set()}
        for each in table["listed"]:
            key = tuple(value["S"] if isinstance(value, dict) else value for value in each["key"].values())
            kinds[each["how"]].add(key)
        assert {how: len(keys) for how, keys in kinds.items()} == {how: table[how] for how in kinds}
        found[table["table"]] = kinds
    return found


def test_a_diff_equals_a_comparison_by_hand(running: ProjectDir) -> None:
    numbers = dice("snapshot diff")
    running.ok("snapshot", "save", "first")
    assert running.json("snapshot", "diff", "first")["identical"] is True
    assert running.ok("snapshot", "diff", "first").out == "no difference between first and now\n"
    old = seen(running)
    change(running, numbers)
    new = seen(running)
    document = running.json("snapshot", "diff", "first")
    assert as_told(document) == by_hand(old, new)
    running.ok("snapshot", "save", "second")
    assert as_told(running.json("snapshot", "diff", "first", "second")) == by_hand(old, new)
    assert as_told(running.json("snapshot", "diff", "second", "first")) == by_hand(new, old)
    assert running.json("snapshot", "diff", "second")["identical"] is True
    text = running.ok("snapshot", "diff", "first").out
    assert "display_name: " in text
    assert f"dynamodb {TABLE}: 3 added, 4 removed, 4 changed" in text
    # Nothing is left of the copies that were started.
    assert not [line for line in running.ok("ps").out.splitlines() if ".diff-" in line]


@pytest.mark.long
def test_the_next_command_removes_what_a_killed_diff_left(running: ProjectDir) -> None:
    running.ok("down")
    running.ok("snapshot", "save", "stopped")
    running.ok("up", "--no-backend")
    home = data_home(running.path.resolve())
    before = set(home.iterdir())
    with subprocess.Popen(
        running.command("snapshot", "diff", "stopped"), env=running.environment(), stderr=subprocess.DEVNULL
    ) as child:
        found: list[Path] = []
        end = time.monotonic() + 60
        while not found and child.poll() is None and time.monotonic() < end:
            found = list(home.glob(".diff-*/*/postgres/postmaster.pid"))
            time.sleep(0.005)
        child.kill()
    server = psutil.Process(int(found[0].read_text().partition("\n")[0]))
    assert server.is_running()
    assert server.status() != psutil.STATUS_ZOMBIE
    # One that still runs keeps its folder.
    with diff_folder(home) as held:
        assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
        running.ok("up", "--no-backend")
        assert held.exists()
    assert set(home.iterdir()) == before


def test_a_diff_refuses_what_is_not_there(running: ProjectDir) -> None:
    assert running.devenv("snapshot", "diff", "never").code == 2


def test_prune_deletes_the_oldest_and_says_how_large_they_were(running: ProjectDir) -> None:
    for name in ("a", "b", "c"):
        running.ok("snapshot", "save", f"prune-{name}")
    before = [each["name"] for each in running.json("snapshot", "list")["snapshots"]]
    assert running.devenv("snapshot", "prune").code == 2
    refused = running.devenv("snapshot", "prune", "--keep", "2")
    assert refused.code == 2
    assert "MB" in refused.err
    assert running.ok("snapshot", "prune", "--older", "1d", "-y").out == "nothing to delete\n"
    pruned = running.json("snapshot", "prune", "--keep", "2", "-y")
    assert [each["name"] for each in pruned["pruned"]] == before[:-2]
    assert [each["name"] for each in running.json("snapshot", "list")["snapshots"]] == before[-2:]
    assert running.devenv("snapshot", "prune", "--older", "soon").code == 2


@pytest.mark.long
def test_down_and_ps_say_what_stays_and_how_large(tmp_path: Path) -> None:
    project = reference_project(tmp_path / "project")
    try:
        project.ok("up", "--no-backend")
        stays = project.json("down")["stays"]
        assert stays["bytes"] > 30_000_000
        assert "stays: " in project.ok("down").out
        row = next(each for each in project.json("ps")["projects"] if each["root"] == str(project.path.resolve()))
        assert row["bytes"] == pytest.approx(stays["bytes"], rel=0.1)
    finally:
        project.remove()


# VmHWM, not getrusage: the latter begins with what the process that started this one had in memory.
MEASURED = """
import sys
from pathlib import Path
from devenv.snapshots.diff import compare_items
from devenv.snapshots.sides import Side, tables_in
old, new = (Side(None, Path(file), tables_in(Path(file))) for file in sys.argv[1:])
found = compare_items("big", old, new)
peak = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
print(found.added, found.removed, found.changed, peak)
"""


@pytest.mark.long
def test_a_million_items_are_compared_in_300_mb(tmp_path: Path) -> None:
    size = 1_000_000
    for name, left_out, changed in (("old", 7, None), ("new", 11, 13)):
        with sqlite3.connect(tmp_path / name) as store:
            store.execute("PRAGMA synchronous = OFF")
            store.execute("CREATE TABLE dm (TableName TEXT PRIMARY KEY, TableInfo BLOB)")
            unique = [{"DynamoDBAttribute": {"AttributeName": each}} for each in ("pk", "sk")]
            store.execute("INSERT INTO dm VALUES ('big', ?)", [json.dumps({"UniqueIndexes": unique})])
            store.execute("CREATE TABLE big (hashKey, rangeKey, ObjectJSON BLOB, PRIMARY KEY (hashKey, rangeKey))")
            rows = (
                (
                    f"user-{number % 1000}",
                    f"{number:09}",
                    json.dumps(
                        {
                            "pk": {"S": f"user-{number % 1000}"},
                            "sk": {"S": f"{number:09}"},
                            "text": {"S": "x" * 120 + ("!" if changed and number % 1000 == changed else "")},
                        }
                    ).encode(),
                )
                for number in range(size)
                if number % 1000 != left_out
            )
            store.executemany("INSERT INTO big VALUES (?, ?, ?)", rows)
        store.close()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path / "old"), str(tmp_path / "new")],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
        timeout=280,
    )
    added, removed, changed, peak_kb = map(int, done.stdout.split())
    assert (added, removed, changed) == (1000, 1000, 1000)
    print(f"peak memory {peak_kb / 1000:.0f} MB")
    assert peak_kb <= 300_000
