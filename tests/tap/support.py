"""For tests of the tap: a recorder of bytes, a tap in a process of its own, drivers in theirs."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devenv.capture.tap import journal
from devenv.config.load import cache_folder
from tests.support import REPOSITORY

Address = tuple[str, int]
HERE = Path(__file__).parent
GO_KINDS = ("pgx", "go-sdk")
NPM = "pg@8 @aws-sdk/client-dynamodb@3"


class Recorder:
    """A plain proxy with two threads a connection, which keeps all bytes: `talks` has a list of (direction, bytes)."""

    def __init__(self, target: Address) -> None:
        self.target = target
        self.talks: list[list[tuple[str, bytes]]] = []
        self.threads: list[threading.Thread] = []
        self.sockets: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.target)
                self.sockets += [client, server]
                talk: list[tuple[str, bytes]] = []
                self.talks.append(talk)
                for one, other, direction in ((client, server, ">"), (server, client, "<")):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    thread = threading.Thread(target=self.copy, args=(one, other, direction, talk), daemon=True)
                    self.threads.append(thread)
                    thread.start()

    @staticmethod
    def copy(one: socket.socket, other: socket.socket, direction: str, talk: list[tuple[str, bytes]]) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                talk.append((direction, data))
                other.sendall(data)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)

    def streams(self) -> list[tuple[bytes, bytes]]:
        """What went each way, a connection; sorted, because the other side may have numbered them otherwise."""
        for thread in self.threads:
            thread.join(10)
        for sock in self.sockets:
            sock.close()
        return sorted(tuple(b"".join(d for way, d in talk if way == one) for one in "><") for talk in self.talks)  # type: ignore[misc]

    def close(self) -> None:
        self.listener.close()


@contextmanager
def tap(file: Path, routes: Mapping[str, Address], *options: str) -> Iterator[dict[str, int]]:
    """A tap as devenv runs it; its ports."""
    words = [f"{kind}=0:{host}:{port}" for kind, (host, port) in routes.items()]
    command = [sys.executable, "-m", "devenv.capture.tap", "--journal", str(file), *options, *words]
    process = subprocess.Popen(command, cwd=REPOSITORY)
    try:
        yield ports_of(file)
    finally:
        process.terminate()
        assert process.wait(10) == 0


def ports_of(file: Path) -> dict[str, int]:
    """The ports of a tap that was just started."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for line in journal.read(file) if file.exists() else ():
            if line["kind"] == "started":
                return dict(line["ports"])
        time.sleep(0.02)
    raise AssertionError("the tap did not start")


def lines(file: Path, kind: str) -> list[dict[str, Any]]:
    """All lines of a kind."""
    return [line for line in journal.read(file) if line["kind"] == kind]


def node_modules() -> Path:
    """A folder with Node's drivers, fetched once as the user has npm configured."""
    folder = cache_folder() / "tests" / "tap-drivers"
    if not (folder / "node_modules" / "pg" / "package.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefix", str(folder)]
        npm = Path(sys.executable).parent / "npm"
        subprocess.run([npm, "install", *options, *NPM.split()], check=True, env=node_environment(), timeout=240)
    return folder


def go_program() -> Path:
    """The workload in Go, compiled with Debian's packages of pgx and the AWS SDK; again only when its text changed."""
    source = HERE / "workload.go"
    program = cache_folder() / "tests" / f"tap-workload-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}"
    if not program.is_file():
        program.parent.mkdir(parents=True, exist_ok=True)
        part = program.with_name(f"{program.name}.{os.getpid()}")
        environ = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode"}
        subprocess.run(["go", "build", "-o", part, source], check=True, env=environ, timeout=240)
        part.replace(program)
    return program


def node_environment() -> dict[str, str]:
    """The environment in which `node` is the one beside this Python."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def drive(kind: str, rounds: int, environ: Mapping[str, str], timeout: float = 120) -> int:
    """Let a driver make its calls; how many it made."""
    if kind in GO_KINDS:
        command = [str(go_program()), kind, str(rounds)]
    elif kind in ("pg", "sdk"):
        node = str(Path(sys.executable).parent / "node")
        command = [node, str(HERE / "workload.mjs"), kind, str(rounds), str(node_modules())]
    else:
        command = [sys.executable, str(HERE / "workload.py"), kind, str(rounds)]
    ran = subprocess.run(
        command, env={**node_environment(), **environ}, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout)


def pointed(environ: Mapping[str, str], ports: Mapping[str, int]) -> dict[str, str]:
    """Connection settings that lead to other ports."""
    found = dict(environ)
    if "postgres" in ports:
        found["DATABASE_URL"] = environ["DATABASE_URL"].replace(f":{environ['PGPORT']}/", f":{ports['postgres']}/")
        found["PGPORT"] = str(ports["postgres"])
    if "dynamodb" in ports:
        found["AWS_ENDPOINT_URL_DYNAMODB"] = f"http://127.0.0.1:{ports['dynamodb']}"
    return found
