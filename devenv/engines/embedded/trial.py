"""Start a DynamoDB Local that devenv does not know, once, on a folder of its own: is it built as devenv needs it?

It must bind loopback only, refuse foreign Host headers, keep one database for all keys and regions in the file that
snapshots copy, and call nobody. The answer is kept beside the prepared archive.
"""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from devenv.core.errors import DevenvError, StoreError
from devenv.core.model import DynamoTarget
from devenv.engines.embedded import dynamodb_file
from devenv.engines.embedded.building import write_whole
from devenv.engines.embedded.dynamodb_local import ENVIRONMENT, launch_command, listens_beyond_loopback
from devenv.engines.embedded.java import Java
from devenv.engines.embedded.parts import Local
from devenv.stores.dynamodb.client import Dynamo

PATIENCE_S: Final = 60.0
TABLE: Final = "trial"


def try_out(java: Java, local: Local) -> str | None:
    """Return why this archive cannot be used; None if it can. The same archive is tried once per Java version."""
    note = local.launcher.with_name(f"trial-{java.major}.json")
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(note.read_bytes(), type=dict[str, str | None])["refused"]
    refused = try_now(java, local)
    # A cache that cannot be written only costs another trial.
    with contextlib.suppress(OSError):
        write_whole(note, msgspec.json.encode({"refused": refused}))
    return refused


def try_now(java: Java, local: Local) -> str | None:
    """Start the server and put every question to it; the first answer that is not as needed."""
    folder = Path(tempfile.mkdtemp(prefix="devenv-trial-"))
    try:
        data, temp = folder / "data", folder / "temp"
        data.mkdir()
        temp.mkdir()
        with socket.socket() as chosen:
            chosen.bind(("127.0.0.1", 0))
            port = int(chosen.getsockname()[1])
        command = launch_command(java, local, folder, port, data, temp)
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env=ENVIRONMENT
            )
        try:
            return judge(server, port, data, folder / "log")
        finally:
            server.kill()
            server.wait()
    except DevenvError as error:
        return f"{error.what}: {error.detail}" if error.detail else error.what
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def judge(server: subprocess.Popen[bytes], port: int, data: Path, log: Path) -> str | None:
    """Ask a server that was just started; the first reason against it."""
    where = DynamoTarget(f"http://127.0.0.1:{port}", "us-east-1", "trial", "trial")
    end = time.monotonic() + PATIENCE_S
    while True:
        if server.poll() is not None:
            said = log.read_text("utf-8", "replace").strip().splitlines()
            return f"it ended at its start: {said[-1][:300] if said else f'exit code {server.returncode}'}"
        try:
            with Dynamo(where, timeout=5) as dynamodb:
                dynamodb.call("ListTables")
            break
        except StoreError as error:
            if time.monotonic() > end:
                return f"it gave no answer within {PATIENCE_S:g} s: {error.detail or error.what}"
            time.sleep(0.1)
    checks: tuple[Callable[[], str | None], ...] = (
        lambda: "it listens on more than 127.0.0.1" if listens_beyond_loopback(port) or not bound(server.pid) else None,
        lambda: None if refuses_foreign_host(port) else "it answers to foreign Host headers",
        lambda: None if is_shared(where) else "it keeps a database for each key and region (-sharedDb has no effect)",
        lambda: (
            None
            if has_file(data)
            else f"it does not keep its data in {dynamodb_file.NAME}, in the form that devenv reads"
        ),
        lambda: None if calls_nobody(server.pid) else "it connects to other machines (telemetry)",
    )
    return next((reason for check in checks if (reason := check())), None)


def bound(pid: int) -> bool:
    """Return True if every listener of a process is on 127.0.0.1, as far as that can be seen."""
    import psutil

    try:
        found = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return True
    return all(each.laddr.ip == "127.0.0.1" for each in found if each.status == psutil.CONN_LISTEN)


def calls_nobody(pid: int) -> bool:
    """Return True if a process has no connection to another machine."""
    import psutil

    try:
        found = psutil.Process(pid).net_connections()
    except psutil.Error:
        return True
    return all(each.raddr.ip in ("127.0.0.1", "::1", "::ffff:127.0.0.1") for each in found if each.raddr)


def refuses_foreign_host(port: int) -> bool:
    """Return True if a request for another name than loopback's is refused by devenv's own handler."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/", b"{}", {"Host": "rebound.example", "Authorization": "x"})
        return connection.getresponse().status == http.client.MISDIRECTED_REQUEST
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def is_shared(where: DynamoTarget) -> bool:
    """Return True if a table that one key made in one region is there for another key in another region."""
    with Dynamo(where) as dynamodb:
        dynamodb.call(
            "CreateTable",
            {
                "TableName": TABLE,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            },
        )
        dynamodb.call("PutItem", {"TableName": TABLE, "Item": {"pk": {"S": "1"}}})
    other = replace(where, region="eu-west-1", access_key="another", secret_key="another")  # noqa: S106 - any is right
    with Dynamo(other) as dynamodb:
        return TABLE in dynamodb.call("ListTables")["TableNames"]


def has_file(data: Path) -> bool:
    """Return True if the item is in the file that snapshots copy, where they look for it."""
    try:
        return dynamodb_file.count_items(data / dynamodb_file.NAME) == {TABLE: 1}
    except DevenvError:
        return False
