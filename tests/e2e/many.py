"""Projects with several processes of their own, for tests: a frontend, a worker, a cache, and a backend; and one with
a service of each kind.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import psutil

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

# A service of each kind: beside processes a Redis, a stream worker and the issuer of tokens.
REDIS = """\
[services.cache]
kind = "redis"
port = 0
KINDS_KEYS
"""
OTHER_KINDS = """
[services.rows]
stream = "orders"
handler = "rows.py:handler"

[token]
issuer = "cognito"

[person]
table = "people"
id = "uuid"
name = "handle"
sign_in = "cognito_id"

[steps.setup]
files = ["people.sql"]

[steps.schema-load]
files = ["orders.json"]
"""
# What it got, a line each.
HANDLER = """\
def handler(event, context):
    with open("notes", "a") as notes:
        for record in event["Records"]:
            notes.write(record["dynamodb"]["Keys"]["pk"]["S"] + "\\n")
"""
PEOPLE = """\
CREATE TABLE people (uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), handle text, cognito_id text);
INSERT INTO people (handle, cognito_id) VALUES ('anna', '5ae290ed-55d1-47a0-bc6d-fe2bc2700399');
"""
ORDERS = {
    "TableName": "orders",
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}
ALL_KINDS = (*OWN, "issuer", "rows")


def kinds_project(path: Path, redis_image: str = "", **environ: str) -> ProjectDir:
    """Write a project with a service of each kind; nothing is started. It has the reference project's name, by which
    scenario.py looks for containers.
    """
    made = many_project(path, **environ)
    file = path / "devenv.toml"
    text = file.read_text()
    section = text[text.index("[services.cache]") : text.index("[env]")]
    text = text.replace(section, REDIS.replace("KINDS_KEYS", f'image = "{redis_image}"' if redis_image else ""))
    text = text.replace('name = "many"', 'name = "cruddur"\ncross_store = false')
    file.write_text(text.replace('"redis://{cache_url}"', '"redis://127.0.0.1:{cache_port}"') + OTHER_KINDS)
    (path / "rows.py").write_text(HANDLER)
    (path / "people.sql").write_text(PEOPLE)
    (path / "orders.json").write_text(json.dumps(ORDERS))
    return made


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
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return
        except psutil.NoSuchProcess:
            return
        time.sleep(0.01)
