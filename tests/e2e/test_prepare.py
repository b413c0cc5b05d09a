"""`up` makes the environment that a lock file describes: asked, made, known again; with the real pip, uv and npm."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.world import until
from tests.packages import make_wheel, require, silent_index, with_uv, without_uv
from tests.support import ProjectDir, empty_project
from tests.terminal import open_terminal

TOML = """[project]
name = "prepared"
[backend]
command = ["{python}", "serve.py", "{port}"]
port = 4567
health = "/"
"""
SERVE = """
import sys, http.server, tinypart
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{tinypart.VERSION} {sys.prefix}".encode())
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    """A project whose stores run; its application needs the package tinypart."""
    path = tmp_path_factory.mktemp("prepared") / "project"
    project = empty_project(path, TOML)
    (path / "serve.py").write_text(SERVE, "utf-8")
    for version in ("1.0", "2.0"):
        make_wheel(path / "wheels", "tinypart", version)
    project.environ.update(without_uv(), VIRTUAL_ENV="", CONDA_PREFIX="")
    yield project
    project.remove()


@pytest.fixture
def project(stores: ProjectDir) -> ProjectDir:
    """The same without an environment, and with nothing remembered of one."""
    shutil.rmtree(stores.path / ".venv", ignore_errors=True)
    (stores.path / ".devstate" / "prepare-refused.json").unlink(missing_ok=True)
    require(stores.path, "1.0")
    return stores


def answer(project: ProjectDir) -> str:
    """What the running application answers: the package's version, and where its interpreter lives."""
    url = next(each["url"] for each in project.json("status")["services"] if each["name"] == "backend")
    with urllib.request.urlopen(url, timeout=10) as response:
        return str(response.read().decode())


def test_pip_makes_what_a_requirements_file_lists_and_says_so_before(project: ProjectDir) -> None:
    said = project.devenv("up")
    assert said.code != 0
    assert ".venv: missing (requirements.txt describes it); to create it: devenv up --prepare" in said.err
    assert not (project.path / ".venv").exists(), "nothing is installed without consent"
    made = project.json("up", "--prepare")
    assert made["plan"][0] == {
        "target": ".venv",
        "action": "prepare",
        "reason": "missing (requirements.txt describes it)",
    }
    assert answer(project) == f"1.0 {project.path / '.venv'}"
    assert "pip install" in (project.path / ".devstate" / "logs" / "steps.log").read_text("utf-8")
    again = project.ok("up")
    assert "already up" in again.out
    assert ".venv" not in again.all


def test_a_changed_file_is_offered_and_its_application_restarted(project: ProjectDir, tmp_path: Path) -> None:
    uv = with_uv(tmp_path / "bin")
    project.ok("up", "--prepare", **uv)
    assert answer(project).startswith("1.0")
    require(project.path, "2.0")
    said = project.ok("up", **uv)
    assert ".venv: made from an older requirements.txt; to update it: devenv up --prepare" in said.err
    assert "  prepare  .venv" in project.ok("up", "--dry-run", **uv).out
    assert ".venv" not in project.ok("up", "--no-prepare", **uv).all
    assert answer(project).startswith("1.0")
    plan = project.json("up", "--prepare", **uv)["plan"]
    assert {"target": "backend", "action": "restart", "reason": "its packages have changed"} in plan
    assert answer(project).startswith("2.0")
    assert not (project.path / ".devstate" / "prepare.old").exists()


def test_an_environment_of_the_user_is_left_alone(project: ProjectDir, tmp_path: Path) -> None:
    uv = with_uv(tmp_path / "bin")
    subprocess.run([uv["UV_PYTHON"], "-m", "venv", "--without-pip", project.path / ".venv"], check=True)
    (project.path / ".venv" / "mine").touch()
    project.devenv("stop", "backend")
    said = project.devenv("up", "--prepare", **uv)
    assert "No module named 'tinypart'" in said.all
    assert (project.path / ".venv" / "mine").exists()


def test_without_trust_nothing_is_installed(project: ProjectDir, tmp_path: Path) -> None:
    refused = project.devenv("up", "--prepare", DEVENV_TRUST="0", XDG_STATE_HOME=str(tmp_path))
    assert refused.code == 2
    assert "is not trusted to run its own commands" in refused.err
    assert not (project.path / ".venv").exists()


def test_a_package_that_is_not_there_leaves_nothing(project: ProjectDir, tmp_path: Path) -> None:
    require(project.path, "3.0")
    failed = project.devenv("up", "--prepare", **with_uv(tmp_path / "bin"))
    assert failed.code == 1
    assert "uv pip install" in failed.err
    assert "devenv up --no-prepare" in failed.err
    assert not (project.path / ".venv").exists()


def test_a_tool_that_is_not_installed_is_named(project: ProjectDir) -> None:
    (project.path / "requirements.txt").unlink()
    (project.path / "uv.lock").write_text("version = 1\n", "utf-8")
    try:
        assert "it is made with uv, which is not installed: pipx install uv" in project.devenv("up").err
        missing = project.devenv("up", "--prepare")
    finally:
        (project.path / "uv.lock").unlink()
    assert missing.code == 10
    assert "hint: pipx install uv" in missing.err


