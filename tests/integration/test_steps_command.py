"""A step that is the project's own program is not believed: where it wrote, and whether it wrote at all."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.stores.dynamodb.client import Dynamo, typed_item

pytest_plugins = ("tests.integration.step_support",)

SEED = """
import boto3, os, sys
boto3.client("dynamodb", endpoint_url={endpoint}).put_item(
    TableName=sys.argv[1], Item={{"id": {{"S": "a"}}}})
"""


@pytest.fixture
def shop(small: Any) -> Any:
    """A table, and a seed that is a program. The stores have other ports than the declared (default) ones."""
    table = {
        "TableName": small.table("things"),
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    }
    small.write("t.json", json.dumps(table))
    small.steps["schema-load"] = {"files": ["t.json"]}
    small.steps["seed"] = {"command": [sys.executable, "seed.py", small.table("things")], "files": ["seed.py"]}
    small.run("schema-load")
    return small


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, shop: Any) -> None:
    """The settings that a step gets from `up`."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", shop.dynamodb.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", shop.dynamodb.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", shop.dynamodb.secret_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", shop.dynamodb.region)


def count(shop: Any) -> int:
    return len(shop.items("things"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        # The case, and further ways to write it.
        ('import boto3\nboto3.client("dynamodb", endpoint_url="http://localhost:8000")', 2),
        ('E = "http://127.0.0.1:8000"', 1),
        ("\n\nconst client = { host: 'x', port: 8000 }", 3),
        ('psycopg.connect("postgresql://postgres@localhost:5432/app")', 1),
        ("psycopg.connect(host='db', port=5432)", 1),
    ],
)
def test_an_old_address_is_refused_before_the_program_runs(shop: Any, given: None, text: str, line: int) -> None:
    shop.write("seed.py", f"{text}\nopen('ran', 'w')")
    with pytest.raises(UsageError) as refused:
        shop.run("seed")
    assert refused.value.exit_code == Exit.USAGE
    assert f"seed.py:{line} contains the old address of " in refused.value.what
    assert not (shop.root / "ran").exists()


@pytest.mark.parametrize(
    "text",
    [
        'E = os.environ.get("AWS_ENDPOINT_URL_DYNAMODB", "http://localhost:8000")',
        "# docker run -p 8000:8000; then http://localhost:8000",
        "n = 8000  # items",
    ],
)
def test_a_default_a_comment_and_a_number_are_no_address(shop: Any, given: None, text: str) -> None:
    shop.write("seed.py", f"import os\n{text}\n" + SEED.format(endpoint='os.environ["AWS_ENDPOINT_URL_DYNAMODB"]'))
    shop.run("seed")
    assert count(shop) == 1
    assert shop.look("seed").state == "done"


def test_the_port_that_is_declared_and_kept_may_be_written(shop: Any, given: None) -> None:
    shop.write("seed.py", SEED.format(endpoint=repr(shop.dynamodb.endpoint)))
    shop.run("seed")
    assert count(shop) == 1


class Other(BaseHTTPRequestHandler):
    """A DynamoDB of somebody else, which takes everything."""

    taken: list[str] = []

    def do_POST(self) -> None:
        self.taken.append(self.headers["X-Amz-Target"])
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def other() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_program_whose_writes_go_elsewhere_fails_and_says_where(shop: Any, given: None, other: str) -> None:
    """Also when the store is not empty: an earlier run, or a person, filled it."""
    with Dynamo(shop.dynamodb) as dynamo:
        dynamo.call("PutItem", {"TableName": shop.table("things"), "Item": typed_item({"id": "before"})})
    shop.write("conf.py", f'ENDPOINT = "{other}"')
    shop.write("seed.py", "from conf import ENDPOINT" + SEED.format(endpoint="ENDPOINT"))
    with pytest.raises(DevenvError) as failed:
        shop.run("seed")
    assert failed.value.exit_code == Exit.STEP
    assert f"PutItem went to {other}" in failed.value.what
    assert shop.look("seed").state == "failed"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["true"], "has an item"),
        (["sh", "-c", "echo all is well"], "has an item"),
        ([sys.executable, "-c", "import boto3"], "has an item"),
    ],
)
def test_a_program_that_did_nothing_fails(shop: Any, given: None, command: list[str], says: str) -> None:
    shop.steps["seed"] = {"command": command}
    shop.entities = {"thing": {"table": shop.table("things")}}
    with pytest.raises(DevenvError) as failed:
        shop.run("seed")
    assert failed.value.exit_code == Exit.STEP
    assert says in failed.value.what
    assert shop.look("seed").state == "failed"


