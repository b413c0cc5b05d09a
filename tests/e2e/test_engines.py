"""The same scenarios on every engine, with the same results. The tests of an engine share a project, in this order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e import world, writer
from tests.e2e.docker_support import container, docker
from tests.e2e.engines import MARKS, OPEN
from tests.e2e.test_snapshots import killed_after
from tests.support import ProjectDir

# `external` differs in who starts the stores; what is special about it is in test_external.py.
# The rest of the suite shows each of these on `embedded`, so an engine that needs nothing is `long` here.
NAMES = [pytest.param(name, marks=MARKS.get(name, pytest.mark.long)) for name in OPEN]
EVERYTHING = {"postgres", "dynamodb", "backend"}
STEPS = ("setup", "schema-load", "seed")


@pytest.fixture(scope="module", params=NAMES)
def engine(request: pytest.FixtureRequest) -> str:
    """The engine's name."""
    return str(request.param)


@pytest.fixture(scope="module")
def first(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ProjectDir, dict[str, Any]]]:
    """The reference project on one engine, and the report of its first `up`."""
    with OPEN[engine](tmp_path_factory.mktemp(engine)) as project:
        ran = project.devenv("up", "--mark", "--json")
        assert ran.code == 0, ran.all
        yield project, ran.document


@pytest.fixture
def engine_project(first: tuple[ProjectDir, dict[str, Any]]) -> ProjectDir:
    """The same, up. Tests leave it up, with the data of the seeds."""
    return first[0]


@pytest.fixture
def stores(engine: str, engine_project: ProjectDir) -> ProjectDir | None:
    """The project that runs the stores of engine `external`."""
    return ProjectDir(engine_project.path.parent / "stores") if engine == "external" else None


def state(project: ProjectDir) -> dict[str, str]:
    """Service or step -> state, as `status` tells."""
    seen = project.json("status")
    return {each["name"]: each["state"] for each in (*seen["services"], *seen["steps"])}


def uuids(project: ProjectDir) -> dict[str, str]:
    return {handle: str(uuid) for handle, uuid in world.sql(project, "SELECT handle, uuid FROM users")}


def test_up_cold_loads_both_stores(engine: str, first: tuple[ProjectDir, dict[str, Any]], running: ProjectDir) -> None:
    project, document = first
    assert document["engine"] == engine
    plan = {line["target"]: line["action"] for line in document["plan"]}
    assert {name: plan[name] for name in STEPS} == dict.fromkeys(STEPS, "run")
    assert plan["backend"] == "start"
    assert world.data(project) == world.data(running)
    assert world.orphans(project) == set()


def test_up_again_changes_nothing(engine_project: ProjectDir) -> None:
    def look() -> object:
        rows = world.sql(engine_project, "SELECT xmin, * FROM users ORDER BY uuid")
        return rows, world.data(engine_project), world.pids(engine_project)

    before = look()
    ran = engine_project.ok("up")
    assert "already up" in ran.out
    assert {line["action"] for line in engine_project.json("up")["plan"]} == {"keep"}
    assert look() == before


def test_a_dry_run_plans_and_does_nothing(engine_project: ProjectDir) -> None:
    before = world.data(engine_project)
    ran = engine_project.ok("up", "--dry-run", "--force", "schema-load")
    lines = [tuple(line.split(maxsplit=2)[:2]) for line in ran.out.splitlines()[1:]]
    services = [("keep", "postgres"), ("keep", "dynamodb"), ("keep", "backend")]
    assert lines == [*services, ("keep", "setup"), ("run", "schema-load"), ("run", "seed")]
    assert world.data(engine_project) == before


def test_status_says_what_the_contract_names(engine: str, engine_project: ProjectDir) -> None:
    document = engine_project.json("status")
    assert document["engine"] == engine
    for service in document["services"]:
        assert set(service) >= {"name", "state", "pid", "host", "port", "url", "version", "started"}
        assert service["state"] == "running"
        assert str(service["port"]) in service["url"]
    assert [service["name"] for service in document["services"]] == ["postgres", "dynamodb", "backend"]
    assert document["services"][0]["version"]
    assert {step["state"] for step in document["steps"]} == {"done"}


