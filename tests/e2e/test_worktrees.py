"""Several checkouts of one project: each its own, begun from what the first one kept, all gone after `down --all`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from devenv.config.load import cache_folder, data_home
from tests.e2e import world
from tests.support import ProjectDir, reference_project

pytestmark = pytest.mark.needs_git
WORKTREES = 10


@dataclass(frozen=True)
class Repository:
    """A git repository with the reference project, and a cache folder of its own for devenv."""

    first: ProjectDir
    cache: Path

    def worktree(self, name: str) -> ProjectDir:
        """Another checkout beside the first."""
        path = self.first.path.with_name(name)
        git(self.first.path, "worktree", "add", "--quiet", str(path))
        return ProjectDir(path, self.first.environ)


def git(folder: Path, *arguments: str) -> None:
    """One git command that must succeed."""
    who = ["-c", "user.email=test@example.com", "-c", "user.name=test"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository() -> Iterator[Repository]:
    """The reference project in git, as devenv's only user sees it: with fetched parts, and no baseline yet."""
    top = Path(tempfile.mkdtemp(prefix="worktrees-"))
    # As root the stores run as another account, which has to reach the cache.
    top.chmod(0o755)
    cache = top / "cache"
    cache.mkdir(mode=0o755)
    for part in cache_folder().iterdir():
        if part.name not in ("baselines", "projects"):
            (cache / part.name).symlink_to(part)
    project = ProjectDir(reference_project(top / "first").path, {"DEVENV_CACHE": str(cache)})
    git(project.path, "init", "--quiet")
    git(project.path, "add", "--all")
    git(project.path, "commit", "--quiet", "--message", "x")
    yield Repository(project, cache)
    project.devenv("down", "--all", "--data", "--no-backup", "-y")
    shutil.rmtree(top)


def machine(cache: Path) -> dict[str, set[str]]:
    """What a test may leave on this machine: processes and sockets of this cache's devenv, data folders."""
    running, sockets = set(), set()
    for process in psutil.process_iter():
        try:
            if process.environ().get("DEVENV_CACHE") == str(cache) and process.pid != os.getpid():
                running.add(f"{process.pid} {' '.join(process.cmdline())}")
                sockets |= {str(each.laddr) for each in process.net_connections() if each.laddr}
        except psutil.Error:
            continue
    shared = data_home(Path("/x")).parent
    files = {str(path) for path in shared.glob("*")} if shared != Path("/x") else set()
    return {
        "processes": running,
        "sockets": sockets,
        "files": {file for file in files if "/wt" in file or "/first-" in file},
    }


def test_another_checkout_runs_no_step_and_is_its_own(repository: Repository) -> None:
    first, second = repository.first, repository.worktree("wt1")
    first.ok("up", "--no-backend")
    up = second.json("up", "--no-backend")
    assert {line["target"]: line["action"] for line in up["plan"]} == {
        "postgres": "start", "dynamodb": "start", "setup": "keep", "schema-load": "keep", "seed": "keep",
    }  # fmt: skip
    assert not {"setup", "schema-load", "seed"} & set(up["timings"])
    assert world.data(second) == world.data(first)
    assert world.orphans(second) == set()
    assert world.pids(first) != world.pids(second)
    assert first.env()["PGPORT"] != second.env()["PGPORT"]

    world.sql(second, "DELETE FROM activities")
    world.dynamodb(second).Table(world.TABLE).put_item(Item={"pk": "MSG#1", "sk": "x"})
    assert len(world.items(first)) == 162
    assert len(world.sql(first, "SELECT 1 FROM activities")) == 8
    number = "SELECT system_identifier FROM pg_control_system()"
    assert world.sql(first, number) != world.sql(second, number)
    made = [world.dynamodb(each).Table(world.TABLE).creation_date_time for each in (first, second)]
    assert made[0] != made[1]

    assert second.json("reset", "-y")["method"] == "baseline"
    assert world.data(second) == world.data(first)
    assert {line["action"] for line in second.json("up", "--no-backend")["plan"]} == {"keep"}
    assert second.ok("doctor", "--only", "schema", "--only", "data", "--only", "cross-store")


