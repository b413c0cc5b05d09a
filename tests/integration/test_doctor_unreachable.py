"""doctor before stores that do not answer, or do not answer rightly: one failure, and the rest still runs."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from devenv.core.errors import Exit
from devenv.core.model import ServiceState, Targets
from tests.conftest import Stores
from tests.e2e import world
from tests.integration.doctor_support import Project, messaging, rows


@pytest.fixture
def letters(stores: Stores) -> Iterator[Project]:
    with messaging((stores.postgres, stores.dynamodb)) as made:
        yield made


# --- stores that do not answer, or not rightly


def at(project: Project, **changes: Any) -> Project:
    """The project, with its stores elsewhere."""
    targets = project.context.targets
    moved = Targets.of(
        replace(targets.postgres, port=changes.get("postgres", targets.postgres.port)),
        replace(targets.dynamodb, endpoint=changes.get("dynamodb", targets.dynamodb.endpoint)),
        key=targets.key,
    )
    return replace(project, context=replace(project.context, targets=moved, shell={"PATH": ""}))


@pytest.fixture
def free_port() -> int:
    return world.free_port()


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that accepts connections and never says a word, as a paused process does."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=50)) as server:
        yield int(server.getsockname()[1])


@pytest.fixture
def babbling() -> Iterator[int]:
    """A port that answers everything with the same nonsense."""
    server = socket.create_server(("127.0.0.1", 0), backlog=50)

    def answer() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                client.recv(1000)
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nwhatever\n")

    thread = threading.Thread(target=answer)
    thread.start()
    yield int(server.getsockname()[1])
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


@pytest.mark.parametrize("how", ["free_port", "silent", "babbling"])
def test_postgres_that_does_not_answer_is_one_failure_and_the_rest_still_runs(
    letters: Project, how: str, request: pytest.FixtureRequest
) -> None:
    report = at(letters, postgres=request.getfixturevalue(how)).doctor()
    assert list(rows(report)) == ["SVC001"]
    assert report.exit_code == Exit.FOUND
    skipped = rows(report, "skip")
    assert {"SVC005", "SCH001", "SCH004", "XST001", "XST002", "XST003"} <= set(skipped)
    assert skipped["XST001"]["evidence"].startswith("not run: SVC001 (Postgres answers queries) failed")
    assert rows(report, "ok")["DAT001"]["evidence"] == "21 items"


def test_a_check_that_sees_less_without_postgres_says_so(letters: Project, free_port: int) -> None:
    report = at(letters, postgres=free_port).doctor(only=["DAT002"])
    assert (list(rows(report)), report.exit_code) == (["SVC001"], Exit.FOUND)
    assert "could not be read, so nothing was compared with them" in rows(report, "skip")["DAT002"]["evidence"]


@pytest.mark.parametrize("how", ["free_port", "silent", "babbling"])
def test_dynamodb_that_does_not_answer_is_one_failure_and_the_rest_still_runs(
    letters: Project, how: str, request: pytest.FixtureRequest
) -> None:
    began = time.monotonic()
    report = at(letters, dynamodb=f"http://127.0.0.1:{request.getfixturevalue(how)}").doctor()
    assert time.monotonic() - began < 60  # its own limits ended it, not the test's
    assert list(rows(report)) == ["SVC002"]
    assert {"SCH002", "SCH003", "DAT001", "XST001"} <= set(rows(report, "skip"))
    assert rows(report, "ok")["SVC001"]["status"] == "ok"


def test_a_stopped_service_says_how_to_start_it(letters: Project, free_port: int) -> None:
    moved = at(letters, postgres=free_port)
    context = replace(moved.context, services=(ServiceState("postgres", "stopped"), *moved.context.services[1:]))
    (row,) = rows(replace(moved, context=context).doctor()).values()
    assert row["cause"] == "it is not running"
    assert row["fix"]["command"] == "devenv up"


def test_an_answer_from_another_program_is_no_service(letters: Project) -> None:
    services = (ServiceState("postgres", "crashed"), *letters.context.services[1:])
    found = rows(replace(letters, context=replace(letters.context, services=services)).doctor())
    assert list(found) == ["SVC001"]
    assert "devenv's own postgres is crashed" in found["SVC001"]["evidence"]
