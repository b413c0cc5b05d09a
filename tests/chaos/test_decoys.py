"""What devenv remembers is not what it seems: foreign processes and servers, links, files edited by hand.

A restart of the machine, a deleted or half written state, a newer format, and programs that only name the data are in
tests/e2e/test_bad_surroundings.py (TestStaleState); taken ports there too (TestPorts).
"""

from __future__ import annotations

import http.server
import json
import random
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.chaos.scenario import FULL, check_whole, count, home, nothing_left, told, untruths
from tests.e2e import world
from tests.support import ProjectDir, dice

pytestmark = pytest.mark.long

UP = ("up", "--no-backend")
COMMANDS = [
    ("status",),
    ("env",),
    ("ps",),
    ("logs",),
    ("config", "show"),
    ("snapshot", "list"),
    ("db", "SELECT 1"),
    ("ddb", "list-tables"),
    ("verify",),
    ("doctor",),
    UP,
    ("seed", "-y"),
    ("reset", "-y"),
    ("snapshot", "save", "decoy"),
    ("snapshot", "delete", "decoy"),
    ("down",),
]


@pytest.fixture
def expected(shared: ProjectDir) -> Iterator[world.Data]:
    """The data; afterwards it is as before, and the state file is devenv's own again."""
    told(shared, *UP)
    data = world.data(shared)
    yield data
    told(shared, *UP)
    assert world.data(shared) == data
    check_whole(shared)


def state_file(project: ProjectDir) -> Path:
    return project.path / ".devstate" / "state.json"


def test_a_foreign_process_with_the_recorded_pid_is_left_alone(shared: ProjectDir, expected: world.Data) -> None:
    """Of the recorded identity (pid, start time, command) one part differs each time; what has the pid lives on."""
    told(shared, "down")
    told(shared, *UP)
    told(shared, "down")
    state = json.loads(state_file(shared).read_text())
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as decoy:
        created = psutil.Process(decoy.pid).create_time()
        command = psutil.Process(decoy.pid).cmdline()
        for process in (
            {"pid": decoy.pid, "created": created - 60, "command": command},
            {"pid": decoy.pid, "created": created, "command": ["postgres", "-D", str(home(shared) / "postgres")]},
            {"pid": decoy.pid, "created": 0.0, "command": []},
            {"pid": 1, "created": created, "command": command},
        ):
            for name in ("postgres", "dynamodb"):
                state["services"][name].update(process=process, started="2026-01-01T00:00:00+00:00")
            state_file(shared).write_text(json.dumps(state))
            assert {each["state"] for each in told(shared, "status")["services"][:2]} <= {"crashed", "stopped"}
            told(shared, "down")
            assert decoy.poll() is None
            state_file(shared).write_text(json.dumps(state))
            told(shared, *UP)
            assert decoy.poll() is None
            told(shared, "down")
            count("decoys")
        decoy.kill()


