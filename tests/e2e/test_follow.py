"""The stores cannot drift through devenv: DynamoDB follows Postgres, and what people wrote themselves stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e import world
from tests.support import ProjectDir, reference_project


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    """A started copy of the reference project that the test may change."""
    made = reference_project(tmp_path_factory.mktemp("follow") / "project")
    try:
        made.ok("up")
        yield made
    finally:
        made.remove()


def uuids(project: ProjectDir) -> dict[str, str]:
    return {handle: str(uuid) for handle, uuid in world.sql(project, "SELECT handle, uuid FROM users")}


def test_setup_gives_new_uuids_and_up_makes_every_item_follow(project: ProjectDir) -> None:
    before, data = uuids(project), world.data(project)
    ran = project.ok("setup", "-y")
    assert "next: devenv up" in ran.out
    after = uuids(project)
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    steps = {step["name"]: step["state"] for step in project.json("status")["steps"]}
    assert (steps["setup"], steps["seed"]) == ("done", "stale")
    project.ok("up")
    assert world.orphans(project) == set()
    assert world.data(project) == data
    assert {line["action"] for line in project.json("up")["plan"]} == {"keep"}


@pytest.mark.long
def test_a_database_rebuilt_behind_devenvs_back_is_noticed(project: ProjectDir) -> None:
    data = world.data(project)
    world.query(
        project.env()["DATABASE_URL"],
        "DO $$ BEGIN SET LOCAL session_replication_role = replica;"
        " CREATE TEMP TABLE was AS SELECT uuid, handle FROM users; UPDATE users SET uuid = gen_random_uuid();"
        " UPDATE activities a SET user_uuid = u.uuid FROM users u JOIN was USING (handle) WHERE was.uuid = a.user_uuid;"
        " END $$",
    )
    assert world.orphans(project) != set()
    project.ok("up")
    assert world.orphans(project) == set()
    assert world.data(project) == data


def test_reset_gives_freshly_seeded_data(project: ProjectDir) -> None:
    before, data = uuids(project), world.data(project)
    world.sql(project, "UPDATE users SET display_name = 'Somebody' WHERE handle = 'mei'")
    world.dynamodb(project).Table(world.TABLE).put_item(Item={"pk": "X#1", "sk": "a", "user_uuid": before["mei"]})
    refused = project.devenv("reset")
    assert refused.code == 2
    assert "nothing was changed" in refused.err
    assert "hint: pass -y" in refused.err
    project.ok("reset", "-y")
    assert world.data(project) == data
    # The baseline of the first `up` is restored: the same people with the same uuids.
    assert uuids(project) == before


def test_what_people_wrote_survives_changed_seeds_and_up(project: ProjectDir) -> None:
    people = uuids(project)
    world.sql(
        project,
        "INSERT INTO users (display_name, handle, email, cognito_user_id)"
        " VALUES ('Own', 'own', 'own@example.com', 'c0ffee00-0000-4000-8000-000000000000')",
    )
    mine = uuids(project)["own"]
    item = {
        "pk": f"GRP#{mine}",
        "sk": "2024-01-01T00:00:00.000000+00:00",
        "message_group_uuid": "11111111-1111-4111-8111-111111111111",
        "message": "by hand",
        "user_uuid": people["mei"],
        "user_display_name": "Mei Santangelo",
        "user_handle": "mei",
    }
    world.dynamodb(project).Table(world.TABLE).put_item(Item=item)
    world.edit(project.path / "seeds/postgres/users.sql", "Rafael Okoro", "Rafael O. Okoro")
    world.edit(project.path / "seeds/dynamodb/items/garden.json", "has my blackboard paint", "has my chalk")
    project.ok("up")
    now = uuids(project)
    assert now == {**people, "own": mine}
    assert world.sql(project, "SELECT display_name FROM users WHERE handle = 'rafael'") == [("Rafael O. Okoro",)]
    found = world.items(project)
    assert item in found
    assert any("has my chalk" in each["message"] for each in found)
    assert not any("has my blackboard paint" in each["message"] for each in found)
    assert {each["user_display_name"] for each in found if each["user_handle"] == "rafael"} == {"Rafael O. Okoro"}
    assert world.orphans(project) == set()
    assert {line["action"] for line in project.json("up")["plan"]} == {"keep"}


@pytest.mark.long
def test_data_survives_down_and_goes_with_data_only(project: ProjectDir) -> None:
    data, before = world.data(project), uuids(project)
    project.ok("down")
    assert world.servers(project) == {"postgres": [], "dynamodb": []}
    project.ok("up")
    assert (world.data(project), uuids(project)) == (data, before)
    refused = project.devenv("down", "--data")
    assert refused.code == 2
    assert world.data(project) == data
    document = project.json("down", "--data", "-y")
    assert document["backup"]
    project.ok("up")
    assert world.data(project) == data
    assert not set(uuids(project).values()) & set(before.values())


@pytest.mark.parametrize(
    ("options", "actions"),
    [("--from seed", "keep keep run"), ("--force schema-load", "keep run run"), ("--force setup", "run run run")],
)
@pytest.mark.matrix(3)
def test_from_and_force_run_the_later_steps_and_keep_the_data(project: ProjectDir, options: str, actions: str) -> None:
    data, people = world.data(project), uuids(project)
    plan = {line["target"]: line["action"] for line in project.json("up", *options.split())["plan"]}
    assert [plan[name] for name in ("setup", "schema-load", "seed")] == actions.split()
    assert (world.data(project), uuids(project)) == (data, people)


@pytest.mark.long
def test_no_backend_starts_only_the_stores(project: ProjectDir) -> None:
    project.ok("down")
    project.ok("up", "--no-backend")
    states = {service["name"]: service["state"] for service in project.json("status")["services"]}
    assert states == {"postgres": "running", "dynamodb": "running", "backend": "stopped"}


@pytest.mark.long
def test_a_changed_setting_restarts_the_application_alone(project: ProjectDir) -> None:
    before = world.pids(project)
    world.edit(project.path / "devenv.toml", "[env]\n", '[env]\nMINE = "new"\n')
    assert {line["target"]: line["action"] for line in project.json("up")["plan"]}["backend"] == "restart"
    after = world.pids(project)
    assert after["backend"] != before["backend"]
    assert (after["postgres"], after["dynamodb"]) == (before["postgres"], before["dynamodb"])


@pytest.mark.long
def test_another_engine_is_refused_while_this_one_runs(project: ProjectDir) -> None:
    ran = project.devenv("up", "--engine", "docker")
    assert ran.code == 2
    assert "hint: " in ran.err
