"""Copied and moved folders, stopped stores, closed streams: nothing is taken from another project, nothing is lost."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ProjectDir, reference_project

ADD = (
    "insert into users (display_name, handle, email, cognito_user_id) "
    "values ('By Hand', 'hand', 'hand@example.com', 'd5d5a4c2-0000-4000-8000-000000000001')"
)
COUNT = "select count(*) from users where handle = 'hand'"


@pytest.fixture
def handmade(project: ProjectDir) -> ProjectDir:
    """A running project with a row of the user's own."""
    project.ok("up", "--no-backend")
    project.ok("db", "--write", ADD)
    return project


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Where the project's folder is copied or moved to."""
    folder = tmp_path / "elsewhere"
    yield folder
    if folder.exists():
        ProjectDir(folder).remove()


def hands(project: ProjectDir) -> int:
    return int(project.json("db", COUNT)["rows"][0][0])


def pids(project: ProjectDir) -> list[int | None]:
    return [service["pid"] for service in project.json("status")["services"]]


@pytest.mark.long
def test_a_copied_folder_has_nothing_to_do_with_the_original(handmade: ProjectDir, place: Path) -> None:
    shutil.copytree(handmade.path, place, symlinks=True)
    copy = ProjectDir(place)
    before = pids(handmade)
    assert [s["state"] for s in copy.json("status")["services"]] == ["stopped"] * 3
    assert (
        copy.devenv("ddb", "sql", "--write", "DELETE FROM \"cruddur-messages\" WHERE pk = 'x' AND sk = 'y'").code == 3
    )
    copy.ok("down")
    assert pids(handmade) == before
    copy.ok("setup", "-y")
    assert hands(handmade) == 1
    assert pids(handmade) == before


def test_a_moved_folder_keeps_its_data(handmade: ProjectDir, place: Path) -> None:
    handmade.path.rename(place)
    moved = ProjectDir(place)
    ran = moved.ok("up", "--no-backend")
    assert "was moved here" in ran.err
    assert hands(moved) == 1
    assert "already up" in moved.ok("up", "--no-backend").out


@pytest.mark.long
def test_a_folder_moved_while_stopped_keeps_its_data(handmade: ProjectDir, place: Path) -> None:
    handmade.ok("down")
    handmade.path.rename(place)
    moved = ProjectDir(place)
    moved.ok("up", "--no-backend")
    assert hands(moved) == 1


@pytest.mark.long
@pytest.mark.parametrize("command", ["setup", "reset"])
def test_a_stopped_store_is_asked_before_anything_is_lost(handmade: ProjectDir, command: str) -> None:
    handmade.ok("down")
    ran = handmade.devenv(command, "--no-input")
    assert ran.code == 2
    assert hands(handmade) == 1


@pytest.mark.long
def test_another_projects_store_on_our_port_is_not_ours(handmade: ProjectDir, place: Path) -> None:
    port = next(s["port"] for s in handmade.json("status")["services"] if s["name"] == "dynamodb")
    other = reference_project(place)
    assert other.devenv("ddb", "list-tables", DEVENV_DYNAMODB_PORT=str(port)).code == 3


@pytest.mark.long
def test_closed_streams_are_no_crash(handmade: ProjectDir) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *handmade.command("status")],
        capture_output=True,
        text=True,
        env=handmade.environment(),
        cwd=handmade.path,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.long
def test_an_interrupted_command_says_so(handmade: ProjectDir) -> None:
    handmade.ok("down")
    child = subprocess.Popen(
        handmade.command("up", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=handmade.environment(),
        cwd=handmade.path,
    )
    assert child.stderr is not None
    child.stderr.readline()
    time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 130
    assert '"interrupted"' in out


@pytest.mark.long
def test_a_symbolic_link_in_the_place_of_a_file_of_ours_leads_nowhere(handmade: ProjectDir, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    lock = handmade.path / ".devstate" / "lock.json"
    lock.unlink(missing_ok=True)
    lock.symlink_to(victim)
    handmade.ok("up", "--no-backend")
    assert victim.read_text() == "mine"
