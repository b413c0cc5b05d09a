"""Another program that answers at the port of an own process, on an engine whose stores devenv did not start."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.engines import external_project, other_stores
from tests.support import ProjectDir

pytestmark = pytest.mark.long


@pytest.fixture
def project(tmp_path: Path) -> Iterator[ProjectDir]:
    with other_stores(tmp_path / "theirs") as stores:
        made = external_project(tmp_path / "project", stores)
        yield made
        made.remove()


# Another program answers at its port before it serves there, as another project's that found the port free, too.
LATE = """\
import http.server, pathlib, subprocess, sys, time

port, thief = int(sys.argv[1]), pathlib.Path("thief")
if not thief.exists():
    code = (
        "import os, socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); "
        "print(os.getpid(), flush=True); time.sleep(120)"
    )
    # No child of this process: it would count as a part of the service.
    command = ["sh", "-c", '"$@" &', "sh", sys.executable, "-S", "-c", code, str(port)]
    shell = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, env={}, text=True)
    shell.wait()
    thief.write_text(shell.stdout.readline())
    time.sleep(1)
    sys.exit("the port is taken")
http.server.HTTPServer(("127.0.0.1", port), http.server.BaseHTTPRequestHandler).serve_forever()
"""


def test_a_process_is_not_ready_where_another_program_answers_at_its_port(project: ProjectDir) -> None:
    section = '\n[services.late]\ncommand = ["{python}", "late.py", "{port}"]\nport = 0\nready = { tcp = true }\n'
    settings = project.path / "devenv.toml"
    settings.write_text(settings.read_text() + section)
    (project.path / "late.py").write_text(LATE)
    try:
        said = project.ok("up", "late", "--mark").err
    finally:
        os.kill(int((project.path / "thief").read_text()), signal.SIGKILL)
    assert "is taken by" in said
    [late] = [each for each in project.json("status")["services"] if each["name"] == "late"]
    assert late["state"] == "running"
    assert str(late["port"]) in said