def test_a_program_that_fills_a_table_of_its_own_instead_of_the_declared_one_fails(shop: Any, given: None) -> None:
    other = shop.table("things-dev")
    with Dynamo(shop.dynamodb) as dynamo:
        dynamo.call("CreateTable", {**json.loads((shop.root / "t.json").read_text()), "TableName": other})
    shop.steps["seed"]["command"][-1] = other
    shop.write("seed.py", SEED.format(endpoint="None"))
    with pytest.raises(DevenvError, match=rf"no declared table \({shop.table('things')}\) has an item, only .*{other}"):
        shop.run("seed")
    assert shop.look("seed").state == "failed"


def test_a_setup_that_makes_no_table_fails(small: Any) -> None:
    small.write("none.sql", "SELECT 1")
    small.steps["setup"] = {"files": ["none.sql"]}
    small.run("setup")
    small.steps["setup"] = {"command": ["true"]}
    with pytest.raises(DevenvError, match="has no table"):
        small.run("setup")


def test_a_seed_that_is_a_program_runs_again_after_setup(shop: Any, given: None) -> None:
    """It took its ids from rows that are gone."""
    shop.write("a.sql", "CREATE TABLE users (uuid uuid PRIMARY KEY DEFAULT gen_random_uuid())")
    shop.steps["setup"] = {"files": ["a.sql"]}
    shop.write("seed.py", SEED.format(endpoint="None").replace('"a"', "__import__('uuid').uuid4().hex"))
    shop.up()
    assert shop.look("seed").state == "done"
    shop.run("setup", fresh=True)
    state = shop.look("seed")
    assert (state.state, state.command) == ("stale", "devenv seed")
    assert state.reason == "setup has run again, so the ids that seed wrote are stale; `devenv seed` replaces the items"
    ran = shop.up()
    assert (list(ran), count(shop)) == (["seed"], 2)
    assert "still there: `devenv seed` replaces them" in " ".join(ran["seed"].warnings)
    assert shop.foreign("seed").startswith(f"all items of table {shop.table('things')} (a command wrote them")
    state = shop.look("seed")
    assert (state.state, state.command) == ("done", "devenv seed")
    assert state.reason.endswith(
        "to rows from before the last `devenv setup` may still be there: `devenv seed` replaces them"
    )
    shop.write("seed.py", (shop.root / "seed.py").read_text() + "# changed\n")
    shop.up()
    assert shop.look("seed").command == "devenv seed"  # Another run leaves them, too.
    assert not shop.run("seed", fresh=True).warnings
    assert count(shop) == 1
    assert (shop.look("seed").state, shop.look("seed").command) == ("done", None)


def test_a_command_that_expects_the_database_gets_an_empty_one(small: Any) -> None:
    small.server = replace(small.server, own=True)  # Only on a server that devenv started is a database made.
    small.write(
        "load.py", "import os, psycopg\nwith psycopg.connect(os.environ['DATABASE_URL']) as c:\n    c.execute(SQL)\n"
    )
    small.steps["setup"] = {"command": [sys.executable, "load.py"]}
    with pytest.raises(DevenvError, match=r"load\.py ended with exit code 1"):
        small.run("setup")  # SQL has no value: the next run finds no database again.
    small.write("load.py", (small.root / "load.py").read_text().replace("SQL", "'CREATE TABLE jam (id int)'"))
    small.run("setup")
    assert small.sql("SELECT count(*) FROM jam") == [(0,)]
    small.run("setup", fresh=True)
    assert small.sql("SELECT count(*) FROM jam") == [(0,)]


def test_a_long_output_keeps_the_line_that_names_the_error(small: Any) -> None:
    """Drivers print an object of many lines behind it."""
    script = "echo begin; echo 'error: no such thing'; for i in $(seq 0 59); do echo \"  line: $i,\"; done; exit 1"
    small.steps["setup"] = {"command": ["sh", "-c", script]}
    with pytest.raises(DevenvError) as caught:
        small.run("setup")
    lines = str(caught.value.detail).splitlines()
    assert lines[:2] == ["error: no such thing", "…"]
    assert "  line: 59," in lines


def test_a_command_on_what_an_earlier_setup_made_says_so(small: Any) -> None:
    small.write("a.sql", "CREATE TABLE boats (id int)")
    small.steps["setup"] = {"files": ["a.sql"]}
    small.run("setup")
    small.steps["setup"] = {"command": ["sh", "-c", "echo 'error: relation \"boats\" already exists'; exit 1"]}
    with pytest.raises(DevenvError) as caught:
        small.run("setup")
    assert 'already has relation "boats"' in (caught.value.cause or "")
    assert (caught.value.hint or "").startswith("devenv setup")
