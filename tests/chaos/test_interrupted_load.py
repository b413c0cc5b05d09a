"""A load of many items that is interrupted, or whose server is killed, goes on where it was and loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.config.load import data_home
from devenv.steps.ledger import Ledger
from tests.bench.scale import write_project
from tests.e2e import world
from tests.support import ProjectDir

NUMBER = 12_000


@pytest.fixture
def large(tmp_path: Path) -> Iterator[ProjectDir]:
    project = write_project(tmp_path / "large", NUMBER, 100)
    yield project
    project.remove()


def loading(project: ProjectDir) -> subprocess.Popen[str]:
    """An `up` that has begun to write items."""
    command = subprocess.Popen(
        project.command("up", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=project.environment(),
        cwd=project.path,
    )
    ledger = data_home(project.path.resolve()) / "ledger.sqlite"

    def begun() -> bool:
        if command.poll() is not None:
            return True
        if not ledger.exists():
            return False
        with Ledger(ledger, create=False) as opened:
            return opened.has_entries("messages")

    world.until(begun, "the first items")
    assert command.poll() is None
    return command


def count(project: ProjectDir) -> int:
    """The items that are stored, counted by a Scan."""
    table = world.dynamodb(project).Table("messages")
    page = table.scan(Select="COUNT")
    number = page["Count"]
    while "LastEvaluatedKey" in page:
        page = table.scan(Select="COUNT", ExclusiveStartKey=page["LastEvaluatedKey"])
        number += page["Count"]
    return int(number)


@pytest.mark.long
def test_a_killed_server_costs_no_item(large: ProjectDir) -> None:
    command = loading(large)
    services = large.json("status")["services"]
    (pid,) = [service["pid"] for service in services if service["name"] == "dynamodb"]
    time.sleep(1)
    os.kill(pid, signal.SIGKILL)
    out, _ = command.communicate(timeout=120)
    assert json.loads(out)["exit_code"] != 0
    large.ok("up", timeout=300)
    assert count(large) == NUMBER
    assert "deleted" not in json.dumps(large.json("status")["steps"])


@pytest.mark.long
def test_ctrl_c_ends_a_load_at_once_and_the_next_up_continues(large: ProjectDir) -> None:
    command = loading(large)
    began = time.monotonic()
    command.send_signal(signal.SIGINT)
    out, _ = command.communicate(timeout=60)
    assert time.monotonic() - began < 10, "a second, and stopping the stores, on a busy machine"
    assert json.loads(out)["exit_code"] == 130
    steps = {step["name"]: step for step in large.json("status")["steps"]}
    assert (steps["setup"]["state"], steps["schema-load"]["state"]) == ("done", "done")
    assert steps["seed"]["state"] == "failed"
    large.ok("up", timeout=300)
    assert count(large) == NUMBER
