"""What every scenario of this suite goes through: a command is run, and its exit code, its document and the real state
are compared; what it may have left behind is looked for; and what is counted for the README is written down.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from devenv.config.load import data_home
from devenv.core.errors import Exit
from devenv.engines.docker.containers import project_name
from devenv.engines.registry import engine_class
from devenv.host import file_clone as copies
from devenv.host.processes import port_is_free
from devenv.snapshots.manifest import folder as snapshots_folder
from devenv.snapshots.manifest import read_all
from tests.e2e import world
from tests.e2e.docker_support import docker
from tests.support import LIMIT_S, ProjectDir, Ran, reference_project

HOOK = Path(__file__).with_name("hook.py")
FULL = os.environ.get("CHAOS_SIZE") == "full"
CODES = {int(code) for code in Exit}
# Codes with which a command says that it could not do what it was asked.
REFUSALS = {2, 4, 5, 6, 7, 8, 9, 10, 130, 143}
GOOD = {"doctor": {"healthy"}, "verify": {"consistent"}, "trace": {"ok"}}


def count(fault: str, number: int = 1) -> None:
    """Note that so many faults of this class were tried, for the table of `make chaos`."""
    if file := os.environ.get("CHAOS_FIGURES"):
        with open(file, "a") as out:
            out.write(json.dumps([fault, number]) + "\n")


# Truth


def contradictions(command: str, ran: Ran) -> list[str]:
    """What a command's exit code, its JSON document and its words say against each other. Pure."""
    found = []
    if "Traceback" in ran.err or "devenv itself failed" in ran.all:
        found.append(f"it crashed: {ran.err[-2000:]}")
    try:
        document = json.loads(ran.out)
    except ValueError:
        return [*found, f"not one JSON document: {ran.out[:300]!r}"]
    if document.get("exit_code") != ran.code:
        found.append(f"document says {document.get('exit_code')}, process {ran.code}")
    if document.get("schema") != f"devenv.{command}/1":
        found.append(f"schema {document.get('schema')}")
    if ran.code not in CODES:
        found.append(f"{ran.code} is no code of the contract")
    error = document.get("error")
    if ran.code == 0 and error:
        found.append(f"exit 0 with an error: {error}")
    if ran.code in REFUSALS and not (error and error.get("what")):
        found.append(f"exit {ran.code} without an error")
    verdict = document.get("verdict")
    verdict = verdict.get("status") if isinstance(verdict, dict) else verdict
    if command in GOOD and verdict is not None and (verdict in GOOD[command]) != (ran.code == 0):
        found.append(f"exit {ran.code} and verdict {verdict}")
    return found


def untruths(project: ProjectDir, words: Sequence[str], ran: Ran) -> list[str]:
    """What a command said against what is really there."""
    found = contradictions(words[0], ran)
    if found or ran.code != 0:
        return found
    document = ran.document
    for service in document.get("services", ()):
        # A service in a container, or one that somebody else started, is no process of ours: its port tells.
        pid, port = service["pid"], service["port"]
        alive = psutil.pid_exists(pid) if pid else port is not None and not port_is_free(port)
        if (service["state"] == "running") != alive and (pid or service["state"] == "running"):
            found.append(f"{service['name']} is said to be {service['state']}, and is {alive}")
        if (
            words[0] == "up"
            and (service["state"] != "running" or (port is not None and port_is_free(port)))
            and in_plan(document, service["name"])
        ):
            found.append(f"`up` ended well, and {service['name']} is {service['state']}")
    if words[0] == "up":
        found += [f"step {step['name']} is {step['state']}" for step in document["steps"] if step["state"] != "done"]
    if words[0] == "down" and any(servers(project).values()):
        found.append(f"`down` ended well, and there is {servers(project)}")
    whole = engine(project) == "external" or all(servers(project).values())
    if words[0] == "reset" and whole and (project.path / "seeds").exists() and (lost := world.orphans(project)):
        found.append(f"`reset` ended well, and there are items of nobody: {lost}")
    known = {path.name for path in (home(project) / "snapshots").glob("[!.]*")}
    if words[:2] == ["snapshot", "list"] and {each["name"] for each in document["snapshots"]} != known:
        found.append(f"snapshots are said to be {document['snapshots']}, there are {known}")
    if words[:2] in (["snapshot", "save"], ["snapshot", "import"]) and words[2] not in known and "--as" not in words:
        found.append(f"{words[2]} is said to be saved")
    if words[:2] == ["snapshot", "delete"] and words[2] in known:
        found.append(f"{words[2]} is said to be deleted")
    return found


def in_plan(document: Mapping[str, Any], name: str) -> bool:
    """Whether `up` was asked for this service."""
    return any(line["target"] == name for line in document["plan"])


