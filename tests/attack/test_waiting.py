"""Stores that keep a command waiting: silent, slow, endless, or behind a lock of another session (64-66, 68)."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.attack.outside import Outside
from tests.support import ProjectDir

TABLE = (
    '[entities.thing]\ntable = "things"\nmatch = { pk = "T#{thing}" }\n[entities.thing.attributes]\nthing = "string"\n'
    '[patterns.things]\npurpose = "a thing"\ntable = "things"\nkey = { pk = "T#{thing}" }\noperation = "query"\n'
)


def silent(connection: socket.socket) -> None:
    connection.recv(1)
    time.sleep(60)


def slow(connection: socket.socket) -> None:
    connection.recv(65536)
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000:
        connection.sendall(bytes([byte]))
        time.sleep(1)


def deep(connection: socket.socket) -> None:
    """Answer with JSON that is nested a hundred thousand times."""
    connection.recv(65536)
    body = b"[" * 100_000
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    connection.close()


def answer(connection: socket.socket, body: object) -> None:
    content = json.dumps(body).encode()
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)


def endless(connection: socket.socket) -> None:
    """A DynamoDB whose every page names the same page as the next."""
    pending = b""
    while True:
        while b"\r\n\r\n" not in pending:
            if not (read := connection.recv(65536)):
                return
            pending += read
        head, _, rest = pending.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        while len(rest) < length:
            rest += connection.recv(65536)
        pending = rest[length:]
        operation = head.partition(b"DynamoDB_20120810.")[2].partition(b"\r")[0].decode()
        key = {"pk": {"S": "T#1"}}
        keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
        types = [{"AttributeName": "pk", "AttributeType": "S"}]
        table = {"TableName": "things", "KeySchema": keys, "AttributeDefinitions": types, "TableStatus": "ACTIVE",
                 "ItemCount": 1, "TableSizeBytes": 1, "CreationDateTime": 1.0, "TableArn": "arn:x"}  # fmt: skip
        match operation:
            case "ListTables":
                answer(connection, {"TableNames": ["things"]})
            case "DescribeTable":
                answer(connection, {"Table": table})
            case "Scan" | "Query":
                answer(connection, {"Items": [{**key, "thing": {"S": "1"}}], "Count": 1, "ScannedCount": 1,
                                    "LastEvaluatedKey": key})  # fmt: skip
            case _:
                answer(connection, {})


@pytest.fixture
def server() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """Starts a server of one of these kinds; gives its port."""
    opened: list[socket.socket] = []

    def start(behave: Callable[[socket.socket], None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        opened.append(listener)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=quietly, args=(behave, connection), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in opened:
        listener.close()


def quietly(behave: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with connection:
        try:
            behave(connection)
        except OSError:
            return


def project_at(outside: Outside, path: Path, port: int) -> ProjectDir:
    folder = outside.folder(path, TABLE)
    text = (path / "devenv.toml").read_text()
    dynamodb = next(line for line in text.splitlines() if line.startswith("dynamodb = "))
    (path / "devenv.toml").write_text(text.replace(dynamodb, f'dynamodb = "http://127.0.0.1:{port}"'))
    return folder


def test_an_answer_without_measure_is_not_dynamodbs(
    outside: Outside, tmp_path: Path, server: Callable[[Callable[[socket.socket], None]], int]
) -> None:
    ran = project_at(outside, tmp_path / "clone", server(deep)).devenv("ddb", "list-tables")
    assert ran.code == 3
    assert "is not DynamoDB" in ran.err


@pytest.mark.parametrize("behave", [silent, slow])
@pytest.mark.parametrize("words", [("up", "--mark"), ("ddb", "list-tables"), ("ddb", "scan", "things")], ids=" ".join)
@pytest.mark.matrix(3)
def test_a_store_that_does_not_answer_ends_in_time(
    outside: Outside, server: Callable[..., int], tmp_path: Path, behave: object, words: tuple[str, ...]
) -> None:
    project = project_at(outside, tmp_path / "p", server(behave))
    began = time.monotonic()
    ran = project.devenv("--timeout", "3", *words, "--json", timeout=60)
    spent = time.monotonic() - began
    assert ran.code == 4, ran.all
    assert "DynamoDB" in ran.document["error"]["what"]
    assert spent < 3 + 1 + 3, "the limit and a second; and what a busy machine takes to start Python"


@pytest.mark.parametrize("behave", [silent, slow])
@pytest.mark.parametrize("words", [("status",), ("doctor",), ("env",), ("trace", "thing", "1")], ids=" ".join)
@pytest.mark.matrix(4)
def test_looking_never_hangs(
    outside: Outside, server: Callable[..., int], tmp_path: Path, behave: object, words: tuple[str, ...]
) -> None:
    project = project_at(outside, tmp_path / "p", server(behave))
    began = time.monotonic()
    ran = project.devenv(*words, "--json", timeout=60)
    assert time.monotonic() - began < 35
    assert ran.code in (0, 1, 2, 3, 4)
    assert "Traceback" not in ran.all


@pytest.mark.parametrize(
    "words",
    [("verify",), ("ddb", "export", "things"), ("doctor",), ("ddb", "scan", "things"), ("patterns", "check")],
    ids=" ".join,
)
def test_pages_without_end_are_an_error(
    outside: Outside, server: Callable[..., int], tmp_path: Path, words: tuple[str, ...]
) -> None:
    project = project_at(outside, tmp_path / "p", server(endless))
    began = time.monotonic()
    ran = project.devenv(*words, "--json", timeout=60)
    assert time.monotonic() - began < 30
    assert ran.code in ((0, 3) if words[:2] == ("ddb", "scan") else (1, 3)), ran.all
    assert words[0] != "verify" or "does not end" in ran.all
    assert words[:2] != ("ddb", "export") or ran.code == 3


@pytest.fixture
def locked(running: ProjectDir) -> Iterator[int]:
    """Another session has changed the table `users` and has not committed. Its pid."""
    with psycopg.connect(running.env()["DATABASE_URL"], application_name="forgotten") as connection:
        connection.execute("ALTER TABLE users ADD COLUMN mine text")
        yield connection.info.backend_pid
        connection.rollback()


@pytest.mark.parametrize(
    "words", [("status",), ("doctor",), ("trace", "conversations", "--user", "andrew"), ("db", "select * from users")]
)
@pytest.mark.matrix(2)
def test_a_lock_of_another_session_ends_in_time(running: ProjectDir, locked: int, words: tuple[str, ...]) -> None:
    began = time.monotonic()
    ran = running.devenv(*words, "--json", timeout=60)
    assert time.monotonic() - began < 15
    if words == ("doctor",):
        (row,) = [check for check in ran.document["checks"] if check["code"] == "SVC005"]
        assert (row["status"], row["subjects"]) == ("fail", [str(locked)])
        assert "forgotten" in row["evidence"]
        assert "AccessExclusiveLock on users" in row["evidence"]
        assert "ALTER TABLE users ADD COLUMN mine text" in row["evidence"]
    if words[0] == "db":
        assert ran.code == 4
    if words[0] == "status":
        assert "lock" in json.dumps(ran.document["steps"])


def test_a_missing_password_is_named(outside: Outside, tmp_path: Path) -> None:
    project = outside.folder(tmp_path / "p", password="")
    ran = project.devenv("db", "select 1", "--json")
    error = ran.document["error"]
    assert "password" in error["what"]
    assert "does not answer" not in ran.all
    assert error["hint"] != "devenv up"
