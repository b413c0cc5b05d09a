"""A stream worker on a real stream: what reaches the function, in which order, and after a stop or a kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from devenv.services.streams import position
from devenv.services.streams.position import LastRecord, Position
from devenv.steps.ledger import Ledger
from devenv.stores.dynamodb.client import Dynamo
from tests.conftest import Stores

NODE = Path(sys.executable).parent / "node"
COLLECT = """
import json, os

def handler(event, context):
    with open("told.jsonl", "a") as file:
        for record in event["Records"]:
            file.write(json.dumps(record) + "\\n")
        file.write(json.dumps({"batch": len(event["Records"])}) + "\\n")
"""


def until(look: Callable[[], Any], patience_s: float = 30.0) -> Any:
    end = time.monotonic() + patience_s
    while not (found := look()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
    return found


@dataclass
class Running:
    """A table with a stream, a folder with a function, and the worker between them."""

    stores: Stores
    folder: Path
    table: str
    settings: dict[str, Any] = field(default_factory=dict)
    child: subprocess.Popen[bytes] | None = None

    def begin(self, **settings: Any) -> None:
        self.settings |= settings
        target = self.stores.dynamodb
        known = {
            "name": "rows", "table": self.table, "endpoint": target.endpoint, "region": target.region,
            "folder": str(self.folder), "state_file": str(self.folder / "position.json"),
            "failed_file": str(self.folder / "failed.jsonl"), "file": str(self.folder / "rows.py"),
            "function": "handler", "interpreter": sys.executable, "retries": 1,
        }  # fmt: skip
        (self.folder / "settings.json").write_text(json.dumps(known | self.settings))
        environ = {
            "PATH": os.environ["PATH"], "AWS_ENDPOINT_URL_DYNAMODB": target.endpoint, "AWS_REGION": target.region,
            "AWS_DEFAULT_REGION": target.region, "AWS_ACCESS_KEY_ID": target.access_key,
            "AWS_SECRET_ACCESS_KEY": target.secret_key, "TABLE": self.table,
        }  # fmt: skip
        with open(self.folder / "log", "ab") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-P", "-m", "devenv.services.streams", str(self.folder / "settings.json")],
                env=environ, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.child is not None
        self.child.send_signal(how)
        code = self.child.wait(20)
        self.child = None
        return code

    def handler(self, text: str, name: str = "rows.py") -> None:
        (self.folder / name).write_text(text)

    def put(self, key: str, **more: str) -> None:
        with Dynamo(self.stores.dynamodb) as dynamo:
            item = {"pk": {"S": key}, **{name: {"S": value} for name, value in more.items()}}
            dynamo.call("PutItem", {"TableName": self.table, "Item": item})

    def told(self) -> list[dict[str, Any]]:
        file = self.folder / "told.jsonl"
        found = []
        for line in file.read_text().splitlines() if file.exists() else ():
            with contextlib.suppress(ValueError):  # a line that is being written, or that a kill cut off
                found.append(json.loads(line))
        return found

    def keys(self) -> list[str]:
        return [one["dynamodb"]["Keys"]["pk"]["S"] for one in self.told() if "dynamodb" in one]

    def position(self) -> Position:
        return position.read(self.folder / "position.json") or Position()

    def log(self) -> str:
        return (self.folder / "log").read_text()


@pytest.fixture
def running(stores: Stores, tmp_path: Path) -> Iterator[Running]:
    made = Running(stores, tmp_path, f"stream-{uuid.uuid4().hex[:8]}")
    make_table(made)
    made.handler(COLLECT)
    yield made
    if made.child is not None:
        made.end(signal.SIGKILL)
    with Dynamo(stores.dynamodb) as dynamo:
        dynamo.call("DeleteTable", {"TableName": made.table})


def make_table(made: Running, view: str | None = "NEW_AND_OLD_IMAGES") -> None:
    with Dynamo(made.stores.dynamodb) as dynamo:
        stream = {"StreamEnabled": True, "StreamViewType": view} if view else {"StreamEnabled": False}
        dynamo.call(
            "CreateTable",
            {
                "TableName": made.table,
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "BillingMode": "PAY_PER_REQUEST",
                **({"StreamSpecification": stream} if view else {}),
            },
        )


def test_a_function_gets_what_lambda_gives_it_in_order(running: Running) -> None:
    running.begin()
    until(lambda: "waiting for records" in running.log())
    for number in range(5):
        running.put(str(number), text="a")
    with Dynamo(running.stores.dynamodb) as dynamo:
        dynamo.call("DeleteItem", {"TableName": running.table, "Key": {"pk": {"S": "3"}}})
    until(lambda: len(running.keys()) == 6)
    assert running.keys() == ["0", "1", "2", "3", "4", "3"]
    first, last = running.told()[0], [one for one in running.told() if "dynamodb" in one][-1]
    assert (first["eventName"], last["eventName"]) == ("INSERT", "REMOVE")
    assert first["eventSource"] == "aws:dynamodb"
    assert first["awsRegion"] == running.stores.dynamodb.region
    assert f"table/{running.table}/stream/" in first["eventSourceARN"]
    assert first["dynamodb"]["NewImage"] == {"pk": {"S": "0"}, "text": {"S": "a"}}
    assert last["dynamodb"]["OldImage"] == {"pk": {"S": "3"}, "text": {"S": "a"}}
    assert "NewImage" not in last["dynamodb"]
    assert int(first["dynamodb"]["SequenceNumber"]) < int(last["dynamodb"]["SequenceNumber"])


def test_a_clean_stop_repeats_nothing_and_a_kill_loses_nothing(running: Running) -> None:
    running.begin(size=3)
    running.put("a")
    until(lambda: running.position().handled == 1)
    assert running.end() == 0
    for number in range(7):
        running.put(f"b{number}")
    running.begin()
    until(lambda: running.position().handled == 8)
    assert running.keys() == ["a", *(f"b{number}" for number in range(7))]
    assert [one["batch"] for one in running.told() if "batch" in one] == [1, 3, 3, 1]
    for round in range(3):
        for number in range(20):
            running.put(f"c{round}-{number}")
        running.end(signal.SIGKILL)
        running.begin()
    wanted = {f"c{round}-{number}" for round in range(3) for number in range(20)}
    until(lambda: wanted <= set(running.keys()))
    # At least once: a repeated record comes again behind where it was first, and the first ones keep their order.
    firsts = list(dict.fromkeys(running.keys()))
    assert firsts == ["a", *(f"b{n}" for n in range(7)), *(f"c{r}-{n}" for r in range(3) for n in range(20))]


def test_a_filter_leaves_out_and_is_counted(running: Running) -> None:
    running.begin(filters=[{"eventName": ["INSERT"], "dynamodb": {"Keys": {"pk": {"S": [{"prefix": "MSG#"}]}}}}])
    running.put("GRP#1")
    running.put("MSG#1")
    running.put("MSG#1", text="changed")
    running.put("MSG#2")
    until(lambda: running.position().handled == 2)
    assert running.keys() == ["MSG#1", "MSG#2"]
    assert running.position().filtered == 2


def test_a_failing_function_is_tried_again_and_its_records_are_kept(running: Running) -> None:
    running.handler("def handler(event, context):\n    raise ValueError('no such row')\n")
    running.begin(retries=2)
    running.put("x")
    until(lambda: running.position().failed == 1)
    found = running.position()
    assert (found.handled, found.errors, found.batches) == (0, 3, 3)
    assert found.error is not None
    assert (found.error.message, found.error.place) == ("ValueError: no such row", "rows.py:2")
    [kept] = [json.loads(line) for line in (running.folder / "failed.jsonl").read_text().splitlines()]
    assert kept["records"][0]["dynamodb"]["Keys"] == {"pk": {"S": "x"}}
    # The corrected file is loaded with the next record, by itself.
    running.handler(COLLECT)
    running.put("y")
    until(lambda: running.keys() == ["y"])


def test_the_records_before_a_failed_one_are_not_repeated(running: Running) -> None:
    running.handler(
        COLLECT.replace("def handler", "def collect")
        + """