def told(project: ProjectDir, *words: str, codes: Sequence[int] = (0,), **more: Any) -> dict[str, Any]:
    """Run a command with --json; its document. Fails unless code, document and real state agree, and the code is one
    of `codes`."""
    ran = project.devenv(*words, "--json", **more)
    assert untruths(project, list(words), ran) == [], f"{words}: {ran.all[-3000:]}"
    assert ran.code in codes, f"{words} exited {ran.code}:\n{ran.all[-3000:]}"
    count("commands whose code, document and state were compared")
    return ran.document


# Faults


@dataclass(frozen=True)
class Change:
    """One change that a command makes: its number, when it was made (seconds after the first), what it is."""

    number: int
    at: float
    what: str


def watched(project: ProjectDir, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command through hook.py."""
    return subprocess.run(
        [sys.executable, str(HOOK), "--project", str(project.path), *words],
        env=project.environment(PYTHONDONTWRITEBYTECODE="1", **environ),
        cwd=project.path,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def changes(project: ProjectDir, *words: str, code: int = 0) -> list[Change]:
    """Run a command to its end, which must exit with `code`; every change that it made."""
    with tempfile.NamedTemporaryFile("r", prefix="chaos-") as events:
        ran = watched(project, *words, CHAOS_EVENTS=events.name)
        assert ran.returncode == code, ran.stdout + ran.stderr
        lines = [line.rstrip("\n").split(" ", 1) for line in events]
    began = float(lines[0][0])
    return [Change(number, float(at) - began, what) for number, (at, what) in enumerate(lines, 1)]


def transitions(seen: Sequence[Change]) -> list[Change]:
    """The changes at which something new begins: of a folder copied file by file, the first and the last. Pure."""

    def kind(change: Change) -> str:
        return "a tree" if "/postgres/" in change.what else change.what

    return [
        change
        for before, change, after in zip([None, *seen], seen, [*seen[1:], None], strict=False)
        if kind(change) != "a tree" or before is None or after is None or kind(before) != "a tree"
        or kind(after) != "a tree"
    ]  # fmt: skip


@dataclass(frozen=True)
class Kill:
    """When a command is killed: right before its change of this number, or `delay` seconds later."""

    number: int
    delay: float
    what: str


def choose_kills(seen: Sequence[Change], number: int, rng: random.Random) -> list[Kill]:
    """`number` moments, or all when there are no more: at transitions, and within long gaps between them. Pure.

    What comes before the project's lock is held is the same for all commands, and left out.
    """
    locked = next((change.number for change in seen if change.what.endswith("/.devstate/lock.json")), 0)
    seen = [change for change in seen if change.number > locked]
    points = [Kill(change.number, 0.0, change.what) for change in transitions(seen)]
    for one, other in pairwise(seen):
        # A gap of more than some milliseconds is work that the hook cannot see: a store's own.
        if other.at - one.at > 0.005:
            points.append(Kill(one.number, rng.uniform(0.001, other.at - one.at), f"in the midst of {one.what}"))
    return points if len(points) <= number else sorted(rng.sample(points, number), key=lambda kill: kill.number)


def kill(project: ProjectDir, moment: Kill, *words: str, code: int = 0) -> bool:
    """Run a command and kill it at that moment; whether it was still there to be killed, or ended with `code`."""
    delay = {"CHAOS_DELAY": f"{moment.delay:.6f}"} if moment.delay else {}
    ran = watched(project, *words, CHAOS_KILL=str(moment.number), **delay)
    assert ran.returncode in (code, -signal.SIGKILL), f"{words} killed at {moment}: {ran.stdout}{ran.stderr}"
    return ran.returncode != code


# What is there, and what was left


def engine(project: ProjectDir) -> str:
    """The engine that the project is on."""
    return project.environ.get("DEVENV_ENGINE", "embedded")


def home(project: ProjectDir) -> Path:
    """Where the project's data lies, or what devenv keeps beside it when the stores have it themselves."""
    return engine_class(engine(project)).place(data_home(project.path.resolve()))


def servers(project: ProjectDir) -> dict[str, list[Any]]:
    """Store -> the processes or containers of devenv's own that really serve this project's data."""
    if engine(project) == "embedded":
        return {**world.servers(project)}
    found: dict[str, list[Any]] = {"postgres": [], "dynamodb": []}
    for each in of_docker(project, "container", "--format", '{{.Label "com.docker.compose.service"}} {{.ID}}'):
        found.setdefault(each.partition(" ")[0], []).append(each)
    return found


def of_docker(project: ProjectDir | Path, kind: str, *words: str) -> list[str]:
    """What Docker lists of a project: its running containers (with `-a`: all), its volumes or its networks."""
    folder = project.path if isinstance(project, ProjectDir) else project
    if isinstance(project, ProjectDir) and engine(project) != "docker":
        return []
    label = f"label=com.docker.compose.project={project_name('cruddur', folder.resolve())}"
    return sorted(docker(kind, "ls", "--filter", label, *words).splitlines())


def docker_objects(folder: Path) -> object:
    """The containers, volumes and networks of a project in that folder."""
    return [of_docker(folder, *words) for words in (("container", "-aq"), ("volume", "-q"), ("network", "-q"))]


def leftovers(project: ProjectDir) -> list[str]:
    """What a command may not leave behind in a project's folders, whatever happened to it."""
    place, folder = home(project), project.path / ".devstate"
    found = [*place.glob(".*"), *(place / "snapshots").glob(".*"), *folder.glob(".*"), *place.glob("*.new*")]
    found += [*place.glob("initdb.password*"), *project.path.glob(".*.part")]
    return sorted({str(path) for path in found if path.name != ".gitignore"})


def stray_databases(project: ProjectDir, names: set[str], own: str) -> set[str]:
    """Databases that no snapshot and no setting accounts for; in somebody's server, those of devenv's names."""
    kept = {manifest.database for manifest in read_all(home(project))}
    if engine(project) == "external":
        baseline = sorted(name for name in names if name.startswith("devenv-baseline-"))[:1]
        return {name for name in names if name.startswith("devenv-")} - {*baseline, *kept}
    return names - {"postgres", "template0", "template1", "devenv-baseline", own, *kept}


def damaged_snapshots(project: ProjectDir, databases: set[str]) -> list[str]:
    """Snapshots that are listed and could not be restored. Postgres must run."""
    found = []
    [(cluster,)] = world.sql(project, "SELECT system_identifier::text FROM pg_control_system()")
    for manifest in read_all(home(project)):
        place = snapshots_folder(home(project)) / manifest.name
        wrong = [part for part, sum_ in manifest.checksums.items() if copies.checksum(place / part) != sum_]
        lost = manifest.cluster == cluster and manifest.database is not None and manifest.database not in databases
        found += [f"{manifest.name}: {wrong or 'its database is gone'}"] if wrong or lost else []
    return found


def own_snapshots(project: ProjectDir) -> set[str]:
    """Names of the snapshots that somebody asked for."""
    return {manifest.name for manifest in read_all(home(project)) if not manifest.automatic}


def check_whole(project: ProjectDir, *, snapshots_too: bool = True) -> None:
    """One server each, nothing half made, every snapshot sound (unless older data was put back since)."""
    number = 0 if engine(project) == "external" else 1
    assert {name: len(found) for name, found in servers(project).items()} == {"postgres": number, "dynamodb": number}
    # With the container that gives DynamoDB Local its volume.
    there = [len(of_docker(project, *words)) for words in (("container", "-aq"), ("volume", "-q"), ("network", "-q"))]
    assert there == ([3, 2, 1] if engine(project) == "docker" else [0, 0, 0])
    assert leftovers(project) == []
    env = project.env()
    databases = {name for (name,) in world.query(env["DATABASE_URL"], "SELECT datname FROM pg_database")}
    assert stray_databases(project, databases, env["PGDATABASE"]) == set()
    assert not snapshots_too or damaged_snapshots(project, databases) == []


@dataclass(frozen=True)
class Footprint:
    """What devenv may leave on a machine: processes, listening sockets, temporary files, data folders."""

    processes: Counter[str]
    ports: frozenset[int]
    temporary: frozenset[str]
    homes: frozenset[str]


def footprint(top: Path) -> Footprint:
    """Everything of the projects below `top`."""
    processes: Counter[str] = Counter()
    ports: set[int] = set()
    for process in psutil.process_iter():
        try:
            of = process.environ().get("DEVENV_PROJECT", "")
            command = " ".join(process.cmdline())
            if process.pid != os.getpid() and (
                of.startswith(str(top)) or ("devenv" in command and str(top) in command)
            ):
                processes[f"{process.name()} of {of}: {command[:200]}"] += 1
                ports |= {seen.laddr.port for seen in process.net_connections("tcp") if seen.status == "LISTEN"}
        except psutil.Error:
            continue
    # This project's alone: other workers and sessions have projects of the same name.
    kept = data_home(project_below(top))
    homes = {str(kept)} if kept.exists() else set()
    return Footprint(processes, frozenset(ports), frozenset(map(str, (top / "tmp").rglob("*"))), frozenset(homes))


def project_below(top: Path) -> Path:
    """The project's folder in a test's own."""
    return top.resolve() / f"{top.name}-project"


@contextmanager
def nothing_left(
    top: Path,
    make: Callable[[Path], ProjectDir] = reference_project,
    elsewhere: Callable[[Path], object] = lambda path: None,
) -> Iterator[ProjectDir]:
    """A reference project below `top`, with a folder for temporary files of its own; all is as before in the end.

    `elsewhere` tells what there is outside of this machine's processes and files, in Docker or in somebody's stores.
    """
    temp = top / "tmp"
    temp.mkdir(mode=0o755)
    temp.chmod(0o1777)
    before, beyond = footprint(top), elsewhere(project_below(top))
    made = make(project_below(top))
    project = replace(made, environ={**made.environ, "TMPDIR": str(temp)})
    try:
        yield project
    finally:
        project.remove()
    after = footprint(top)
    assert after == before, "what was left"
    assert elsewhere(project_below(top)) == beyond, "what was left elsewhere"
    count("scenarios after which nothing was left")