def test_a_terminal_is_asked_once(project: ProjectDir, tmp_path: Path) -> None:
    environ = project.environment(**with_uv(tmp_path / "bin"))
    with open_terminal(project.command("up"), environ) as terminal:
        terminal.until("uv pip install --python")
        terminal.until("Run this now?")
        terminal.press("n\n")
        assert terminal.end() != 0
    with open_terminal(project.command("up"), environ) as terminal:
        assert terminal.end() != 0
        assert "Run this now?" not in terminal.seen
    require(project.path, "2.0")
    with open_terminal(project.command("up"), environ) as terminal:
        terminal.until("Run this now?")
        terminal.press("y\n")
        assert terminal.end() == 0, terminal.seen
    assert answer(project).startswith("2.0")


@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL"])
def test_an_interrupted_one_leaves_what_was_there(project: ProjectDir, tmp_path: Path, how: str) -> None:
    uv = with_uv(tmp_path / "bin")
    project.ok("up", "--prepare", **uv)
    before = psutil.Process().children(recursive=True)
    with silent_index() as (address, asked):
        require(project.path, "2.0", f"--index-url {address}")
        child = subprocess.Popen(project.command("up", "--prepare"), env=project.environment(**uv), cwd=project.path)
        until(asked.is_set, "a request to the index")
        assert (project.path / ".devstate" / "prepare.json").exists()
        tools = [each for each in psutil.process_iter(["name", "cmdline"]) if is_uv(each, project.path)]
        assert tools, "the tool is at work"
        child.send_signal(getattr(signal, how))
        code = child.wait(30)
        require(project.path, "1.0")
        said = project.ok("up", **uv)
        assert [each for each in tools if each.is_running() and each.status() != psutil.STATUS_ZOMBIE] == []
    assert code == (130 if how == "SIGINT" else -signal.SIGKILL)
    assert ("removed what an interrupted `devenv up` left incomplete" in said.err) == (how == "SIGKILL")
    assert answer(project).startswith("1.0")
    assert not (project.path / ".devstate" / "prepare.json").exists()
    assert len(psutil.Process().children(recursive=True)) <= len(before) + 1


def test_what_the_user_made_after_a_kill_is_kept(project: ProjectDir, tmp_path: Path) -> None:
    uv = with_uv(tmp_path / "bin")
    with silent_index() as (address, asked):
        require(project.path, "2.0", f"--index-url {address}")
        child = subprocess.Popen(project.command("up", "--prepare"), env=project.environment(**uv), cwd=project.path)
        until(asked.is_set, "a request to the index")
        child.kill()
        child.wait(30)
    # The old number of a folder can be given to the next one, so the new one is made before the old one goes.
    subprocess.run([uv["UV_PYTHON"], "-m", "venv", "--without-pip", project.path / "mine"], check=True)
    shutil.rmtree(project.path / ".venv")
    (project.path / "mine").rename(project.path / ".venv")
    require(project.path, "1.0")
    assert ".venv is kept" in project.devenv("up", **uv).err
    assert (project.path / ".venv" / "pyvenv.cfg").exists()
    assert not (project.path / ".devstate" / "prepare.json").exists()


def is_uv(process: psutil.Process, folder: Path) -> bool:
    """Return True if a process is uv at work on this project."""
    words = process.info["cmdline"] or []
    return process.info["name"] == "uv" and any(str(folder) in word for word in words)


def test_an_install_without_progress_ends_at_the_limit(project: ProjectDir, tmp_path: Path) -> None:
    with silent_index() as (address, _):
        require(project.path, "2.0", f"--index-url {address}")
        began = time.monotonic()
        late = project.devenv("up", "--prepare", "--timeout", "3", **with_uv(tmp_path / "bin"))
    assert late.code == 4
    assert "no progress for 3 s" in late.err
    assert time.monotonic() - began < 25
    assert not (project.path / ".venv").exists()


@pytest.mark.needs_npm
def test_npm_installs_what_its_lock_lists(tmp_path: Path) -> None:
    text = '[project]\nname = "node"\n[steps.setup]\ncommand = ["node", "setup.js"]\n'
    project = empty_project(tmp_path / "project", text)
    (project.path / "part").mkdir()
    files = {
        "setup.js": "console.log(require('part'))\n",
        "part/package.json": '{"name": "part", "version": "1.0.0"}',
        "part/index.js": "module.exports = 'the part'\n",
        "package.json": '{"name": "app", "version": "1.0.0", "dependencies": {"part": "file:part"}}',
    }
    for name, content in files.items():
        (project.path / name).write_text(content, "utf-8")
    subprocess.run(["npm", "install", "--package-lock-only", "--offline"], cwd=project.path, check=True)
    try:
        # The step makes no database: what counts is how far it came.
        said = project.devenv("up", "--prepare")
        assert "node_modules: made from package-lock.json" in said.err
        assert "the part" in (project.path / ".devstate" / "logs" / "steps.log").read_text("utf-8")
        assert "node_modules" not in project.devenv("up").err
        (project.path / "package-lock.json").write_text(
            json.dumps({**json.loads((project.path / "package-lock.json").read_text("utf-8")), "x": 1}), "utf-8"
        )
        assert "node_modules: made from an older package-lock.json" in project.devenv("up").err
    finally:
        project.remove()
