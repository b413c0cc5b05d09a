"""The tap on real stores with real drivers: what goes in comes out, and what was asked is known."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import Stores
from tests.e2e.world import free_port
from tests.tap.support import Recorder, drive, lines, node_environment, node_modules, pointed, tap

ENCRYPTION = (struct.pack("!II", 8, 80877103), struct.pack("!II", 8, 80877104))


@pytest.fixture
def environ(stores: Stores) -> dict[str, str]:
    """Connection settings of the stores themselves."""
    target = stores.dynamodb
    return {
        "DATABASE_URL": stores.postgres_url,
        "PGPORT": str(stores.postgres.port),
        "AWS_ENDPOINT_URL_DYNAMODB": target.endpoint,
        "AWS_DEFAULT_REGION": target.region,
        "AWS_REGION": target.region,
        "AWS_ACCESS_KEY_ID": target.access_key,
        "AWS_SECRET_ACCESS_KEY": target.secret_key,
    }


def address(stores: Stores, store: str) -> tuple[str, int]:
    if store == "postgres":
        return stores.postgres.host, stores.postgres.port
    return "127.0.0.1", urlsplit(stores.dynamodb.endpoint).port or 0


def undeclined(stream: bytes) -> bytes:
    """A client's bytes without its requests for encryption."""
    while stream[:8] in ENCRYPTION:
        stream = stream[8:]
    return stream


@pytest.mark.parametrize(
    ("driver", "store", "rounds"),
    [
        ("psycopg", "postgres", 40),
        ("asyncpg", "postgres", 40),
        ("pg", "postgres", 40),
        ("boto3", "dynamodb", 25),
        ("sdk", "dynamodb", 25),
        pytest.param("pgx", "postgres", 40, marks=pytest.mark.needs_go),
        pytest.param("go-sdk", "dynamodb", 25, marks=pytest.mark.needs_go),
    ],
)
def test_every_byte_is_passed_on_and_every_call_is_known(
    stores: Stores, environ: dict[str, str], tmp_path: Path, driver: str, store: str, rounds: int
) -> None:
    if driver in ("sdk", "go-sdk"):
        drive("boto3", 0, environ)
    behind = Recorder(address(stores, store))
    file = tmp_path / "calls.jsonl"
    with tap(file, {store: ("127.0.0.1", behind.port)}) as ports:
        before = Recorder(("127.0.0.1", ports[store]))
        made = drive(driver, rounds, pointed(environ, {store: before.port}))
        before.close()
        outside = before.streams()
    behind.close()
    inside = behind.streams()
    replies = [sum(sent.startswith(one) for one in ENCRYPTION) for sent, _ in outside]
    outside = sorted((undeclined(sent), got[number:]) for (sent, got), number in zip(outside, replies, strict=True))
    assert outside == inside
    assert lines(file, "unparsed") == []
    calls = lines(file, "call")
    assert len(calls) >= made
    assert all("ms" in call for call in calls)
    # Each workload makes a call fail and finds rows.
    assert any(call.get("error") for call in calls)
    assert any(call.get("rows") for call in calls)


def test_what_is_not_the_protocol_is_passed_on_and_counted(stores: Stores, tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as echo,
        tap(tmp_path / "calls.jsonl", {"dynamodb": ("127.0.0.1", echo.getsockname()[1])}) as ports,
        socket.create_connection(("127.0.0.1", ports["dynamodb"])) as client,
    ):
        server, _ = echo.accept()
        with server:
            client.sendall(b"\x00\x01\x02 strange\n\n")
            assert server.recv(100) == b"\x00\x01\x02 strange\n\n"
            server.sendall(b"back")
            assert client.recv(100) == b"back"
            # Each direction ends by itself.
            client.shutdown(socket.SHUT_WR)
            assert server.recv(100) == b""
            server.sendall(b"last")
            assert client.recv(100) == b"last"
    assert [line["reasons"] for line in lines(tmp_path / "calls.jsonl", "unparsed")] == [{"Unparsed: no HTTP/1.1": 1}]


def test_a_store_that_is_not_there_refuses_through_the_tap_too(tmp_path: Path) -> None:
    routes = {"postgres": ("127.0.0.1", free_port())}
    with (
        tap(tmp_path / "calls.jsonl", routes) as ports,
        socket.create_connection(("127.0.0.1", ports["postgres"])) as client,
        pytest.raises(ConnectionResetError),
    ):
        client.recv(1)


