"""For tests of verify and repair: a project's context, a proxy before DynamoDB Local, and devenv in another process."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from devenv.config.schema import Settings
from devenv.core.events import Watch
from devenv.core.model import DynamoTarget, PostgresTarget, Report, Targets
from devenv.verify import compare as verify
from devenv.verify import repair_plan
from devenv.verify.context import Context, VerifyOptions
from tests.integration.doctor_support import Project
from tests.support import REPOSITORY

Message = dict[str, Any]


class Heard(Watch):
    """Remembers the sentences that a user would read."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@dataclass
class Compared:
    """A project and its state folder; commands are called on it as the command line calls them."""

    project: Project
    context: Context
    watch: Heard = field(default_factory=Heard)

    def verify(self, **options: Any) -> Report:
        return verify.verify(self.context, VerifyOptions(**{"grace_s": 0.05, **options}), self.watch)

    def plan(self) -> Path:
        path = self.context.folder / "plan"
        self.verify(plan=path)
        return path

    def apply(self, path: Path, *, allow_loss: bool = False) -> Report:
        return repair_plan.apply_plan(self.context, path, self.watch, allow_loss=allow_loss)

    def undo(self, path: Path) -> Report:
        return repair_plan.undo_plan(self.context, path, self.watch)

    def through(self, proxy: Proxy) -> Compared:
        """The same project, reached through a proxy."""
        dynamodb = replace(self.context.targets.dynamodb, endpoint=proxy.endpoint)
        targets = replace(self.context.targets, services={**self.context.targets, "dynamodb": dynamodb})
        return Compared(self.project, replace(self.context, targets=targets), self.watch)

    def restore(self, items: list[dict[str, Any]]) -> None:
        """Make the table hold exactly these items."""
        wanted = {item_key(item): item for item in items}
        now = {item_key(item): item for item in self.project.items()}
        for key, item in now.items():
            if key not in wanted:
                self.project.delete(item)
        self.project.put(*(item for key, item in wanted.items() if now.get(key) != item))

    def child(self, action: str, file: Path | None = None) -> subprocess.Popen[bytes]:
        """The same command in a process of its own, which can be killed."""
        told = {
            "settings": self.context.settings,
            "postgres": self.context.targets.postgres,
            "dynamodb": self.context.targets.dynamodb,
            "folder": str(self.context.folder),
            "tables": self.context.tables,
            "action": action,
            "file": str(file) if file else None,
        }
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.verify_support"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        assert child.stdin is not None
        child.stdin.write(msgspec.json.encode(told))
        child.stdin.close()
        return child


class Told(msgspec.Struct):
    """What a child is told."""

    settings: Settings
    postgres: PostgresTarget
    dynamodb: DynamoTarget
    folder: str
    tables: dict[str, Any]
    action: str
    file: str | None


def main() -> None:
    """A child: do what the input says."""
    told = msgspec.json.decode(sys.stdin.buffer.read(), type=Told)
    context = Context(told.settings, Targets.of(told.postgres, told.dynamodb), Path(told.folder), told.tables)
    if told.action == "apply":
        repair_plan.apply_plan(context, Path(told.file or ""), Watch(), allow_loss=False)
    elif told.action == "undo":
        repair_plan.undo_plan(context, Path(told.file or ""), Watch())
    else:
        verify.verify(context, VerifyOptions(segments=8, workers=1), Watch())


def item_key(item: Mapping[str, Any]) -> str:
    return json.dumps([item["pk"], item["sk"]], sort_keys=True)


def compared(project: Project, folder: Path) -> Compared:
    context = project.context
    return Compared(project, Context(context.settings, context.targets, folder, context.tables))


class Proxy:
    """Passes requests on to DynamoDB. `before` may change a request, `after` an answer; either may hang up (None)."""

    def __init__(self, target: DynamoTarget) -> None:
        self.target = target
        self.before: Callable[[str, Message], Message | None] = lambda operation, request: request
        self.after: Callable[[str, Message, bytes], bytes | None] = lambda operation, request, answer: answer
        self.endpoint = ""

    def answer(self, operation: str, payload: bytes, headers: Mapping[str, str]) -> tuple[int, bytes] | None:
        request = self.before(operation, json.loads(payload))
        if request is None:
            return None
        url = urlsplit(self.target.endpoint)
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)
        sent = {n: v for n, v in headers.items() if n.lower() not in ("content-length", "host", "connection")}
        connection.request("POST", "/", json.dumps(request).encode(), sent)
        response = connection.getresponse()
        body = self.after(operation, request, response.read())
        connection.close()
        return None if body is None else (response.status, body)


@contextmanager
def proxied(target: DynamoTarget) -> Iterator[Proxy]:
    """A proxy on a port of its own."""
    proxy = Proxy(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            payload = self.rfile.read(int(self.headers["content-length"]))
            operation = self.headers["x-amz-target"].rpartition(".")[2]
            answered = proxy.answer(operation, payload, dict(self.headers))
            if answered is None:
                self.close_connection = True
                return
            status, body = answered
            try:
                self.send_response(status)
                self.send_header("content-type", "application/x-amz-json-1.0")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    main()
