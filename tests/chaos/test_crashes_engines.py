"""The crash matrix (test_crashes.py) on the engines whose data are no files of devenv's own: `docker` and `external`.

A killed devenv does not end what it has asked for: Compose goes on until it has something to say, and the server with a
statement until its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from tests.chaos.scenario import (
    FULL,
    changes,
    check_whole,
    choose_kills,
    count,
    docker_objects,
    engine,
    kill,
    nothing_left,
    told,
)
from tests.chaos.test_crashes import KILLS as ON_EMBEDDED
from tests.chaos.test_crashes import ON_DATA, Matrix, bring_mine, state
from tests.e2e import world
from tests.e2e.docker_support import IMAGES, need_docker
from tests.e2e.engines import MARKS, contents, external_project, fill, other_stores
from tests.support import ProjectDir, dice, reference_project

pytestmark = pytest.mark.long

UP = ("up", "--no-backend", "--mark")
KILLS = (ON_EMBEDDED + 1) // 2


@dataclass(frozen=True)
class Case:
    """A project, and a look at what Docker or somebody's stores have of it."""

    project: ProjectDir
    elsewhere: Callable[[], object]


@contextmanager
def on_docker(top: Path) -> Iterator[Case]:
    """The reference project on containers; in the end no container, volume or network of it may be left."""
    need_docker()

    def make(path: Path) -> ProjectDir:
        return ProjectDir(reference_project(path).path, {"DEVENV_ENGINE": "docker", **IMAGES})

    with nothing_left(top, make, docker_objects) as project:
        yield Case(project, partial(docker_objects, project.path))


@contextmanager
def on_external(top: Path) -> Iterator[Case]:
    """The same in the stores of somebody, who in the end has what he had."""
    with other_stores(top.with_name(f"{top.name}-others")) as stores:
        fill(stores)
        with nothing_left(top, partial(external_project, stores=stores), lambda path: contents(stores)) as project:
            yield Case(project, partial(contents, stores))


ENGINES = {"docker": on_docker, "external": on_external}


@pytest.fixture(scope="module", params=[pytest.param(name, marks=MARKS[name]) for name in ENGINES])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """The reference project on one engine after its first `up`, for all tests."""
    with ENGINES[request.param](tmp_path_factory.mktemp(request.param)) as made:
        told(made.project, *UP)
        yield made


@pytest.fixture
def matrix(case: Case) -> Matrix:
    """The same, running. Tests leave it so."""
    return Matrix(case.project, UP, KILLS, f"kills on {engine(case.project)}")


# What imports is a file's matter, as on the other engine; a statement of `ddb` is the store's.
@pytest.mark.parametrize(
    ("words", "prepare"), [each for each in ON_DATA if FULL or each.id not in ("ddb", "snapshot-import")]
)
def test_killed_it_has_done_all_or_nothing(
    matrix: Matrix, words: tuple[str, ...], prepare: Callable[[ProjectDir], None]
) -> None:
    matrix.check_command(words, prepare)


def test_killed_while_changed_files_are_merged(matrix: Matrix) -> None:
    matrix.check_merge()


def test_killed_while_the_data_is_taken_away(matrix: Matrix) -> None:
    matrix.check_taking_away()


if FULL:
    # It starts all stores a dozen times: not for every run.
    def test_killed_in_a_move_between_engines(case: Case) -> None:
        """Each engine has its own data: a killed move loses none of it, and is finished or taken back."""
        other = engine(case.project)
        rng = dice(f"{other} move")
        # What the state remembers decides, not a variable.
        environ = {name: value for name, value in case.project.environ.items() if name != "DEVENV_ENGINE"}
        project = replace(case.project, environ=environ)
        here, there = (*UP, "--engine", "embedded"), (*UP, "--engine", other)
        expected = {}
        for words in (there, here, there):
            told(project, *words)
            bring_mine(project) if words is here else None
            expected[words] = world.data(project)
            told(project, "down")
        for words, back in ((there, here), (here, there)):
            told(project, *back)
            told(project, "down")
            seen = changes(project, *words)
            told(project, "down")
            for moment in choose_kills(seen, KILLS, rng):
                told(project, *back)
                told(project, "down")
                killed = kill(project, moment, *words)
                # Once a store of the other engine may be up, `down` is asked for first.
                if "error" in told(project, *back, codes=(0, 2)):
                    told(project, "down")
                    told(project, *back)
                assert world.data(project) == expected[back], moment
                told(project, "down")
                told(project, *words)
                assert world.data(project) == expected[words], moment
                told(project, "down")
                count(f"kills on {other}", killed)
        told(project, "down", "--engine", "embedded", "--data", "--no-backup", "-y")
        told(case.project, *UP)
        check_whole(case.project)


def test_killed_in_a_first_up_or_while_all_is_taken_away(case: Case) -> None:
    """The next `up` goes on from there; who gives it up gets rid of it, also by a second `down`."""
    project = case.project
    rng = dice(f"{engine(project)} first up")
    away = ("down", "--data", "--no-backup", "-y")
    told(project, *away)
    nothing = case.elsewhere()
    coming = choose_kills(changes(project, *UP), 2 * KILLS, rng)
    expected = state(project)
    going = choose_kills(changes(project, *away), KILLS, rng)
    assert case.elsewhere() == nothing
    for number, moment in enumerate(coming):
        killed = kill(project, moment, *UP)
        if number % 2 or number // 2 >= len(going):
            told(project, *away)
        else:
            told(project, *UP)
            assert state(project) == expected, moment
            check_whole(project)
            killed += kill(project, going[number // 2], *away)
            told(project, *away)
        assert case.elsewhere() == nothing, (moment, going)
        count(f"kills on {engine(project)}", killed)
