"""`reset`: the baseline comes back; any doubt runs the steps."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv.config.load import data_home
from tests.e2e import world
from tests.e2e.test_snapshots import NEVER, checksum, damage, killed_after
from tests.support import ProjectDir, reference_project


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    """Another one, for resets."""
    made = reference_project(tmp_path_factory.mktemp("reset") / "project")
    made.ok("up", "--no-backend")
    yield made
    made.remove()


class TestReset:
    """`reset` restores the baseline; any doubt runs the steps, and says so."""

    def test_it_restores_what_the_first_up_made(self, fresh: ProjectDir) -> None:
        before = checksum(fresh)
        world.sql(fresh, "UPDATE users SET display_name = 'x'")
        world.dynamodb(fresh).Table(world.TABLE).put_item(Item={"pk": "MSG#1", "sk": "x"})
        ran = fresh.json("reset", "-y")
        assert (ran["method"], ran["doubt"]) == ("baseline", None)
        assert checksum(fresh) == before
        assert "method: baseline" in fresh.ok("reset", "-y", "--timings").out

    def test_its_work_is_small_beside_the_steps(self, fresh: ProjectDir) -> None:
        """What takes long is not done: no step runs. (`make bench` has the figures.)"""
        assert set(fresh.json("reset", "-y")["timings"]) == {"baseline", "pruning", "total"}

    def doubts(self) -> dict[str, Callable[[ProjectDir, Path], Any]]:
        return {
            "changed since the baseline": lambda p, home: world.edit(
                p.path / "seeds/postgres/users.sql", "Ines", "Inez"
            ),
            "the baseline is damaged: dynamodb.sqlite": lambda p, home: damage(home / "baseline" / "dynamodb.sqlite"),
            "the baseline cannot be read": lambda p, home: (home / "baseline" / "manifest.json").write_text("{"),
            "there is no baseline yet": lambda p, home: (home / "baseline").rename(home / "elsewhere"),
            "database devenv-baseline is gone": lambda p, home: world.sql(p, 'DROP DATABASE "devenv-baseline"'),
            "has settings or grants of its own": lambda p, home: world.sql(
                p, "ALTER DATABASE cruddur SET statement_timeout = 12345"
            ),
        }

    @pytest.mark.long
    def test_any_change_runs_the_steps_and_says_so(self, fresh: ProjectDir) -> None:
        home = data_home(fresh.path.resolve())
        for reason, spoil in self.doubts().items():
            users = world.sql(fresh, "SELECT uuid FROM users ORDER BY 1")
            spoil(fresh, home)
            ran = fresh.json("reset", "-y")
            assert (ran["exit_code"], ran["method"]) == (0, "steps"), reason
            assert reason in ran["doubt"]
            assert {step["state"] for step in ran["steps"]} == {"done"}
            assert world.sql(fresh, "SELECT uuid FROM users ORDER BY 1") != users
            assert fresh.json("reset", "-y")["method"] == "baseline", reason

    def test_a_table_of_the_users_own_is_not_lost(self, fresh: ProjectDir) -> None:
        world.dynamodb(fresh).create_table(
            TableName="mine",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        ran = fresh.json("reset", "-y")
        assert "a table that the steps do not create: mine" in ran["doubt"]
        assert [table.name for table in world.dynamodb(fresh).tables.all()] == [world.TABLE, "mine"]

    @pytest.mark.long
    @pytest.mark.parametrize(
        "call", ["devenv.snapshots.restore.swap_database", "devenv.engines.embedded.dynamodb_file.put_in_place"]
    )
    def test_a_killed_reset_of_many_items_is_finished(self, fresh: ProjectDir, call: str) -> None:
        if any(table.name == "mine" for table in world.dynamodb(fresh).tables.all()):
            world.dynamodb(fresh).Table("mine").delete()
        fresh.ok("reset", "-y")
        after = checksum(fresh)
        world.sql(fresh, "INSERT INTO activities (user_uuid, message) SELECT uuid, 'mine' FROM users")
        assert killed_after(fresh, call, "reset", "-y", large=True) == -signal.SIGKILL
        fresh.ok("up", "--no-backend")
        assert checksum(fresh) == after
        world.sql(fresh, "INSERT INTO activities (user_uuid, message) SELECT uuid, 'mine' FROM users")
        assert killed_after(fresh, NEVER, "reset", "-y", large=True) == 0
        assert checksum(fresh) == after

    @pytest.mark.long
    @pytest.mark.parametrize(
        "call",
        [
            "devenv.snapshots.baseline.doubt",
            "devenv.host.writing.write_private",
            "devenv.snapshots.restore.once:2",
            "devenv.snapshots.databases.copy_database",
            "devenv.snapshots.restore.swap_database",
            "devenv.engines.embedded.dynamodb_file.copy_store:3",
            "devenv.snapshots.restore.replace_file",
            "devenv.snapshots.manifest.sealed",
        ],
    )
    def test_a_killed_reset_is_finished_by_the_next_command(self, fresh: ProjectDir, call: str) -> None:
        if any(table.name == "mine" for table in world.dynamodb(fresh).tables.all()):
            world.dynamodb(fresh).Table("mine").delete()
        fresh.ok("reset", "-y")
        after = checksum(fresh)
        world.sql(fresh, "INSERT INTO activities (user_uuid, message) SELECT uuid, 'mine' FROM users")
        before = checksum(fresh)
        assert killed_after(fresh, call, "reset", "-y") == -signal.SIGKILL
        fresh.ok("up", "--no-backend")
        assert checksum(fresh) == (before if call == "devenv.snapshots.baseline.doubt" else after)
