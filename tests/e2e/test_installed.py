"""The wheel and the source distribution, installed as users do: pip, pipx and uv into clean environments."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from devenv.config.load import data_home
from tests.support import REPOSITORY

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
BIN = Path(sys.executable).parent


def environment(home: Path) -> dict[str, str]:
    """A user's own, with nothing of this checkout; uv asks the index that pip is configured for."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DEVENV_", "PYTHON", "VIRTUAL"))}
    index = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False
    ).stdout.strip()
    own = {"HOME": str(home), "PIPX_HOME": str(home / "pipx"), "PIPX_BIN_DIR": str(home / "bin")}
    own |= {"UV_TOOL_DIR": str(home / "tools"), "UV_TOOL_BIN_DIR": str(home / "bin"), "UV_CACHE_DIR": str(home / "uv")}
    own |= {"UV_PYTHON_DOWNLOADS": "never", "UV_NATIVE_TLS": "1", "DEVENV_CACHE": str(home / "parts")}
    return {**kept, **own, **({"UV_DEFAULT_INDEX": index} if index else {}), "PATH": f"{BIN}{os.pathsep}/usr/bin:/bin"}


def run(command: Sequence[str | Path], home: Path, cwd: Path | None = None, code: int = 0) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment(home), cwd=cwd or home, timeout=600
    )
    assert done.returncode == code, f"{command} exited {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home folder that every account can read: as root, the stores run as another one."""
    with tempfile.TemporaryDirectory(prefix="devenv-home-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture(scope="module")
def built(home: Path) -> dict[str, Path]:
    """The wheel and the source distribution of this checkout."""
    run([BIN / "uv", "build", "--python", sys.executable, "--out-dir", home / "dist", REPOSITORY], home)
    found = list((home / "dist").glob("devenv_stores-*"))
    return {"wheel": next(f for f in found if f.suffix == ".whl"), "sdist": next(f for f in found if f.suffix == ".gz")}


def works(devenv: Path, home: Path, kind: str) -> dict[str, object]:
    """The installed command answers, knows its pages, schema and compose file, and how it was installed."""
    assert run([devenv, "--version"], home).startswith("devenv ")
    run([devenv, "help", "start"], home)
    assert json.loads(run([devenv, "config", "schema"], home))["$defs"]
    shown = json.loads(run([devenv, "self", "show", "--json"], home))
    assert shown["kind"] == kind
    return shown


@pytest.mark.parametrize("form", ["wheel", "sdist"])
def test_pip_installs_it_into_a_clean_environment(home, built, form):
    place = home / f"pip-{form}"
    run([sys.executable, "-m", "venv", place], home)
    run([place / "bin/python", "-m", "pip", "install", "--quiet", built[form]], home)
    works(place / "bin/devenv", home, "environment")
    project = home / f"project-{form}"
    project.mkdir()
    run([place / "bin/devenv", "init"], home, cwd=project)
    refused = json.loads(run([place / "bin/devenv", "up", "--json"], home, cwd=project, code=10))
    hint = f"{place}/bin/python -m pip install 'devenv-stores[embedded] @ file://{built[form]}'"
    assert refused["error"]["hint"].startswith(hint)
    run([place / "bin/devenv", "self", "uninstall", "-y"], home)
    assert not (place / "bin/devenv").exists()


def test_pipx_installs_and_removes_it(home, built):
    run([BIN / "pipx", "install", "--python", sys.executable, f"{built['wheel']}[embedded]"], home)
    shown = works(home / "bin/devenv", home, "pipx")
    assert shown["remove"] == "pipx uninstall devenv-stores"
    told = json.loads(run([home / "bin/devenv", "self", "uninstall", "--dry-run", "--json"], home))
    assert told["runs"] == "pipx uninstall devenv-stores"
    assert (home / "bin/devenv").exists()
    run([home / "bin/devenv", "self", "uninstall", "-y"], home)
    assert not (home / "bin/devenv").exists()
    assert not (home / "pipx/venvs/devenv-stores").exists()


def test_uv_tool_installs_and_removes_it(home, built):
    run([BIN / "uv", "tool", "install", "--python", sys.executable, f"{built['wheel']}[embedded]"], home)
    works(home / "bin/devenv", home, "uv")
    run([home / "bin/devenv", "self", "uninstall", "-y"], home)
    assert not (home / "bin/devenv").exists()


def test_the_pytest_plugin_works_in_a_projects_own_environment(home, built):
    place, project = home / "own", home / "own-project"
    run([sys.executable, "-m", "venv", place], home)
    run([place / "bin/python", "-m", "pip", "install", "--quiet", f"{built['wheel']}[embedded]", "pytest"], home)
    project.mkdir()
    lines = json.loads(run([place / "bin/devenv", "init", "--json"], home, cwd=project))["lines"]
    (project / "test_own.py").write_text(
        "import psycopg\n\n\ndef test_rows(devenv_stores):\n"
        "    with psycopg.connect('') as connection:\n"
        "        assert connection.execute('select count(*) from users').fetchone()[0] > 0\n"
    )
    try:
        assert "1 passed" in run([place / "bin/python", "-m", "pytest", "-p", "no:cacheprovider"], home, cwd=project)
        up = run([place / "bin/devenv", "up"], home, cwd=project)
        assert "up in" in up
        assert lines == ["devenv up", "devenv doctor", "devenv trace notes --user alma"]
        for line in lines[1:]:
            run([place / "bin/devenv", *line.split()[1:]], home, cwd=project)
        told = json.loads(run([place / "bin/devenv", "self", "uninstall", "--dry-run", "--json"], home))
        assert told["stops"] == [str(project.resolve())]
        refused = json.loads(run([place / "bin/devenv", "self", "uninstall", "--json"], home, code=2))
        assert f"stop the running services of {project.resolve()}" in refused["error"]["what"]
        assert run([place / "bin/devenv", "status"], home, cwd=project)
    finally:
        run([place / "bin/devenv", "down", "--data", "--no-backup", "-y"], home, cwd=project)
        shutil.rmtree(data_home(project.resolve()), ignore_errors=True)
