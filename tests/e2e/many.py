"""A project with several processes of its own, for tests: a frontend, a worker, a cache, and a backend."""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

from tests.support import ProjectDir, empty_project

FRONTEND = """\
import http.server, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["BACKEND"].encode())

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
WORKER = """\
import os, socket, time

host, port = os.environ["CACHE"].rsplit("/", 1)[-1].split(":")
socket.create_connection((host, int(port)), 5).close()
print("working with", os.environ["CACHE"], flush=True)
while True:
    time.sleep(0.2)
"""
TOML = """\
[project]
name = "many"

[backend]
command = ["{python}", "-m", "http.server", "{port}", "--bind", "127.0.0.1"]
env = { FRONTEND = "{frontend_url}" }

[services.frontend]
command = ["{python}", "server.py", "{port}"]
folder = "frontend"
port = 0
depends_on = ["backend"]
ready = { http = "/" }
env = { BACKEND = "{backend_url}" }

[services.worker]
command = ["{python}", "worker.py"]
depends_on = ["postgres", "dynamodb", "cache"]
ready = { log = "^working with" }
env = { CACHE = "redis://{cache_url}" }

[services.cache]
command = CACHE
port = 0
ready = { tcp = true }

[env]
FRONTEND_URL = "{frontend_url}"
"""
PLAIN_CACHE = ["{python}", "-m", "http.server", "{port}", "--bind", "127.0.0.1"]
OWN = ("backend", "cache", "worker", "frontend")


def many_project(path: Path, cache: list[str] | None = None, frontend: str = FRONTEND, **environ: str) -> ProjectDir:
    """Write the project; nothing is started."""
    text = TOML.replace("CACHE\n", json.dumps(cache or PLAIN_CACHE) + "\n", 1)
    made = empty_project(path, text.replace('"{python}"', json.dumps(sys.executable)))
    (path / "frontend").mkdir(exist_ok=True)
    (path / "frontend" / "server.py").write_text(textwrap.dedent(frontend))
    (path / "worker.py").write_text(WORKER)
    return ProjectDir(made.path, environ)


def services(project: ProjectDir) -> dict[str, dict[str, Any]]:
    """Name -> the service as `status` shows it."""
    return {one["name"]: one for one in project.json("status")["services"]}


def kill(pid: int) -> None:
    """Kill a process, and wait until it is gone."""
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        status = Path(f"/proc/{pid}/stat")
        if status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.01)
