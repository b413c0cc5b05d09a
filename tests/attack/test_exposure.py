"""Doctor says what devenv cannot close: a server that answers to any name, a sign-in that may do anything."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from devenv.core.model import DynamoTarget
from devenv.doctor.checks.exposure import ask_as
from tests.attack.outside import Outside
from tests.e2e import world
from tests.support import ProjectDir


def statuses(project: ProjectDir) -> dict[str, str]:
    ran = project.devenv("doctor", "--only", "SVC007", "--only", "SVC008", "--json")
    return {check["code"]: check["status"] for check in ran.document["checks"]}


def test_engine_embedded_needs_no_warning(running: ProjectDir) -> None:
    found = statuses(running)
    assert (found["SVC007"], found["SVC008"]) == ("ok", "skip")


def test_a_superuser_of_a_foreign_server_is_said(running: ProjectDir, outside: Outside, tmp_path: Path) -> None:
    assert statuses(outside.folder(tmp_path / "super"))["SVC008"] == "warn"
    world.sql(running, "DROP ROLE IF EXISTS attack_plain")
    world.sql(running, "CREATE ROLE attack_plain LOGIN PASSWORD 'plain-and-simple'")
    plain = outside.folder(tmp_path / "plain", login="attack_plain", password="plain-and-simple")
    assert statuses(plain)["SVC008"] == "ok"


def test_a_server_that_answers_to_any_name_is_noticed() -> None:
    seen: list[str] = []

    class Anyone(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.headers["Host"])
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"TableNames": []}')

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Anyone) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        target = DynamoTarget(f"http://127.0.0.1:{server.server_address[1]}", "us-east-1", "a", "b")
        assert ask_as(target, "devenv.invalid") == 200
        server.shutdown()
    assert seen == ["devenv.invalid"]