class Answers(http.server.BaseHTTPRequestHandler):
    """A server that has tables of its own, and notes what is asked of it."""

    asked: list[str] = []

    def do_POST(self) -> None:
        self.asked.append(self.headers.get("X-Amz-Target", ""))
        body = json.dumps({"TableNames": [world.TABLE]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


def test_a_foreign_server_on_the_recorded_port_is_asked_nothing(shared: ProjectDir, expected: world.Data) -> None:
    port = {each["name"]: each["port"] for each in told(shared, "status")["services"]}["dynamodb"]
    told(shared, "down")
    Answers.asked.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        for words in (("ddb", "list-tables"), ("ddb", "scan", world.TABLE), ("verify",)):
            told(shared, *words, codes=(3,))
        told(shared, "status")
        assert Answers.asked == []
        told(shared, *UP)
        told(shared, "seed", "-y")
        assert Answers.asked == []
        count("decoys", 5)
    finally:
        server.shutdown()
        server.server_close()


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its content."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))}


def places(project: ProjectDir) -> list[Path]:
    """Everything that devenv has made in its own folders: each may be replaced by a link."""
    top = [project.path / ".devstate", home(project)]
    found = {*top, *(path for folder in top for path in folder.glob("*"))}
    found |= {path for name in ("logs", "snapshots", "repairs", "verify") for path in (top[0] / name).glob("*")}
    found |= set((home(project) / "snapshots").glob("*"))
    return sorted(found)


def test_a_link_among_devenvs_own_files_leads_nowhere(lone: ProjectDir) -> None:
    """Each file and folder once is a link to something outside: nothing there is written, deleted or given away."""
    told(lone, *UP)
    told(lone, "verify", "--plan", str(lone.path / "plan"))
    told(lone, "snapshot", "save", "kept")
    told(lone, "down")
    rng = dice("links")
    outside = lone.path.parent / "outside"
    found = [place for place in places(lone) if place != home(lone)]
    for place in found if FULL else rng.sample(found, 8):
        if not place.exists():
            continue
        away = place.with_name(f"{place.name}-away")
        is_folder = place.is_dir()
        place.rename(away)
        shutil.rmtree(outside, ignore_errors=True)
        outside.mkdir()
        outside.chmod(0o755)
        if is_folder:
            target = outside / "folder"
            shutil.copytree(away, target, symlinks=True)
            target.chmod(0o755)
            (target / "mine").write_text("mine")
            (target / ".new-mine").mkdir()
            (target / ".state.json.999999999.x").write_text("mine")
        else:
            target = outside / "file"
            shutil.copy(away, target)
        place.symlink_to(target)
        before, owner = tree(outside), target.stat()
        for words in [rng.choice(COMMANDS), UP, ("down",)]:
            ran = lone.devenv(*words, "--json")
            assert untruths(lone, [words[0]], ran) == [], (place, words, ran.all)
            assert tree(outside) == before, (place, words)
            assert (target.stat().st_uid, target.stat().st_mode) == (owner.st_uid, owner.st_mode), (place, words)
        count("links")
        if place.is_symlink():
            place.unlink()
            away.rename(place)
        elif away.is_dir():
            shutil.rmtree(away)
        else:
            away.unlink()
        told(lone, "down")
    told(lone, *UP)
    check_whole(lone)


def edited(rng: random.Random, good: dict[str, Any]) -> Iterator[bytes]:
    """A state file as a hand, an accident, or another version leaves it."""
    yield b""
    yield b"null"
    yield b"[]"
    yield b"\xff\xfe"
    yield b'{"version": 1}'
    yield b'{"version": 1, "services": {"postgres": {"port": "5432"}}}'
    yield b'{"version": 1, "services": {"postgres": {"port": -1}}, "engine": "embedded"}'
    yield b'{"version": 1, "services": {"postgres": {"port": 99999999}}, "engine": "embedded"}'
    yield b'{"version": 1, "services": {"mail": {"port": 25}}, "engine": "embedded"}'
    yield b'{"version": 1, "engine": "steam"}'
    yield b'{"version": 0}'
    yield b'{"version": 2, "anything": []}'
    yield b'{"version": "1"}'
    yield b'{"version": 1, "root": "/nowhere"}'
    yield b'{"version": 1, "root": "' + b"x" * 5_000_000 + b'"}'
    yield b"[" * 100_000
    yield json.dumps({**good, "added": {"by": "a later version"}}).encode()
    yield json.dumps({**good, "steps": {"setup": {"state": "odd", "reason": 1, "at": None}}}).encode()
    content = json.dumps(good).encode()
    for _ in range(8):
        place = rng.randrange(len(content))
        yield content[:place] + rng.randbytes(rng.randrange(4)) + content[place + rng.randrange(4) :]


def test_an_edited_state_file_is_named_or_understood(shared: ProjectDir, expected: world.Data) -> None:
    """Never a crash, never a wrong word; the way that the message names works, and the servers are found again."""
    pids = world.pids(shared)
    good = json.loads(state_file(shared).read_text())
    rng = dice("state")
    contents = list(edited(rng, good))
    for content in contents if FULL else rng.sample(contents, 12):
        for words in (("status",), UP):
            state_file(shared).write_bytes(content)
            ran = shared.devenv(*words, "--json")
            assert untruths(shared, list(words), ran) == [], (content[:200], words, ran.all[-2000:])
            assert ran.code in (0, 2, 9), (content[:200], words, ran.all[-2000:])
            assert (
                ran.code == 0 or "state.json" in ran.document["error"]["what"] or "engine" in str(ran.document["error"])
            )
        state_file(shared).unlink()
        count("edited state files")
    told(shared, *UP)
    assert world.pids(shared) == pids


OTHERS = [
    "secrets.json",
    "ledger.sqlite",
    "restore.json",
    "lock.json",
    "snapshots/kept/manifest.json",
    "baseline/manifest.json",
]


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    """A running project with a snapshot, whose files may be edited; in the end nothing of it may be left."""
    with nothing_left(tmp_path_factory.mktemp("keeper")) as project:
        told(project, *UP)
        told(project, "snapshot", "save", "kept")
        yield project


@pytest.mark.parametrize("name", OTHERS)
def test_an_edited_file_of_another_kind_is_named_or_understood(keeper: ProjectDir, name: str) -> None:
    told(keeper, *UP)
    data = world.data(keeper)
    place = (keeper.path / ".devstate" / name) if name == "lock.json" else home(keeper) / name
    good = place.read_bytes() if place.exists() else None
    rng = dice(name)
    contents = [b"", b"{}", b"null", b"\xff" * 100, b'{"password": 1}', b"[" * 50_000, (good or b"x" * 100)[:50]]
    commands = [("status",), ("reset", "-y"), ("snapshot", "restore", "kept"), ("seed", "-y")]
    for content in contents if FULL else rng.sample(contents, 2):
        for words in (UP, *(commands if FULL else [rng.choice(commands)])):
            place.write_bytes(content)
            ran = keeper.devenv(*words, "--json")
            assert untruths(keeper, list(words), ran) == [], (content[:60], words, ran.all[-2000:])
            assert ran.code in (0, 1, 2, 3, 8), (content[:60], words, ran.all[-2000:])
            if good is None:
                place.unlink(missing_ok=True)
            else:
                place.parent.mkdir(exist_ok=True)
                place.write_bytes(good)
        count("edited files")
    told(keeper, *UP)
    told(keeper, "reset", "-y")
    assert world.data(keeper) == data


def test_a_journal_that_leads_elsewhere_is_refused(keeper: ProjectDir) -> None:
    """A ckeeper can bring a `.devstate` with it: what it says of other places is not done."""
    told(keeper, *UP)
    manifest = json.loads((home(keeper) / "snapshots" / "kept" / "manifest.json").read_text())
    outside = keeper.path.parent / "outside"
    outside.mkdir()
    (outside / "dynamodb.sqlite").write_text("mine")
    journal = home(keeper) / "restore.json"
    for source, kept in ((str(outside), "auto-x"), (str(home(keeper) / "snapshots" / "kept"), "../../../outside/new")):
        told_ = {**manifest, "name": kept, "automatic": True}
        journal.write_text(json.dumps({"source": source, "manifest": manifest, "kept": told_, "running": True}))
        before = tree(outside)
        for words in (UP, ("down",)):
            ran = keeper.devenv(*words, "--json")
            assert untruths(keeper, list(words), ran) == [], ran.all
            assert ran.code in (1, 2), ran.all
            assert tree(outside) == before
        count("edited files")
    journal.unlink()
    told(keeper, *UP)


def test_a_port_of_a_foreign_listener_in_the_state_is_not_taken_for_ours(
    shared: ProjectDir, expected: world.Data
) -> None:
    """Postgres's recorded port is somebody's who never answers: `up` says so and takes another, in its time."""
    told(shared, "down")
    state = json.loads(state_file(shared).read_text())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        state["services"]["postgres"]["port"] = listener.getsockname()[1]
        state_file(shared).write_text(json.dumps(state))
        told(shared, "db", "SELECT 1", codes=(3,))
        told(shared, *UP)
        assert shared.env()["PGPORT"] != str(listener.getsockname()[1])
    count("decoys")
