"""As root and as an ordinary user, in places with difficult names."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from devenv.config.load import cache_folder, data_home
from devenv.engines.embedded.postgres import can_reach
from devenv.host.processes import Account
from tests.e2e import world
from tests.support import REPOSITORY, ProjectDir, Ran, reference_project

DIFFICULT = "größe 日本 'quoted' $HOME & co"


@dataclass(frozen=True)
class Person:
    """An ordinary user with a home, who runs devenv by an interpreter and packages that this account can reach."""

    home: Path
    interpreter: Path
    packages: tuple[Path, ...]
    account: dict[str, object]
    environ: dict[str, str]

    def devenv(self, project: Path, *arguments: str, **environ: str) -> Ran:
        done = subprocess.run(
            [str(self.interpreter), "-m", "devenv", "--project", str(project), *arguments],
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.home),
                "PYTHONPATH": os.pathsep.join(map(str, self.packages)),
                "PYTHONDONTWRITEBYTECODE": "1",
                "DEVENV_CACHE": str(cache_folder()),
                "DEVENV_TRUST": "1",
                **self.environ,
                **environ,
            },
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **self.account,  # type: ignore[call-overload]
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def ok(self, project: Path, *arguments: str, **environ: str) -> Ran:
        ran = self.devenv(project, *arguments, **environ)
        assert ran.code == 0, ran.all
        return ran


@pytest.fixture(scope="module")
def person() -> Iterator[Person]:
    """As root: the account `nobody`. Otherwise: whoever runs the tests. What it cannot reach is copied for it."""
    # Not below pytest's own folder, which every test session closes to others again.
    with tempfile.TemporaryDirectory(prefix="devenv-person-", ignore_cleanup_errors=True) as made:
        home = Path(made)
        if os.geteuid() != 0:
            yield Person(home, Path(sys.executable), (REPOSITORY,), {}, {})
            return
        nobody = Account("nobody", 65534, 65534)
        os.chown(home, nobody.uid, nobody.gid)

        def reachable(tree: Path, *left_out: str) -> Path:
            if can_reach(tree, nobody):
                return tree
            ignore = shutil.ignore_patterns("__pycache__", *left_out)
            return shutil.copytree(tree, home / f"copy-{tree.name}", symlinks=True, ignore=ignore)

        base = reachable(Path(sys.base_prefix), "test", "site-packages", "*.a", "idlelib", "tkinter", "share")
        packages = [reachable(Path(folder)) for folder in site.getsitepackages() if Path(folder).is_dir()]
        yield Person(
            home,
            base / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}",
            (reachable(REPOSITORY, ".git", ".venv"), *packages),
            {"user": nobody.uid, "group": nobody.gid, "extra_groups": []},
            # A copied interpreter must load its own library.
            {} if base == Path(sys.base_prefix) else {"LD_LIBRARY_PATH": str(base / "lib")},
        )


@pytest.fixture
def theirs(person: Person) -> Iterator[Path]:
    """A reference project that the person owns, in a place with a difficult, long name."""
    place = person.home / DIFFICULT / ("long " * 20).strip() / "project"
    reference_project(place)
    if os.geteuid() == 0:
        for path in (person.home / DIFFICULT, *(person.home / DIFFICULT).rglob("*")):
            os.chown(path, 65534, 65534)
    assert len(str(place)) > 150
    yield place
    for mode in (place, *place.rglob("*")):
        if mode.is_dir():
            mode.chmod(0o700)
    person.devenv(place, "down", "--data", "--no-backup", "-y")
    shutil.rmtree(person.home / DIFFICULT)


@pytest.mark.long
def test_an_ordinary_user_in_a_difficult_place(person: Person, theirs: Path, running: ProjectDir) -> None:
    ran = person.ok(theirs, "up")
    assert "Traceback" not in ran.err
    script = 'psql_is_not_needed=1; eval "$(cat)"; printf %s "$DATABASE_URL"'
    url = subprocess.run(
        ["sh", "-c", script], input=person.ok(theirs, "env").out, capture_output=True, text=True, check=True
    ).stdout
    theirs_seen = world.query(url, "SELECT handle FROM users ORDER BY 1")
    assert theirs_seen == world.sql(running, "SELECT handle FROM users ORDER BY 1")
    for service in person.ok(theirs, "status", "--json").document["services"]:
        process = psutil.Process(service["pid"])
        assert process.uids().real == (65534 if os.geteuid() == 0 else os.geteuid())
    assert (theirs / ".devstate").stat().st_mode & 0o777 == 0o700
    assert "already up" in person.ok(theirs, "up").out
    person.ok(theirs, "down")


@pytest.mark.long
def test_a_state_folder_that_the_user_may_not_write_is_named(person: Person, theirs: Path) -> None:
    theirs.chmod(0o500)
    ran = person.devenv(theirs, "up")
    assert ran.code == 1, ran.all
    assert f"{theirs / '.devstate'} cannot be written" in ran.err
    assert "Permission denied" in ran.err
    assert "hint: " in ran.err
    theirs.chmod(0o700)
    person.ok(theirs, "up")
    (theirs / ".devstate").chmod(0o500)
    person.ok(theirs, "status")
    ran = person.devenv(theirs, "down")
    assert ran.code == 1
    assert "cannot be written" in ran.err
    (theirs / ".devstate").chmod(0o700)
    person.ok(theirs, "down")


@pytest.mark.long
def test_a_cache_that_cannot_be_written_and_is_empty(person: Person, theirs: Path, tmp_path: Path) -> None:
    cache = person.home / "cache"
    cache.mkdir(mode=0o500)
    ran = person.devenv(theirs, "up", DEVENV_CACHE=str(cache / "inside"))
    if os.geteuid() == 0:
        assert ran.code == 10, ran.all
        assert str(cache) in ran.err
        assert "DEVENV_CACHE" in ran.err
    cache.rmdir()


@pytest.mark.long
def test_root_and_user_in_a_difficult_place(tmp_path: Path, running: ProjectDir) -> None:
    """As whoever runs the tests: as root the data lies elsewhere, and the services run as another account."""
    project = reference_project(tmp_path / DIFFICULT / "project")
    try:
        ran = project.ok("up")
        assert world.data(project) == world.data(running)
        if os.geteuid() == 0:
            for name in ("postgres", "dynamodb"):
                [pid] = world.servers(project)[name]
                assert psutil.Process(pid).uids().real != 0
            assert f"data in {data_home(project.path.resolve())}, parts in {cache_folder()}" in ran.err
    finally:
        project.remove()


@pytest.mark.long
def test_a_private_umask_does_not_lock_the_services_out(tmp_path: Path, running: ProjectDir) -> None:
    project = reference_project(tmp_path / "project")
    try:
        done = subprocess.run(
            project.command("up"), env=project.environment(), capture_output=True, text=True, umask=0o077, check=False
        )
        assert done.returncode == 0, done.stderr
        assert world.data(project) == world.data(running)
    finally:
        project.remove()