def test_ps_lists_what_devenv_started(engine: str, engine_project: ProjectDir) -> None:
    [mine] = [each for each in engine_project.json("ps")["projects"] if each["root"] == str(engine_project.path)]
    assert mine["state"] == "running"
    started = {"backend"} if engine == "external" else EVERYTHING
    assert {service["name"] for service in mine["services"]} == started


def test_env_and_run_lead_to_the_stores(engine_project: ProjectDir) -> None:
    env = engine_project.env()
    assert env["PGPASSWORD"] not in engine_project.ok("status", "-v").all + engine_project.ok("config", "show").all
    code = "import psycopg; print(psycopg.connect('').execute('SELECT count(*) FROM users').fetchone()[0])"
    assert engine_project.ok("run", "--", sys.executable, "-c", code).out == "6\n"
    assert engine_project.devenv("run", "--", "sh", "-c", "exit 7").code == 7


def test_logs_have_what_the_application_writes(engine_project: ProjectDir) -> None:
    world.until(lambda: "/api/health-check" in engine_project.ok("logs", "backend").out, "a line per request")
    assert set(engine_project.json("logs")["logs"]) == {*EVERYTHING, "steps"}


def test_looking_is_free_and_changing_needs_write(engine_project: ProjectDir) -> None:
    change = "UPDATE users SET display_name = 'Mei' WHERE handle = 'mei'"
    refused = engine_project.devenv("db", change)
    assert (refused.code, "--write" in refused.err) == (2, True)
    delete = f"DELETE FROM \"{world.TABLE}\" WHERE pk = 'x' AND sk = 'y'"
    assert engine_project.devenv("ddb", "sql", delete).code == 2
    insert = f"INSERT INTO \"{world.TABLE}\" VALUE {{'pk': 'x', 'sk': 'y'}}"
    assert engine_project.ok("ddb", "sql", "--write", insert).out == "done\n"
    found = f"SELECT pk FROM \"{world.TABLE}\" WHERE pk = 'x'"
    assert engine_project.json("ddb", "sql", found)["rows"] == [["x"]]
    engine_project.ok("ddb", "sql", "--write", delete)
    assert engine_project.json("ddb", "sql", found)["rows"] == []
    count = "SELECT count(*) FROM users"
    assert engine_project.ok("db", "--write", "DELETE FROM activities WHERE false").out == "DELETE 0\n"
    assert engine_project.json("db", count)["rows"] == [[6]]
    assert world.TABLE in [row[0] for row in engine_project.json("ddb", "list-tables")["rows"]]


def test_a_single_step_and_what_follows_it(engine_project: ProjectDir) -> None:
    before, data = uuids(engine_project), world.data(engine_project)
    engine_project.ok("setup", "-y")
    after = uuids(engine_project)
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    assert state(engine_project)["seed"] == "stale"
    engine_project.ok("up")
    assert world.orphans(engine_project) == set()
    assert world.data(engine_project) == data


def test_a_changed_seed_arrives_in_both_stores(engine_project: ProjectDir) -> None:
    data = world.data(engine_project)
    seed = engine_project.path / "seeds" / "postgres" / "users.sql"
    world.edit(seed, "Mei Santangelo", "Mei S.")
    engine_project.ok("up")
    names = {item["user_display_name"] for item in world.items(engine_project) if item["user_handle"] == "mei"}
    assert names == {"Mei S."}
    world.edit(seed, "Mei S.", "Mei Santangelo")
    engine_project.ok("up")
    assert world.data(engine_project) == data


def test_reset_gives_back_the_data_of_the_seeds(engine_project: ProjectDir) -> None:
    data = world.data(engine_project)
    # The first one may have to run the steps (the rows were set up again above); from then on there is a baseline.
    engine_project.ok("reset", "-y")
    people = uuids(engine_project)
    world.sql(engine_project, "DELETE FROM activities")
    world.dynamodb(engine_project).Table(world.TABLE).put_item(Item={"pk": "mine", "sk": "1"})
    document = engine_project.json("reset", "-y")
    assert (document["exit_code"], document["method"]) == (0, "baseline")
    assert world.data(engine_project) == data
    assert uuids(engine_project) == people
    assert {line["action"] for line in engine_project.json("up")["plan"]} == {"keep"}


