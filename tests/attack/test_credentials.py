"""Tokens, passwords and the user's own key files go to nobody but whom they are meant for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.attack.outside import Outside
from tests.support import ProjectDir


@contextmanager
def listener(seen: list[str]) -> Iterator[int]:
    """Another program on a port; it answers everything, and keeps what it is told."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.extend([self.path, *(f"{name}: {value}" for name, value in self.headers.items())])
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]")

        do_OPTIONS = do_GET

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def traced(port: int, command: str) -> str:
    return f"""
[backend]
{command}
port = {port}
[env]
AUTH_SECRET = "{{key}}"
[person]
table = "users"
id = "uuid"
name = "handle"
sign_in = "cognito_user_id"
[token]
env = "AUTH_SECRET"
claims = {{ sub = "{{person.cognito_user_id}}" }}
[patterns.p]
sql = "SELECT 1"
[trace.e]
pattern = "p"
[trace.e.request]
path = "/api/message_groups"
headers = {{ Authorization = "Bearer {{token}}" }}
anonymous = [401]
"""


def test_no_token_goes_to_who_holds_the_applications_port(
    running: ProjectDir, outside: Outside, tmp_path: Path
) -> None:
    seen: list[str] = []
    with listener(seen) as port:
        clone = outside.folder(tmp_path / "clone", traced(port, 'command = ["sleep", "100"]'))
        ran = clone.devenv("trace", "e", "--user", "ines", "--json")
    assert ran.code in (1, 3), ran.all
    assert [line for line in seen if "uthorization" in line or "earer" in line] == []
    http_layer = next(layer for layer in ran.document["layers"] if layer["name"] == "http")
    assert http_layer["status"] != "ok"


def test_a_token_goes_to_a_declared_address(running: ProjectDir, outside: Outside, tmp_path: Path) -> None:
    """An application that devenv does not start, whose address devenv.toml names."""
    seen: list[str] = []
    with listener(seen) as port:
        declared = f'url = "http://127.0.0.1:{port}"'
        clone = outside.folder(tmp_path / "clone", traced(port, declared))
        clone.devenv("trace", "e", "--user", "ines")
    assert [line for line in seen if line.startswith("Authorization: Bearer ey")]


def test_the_users_own_key_files_are_not_used_for_a_folders_address(
    running: ProjectDir, outside: Outside, tmp_path: Path
) -> None:
    env = running.env()
    home = tmp_path / "home"
    home.mkdir()
    (home / ".pgpass").write_text(f"*:*:*:*:{env['PGPASSWORD']}\n")
    (home / ".pgpass").chmod(0o600)
    (home / ".pg_service.conf").write_text(f"[s]\nhost=127.0.0.1\npassword={env['PGPASSWORD']}\n")
    (home / ".netrc").write_text(f"machine 127.0.0.1 login {env['PGUSER']} password {env['PGPASSWORD']}\n")
    clone = outside.folder(tmp_path / "clone", password="")
    for more in ({}, {"PGPASSFILE": str(home / ".pgpass")}, {"PGSERVICE": "s"}):
        ran = clone.devenv("db", "select 1", HOME=str(home), **more)
        assert ran.code != 0, ran.all
        assert "password" in ran.err
    # Of an address that the user names, they are.
    address = f"postgresql://{env['PGUSER']}@127.0.0.1:{env['PGPORT']}"
    ran = clone.devenv("db", "select 1", HOME=str(home), DEVENV_EXTERNAL_POSTGRES=address)
    assert ran.code == 0, ran.all


def test_no_password_goes_in_clear_to_who_holds_postgres_port(running: ProjectDir) -> None:
    """A program in Postgres's place asks for the password in clear; it does not get it."""
    from tests.attack.places import PostgresError, connect_reading, target

    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def play() -> None:
            for _ in range(2):
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer:
                    peer.settimeout(5)
                    peer.recv(4096)
                    peer.sendall(b"R\x00\x00\x00\x08\x00\x00\x00\x03")
                    try:
                        got.append(peer.recv(4096))
                    except OSError:
                        return

        thread = threading.Thread(target=play, daemon=True)
        thread.start()
        env = {**running.env(), "PGPORT": str(server.getsockname()[1])}
        with pytest.raises(PostgresError):
            connect_reading(target(env, own=True))
    thread.join(10)
    assert got
    assert all(env["PGPASSWORD"].encode() not in each for each in got)
    assert b"p" not in [each[:1] for each in got]
