"""DynamoDB Local for tests of the parts below the engine, and servers that answer what no real one can be made to."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from devenv.config.load import cache_folder
from devenv.core.errors import StoreError
from devenv.core.model import DynamoTarget
from devenv.engines.embedded import parts
from devenv.engines.embedded.dynamodb_local import ENVIRONMENT, launch_command
from devenv.engines.embedded.java import Java, find_java
from devenv.engines.embedded.parts import Local
from devenv.stores.dynamodb import client as dynamodb
from tests.e2e.world import free_port


def say_nothing(text: str, done: int, total: int | None) -> None:
    pass


def find_parts() -> tuple[Java, Local]:
    """The Java and the DynamoDB Local of this machine, as `devenv up` finds them."""
    cache = cache_folder()
    return find_java(cache, os.environ, None), parts.find_local(cache, None, None, say_nothing)


def wheel_java() -> Java:
    """The wheel's Java, whatever the system has."""
    return find_java(cache_folder(), {"PATH": ""}, None)


def target(port: int) -> DynamoTarget:
    return DynamoTarget(f"http://127.0.0.1:{port}", "us-east-1", "tests", "tests")


def wait_for(what: Callable[[], object], seconds: float = 60.0) -> None:
    """Until `what()` is true. The limit only keeps a broken test from hanging."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@contextlib.contextmanager
def launched(command: list[str], log: Path, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server's command line as the engine does; killed at the end."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd, env=ENVIRONMENT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def serving(
    java: Java, local: Local, folder: Path, archives: Path | None = None
) -> Iterator[tuple[DynamoTarget, subprocess.Popen[bytes]]]:
    """DynamoDB Local on `folder`, ready. Its log is `<folder>.log`, its working folder `<folder>.cwd`, and what it
    unpacks is in `<folder>.tmp`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temp = folder.with_name(f"{folder.name[:100]}.tmp")
    temp.mkdir(exist_ok=True)
    cwd = folder.with_name(f"{folder.name[:100]}.cwd")
    cwd.mkdir(exist_ok=True)
    log = folder.with_name(f"{folder.name[:100]}.log")
    where = target(free_port())
    command = launch_command(java, local, archives or folder, int(where.endpoint.rsplit(":", 1)[1]), folder, temp)
    with launched(command, log, cwd) as process:

        def ready() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                dynamodb.probe(where)
            except StoreError:
                return False
            return True

        wait_for(ready)
        yield where, process


@contextlib.contextmanager
def answering(*conversations: list[bytes | None]) -> Iterator[tuple[DynamoTarget, list[bytes]]]:
    """A server that gives prepared answers: a list per connection, one answer per request, then it hangs up.

    None as an answer closes the connection unanswered. Yields the requests it read, too.
    """
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answers in conversations:
                with contextlib.suppress(OSError):
                    connection, _ = server.accept()
                    with connection:
                        for answer in answers:
                            seen.append(read_request(connection))
                            if answer is None:
                                break
                            connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield target(server.getsockname()[1]), seen
        finally:
            # Wakes the thread if it still waits for a connection (on macOS closing does it).
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
            thread.join(10)


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += (block := connection.recv(65536))
        if not block:
            raise ConnectionError("the client hung up")
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def reply(body: bytes, status: str = "200 OK", kind: str = "application/x-amz-json-1.0") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