def test_a_snapshot_brings_both_stores_back(engine_project: ProjectDir) -> None:
    data, people = world.data(engine_project), uuids(engine_project)
    saved = engine_project.json("snapshot", "save", "before")
    assert saved["saved"]["counts"]["dynamodb"][world.TABLE] == len(world.items(engine_project))
    world.sql(engine_project, "DELETE FROM activities")
    world.sql(engine_project, "UPDATE users SET handle = 'other' WHERE handle = 'mei'")
    with world.dynamodb(engine_project).Table(world.TABLE).batch_writer() as table:
        for item in world.items(engine_project)[:30]:
            table.delete_item(Key={"pk": item["pk"], "sk": item["sk"]})
    damaged = world.items(engine_project)
    restored = engine_project.json("snapshot", "restore", "before")
    assert restored["exit_code"] == 0
    [kept] = [each for each in engine_project.json("snapshot", "list")["snapshots"] if each["name"] == restored["kept"]]
    assert kept["held"] == (kept["form"] == "files"), "data files are moved while the stores stand still"
    assert (world.data(engine_project), uuids(engine_project)) == (data, people)
    assert set(state(engine_project).values()) == {"running", "done"}
    engine_project.ok("snapshot", "restore", restored["kept"])
    assert sorted(map(str, world.items(engine_project))) == sorted(map(str, damaged))
    engine_project.ok("snapshot", "restore", "before")
    assert (world.data(engine_project), uuids(engine_project)) == (data, people)
    engine_project.ok("snapshot", "delete", "before")
    assert "before" not in [each["name"] for each in engine_project.json("snapshot", "list")["snapshots"]]
    assert engine_project.devenv("snapshot", "restore", "before").code == 2


def test_writers_of_both_stores_end_at_one_point(engine: str, engine_project: ProjectDir) -> None:
    data = world.data(engine_project)
    with writer.at_work(engine_project) as number:
        saved = engine_project.ok("snapshot", "save", "written")
        seen = number()
        for _ in range(20):
            seen = max(seen, number())
    # What others run cannot be held, which is said.
    assert ("were not paused" in saved.err) is (engine == "external")
    engine_project.ok("snapshot", "restore", "written")
    rows, items = writer.numbers(engine_project)
    assert rows
    if engine != "external":
        assert (items - rows, len(rows - items) <= writer.WRITERS) == (set(), True)
    engine_project.ok("snapshot", "delete", "written")
    world.sql(engine_project, "DROP TABLE numbers")
    engine_project.ok("reset", "-y")
    assert world.data(engine_project) == data


def test_a_killed_save_holds_no_one_and_can_be_done_again(engine_project: ProjectDir) -> None:
    data = world.data(engine_project)
    assert (
        killed_after(engine_project, "devenv.snapshots.manifest.sealed", "snapshot", "save", "halved")
        == -signal.SIGKILL
    )
    table = world.dynamodb(engine_project).Table(world.TABLE)
    table.put_item(Item={"pk": "mine", "sk": "1"})
    table.delete_item(Key={"pk": "mine", "sk": "1"})
    assert engine_project.json("up")["exit_code"] == 0
    assert "halved" not in str(world.sql(engine_project, "SELECT datname FROM pg_database"))
    engine_project.ok("snapshot", "save", "halved")
    engine_project.ok("snapshot", "delete", "halved")
    assert world.data(engine_project) == data


def test_an_exported_snapshot_comes_back_by_import(engine_project: ProjectDir, tmp_path: Path) -> None:
    data, people = world.data(engine_project), uuids(engine_project)
    engine_project.ok("snapshot", "save", "out")
    file = tmp_path / "out.snapshot"
    engine_project.ok("snapshot", "export", "out", str(file))
    engine_project.ok("snapshot", "delete", "out")
    world.sql(engine_project, "DELETE FROM activities")
    engine_project.ok("snapshot", "import", str(file), "--as", "back")
    engine_project.ok("snapshot", "restore", "back")
    assert (world.data(engine_project), uuids(engine_project)) == (data, people)
    engine_project.ok("snapshot", "delete", "back")