def test_a_damaged_shared_baseline_only_costs_time(repository: Repository) -> None:
    first = repository.first
    first.ok("up", "--no-backend")
    (place,) = (repository.cache / "baselines").iterdir()
    control = place / "postgres" / "global" / "pg_control"
    control.write_bytes(control.read_bytes()[:-1] + b"x")
    second = repository.worktree("wt1")
    second.ok("up", "--no-backend")
    assert world.data(second) == world.data(first)
    assert world.orphans(second) == set()
    (place / "dynamodb.sqlite").write_bytes(b"x")
    third = repository.worktree("wt2")
    assert {line["action"] for line in third.json("up", "--no-backend")["plan"]} == {"start", "run"}
    assert world.data(third) == world.data(first)


def test_other_files_begin_from_scratch(repository: Repository) -> None:
    repository.first.ok("up", "--no-backend")
    second = repository.worktree("wt1")
    world.edit(second.path / "seeds/postgres/users.sql", "Ines", "Inez")
    assert {line["action"] for line in second.json("up", "--no-backend")["plan"]} == {"start", "run"}


def test_a_folder_outside_of_git_shares_nothing(repository: Repository) -> None:
    plain = ProjectDir(reference_project(repository.first.path.with_name("wt-plain")).path, repository.first.environ)
    plain.ok("up", "--no-backend")
    assert not (repository.cache / "baselines").exists()


def test_ten_at_once_work_and_are_gone_after_down_all(repository: Repository) -> None:
    before = machine(repository.cache)
    repository.first.ok("up", "--no-backend")
    trees = [repository.worktree(f"wt{number}") for number in range(1, WORKTREES)]
    with ThreadPoolExecutor(3) as pool:
        for ran in pool.map(lambda tree: tree.devenv("up", "--no-backend"), trees):
            assert ran.code == 0, ran.all
    told = repository.first.json("ps")["projects"]
    assert {project["root"] for project in told} == {str(tree.path) for tree in [repository.first, *trees]}
    assert {project["state"] for project in told} == {"running"}
    assert {len(project["services"]) for project in told} == {2}
    ports = [service["port"] for project in told for service in project["services"]]
    assert len(set(ports)) == 2 * WORKTREES
    assert all(len(world.items(tree)) == 162 for tree in trees[:2])

    for tree in trees[:2]:
        shutil.rmtree(tree.path)
    states = [project["state"] for project in repository.first.json("ps")["projects"]]
    assert sorted(states) == ["deleted"] * 2 + ["running"] * (WORKTREES - 2)
    assert str(trees[0].path) in repository.first.ok("ps").out

    down = repository.first.json("down", "--all")
    assert len(down["stopped"]) == WORKTREES
    assert down["failed"] == []
    left = machine(repository.cache)
    assert (left["processes"], left["sockets"]) == (before["processes"], before["sockets"])
    for service in trees[3].json("status")["services"]:
        assert service["state"] == "stopped"

    refused = repository.first.devenv("down", "--all", "--data", "--no-input")
    assert (refused.code, "ALL projects" in refused.err) == (2, True)
    said = repository.first.ok("down", "--all", "--data", "--no-backup", "-y").out
    assert f"  to delete them: rm -r {repository.cache}\n" in said
    for tree in trees:
        shutil.rmtree(tree.path, ignore_errors=True)
    assert machine(repository.cache) == before
    assert [project["root"] for project in repository.first.json("ps")["projects"]] == [str(repository.first.path)]


def test_down_all_with_data_names_the_copies_it_keeps(repository: Repository) -> None:
    first = repository.first
    first.ok("up", "--no-backend")
    [copy] = first.json("down", "--all", "--data", "-y")["backups"]
    assert copy["root"] == str(first.path)
    home = data_home(first.path.resolve())
    assert (home / "snapshots" / copy["snapshot"]).is_dir()
    shutil.rmtree(home)


def test_ps_outside_of_a_project_needs_none(repository: Repository, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "devenv", "ps"],
        cwd=tmp_path, env=repository.first.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (0, "no projects\n")
