"""DynamoDB Local as devenv launches it, with the system's Java and with the wheel's."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from devenv.core.errors import DevenvError, Exit
from devenv.engines.embedded import dynamodb_local
from devenv.engines.embedded.dynamodb_local import archive_path, archive_ready, launch_command, start_training, train
from devenv.engines.embedded.java import Java
from devenv.engines.embedded.parts import Local
from devenv.stores.dynamodb.client import Dynamo
from tests.e2e.world import free_port
from tests.integration.dynamodb_support import find_parts, launched, serving, wait_for, wheel_java

TABLE = {
    "TableName": "kept",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
}


@pytest.fixture(scope="module")
def local() -> Local:
    return find_parts()[1]


@pytest.fixture(scope="module", params=["found", "wheel"])
def java(request: pytest.FixtureRequest) -> Java:
    return find_parts()[0] if request.param == "found" else wheel_java()


@pytest.fixture(scope="module")
def found_java() -> Java:
    return find_parts()[0]


@pytest.fixture(scope="module")
def archives(java: Java, local: Local, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the class archive for `java`."""
    folder = tmp_path_factory.mktemp("archives")
    assert train(java, local, folder)
    return folder


def snapshot(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}


def test_it_listens_on_loopback_only(java, local, tmp_path):
    with serving(java, local, tmp_path / "data") as (where, process):
        port = int(where.endpoint.rsplit(":", 1)[1])
        listening = [c for c in psutil.Process(process.pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        assert [(c.laddr.ip, c.laddr.port) for c in listening] == [("127.0.0.1", port)]
        assert not dynamodb_local.listens_beyond_loopback(port)


def test_a_listener_on_all_interfaces_is_noticed():
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert dynamodb_local.listens_beyond_loopback(server.getsockname()[1])


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "GET"])
@pytest.mark.parametrize("origin", ["https://example.com", "http://localhost:3000", "null"])
def test_no_web_page_may_read_it(running, method, origin):
    host = running.endpoint.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=10)
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-amz-target",
    }
    headers |= {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"}
    connection.request(method, "/", b"{}" if method == "POST" else None, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.getheader("Access-Control-Allow-Origin") not in ("*", origin)


@pytest.fixture(scope="module")
def running(found_java, local, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    with serving(found_java, local, tmp_path_factory.mktemp("cors") / "data") as (where, _):
        yield where


def test_it_calls_no_one_and_writes_only_its_data(found_java, local, tmp_path):
    data = tmp_path / "data"
    before = snapshot(local.launcher.parent), snapshot(local.libraries.resolve().parent)
    with serving(found_java, local, data) as (_, process):
        outgoing = [c for c in psutil.Process(process.pid).net_connections() if c.raddr and c.raddr.ip != "127.0.0.1"]
        assert outgoing == []
    # With telemetry on it writes an installation id into its working folder before it calls home.
    assert list(tmp_path.joinpath("data.cwd").iterdir()) == []
    assert [path.name for path in data.iterdir()] == ["shared-local-instance.db"]
    assert (snapshot(local.launcher.parent), snapshot(local.libraries.resolve().parent)) == before


@pytest.mark.parametrize("name", ["plain", "with space", "Zoë ✓ 'quoted' $HOME", "long" * 60])
@pytest.mark.matrix(4)
def test_data_survives_a_kill_in_any_folder(found_java, local, tmp_path, name):
    data = tmp_path / name
    with serving(found_java, local, data) as (where, process), Dynamo(where) as dynamo:
        dynamo.call("CreateTable", TABLE)
        dynamo.call("PutItem", {"TableName": "kept", "Item": {"pk": {"S": "a"}}})
        process.kill()
        process.wait()
    with serving(found_java, local, data) as (where, _), Dynamo(where) as dynamo:
        assert list(dynamo.scan("kept")) == [{"pk": {"S": "a"}}]


def test_it_works_from_a_cache_with_spaces_and_letters(found_java, local, tmp_path):
    from devenv.engines.embedded.parts import find_local

    moved = find_local(tmp_path / "Zoë's cache", local.libraries.resolve().parent, None, lambda *_: None)
    with serving(found_java, moved, tmp_path / "data") as (where, _), Dynamo(where) as dynamo:
        assert dynamo.call("ListTables") == {"TableNames": []}


def test_a_path_too_long_for_sqlite_is_refused_before_launch(found_java, local, tmp_path):
    longest = Path("/" + "x" * (dynamodb_local.LONGEST_DATA_PATH - 1))
    assert str(longest) in launch_command(found_java, local, tmp_path, 8000, longest)
    with pytest.raises(DevenvError) as caught:
        launch_command(found_java, local, tmp_path, 8000, Path(f"{longest}x"))
    assert caught.value.exit_code == Exit.USAGE


def test_the_longest_allowed_path_works(found_java, local, tmp_path):
    room = dynamodb_local.LONGEST_DATA_PATH - len(os.fsencode(tmp_path))
    parts = ["x" * 99] * (room // 100)
    folder = tmp_path.joinpath(*parts)
    folder = folder / ("y" * (room % 100 - 1)) if room % 100 > 1 else folder
    assert dynamodb_local.LONGEST_DATA_PATH - len(os.fsencode(folder)) <= 1
    with serving(found_java, local, folder) as (where, _), Dynamo(where) as dynamo:
        assert dynamo.call("CreateTable", TABLE)["TableDescription"]["TableName"] == "kept"


def test_a_taken_port_ends_it_with_a_reason(found_java, local, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = launch_command(found_java, local, tmp_path, taken.getsockname()[1], tmp_path)
        with launched(command, tmp_path / "log", tmp_path) as process:
            assert process.wait(60) == 1
    assert "DynamoDB Local did not start" in (tmp_path / "log").read_text()


def test_a_missing_data_folder_ends_it_with_a_reason(found_java, local, tmp_path):
    command = launch_command(found_java, local, tmp_path, free_port(), tmp_path / "missing")
    with launched(command, tmp_path / "log", tmp_path) as process:
        assert process.wait(60) == 1
    log = (tmp_path / "log").read_text()
    assert "Invalid directory for database creation" in log
    assert "\tat " not in log


def test_an_archive_built_differently_ends_it_with_a_reason(found_java, local, tmp_path):
    for name in ("java.lang.String", "com.example.Gone"):
        strange = replace(local, main_class=name)
        command = launch_command(found_java, strange, tmp_path, free_port(), tmp_path)
        with launched(command, tmp_path / "log", tmp_path) as process:
            assert process.wait(60) == 1
        assert "this version of DynamoDB Local is built differently" in (tmp_path / "log").read_text()


# The class archive


@pytest.mark.long
def test_the_server_starts_from_the_archive(java, local, archives, tmp_path):
    archive = archive_ready(java, local, archives)
    assert archive is not None
    with serving(java, local, tmp_path / "data", archives) as (where, process), Dynamo(where) as dynamo:
        assert dynamo.call("CreateTable", TABLE)["TableDescription"]["TableName"] == "kept"
        assert str(archive) in {region.path for region in psutil.Process(process.pid).memory_maps()}
    assert "warning" not in (tmp_path / "data.log").read_text().lower()


def test_training_leaves_the_archive_and_nothing_else(java, local, archives):
    archive = archive_path(java, local, archives)
    assert {path.name for path in archives.iterdir()} <= {archive.name, "train.lock"}
    assert archive.stat().st_mode & 0o004
    assert not train(java, local, archives)
    assert start_training(java, local, archives, os.environ) is None


def test_a_broken_archive_does_no_harm(java, local, tmp_path):
    archive_path(java, local, tmp_path).write_bytes(b"not an archive")
    with serving(java, local, tmp_path / "data", tmp_path) as (where, _), Dynamo(where) as dynamo:
        assert dynamo.call("ListTables") == {"TableNames": []}


def test_the_archive_belongs_to_one_java_and_one_jar(found_java, local, tmp_path):
    paths = {
        archive_path(found_java, local, tmp_path),
        archive_path(replace(found_java, version="99"), local, tmp_path),
        archive_path(found_java, replace(local, launcher=tmp_path / "launcher.jar"), tmp_path),
    }
    assert len(paths) == 3


@pytest.mark.long
def test_a_killed_training_takes_its_server_along_and_the_next_one_cleans_up(found_java, local, tmp_path):
    archives = tmp_path / "archives"
    trainer = start_training(found_java, local, archives, os.environ)
    assert trainer is not None
    wait_for(lambda: psutil.Process(trainer.pid).children())
    servers = psutil.Process(trainer.pid).children()
    trainer.send_signal(signal.SIGKILL)
    trainer.wait()
    wait_for(lambda: not any(server.is_running() for server in servers))
    assert list(archives.glob("training-*"))
    assert archive_ready(found_java, local, archives) is None

    again = start_training(found_java, local, archives, os.environ)
    assert again is not None
    assert again.wait(120) == 0
    assert archive_ready(found_java, local, archives)
    assert not list(archives.glob("training-*"))


@pytest.mark.long
def test_two_trainings_at_once_make_one_archive_and_touch_no_server_that_runs(found_java, local, tmp_path):
    made: list[bool] = []
    archives = tmp_path / "archives"
    workers = [threading.Thread(target=lambda: made.append(train(found_java, local, archives))) for _ in range(2)]
    with serving(found_java, local, tmp_path / "data") as (where, _), Dynamo(where) as dynamo:
        dynamo.call("CreateTable", TABLE)
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(120)
        assert sorted(made) == [False, True]
        assert dynamo.call("ListTables") == {"TableNames": ["kept"]}


def test_training_that_fails_says_why_and_is_not_tried_again_the_same_day(found_java, local, tmp_path):
    strange = replace(local, main_class="com.example.Gone")
    trainer = start_training(found_java, strange, tmp_path, os.environ)
    assert trainer is not None
    assert trainer.wait(60) == 0
    mark = archive_path(found_java, strange, tmp_path).with_suffix(".failed")
    assert "the server did not start" in mark.read_text()
    assert "com.example.Gone" in mark.read_text()
    assert start_training(found_java, strange, tmp_path, os.environ) is None
    os.utime(mark, (0, 0))
    retry = start_training(found_java, strange, tmp_path, os.environ)
    assert retry is not None
    retry.wait(60)


def test_a_cache_that_cannot_be_written_only_costs_the_archive(found_java, local, tmp_path):
    (tmp_path / "file").write_text("")
    assert start_training(found_java, local, tmp_path / "file/cache", os.environ) is None