def test_a_step_killed_midway_is_finished_by_the_next_up(engine_project: ProjectDir) -> None:
    data = world.data(engine_project)
    for call, command in (
        ("devenv.steps.setup.setup.swap", ("setup", "-y")),
        ("devenv.steps.seed.writes.write_together", ("seed", "-y")),
    ):
        assert killed_after(engine_project, call, *command) == -signal.SIGKILL, call
        engine_project.ok("up")
        assert (world.data(engine_project), world.orphans(engine_project)) == (data, set()), call


def test_a_bad_seed_loses_nothing_and_the_fixed_one_is_loaded(engine_project: ProjectDir) -> None:
    data, people = world.data(engine_project), uuids(engine_project)
    seed = engine_project.path / "seeds" / "postgres" / "users.sql"
    good = seed.read_text()
    seed.write_text(good.replace("Mei Santangelo", "Mei S.") + "SELECT 1/0;\n")
    ran = engine_project.devenv("up")
    assert (ran.code, "division by zero" in ran.err, "hint: " in ran.err) == (8, True, True), ran.all
    assert (world.data(engine_project), uuids(engine_project)) == (data, people)
    seed.write_text(good)
    engine_project.ok("up")
    assert (world.data(engine_project), uuids(engine_project)) == (data, people)


@pytest.mark.long
def test_four_at_once_change_nothing_and_start_one_application(engine_project: ProjectDir) -> None:
    data = world.data(engine_project)
    engine_project.ok("down")
    command, environ = engine_project.command("up"), engine_project.environment()
    children = [
        subprocess.Popen(command, env=environ, cwd=engine_project.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    said = [child.communicate(timeout=120) for child in children]
    assert [child.returncode for child in children] == [0] * 4, said
    assert sum(b"already up" in out for out, _ in said) == 3
    assert world.data(engine_project) == data


def test_a_killed_store_is_reported_and_comes_back_with_its_data(
    engine: str, engine_project: ProjectDir, stores: ProjectDir | None
) -> None:
    data = world.data(engine_project)
    kill_dynamodb(engine, engine_project, stores)
    assert engine_project.devenv("ddb", "list-tables").code == 3
    document = engine_project.json("doctor", "--only", "SVC002")
    assert (document["exit_code"], document["checks"][0]["status"]) == (1, "fail")
    assert engine_project.devenv("verify").code == 3
    if stores:
        # Not devenv's to start.
        ran = engine_project.devenv("up", "--timeout", "5")
        assert (ran.code, "hint: start it, then: devenv up" in ran.err) == (3, True), ran.all
        stores.ok("up")
    engine_project.ok("up")
    assert world.data(engine_project) == data


def kill_dynamodb(engine: str, project: ProjectDir, stores: ProjectDir | None) -> None:
    """`kill -9` of DynamoDB Local, wherever it runs."""
    if engine == "docker":
        docker("kill", container(project, "dynamodb"))
    else:
        pid = world.pids(stores or project)["dynamodb"]
        os.kill(pid, signal.SIGKILL)
        world.until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie", "its end")


def test_patterns_are_checked_on_the_live_tables(engine_project: ProjectDir) -> None:
    document = engine_project.json("patterns", "check")
    assert document["exit_code"] == 0, document
    run = engine_project.json("patterns", "run", "messages")
    assert (run["exit_code"], run["count"], run["scanned"]) == (0, 127, 127)


def test_trace_as_a_stranger_and_of_an_unknown_conversation(engine_project: ProjectDir) -> None:
    members = {item["user_handle"] for item in world.items(engine_project) if item["pk"] == f"MSG#{world.TELESCOPE}"}
    stranger = next(handle for handle in sorted(uuids(engine_project)) if handle not in members)
    document = engine_project.json("trace", "conversation", world.TELESCOPE, "--user", stranger)
    assert (document["exit_code"], document["verdict"]["status"]) == (0, "ok"), document["verdict"]
    document = engine_project.json("trace", "conversation", "00000000-0000-4000-8000-000000000000")
    verdict = document["verdict"]
    assert (document["exit_code"], verdict["layer"], verdict["class"]) == (1, "dynamodb", "missing_item")


def test_doctor_is_healthy_finds_a_fault_and_fixes_it(engine_project: ProjectDir) -> None:
    document = engine_project.json("doctor")
    assert (document["verdict"], document["exit_code"]) == ("healthy", 0)
    data = world.data(engine_project)
    world.sql(engine_project, "UPDATE users SET display_name = 'Mei S.' WHERE handle = 'mei'")
    document = engine_project.json("doctor")
    failed = {check["code"] for check in document["checks"] if check["status"] == "fail"}
    assert (document["exit_code"], "XST003" in failed) == (1, True)
    engine_project.devenv("doctor", "--fix")
    names = {item["user_display_name"] for item in world.items(engine_project) if item["user_handle"] == "mei"}
    assert names == {"Mei S."}
    world.sql(engine_project, "UPDATE users SET display_name = 'Mei Santangelo' WHERE handle = 'mei'")
    engine_project.ok("doctor", "--fix")
    assert world.data(engine_project) == data


def test_trace_agrees_and_names_the_layer_that_breaks(engine_project: ProjectDir) -> None:
    document = engine_project.json("trace", "conversation", world.TELESCOPE)
    assert (document["verdict"]["status"], document["exit_code"]) == ("ok", 0), document["verdict"]
    assert [layer["status"] for layer in document["layers"]] == ["ok"] * 8
    groups = [item for item in world.items(engine_project) if item.get("message_group_uuid") == world.TELESCOPE]
    table = world.dynamodb(engine_project).Table(world.TABLE)
    table.delete_item(Key={"pk": groups[0]["pk"], "sk": groups[0]["sk"]})
    document = engine_project.json("trace", "conversation", world.TELESCOPE)
    table.put_item(Item=groups[0])
    verdict = document["verdict"]
    assert (verdict["status"], verdict["layer"], verdict["class"]) == ("diverged", "dynamodb", "half_group")
    assert document["exit_code"] == 1


def test_verify_proves_and_repair_fixes(engine_project: ProjectDir) -> None:
    assert engine_project.json("verify")["verdict"] == "consistent"
    data = world.data(engine_project)
    table = world.dynamodb(engine_project).Table(world.TABLE)
    item = next(item for item in world.items(engine_project) if item["pk"].startswith("MSG#"))
    table.put_item(Item={**item, "user_display_name": "Stale"})
    plan = engine_project.path / "plan.json"
    document = engine_project.json("verify", "--plan", str(plan))
    assert (document["verdict"], document["findings"]["stale_copy"]) == ("inconsistent", 1)
    engine_project.ok("repair", "apply", str(plan))
    plan.unlink()
    assert world.data(engine_project) == data


def test_down_keeps_the_data(engine_project: ProjectDir) -> None:
    data = world.data(engine_project)
    document = engine_project.json("down")
    assert document["exit_code"] == 0, document
    assert document["data"] == "kept"
    assert "backend" in document["stopped"]
    assert state(engine_project)["backend"] == "stopped"
    actions = {line["target"]: line["action"] for line in engine_project.json("up")["plan"]}
    assert {name: actions[name] for name in STEPS} == dict.fromkeys(STEPS, "keep")
    assert world.data(engine_project) == data


def test_down_data_keeps_a_snapshot_that_brings_it_back(engine_project: ProjectDir) -> None:
    data, people = world.data(engine_project), uuids(engine_project)
    engine_project.ok("snapshot", "save", "mine")
    world.sql(engine_project, "DELETE FROM activities")
    document = engine_project.json("down", "--data", "-y")
    assert (document["exit_code"], document["data"]) == (0, "deleted")
    engine_project.ok("snapshot", "restore", document["backup"])
    engine_project.ok("up")
    assert (world.data(engine_project).activities, uuids(engine_project)) == ([], people)
    # What a person saved outlives the data, too.
    engine_project.ok("snapshot", "restore", "mine")
    assert (world.data(engine_project), uuids(engine_project)) == (data, people)


def test_without_a_backup_nothing_is_left(engine_project: ProjectDir) -> None:
    data, people = world.data(engine_project), uuids(engine_project)
    document = engine_project.json("down", "--data", "--no-backup", "-y")
    assert (document["exit_code"], document["backup"]) == (0, None)
    up = engine_project.json("up", "--mark")
    assert up["exit_code"] == 0, up["error"]
    plan = {line["target"]: line["action"] for line in up["plan"]}
    assert {name: plan[name] for name in STEPS} == dict.fromkeys(STEPS, "run")
    assert world.data(engine_project) == data
    assert not set(uuids(engine_project).values()) & set(people.values())
