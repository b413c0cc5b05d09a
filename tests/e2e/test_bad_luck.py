"""Bad luck: killed, paused, locked out, out of room. Each time the right code, a way out, and no loss."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from devenv.config.load import data_home
from tests.e2e import world
from tests.e2e.begun import STORES, finish, start
from tests.support import ProjectDir, cache_of_parts, dice, empty_project, reference_project


class TestKilledStores:
    @pytest.mark.parametrize("store", ["postgres", "dynamodb", "backend"])
    @pytest.mark.matrix(3)
    def test_a_killed_service_comes_back_with_its_data(
        self, running: ProjectDir, undisturbed: world.Data, store: str
    ) -> None:
        before = world.pids(running)
        os.kill(before[store], signal.SIGKILL)
        world.until(lambda: not psutil.pid_exists(before[store]), "the end of the process")
        [seen] = [service for service in running.json("status")["services"] if service["name"] == store]
        assert (seen["state"], seen["pid"]) == ("crashed", None)
        plan = running.json("up")["plan"]
        assert {line["target"]: line["action"] for line in plan}[store] == "start"
        after = world.pids(running)
        assert after[store] not in (None, before[store])
        assert {name: pid for name, pid in after.items() if name != store} == {
            name: pid for name, pid in before.items() if name != store
        }
        assert world.data(running) == undisturbed

    @pytest.mark.long
    def test_both_killed_at_once(self, running: ProjectDir, undisturbed: world.Data) -> None:
        before = world.pids(running)
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        running.ok("up")
        assert not set(world.pids(running).values()) & set(before.values())
        assert world.data(running) == undisturbed

    @pytest.mark.long
    def test_a_service_killed_while_it_is_waited_for(self, tmp_path: Path) -> None:
        """A paused server never answers, so it is surely still waited for when it is killed."""
        project = empty_project(tmp_path)
        try:
            project.ok("up")
            project.ok("down")
            child = start(project, "up")
            [pid] = world.until(lambda: world.servers(project)["dynamodb"], "DynamoDB Local's start")
            os.kill(pid, signal.SIGSTOP)
            world.until(lambda: world.servers(project)["postgres"], "PostgreSQL's start")
            os.kill(pid, signal.SIGKILL)
            ran = finish(child)
            assert ran.code == 5, ran.all
            assert "dynamodb ended while starting" in ran.err
            assert str(tmp_path / ".devstate" / "logs" / "dynamodb.log") in ran.err
            assert "hint: devenv logs dynamodb" in ran.err
            project.ok("up")
        finally:
            project.remove()


class TestPausedStores:
    """SIGSTOP makes a server that is there and never answers."""

    @pytest.mark.long
    @pytest.mark.parametrize("store", ["postgres", "dynamodb"])
    def test_a_store_that_never_answers_is_given_up_after_the_timeout(self, running: ProjectDir, store: str) -> None:
        pid = world.pids(running)[store]
        family = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
        for each in family:
            os.kill(each, signal.SIGSTOP)
        try:
            ran = running.devenv("up", "--timeout", "1")
            assert ran.code == 4, ran.all
            assert f"{store} did not answer within 1 s" in ran.err
            assert "hint: devenv logs" in ran.err
            assert running.devenv("status").code == 0
        finally:
            for each in family:
                os.kill(each, signal.SIGCONT)
        running.ok("up")
        assert world.pids(running)[store] == pid

    @pytest.mark.long
    def test_one_error_names_all_stores_that_missed_the_deadline(self, tmp_path: Path) -> None:
        project = empty_project(tmp_path)
        try:
            project.ok("up")
            project.ok("down")
            # PostgreSQL lets nobody in for a minute; Java alone takes longer than the time that is given.
            with (data_home(project.path.resolve()) / "postgres" / "postgresql.auto.conf").open("a") as conf:
                conf.write("pre_auth_delay = 60\n")
            ran = project.devenv("up", "--timeout", "0.1")
            assert ran.code == 4, ran.all
            assert "error: postgres did not answer within 0.1 s, dynamodb did not answer within 0.1 s" in ran.err
            assert ("postgres: last answer: " in ran.err, "dynamodb: last answer: " in ran.err) == (True, True), ran.err
            assert "hint: devenv logs postgres" in ran.err
        finally:
            project.remove()

    @pytest.mark.long
    def test_a_paused_store_can_still_be_stopped(self, tmp_path: Path) -> None:
        project = empty_project(tmp_path)
        try:
            project.ok("up")
            for pid in world.pids(project).values():
                os.kill(pid, signal.SIGSTOP)
            project.ok("down", "--timeout", "5")
            assert world.servers(project) == {"postgres": [], "dynamodb": []}
            project.ok("up")
        finally:
            project.remove()


class TestInterrupted:
    @pytest.mark.parametrize(
        ("moment", "number", "code"),
        [
            ("setup", signal.SIGINT, 130),
            ("postgres", signal.SIGTERM, 143),
            ("dynamodb", signal.SIGINT, 130),
            ("seed", signal.SIGTERM, 143),
            ("backend", signal.SIGINT, 130),
        ],
    )
    @pytest.mark.matrix(5)
    def test_an_interrupted_up_stops_what_it_started(
        self, tmp_path: Path, undisturbed: world.Data, moment: str, number: signal.Signals, code: int
    ) -> None:
        project = reference_project(tmp_path / "project")
        try:
            child = start(project, "up")
            assert child.stderr is not None
            for line in child.stderr:
                if line.startswith(f"{moment}: "):
                    break
            child.send_signal(number)
            ran = finish(child)
            assert ran.code == code, ran.all
            assert "Traceback" not in ran.err
            assert world.processes_of(project) == []
            services = project.json("status")["services"]
            assert {service["state"] for service in services} == {"stopped"}
            project.ok(*STORES)
            assert world.data(project) == undisturbed
        finally:
            project.remove()

    @pytest.mark.long
    def test_an_interrupted_up_leaves_what_ran_before(self, running: ProjectDir) -> None:
        before = world.pids(running)
        os.kill(before["dynamodb"], signal.SIGSTOP)
        try:
            child = start(running, "up", "--force", "seed")
            world.until(lambda: child.poll() is not None or lock_is_held(running), "the lock")
            child.send_signal(signal.SIGINT)
            assert finish(child).code == 130
        finally:
            os.kill(before["dynamodb"], signal.SIGCONT)
        assert world.pids(running) == before
        running.ok("up")


def lock_is_held(project: ProjectDir) -> bool:
    """Whether a devenv at work has said who it is."""
    try:
        pid = json.loads((project.path / ".devstate" / "lock.json").read_text())["pid"]
    except (OSError, ValueError):
        return False
    return psutil.pid_exists(pid)


class TestKilledDevenv:
    """`up` after kill -9 of devenv ends in the same data as an undisturbed run."""

    @pytest.mark.long
    def test_killed_while_initdb_works(self, tmp_path: Path, running: ProjectDir, undisturbed: world.Data) -> None:
        """initdb outlives devenv and is still writing when the next `up` makes its own cluster."""
        project = reference_project(tmp_path / "project")
        home = data_home(project.path.resolve())
        # With a kept cluster there would be no initdb.
        with cache_of_parts() as cache:
            project.environ["DEVENV_CACHE"] = str(cache)
            try:
                child = start(project, "up")
                world.until(lambda: list(home.glob("postgres.new-*/base")), "initdb at work")
                child.kill()
                finish(child)
                project.ok(*STORES)
                assert world.data(project) == undisturbed
                assert [file.name for file in home.glob("initdb.password*")] == []
                assert list((cache / "pristine").glob(".new-*")) == []
                assert len(list((cache / "pristine").glob("*/checksum"))) == 1
            finally:
                project.remove()

    # Moments within the steps are in tests/chaos/test_crashes.py and tests/integration/test_steps_killed.py.
    @pytest.mark.parametrize("target", ["postgres", "dynamodb", "schema-load", "backend"])
    @pytest.mark.matrix(4)
    def test_killed_as_a_part_begins(self, tmp_path: Path, undisturbed: world.Data, target: str) -> None:
        project = reference_project(tmp_path / "project")
        try:
            child = start(project, "up")
            assert child.stderr is not None
            for line in child.stderr:
                if line.startswith(f"{target}: "):
                    break
            child.kill()
            finish(child)
            project.ok(*STORES)
            assert world.data(project) == undisturbed
            assert {name: len(found) for name, found in world.servers(project).items()} == {
                "postgres": 1,
                "dynamodb": 1,
            }
        finally:
            project.remove()

    @pytest.mark.long
    def test_killed_at_random_moments(self, tmp_path: Path, undisturbed: world.Data) -> None:
        delays = dice("killed at random moments")
        project = reference_project(tmp_path / "project")
        try:
            for _ in range(8):
                child = start(project, "up")
                try:
                    child.wait(delays.uniform(0.1, 1.6))
                except subprocess.TimeoutExpired:
                    child.kill()
                child.communicate()
                if delays.random() < 0.3:
                    project.devenv("down")
                elif delays.random() < 0.3:
                    for pid in [pid for found in world.servers(project).values() for pid in found]:
                        os.kill(pid, signal.SIGKILL)
            project.ok(*STORES)
            assert world.data(project) == undisturbed
            assert {name: len(found) for name, found in world.servers(project).items()} == {
                "postgres": 1,
                "dynamodb": 1,
            }
        finally:
            project.remove()


@pytest.mark.long
def test_four_at_once_start_one_of_each(tmp_path: Path, undisturbed: world.Data) -> None:
    project = reference_project(tmp_path / "project")
    try:
        ran = [finish(child) for child in [start(project, "up") for _ in range(4)]]
        assert [each.code for each in ran] == [0, 0, 0, 0], "\n".join(each.all for each in ran)
        assert sum("already up" in each.out for each in ran) == 3
        assert {name: len(found) for name, found in world.servers(project).items()} == {"postgres": 1, "dynamodb": 1}
        assert world.data(project) == undisturbed
    finally:
        project.remove()


def test_a_held_lock_is_waited_for_and_then_named(running: ProjectDir) -> None:
    code = (
        "import sys; from pathlib import Path; from devenv.host import state\n"
        "with state.lock(Path(sys.argv[1]) / '.devstate', 5, print): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(running.path)],
        env=running.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        for command in ("up", "down", "seed"):
            ran = running.devenv(command, "--timeout", "0.2")
            assert ran.code == 7
            assert f"pid {holder.pid}" in ran.err
            assert "hint: " in ran.err
        assert running.devenv("status").code == 0
    finally:
        holder.communicate()
    running.ok("up")
