"""The tap before the reference application: twenty clients at once, with and without a traceparent."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.world import free_port
from tests.faults.trace.bench import Bench
from tests.support import REPOSITORY
from tests.tap.support import lines, pointed, tap

ALONE, TOGETHER = 10, 200
# The lookup of the user, and the members of a conversation that is not there, which are read twice.
CALLS = 3


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench.open(tmp_path_factory.mktemp("tapped") / "project")
    shutil.copy(REPOSITORY / "tests" / "tap" / "passing.py", made.project.path / "chat")
    made.patch(
        "stores.py",
        ("import boto3\n", "from chat.passing import commented, passed\nimport boto3\n"),
        ("execute(query, values)", "execute(commented(query), values)"),
        # Nothing but statements: a BEGIN of psycopg's own carries no comment.
        ("        row_factory=dict_row,\n", "        row_factory=dict_row,\n        autocommit=True,\n"),
        ('return boto3.client("dynamodb", config=config)', 'return passed(boto3.client("dynamodb", config=config))'),
    )
    made.patch("app.py", ("app = AccessLog(", "from chat.passing import Passing\n\napp = Passing(AccessLog("))
    text = (made.project.path / "chat" / "app.py").read_text("utf-8")
    made.patch("app.py", ("read_hosts(os.environ),\n    )\n)", "read_hosts(os.environ),\n    )\n))"))
    assert text.count("app = Passing(") == 1
    yield made
    made.close()


@contextmanager
def served(bench: Bench, port: int, environ: dict[str, str]) -> Iterator[None]:
    """The application on this port, with these settings."""
    command = [sys.executable, "-m", "uvicorn", "chat.app:app", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, cwd=bench.project.path, env=bench.project.environment(**environ))
    try:
        end = time.monotonic() + 60
        while status(f"http://127.0.0.1:{port}/openapi.json", {}) != 200:
            assert process.poll() is None, "it ended before a request"
            assert time.monotonic() < end, "it does not answer"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


def status(url: str, headers: dict[str, str]) -> int | None:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


@pytest.mark.long
@pytest.mark.parametrize("traced", [True, False])
def test_twenty_clients_at_once_and_no_call_at_a_wrong_request(bench: Bench, tmp_path: Path, traced: bool) -> None:
    environ, port, file = bench.env, free_port(), tmp_path / "calls.jsonl"
    stores = {
        "postgres": ("127.0.0.1", int(environ["PGPORT"])),
        "dynamodb": ("127.0.0.1", urlsplit(environ["AWS_ENDPOINT_URL_DYNAMODB"]).port or 0),
        "application": ("127.0.0.1", port),
    }
    groups = [str(uuid.uuid4()) for _ in range(ALONE + TOGETHER)]
    token = bench.token("ines")

    def ask(number: int) -> int | None:
        headers = {"Authorization": f"Bearer {token}"}
        headers |= {"traceparent": f"00-{number + 1:032x}-{number + 1:016x}-01"} if traced else {}
        return status(f"http://127.0.0.1:{ports['application']}/api/messages/{groups[number]}", headers)

    with tap(file, stores, "--contents") as ports, served(bench, port, pointed(environ, ports)):
        assert {ask(number) for number in range(ALONE)} == {404}
        with ThreadPoolExecutor(20) as pool:
            assert set(pool.map(ask, range(ALONE, ALONE + TOGETHER))) == {404}
    paths = {line["number"]: line["path"].rpartition("/")[2] for line in lines(file, "request")}
    assert sorted(paths.values()) == sorted(groups)
    seen: Counter[str] = Counter()
    for call in lines(file, "call"):
        text = json.dumps([call.get("statement"), call.get("request")])
        [group] = [group for group in groups if group in text]
        seen[call["how"]] += 1
        owners = [paths[number] for number in call["requests"]]
        assert owners == [group] if call["how"] != "shared" else group in owners, call
    assert sum(seen.values()) == CALLS * len(groups)
    if traced:
        assert seen == {"traceparent": CALLS * len(groups)}
    else:
        assert seen["alone"] >= CALLS * ALONE
        assert seen["alone"] + seen["shared"] == CALLS * len(groups)
