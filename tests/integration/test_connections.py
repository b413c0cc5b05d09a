"""Open connections prove which stores a process uses; its variables at the start do not."""

from __future__ import annotations

import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from devenv.host.connections import connected
from devenv.trace.layers.environment import LAYER
from devenv.trace.observation import Observation
from tests.conftest import Stores

# A program that connects to each of its arguments (host:port) and keeps the connections.
HOLD = """
import socket, sys, time
held = [socket.create_connection(each.rsplit(":", 1)) for each in sys.argv[1:]]
print("ready", flush=True)
time.sleep(600)
"""


def summary(stores: Stores, *used: str) -> str:
    """The words of the layer about a process that has these connections, and variables that name both stores."""
    endpoint = urlsplit(stores.dynamodb.endpoint)
    places = {
        "postgres": (stores.postgres.host, stores.postgres.port),
        "dynamodb": (endpoint.hostname or "", endpoint.port or 0),
    }
    addresses = [f"{host}:{port}" for host, port in map(places.__getitem__, used)]
    with subprocess.Popen([sys.executable, "-c", HOLD, *addresses], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        found = connected([child.pid], {name: [place] for name, place in places.items()})
        child.kill()
    assert set(found or ()) == set(used)
    process = {"pid": 7, "connected": sorted(found or ())}
    return LAYER.summarize(Observation(output={"process": process, "targets": dict.fromkeys(places)}))


def test_a_process_with_connections_to_both_stores_is_proven(stores: Stores) -> None:
    assert summary(stores, "postgres", "dynamodb") == "process 7 is connected to this project's stores"


def test_a_process_with_one_connection_is_proven_for_that_store(stores: Stores) -> None:
    assert summary(stores, "postgres") == (
        "process 7 is connected to Postgres; for DynamoDB, only its variables were checked"
    )


def test_a_process_without_connections_may_have_settings_of_its_own(stores: Stores) -> None:
    said = summary(stores)
    assert said == "only the variables of process 7 were checked, as it has no open connection to a store"


def test_a_port_at_another_address_is_another_service(stores: Stores) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, f"{stores.postgres.host}:{stores.postgres.port}"], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        assert connected([child.pid], {"other": [("192.0.2.1", stores.postgres.port)]}) == frozenset()
        child.kill()


def test_a_process_that_is_gone_tells_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert connected([child.pid], {"postgres": [("127.0.0.1", 5432)]}) is None


@pytest.mark.parametrize("process", [None, {}])
def test_without_a_process_nothing_is_said(process: object) -> None:
    assert LAYER.summarize(Observation(output={"process": process, "targets": {}})) == ""