def test_a_slow_reader_is_waited_for_without_taking_memory(tmp_path: Path) -> None:
    import psutil

    size = 200_000_000
    with (
        socket.create_server(("127.0.0.1", 0)) as source,
        tap(tmp_path / "calls.jsonl", {"dynamodb": ("127.0.0.1", source.getsockname()[1])}) as ports,
    ):
        [child] = [one for one in psutil.Process().children() if "devenv.capture.tap" in one.cmdline()]
        with socket.create_connection(("127.0.0.1", ports["dynamodb"])) as client:
            server, _ = source.accept()
            server.setblocking(False)
            sent = 0
            end = time.monotonic() + 2
            while time.monotonic() < end:
                try:
                    sent += server.send(bytes(1 << 20))
                except BlockingIOError:
                    time.sleep(0.01)
            assert 0 < sent < size, "it took all of it without a reader"
            assert child.memory_info().rss < 100_000_000
            server.close()
            got = 0
            while data := client.recv(1 << 20):
                got += len(data)
            assert got == sent


def test_the_journal_is_private_and_masked(stores: Stores, environ: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "calls.jsonl"
    routes: Any = {store: address(stores, store) for store in ("postgres", "dynamodb")}
    with tap(file, routes) as ports:
        drive("psycopg", 1, pointed(environ, ports))
        drive("boto3", 1, pointed(environ, ports))
    assert file.stat().st_mode & 0o077 == 0
    text = file.read_text()
    for secret in (stores.postgres.password, "é", "again", "copied", "AWS4-HMAC"):
        assert secret not in text
    assert all(json.loads(line) for line in text.splitlines())


@pytest.mark.parametrize("options", [[], ["--contents"]])
def test_a_secret_in_a_path_is_nowhere_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    secret = "9Horse battery/staple"
    monkeypatch.setenv("DEVENV_TAP_HIDDEN", json.dumps([secret]))
    file = tmp_path / "calls.jsonl"
    quoted = urllib.parse.quote(secret, safe="")
    written = (
        quoted,
        quoted.replace("%2F", "%2f"),
        urllib.parse.quote(quoted),
        "".join(f"%{ord(each):02x}" for each in secret),
    )
    with (
        HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as application,
        tap(file, {"application": ("127.0.0.1", application.server_port)}, *options) as ports,
    ):
        thread = threading.Thread(target=application.serve_forever)
        thread.start()
        for each in written:
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"http://127.0.0.1:{ports['application']}/files/{each}/x?page=2", timeout=20)
            refused.value.close()
        application.shutdown()
        thread.join()
    assert [line["path"].partition("?")[0] for line in lines(file, "request")] == ["/files/****/x"] * len(written)
    text = file.read_text()
    assert [each for each in (secret, *written) if each.lower() in text.lower()] == []


@pytest.mark.parametrize("traced", [True, False])
def test_twenty_clients_at_once_and_no_call_at_a_wrong_request(
    stores: Stores, environ: dict[str, str], tmp_path: Path, traced: bool
) -> None:
    drive("boto3", 0, environ)
    file = tmp_path / "calls.jsonl"
    routes = {store: address(stores, store) for store in ("postgres", "dynamodb")}
    port = free_port()
    with (
        tap(file, {**routes, "application": ("127.0.0.1", port)}, "--contents") as ports,
        application(port, pointed(environ, ports)),
    ):
        # One after another, then all at once.
        for number in range(10):
            ask(ports["application"], number, traced)
        with ThreadPoolExecutor(20) as pool:
            list(pool.map(lambda number: ask(ports["application"], number, traced), range(10, 310)))
    paths = {line["number"]: line["path"].rpartition("/")[2] for line in lines(file, "request")}
    assert sorted(map(int, paths.values())) == list(range(310))
    seen: Counter[str] = Counter()
    for call in lines(file, "call"):
        named = re.search(r"n(\d+)'?", json.dumps([call.get("statement"), call.get("request")]))
        if named is None:
            continue
        seen[call["how"]] += 1
        if call["how"] != "shared":
            assert [paths[number] for number in call["requests"]] == [named[1]], call
        else:
            assert named[1] in [paths[number] for number in call["requests"]], call
    assert sum(seen.values()) == 3 * 310
    if traced:
        assert seen == {"traceparent": 3 * 310}
    else:
        # Those of the ten are known to be alone; of the others some may be by chance.
        assert seen["alone"] >= 30
        assert seen["alone"] + seen["shared"] == 3 * 310


def ask(port: int, number: int, traced: bool) -> None:
    headers = {"traceparent": f"00-{number + 1:032x}-{number + 1:016x}-01"} if traced else {}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/n/{number}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.read() == str(number).encode()
    except urllib.error.HTTPError as error:
        # Its body says who answered; closed here, for it holds a socket.
        with error:
            pytest.fail(f"{error}: {error.read()!r}")


@contextmanager
def application(port: int, environ: dict[str, str]) -> Iterator[None]:
    """Node's application on this port."""
    node, script = Path(sys.executable).parent / "node", Path(__file__).parents[1] / "tap" / "application.mjs"
    process = subprocess.Popen(
        [node, script, str(port), str(node_modules())], env={**node_environment(), "TAP_TABLE": "tap-calls", **environ}
    )
    try:
        end = time.monotonic() + 30
        while time.monotonic() < end and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        assert process.poll() is None, "it ended before a request"
        yield
    finally:
        process.terminate()
        process.wait(20)
