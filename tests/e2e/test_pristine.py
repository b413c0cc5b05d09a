"""The cluster that is kept in the cache: every project's copy has a number and a password of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from devenv.config.load import data_home
from devenv.engines.embedded.postgres import find_binaries, read_cluster
from devenv.engines.embedded.pristine import place_of
from devenv.host.processes import choose_account
from tests.support import ProjectDir, cache_of_parts, empty_project

SERVICES = ("up", "--no-backend")


@pytest.fixture
def cache() -> Iterator[Path]:
    with cache_of_parts() as made:
        yield made


@pytest.fixture
def projects(tmp_path: Path, cache: Path) -> Iterator[list[ProjectDir]]:
    """Three projects without steps on that cache."""
    found = [empty_project(tmp_path / name) for name in ("one", "two", "three")]
    for project in found:
        project.environ["DEVENV_CACHE"] = str(cache)
    try:
        yield found
    finally:
        for project in found:
            project.remove()


def cluster(project: ProjectDir) -> Path:
    """The data folder of a project's Postgres."""
    return data_home(project.path.resolve()) / "postgres"


def sign_in(project: ProjectDir, password: str) -> str:
    """The number of the server, as the superuser with this password."""
    told = project.env()
    address = make_conninfo(
        host=told["PGHOST"], port=told["PGPORT"], user=told["PGUSER"], password=password, dbname="postgres"
    )
    with psycopg.connect(address) as connection:
        row = connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
        return str(row[0]) if row else ""


@pytest.mark.long
def test_every_copy_has_a_number_and_a_password_of_its_own(projects: list[ProjectDir], cache: Path) -> None:
    one, two, three = projects
    one.ok(*SERVICES)
    (kept,) = (cache / "pristine").glob("*/data")
    two.ok(*SERVICES)
    passwords = [each.env()["PGPASSWORD"] for each in (one, two)]
    assert sign_in(one, passwords[0]) == read_cluster(cluster(one))
    assert sign_in(two, passwords[1]) == read_cluster(cluster(two))
    assert len({read_cluster(folder) for folder in (kept, cluster(one), cluster(two))}) == 3
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        sign_in(two, passwords[0])

    # A damaged one is not used, and goes.
    control = kept / "global" / "pg_control"
    control.write_bytes(control.read_bytes()[:-1] + b"x")
    three.ok(*SERVICES)
    assert sign_in(three, three.env()["PGPASSWORD"]) == read_cluster(cluster(three))
    assert not kept.exists()
    for project in projects:
        assert list(cluster(project).parent.glob("*.new*")) == []


@pytest.mark.long
def test_a_kept_cluster_whose_password_cannot_be_set_is_not_used(projects: list[ProjectDir], cache: Path) -> None:
    """One that has not the superuser asked for: the server refuses ALTER ROLE."""
    one, two, _ = projects
    for project, user in ((one, "first"), (two, "second")):
        settings = project.path / "devenv.toml"
        settings.write_text(settings.read_text() + f'\n[postgres]\nuser = "{user}"\n')
    one.ok(*SERVICES)
    (kept,) = (cache / "pristine").glob("*/checksum")
    binaries = find_binaries("wheel", cache, choose_account(one.path, os.environ))
    wrong = place_of(binaries, "second", cache)
    assert kept.parent == place_of(binaries, "first", cache) != wrong
    kept.parent.rename(wrong)
    two.ok(*SERVICES)
    assert sign_in(two, two.env()["PGPASSWORD"]) == read_cluster(cluster(two))
    assert not wrong.exists()
