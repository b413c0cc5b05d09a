"""One more store-like kind from a test module: every command knows it by the registry alone."""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.config.load import data_home
from tests.e2e.docker_support import IMAGES, need_docker
from tests.e2e.many import kill, services
from tests.support import ProjectDir, empty_project

TOML = """\
[project]
name = "noted"

[services.notes]
kind = "notebook"
port = 0

[steps.setup]
files = ["tables.sql"]

[env]
NOTES = "{notes_url}"
"""


class WithNotebook(ProjectDir):
    """A project whose devenv has the kind."""

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "tests.e2e.one_more_kind", "--project", str(self.path), *arguments]


@pytest.fixture(params=["embedded", pytest.param("docker", marks=pytest.mark.needs_docker)])
def noted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ProjectDir]:
    environ = {"DEVENV_ENGINE": request.param}
    if request.param == "docker":
        need_docker()
        environ |= IMAGES
    made = WithNotebook(empty_project(tmp_path / "noted", TOML).path, environ)
    (made.path / "tables.sql").write_text("CREATE TABLE orders (id int PRIMARY KEY);\n")
    yield made
    made.remove()


def text(project: ProjectDir, new: str | None = None) -> str:
    """What the store holds, after it was given `new`."""
    url = services(project)["notes"]["url"]
    if new is not None:
        urllib.request.urlopen(urllib.request.Request(url, new.encode(), method="PUT"), timeout=5).close()
    with urllib.request.urlopen(url, timeout=5) as answer:
        return str(answer.read().decode())


@pytest.mark.long
def test_every_command_knows_it(noted: ProjectDir) -> None:
    up = noted.json("up", timeout=240)
    assert {action["target"]: action["action"] for action in up["plan"]}["notes"] == "start"
    seen = services(noted)["notes"]
    assert (seen["state"], seen["version"], seen["url"]) == ("running", "1.0", f"http://127.0.0.1:{seen['port']}")
    assert noted.json("stop", "notes")["stopped"] == ["notes"]
    assert services(noted)["notes"]["state"] == "stopped"
    noted.ok("up", "notes")
    noted.ok("restart", "notes")
    seen = services(noted)["notes"]
    assert noted.env()["NOTES"] == noted.env()["NOTEBOOK_URL"] == seen["url"]
    [row] = noted.json("doctor", "--only", "SVC009")["checks"]
    assert (row["status"], row["evidence"]) == ("ok", "notes (text)")
    assert f"serving {seen['port']}" in noted.ok("logs", "notes").out
    [shown] = [one for one in noted.json("ps")["projects"] if one["root"] == str(noted.path.resolve())]
    assert "notes" in {one["name"] for one in shown["services"]}

    text(noted, "first")
    kill(seen["pid"])
    assert services(noted)["notes"]["state"] == "crashed"
    noted.ok("up")
    assert text(noted) == "first"

    noted.ok("snapshot", "save", "kept")
    assert noted.json("snapshot", "diff", "kept")["identical"] is True
    text(noted, "second")
    assert noted.json("snapshot", "diff", "kept")["services"] == ["notes"]
    assert "notes: its data differs" in noted.ok("snapshot", "diff", "kept").out
    kept = noted.json("snapshot", "restore", "kept")["kept"]
    assert text(noted) == "first"
    noted.ok("snapshot", "restore", kept)
    assert text(noted) == "second"
    file = str(noted.path / "kept.snapshot")
    noted.ok("snapshot", "export", "kept", file)
    noted.ok("snapshot", "delete", "kept")
    noted.ok("snapshot", "import", file)
    kept = noted.json("snapshot", "restore", "kept")["kept"]
    assert text(noted) == "first"
    noted.ok("snapshot", "restore", kept)
    noted.ok("reset", "-y")
    assert text(noted) == "second", "the steps make nothing of it, so a reset leaves it alone"

    assert "notes" in noted.json("down")["stopped"]
    backup = noted.json("down", "--data", "-y")["backup"]
    assert [*data_home(noted.path.resolve()).rglob("services")] == []
    noted.ok("snapshot", "restore", backup)
    noted.ok("up")
    assert text(noted) == "second"


def test_without_the_registry_it_is_a_mistake_in_the_file(tmp_path: Path) -> None:
    ran = empty_project(tmp_path / "noted", TOML).devenv("up")
    assert ran.code == 2
    assert "devenv.toml:5: [services.notes] kind: there is no kind `notebook`" in ran.err
