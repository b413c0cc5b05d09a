"""Another account of the same machine: what it can read, write and connect to (46)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from devenv.config.load import cache_folder, data_home
from devenv.host.trust import trust_folder
from tests.support import ProjectDir

NOBODY = 65534
pytestmark = pytest.mark.needs_root


def as_nobody(work: Callable[[], Any]) -> Any:
    """What `work` gives when the account `nobody` does it, in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(writer, json.dumps(work()).encode())
        except BaseException as error:  # noqa: BLE001 - the parent tells of it
            os.write(writer, json.dumps(f"failed: {error!r}").encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        found = json.loads(answer.read())
    os.waitpid(child, 0)
    return found


def reached(folder: Path, how: int) -> list[str]:
    """The files and folders at or below `folder` that this process may use in this way."""
    found = [str(folder)] if os.access(folder, how) and (how == os.W_OK or not folder.is_dir()) else []
    for root, folders, files in os.walk(folder):
        found += [path for name in files if os.access(path := os.path.join(root, name), how)]
        if how == os.W_OK:
            found += [path for name in folders if os.access(path := os.path.join(root, name), how)]
    return found


def test_this_test_can_fail(tmp_path: Path) -> None:
    assert as_nobody(os.geteuid) == NOBODY
    assert str(as_nobody(lambda: 1 / 0)).startswith("failed")


def test_another_account_reads_nothing_of_a_project(running: ProjectDir) -> None:
    running.ok("snapshot", "save", "mine")
    home = data_home(running.path.resolve())
    assert (home / "secrets.json").exists()
    for folder in (home, running.path / ".devstate", trust_folder()):
        assert as_nobody(lambda folder=folder: reached(folder, os.R_OK)) == [], folder
    # Not only because a folder above is closed: each file by itself is its owner's.
    private = [path for path in home.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    kept = [path for path in private if path.name in ("secrets.json", "ledger.sqlite")]
    assert kept == []
    running.ok("snapshot", "delete", "mine")


def test_another_account_changes_nothing_that_others_run_or_read(running: ProjectDir) -> None:
    for folder in (cache_folder(), data_home(running.path.resolve()), running.path / ".devstate"):
        assert as_nobody(lambda folder=folder: reached(folder, os.W_OK)) == [], folder


@pytest.mark.parametrize("user", ["postgres", "devenv_reader", "nobody"])
@pytest.mark.parametrize("password", [None, "", "postgres", "password"])
def test_another_account_does_not_get_into_postgres(running: ProjectDir, user: str, password: str | None) -> None:
    port = running.env()["PGPORT"]

    def connect() -> str:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user=user, password=password, dbname="postgres").close()
        except psycopg.OperationalError:
            return "refused"
        return "in"

    assert as_nobody(connect) == "refused"


def test_another_account_learns_no_secret_from_processes(running: ProjectDir) -> None:
    secrets = json.loads((data_home(running.path.resolve()) / "secrets.json").read_text()).values()
    pids = [service["pid"] for service in running.json("status")["services"]]
    assert len(pids) >= 2

    def look() -> list[str]:
        told = []
        for pid in pids:
            told.append(" ".join(psutil.Process(pid).cmdline()))
            try:
                told.append(Path(f"/proc/{pid}/environ").read_text())
            except PermissionError:
                told.append("")
        return told

    text = " ".join(as_nobody(look))
    assert "postgres" in text
    assert [secret for secret in secrets if secret in text] == []


def test_no_socket_lies_in_a_folder_that_another_account_can_enter(running: ProjectDir) -> None:
    pids = [service["pid"] for service in running.json("status")["services"]]
    processes = [psutil.Process(pid) for pid in pids]
    every = [*processes, *(child for each in processes for child in each.children(recursive=True))]
    sockets = [each.laddr for process in every for each in process.net_connections("unix") if each.laddr]
    assert [path for path in sockets if isinstance(path, str) and path.startswith("/")] == []