def handler(event, context):
    bad = [r for r in event["Records"] if r["dynamodb"]["Keys"]["pk"]["S"] == "bad"]
    collect({"Records": [r for r in event["Records"] if r not in bad]}, context)
    return {"batchItemFailures": [{"itemIdentifier": r["dynamodb"]["SequenceNumber"]} for r in bad]}
"""
    )
    for key in ("1", "2", "bad"):
        running.put(key)
    running.begin(retries=1)
    until(lambda: running.position().failed == 1)
    assert running.keys() == ["1", "2"]
    assert running.position().handled == 2


def test_a_function_that_hangs_or_exits_is_ended_and_the_next_record_gets_a_new_one(running: Running) -> None:
    running.handler(
        "import os, time\nkey = lambda e: e['Records'][0]['dynamodb']['Keys']['pk']['S']\n"
        "def handler(event, context):\n"
        "    if key(event) == 'hang':\n        time.sleep(60)\n"
        "    if key(event) == 'exit':\n        os._exit(3)\n"
        "    open('done', 'a').write(key(event))\n"
    )
    running.begin(timeout_s=0.5, retries=0, size=1)
    for key in ("hang", "exit", "good"):
        running.put(key)
    until(lambda: (running.folder / "done").exists())
    until(lambda: running.position().handled == 1)
    assert running.position().failed == 2
    assert "no answer within 0.5 s" in running.log()
    assert "exit code 3" in running.log()


def test_a_module_that_cannot_be_loaded_is_said_with_its_line(running: Running) -> None:
    running.handler("import nowhere_to_be_found\n")
    running.begin(retries=0)
    running.put("x")
    until(lambda: running.position().failed == 1)
    error = running.position().error
    assert error is not None
    assert error.message.startswith("ModuleNotFoundError")
    assert error.place == "rows.py:1"


def test_a_function_that_triggers_itself_is_stopped(running: Running) -> None:
    running.handler(
        "import boto3, os, uuid\ntable = boto3.resource('dynamodb').Table(os.environ['TABLE'])\n"
        "def handler(event, context):\n    table.put_item(Item={'pk': str(uuid.uuid4())})\n"
    )
    running.begin(timeout_s=20)
    running.put("x")
    until(lambda: running.position().stopped)
    assert "triggers itself" in str(running.position().stopped)
    handled = running.position().handled
    assert handled == 16
    time.sleep(0.5)
    assert running.position().handled == handled


def test_what_the_seed_step_wrote_does_not_reach_the_function(running: Running) -> None:
    with Ledger(running.folder / "ledger.sqlite") as ledger:
        ledger.intend(running.table, {b'{"pk":{"S":"seed"}}': {"pk": {"S": "seed"}, "text": {"S": "a"}}})
    running.begin(ledger=str(running.folder / "ledger.sqlite"))
    running.put("seed", text="a")
    running.put("seed", text="changed by the application")
    until(lambda: running.position().handled == 1)
    assert running.position().seeded == 1
    assert [one["eventName"] for one in running.told() if "eventName" in one] == ["MODIFY"]


def test_a_table_that_is_recreated_is_followed(running: Running) -> None:
    running.begin()
    running.put("old")
    until(lambda: running.keys() == ["old"])
    with Dynamo(running.stores.dynamodb) as dynamo:
        dynamo.call("DeleteTable", {"TableName": running.table})
    make_table(running)
    running.put("new")
    until(lambda: running.keys() == ["old", "new"])


def test_a_position_of_other_data_is_not_taken_for_this_ones(running: Running) -> None:
    running.put("before")
    running.begin()
    until(lambda: running.position().handled == 1)
    running.end()
    known = running.position()
    known.shards = {name: LastRecord(last.sequence, "another event") for name, last in known.shards.items()}
    position.write(running.folder / "position.json", known)
    running.begin()
    until(lambda: "the data was replaced" in running.log())
    running.put("after")
    until(lambda: running.keys() == ["before", "after"])


def test_a_table_without_a_stream_is_waited_for_and_said(running: Running) -> None:
    other = Running(running.stores, running.folder, f"plain-{uuid.uuid4().hex[:8]}")
    make_table(other, view=None)
    try:
        other.begin()
        until(lambda: "has no stream" in other.log())
    finally:
        other.end()
        with Dynamo(other.stores.dynamodb) as dynamo:
            dynamo.call("DeleteTable", {"TableName": other.table})


def test_a_command_reads_events_as_lines(running: Running) -> None:
    program = (
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    keys = [r['dynamodb']['Keys']['pk']['S'] for r in json.loads(line)['Records']]\n"
        "    open('lines', 'a').write(','.join(keys) + '\\n')\n"
        "    print(json.dumps({'error': 'bad one'} if 'bad' in keys else {}), flush=True)\n"
    )
    running.handler(program, "program.py")
    running.begin(file="", function="", command=[sys.executable, "program.py"], retries=0, size=1)
    running.put("1")
    running.put("bad")
    running.put("2")
    until(lambda: running.position().handled == 2)
    assert (running.folder / "lines").read_text() == "1\nbad\n2\n"
    assert running.position().failed == 1


NODE_FUNCTION = """
const fs = require("fs");
exports.handler = async (event, context) => {
  for (const record of event.Records) {
    if (record.dynamodb.Keys.pk.S === "bad") throw new TypeError("no such row");
    fs.appendFileSync("told.jsonl", JSON.stringify(record) + "\\n");
  }
  if (context.getRemainingTimeInMillis() > 30000) throw new Error("too long");
};
"""
NODE_PROGRAM = """
import { createInterface } from "node:readline";
import { appendFileSync } from "node:fs";
for await (const line of createInterface({ input: process.stdin })) {
  const { Records } = JSON.parse(line);
  const failed = Records.filter((record) => record.dynamodb.Keys.pk.S === "bad");
  for (const record of Records.filter((each) => !failed.includes(each)))
    appendFileSync("told.jsonl", JSON.stringify(record) + "\\n");
  console.error("handled", Records.length);
  const failures = failed.map((record) => ({ itemIdentifier: record.dynamodb.SequenceNumber }));
  console.log(JSON.stringify({ batchItemFailures: failures }));
}
"""


def test_a_node_function_gets_its_events_and_its_error_has_a_line(running: Running) -> None:
    running.handler(NODE_FUNCTION, "rows.js")
    running.begin(file=str(running.folder / "rows.js"), interpreter=str(NODE), retries=0, size=1, timeout_s=20)
    for key in ("1", "bad", "2"):
        running.put(key)
    until(lambda: running.position().handled == 2)
    assert running.keys() == ["1", "2"]
    error = running.position().error
    assert error is not None
    assert (error.message, error.place) == ("TypeError: no such row", "rows.js:5")
    running.handler(NODE_FUNCTION.replace('"bad"', '"worse"'), "rows.js")
    running.put("bad", text="changed, as an equal item is no change")
    until(lambda: running.keys() == ["1", "2", "bad"])


def test_a_node_program_through_command(running: Running) -> None:
    running.handler(NODE_PROGRAM, "rows.mjs")
    running.begin(file="", function="", command=[str(NODE), "rows.mjs"], retries=0, timeout_s=20)
    for key in ("1", "2", "bad"):
        running.put(key)
    until(lambda: running.position().failed == 1)
    assert running.keys() == ["1", "2"]
    assert "handled" in running.log()


def test_refused_records_are_given_again_when_the_file_says_so(running: Running) -> None:
    running.handler("def handler(event, context):\n    raise ValueError('no such row')\n")
    running.begin(retries=0)
    running.put("x")
    until(lambda: running.position().failed == 1)
    running.end()
    running.handler(COLLECT)
    (running.folder / "failed.jsonl").rename(running.folder / "failed.jsonl.again")
    running.begin()
    until(lambda: running.keys() == ["x"])
    until(lambda: not (running.folder / "failed.jsonl.again").exists())
    assert (running.position().failed, running.position().handled) == (0, 1)
    assert not (running.folder / "failed.jsonl").exists()
