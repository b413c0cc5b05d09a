"""A project that can be broken and mended: real stores, a copy of the reference application, and what its API answers.

The application is a copy under another name, so that its code can be changed; it is served by `devenv up`.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import psutil
import psycopg
from psycopg.types.json import Jsonb

from devenv.core.model import DynamoTarget
from devenv.stores.dynamodb.client import Dynamo
from tests.e2e.world import free_port
from tests.support import REPOSITORY, ProjectDir, reference_project

GROUP = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
ORIGIN = "http://localhost:3000"
TABLE = "cruddur-messages"
ASK_S = 6.0
TRACE_S = 600.0
Item = dict[str, Any]


@dataclass
class Bench:
    """One running project. `restore` brings stores, code, settings and processes back to how they were."""

    project: ProjectDir
    env: dict[str, str] = field(default_factory=dict)
    code: dict[str, str] = field(default_factory=dict)
    settings: str = ""
    items: list[Item] = field(default_factory=list)
    rows: dict[str, list[Any]] = field(default_factory=dict)
    table: Item = field(default_factory=dict)
    sign_ins: dict[str, str] = field(default_factory=dict)
    restart_needed: bool = False
    undo: list[Any] = field(default_factory=list)
    ask_s: float = ASK_S

    # --- life ---

    @classmethod
    def open(cls, path: Path, *options: str, seconds: float = 4) -> Bench:
        """A fresh project with its application copied into it, up and running. `options`: of `devenv up`.

        `seconds`: how long the application's function and its API may take. More on a busy machine.
        """
        # A port of its own: the usual one is free while the application is started anew, and others would take it.
        project = ProjectDir(reference_project(path).path, {"DEVENV_BACKEND_PORT": str(free_port())})
        package = path / "chat"
        package.mkdir()
        for file in (REPOSITORY / "devenv" / "example").glob("*.py"):
            (package / file.name).write_text(file.read_text("utf-8").replace("devenv.example", "chat"), "utf-8")
        toml = path / "devenv.toml"
        text = toml.read_text("utf-8").replace("devenv.example", "chat")
        for section in ("library", "request"):
            text = text.replace(
                f"[trace.conversation.{section}]\n", f"[trace.conversation.{section}]\nseconds = {seconds}\n"
            )
        # Served even when a store cannot be reached: that is what a developer's server does.
        text = text.replace('health = "/api/health-check"', 'health = "/openapi.json"')
        toml.write_text(text, "utf-8")
        made = cls(project, ask_s=max(ASK_S, seconds))
        project.ok("up", *options)
        made.env = project.env()
        made.code = {file.name: file.read_text("utf-8") for file in package.glob("*.py")}
        made.settings = toml.read_text("utf-8")
        made.items = made.scan()
        made.rows = {name: made.sql(f"SELECT to_jsonb(t) FROM {name} t") for name in ("users", "activities")}
        with made.dynamodb() as dynamodb:
            made.table = dynamodb.call("DescribeTable", {"TableName": TABLE})["Table"]
        made.sign_ins = dict(made.sql("SELECT handle, cognito_user_id FROM users"))
        return made

    def close(self) -> None:
        """Stop everything and delete the data."""
        self.restore()
        self.project.remove()

    def restart(self) -> None:
        """Serve the application anew, from the present code and settings."""
        self.stop_backend()
        self.project.ok("up")
        self.restart_needed = True

    def stop_backend(self) -> None:
        """End the application's process."""
        for pid in self.pids("backend"):
            os.kill(pid, signal.SIGKILL)
            wait_gone(pid)

    def pids(self, service: str) -> list[int]:
        """The process of a service; none when it does not run."""
        status = self.project.json("status")
        return [s["pid"] for s in status["services"] if s["name"] == service and s["pid"]]

    def restore(self) -> None:
        """Undo everything that was done."""
        while self.undo:
            self.undo.pop()()
        # The stores first: `devenv up` would let the items follow rows that are still the wrong ones.
        self.restore_rows()
        self.restore_items()
        for name, text in self.code.items():
            file = self.project.path / "chat" / name
            if file.read_text("utf-8") != text:
                file.write_text(text, "utf-8")
        toml = self.project.path / "devenv.toml"
        if toml.read_text("utf-8") != self.settings:
            toml.write_text(self.settings, "utf-8")
        if self.restart_needed:
            self.stop_backend()
            self.project.ok("up")
            self.restart_needed = False

    def restore_items(self) -> None:
        """The table's items as they were."""
        wanted = {json.dumps([i["pk"], i["sk"]]): i for i in self.items}
        present = {json.dumps([i["pk"], i["sk"]]): i for i in self.scan()}
        gone = [
            {"DeleteRequest": {"Key": {n: i[n] for n in ("pk", "sk")}}} for k, i in present.items() if k not in wanted
        ]
        back = [{"PutRequest": {"Item": i}} for k, i in wanted.items() if present.get(k) != i]
        with self.dynamodb() as dynamodb:
            dynamodb.write_batch(TABLE, [*gone, *back])

    def restore_rows(self) -> None:
        """The rows as they were, where they differ."""
        if all(self.sql(f"SELECT to_jsonb(t) FROM {name} t") == rows for name, rows in self.rows.items()):
            return
        with self.connect() as connection:
            connection.execute("SET session_replication_role = replica")
            for name, rows in self.rows.items():
                connection.execute(f"DELETE FROM {name}".encode())
                query = f"INSERT INTO {name} SELECT * FROM jsonb_populate_record(NULL::{name}, %s)"
                for (row,) in rows:
                    connection.execute(query.encode(), [Jsonb(row)])

    # --- stores ---

    def connect(self, database: str | None = None) -> psycopg.Connection[Any]:
        """The project's Postgres."""
        return psycopg.connect(self.env["DATABASE_URL"], dbname=database or self.env["PGDATABASE"])

    def sql(self, text: str, *values: Any) -> list[Any]:
        """One statement, committed; its rows."""
        with self.connect() as connection:
            cursor = connection.execute(text.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def free_sql(self, text: str, *values: Any) -> None:
        """One statement without foreign keys and triggers."""
        with self.connect() as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(text.encode(), values or None)

    def target(self) -> DynamoTarget:
        """The project's DynamoDB."""
        env = self.env
        endpoint, region = env["AWS_ENDPOINT_URL_DYNAMODB"], env["AWS_REGION"]
        return DynamoTarget(endpoint, region, env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])

    def dynamodb(self) -> Dynamo:
        """A client of it, as patient as the tests on a busy machine."""
        return Dynamo(self.target(), timeout=60.0)

    def scan(self, table: str = TABLE) -> list[Item]:
        """All items."""
        with self.dynamodb() as dynamodb:
            return list(dynamodb.scan(table))

    def messages(self, group: str = GROUP) -> list[Item]:
        """The conversation's messages, oldest first."""
        found = [item for item in self.scan() if item["pk"]["S"] == f"MSG#{group}"]
        return sorted(found, key=lambda item: item["sk"]["S"])

    def group_rows(self, group: str = GROUP) -> list[Item]:
        """The conversation's two rows."""
        return [item for item in self.scan() if item.get("message_group_uuid", {}).get("S") == group]

    def put(self, *items: Item, table: str = TABLE) -> None:
        """Write items."""
        with self.dynamodb() as dynamodb:
            dynamodb.write_batch(table, [{"PutRequest": {"Item": item}} for item in items])

    def delete(self, *items: Item) -> None:
        """Delete items."""
        with self.dynamodb() as dynamodb:
            requests = [{"DeleteRequest": {"Key": {name: item[name] for name in ("pk", "sk")}}} for item in items]
            dynamodb.write_batch(TABLE, requests)

    def change(self, item: Item, **values: Any) -> None:
        """Replace attributes of an item: a text, an attribute value, or None to take it away; the key too."""
        self.delete(item)
        changed = dict(item)
        for name, value in values.items():
            if value is None:
                del changed[name]
            else:
                changed[name] = value if isinstance(value, dict) else {"S": value}
        self.put(changed)

    def uuid(self, handle: str) -> str:
        """A person's uuid, as it was at the beginning."""
        return next(row["uuid"] for (row,) in self.rows["users"] if row["handle"] == handle)

    def words(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The words of a fault, each variable in them filled in: of the environment, `group`, `messages[0]`."""
        items = sorted((i for i in self.items if i["pk"]["S"] == f"MSG#{GROUP}"), key=lambda item: item["sk"]["S"])
        facts = {"messages": [i["message_uuid"]["S"] for i in items], "group": GROUP, "capitals": GROUP.upper()}
        return tuple(name.format(**self.env, **facts) for name in names)

    # --- code and settings ---

    def patch(self, file: str, *changes: tuple[str, str]) -> None:
        """Change the application's code, and serve it anew."""
        path = self.project.path / "chat" / file
        text = path.read_text("utf-8")
        for old, new in changes:
            assert old in text, f"{file} no longer has {old!r}"
            text = text.replace(old, new)
        path.write_text(text, "utf-8")
        self.restart_needed = True

    def configure(self, *changes: tuple[str, str]) -> None:
        """Change devenv.toml."""
        path = self.project.path / "devenv.toml"
        text = path.read_text("utf-8")
        for old, new in changes:
            assert old in text, f"devenv.toml no longer has {old!r}"
            text = text.replace(old, new, 1)
        path.write_text(text, "utf-8")
        self.restart_needed = True

    def with_variables(self, *unset: str, **values: str) -> None:
        """Serve the application with other variables; those in `unset` are taken away."""
        if values:
            pairs = ", ".join(f"{name} = {json.dumps(text)}" for name, text in values.items())
            self.configure(("env = { CORS_ORIGINS", f"env = {{ {pairs}, CORS_ORIGINS"))
        if unset:
            words = ", ".join(json.dumps(word) for name in unset for word in ("-u", name))
            self.configure(('command = ["{python}"', f'command = ["/usr/bin/env", {words}, "{{python}}"'))
        self.restart()

    # --- what the application answers ---

    def token(self, handle: str) -> str:
        """A token of the person who had this handle at the beginning."""
        claims = {"sub": self.sign_ins[handle], "exp": int(time.time()) + 600}
        return jwt.encode(claims, self.env["AUTH_SECRET"], "HS256")

    def ask(self, path: str, handle: str | None = None, body: Any = None) -> dict[str, Any]:
        """One request: status, CORS header, Link header and body."""
        url = urlsplit(self.env["BACKEND_URL"])
        headers = {"Origin": ORIGIN, "Content-Type": "application/json"}
        if handle is not None:
            headers["Authorization"] = f"Bearer {self.token(handle)}"
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=self.ask_s)
        try:
            content = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, content, headers)
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
            cors, link = response.getheader("Access-Control-Allow-Origin"), response.getheader("Link")
        except (OSError, http.client.HTTPException) as error:
            return {"status": type(error).__name__}
        finally:
            connection.close()
        try:
            return {"status": response.status, "cors": cors, "link": bool(link), "body": json.loads(text)}
        except ValueError:
            return {"status": response.status, "cors": cors, "link": bool(link), "body": text}

    def answers(self, group: str = GROUP) -> dict[str, Any]:
        """What people see: a member, the other member, a stranger, nobody; the lists; whom the handle means."""
        row = self.known_user("ines")
        return {
            "member": self.ask(f"/api/messages/{group}?limit=100", "ines"),
            "older": self.ask(f"/api/messages/{group}?limit=100&before=2023-06-01", "ines"),
            "other": self.ask(f"/api/messages/{group}", "rafael"),
            "stranger": self.ask(f"/api/messages/{group}", "mei"),
            "nobody": self.ask(f"/api/messages/{group}"),
            "list": self.ask("/api/message_groups", "ines"),
            "others list": self.ask("/api/message_groups", "rafael"),
            "user": row,
        }

    def known_user(self, handle: str) -> Any:
        """What the API says of a person."""
        found = self.ask(f"/api/users/@{handle}/short")
        return {
            "status": found["status"],
            "handle": (found.get("body") or {}).get("handle") if isinstance(found.get("body"), Mapping) else None,
        }

    # --- devenv ---

    def trace(self, *arguments: str) -> dict[str, Any]:
        """`devenv trace … --json`."""
        return self.project.json("trace", *arguments, timeout=TRACE_S)


def wait_gone(pid: int) -> None:
    """Return when a process has ended."""
    end = time.monotonic() + 10
    while psutil.pid_exists(pid) and time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return
        except psutil.Error:
            return
        time.sleep(0.01)


def copy_tree(source: Path, target: Path) -> None:
    """A copy of a folder."""
    shutil.copytree(source, target)
