"""Time and peak memory of every command: `python tests/bench/scale.py [ITEMS [ROWS]]` (1,000,000 and 200,000).

One data set, written a line at a time and kept for the run. Beside the first `up` stands a load of the same items by
boto3's batch_writer into a table of the same server, of as many items as it loads in a minute. Beside a snapshot's save
and restore stands copying both stores' files twice.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from tests.bench.reset import copy_stores  # noqa: E402
from tests.support import ProjectDir  # noqa: E402

BOTO_S = 60.0
PER_CONVERSATION = 50
TOML = """[project]
name = "scale"
[postgres]
database = "scale"
[steps.setup]
files = ["schema.sql", "rows.sql"]
[steps.schema-load]
files = ["tables.json"]
[steps.seed]
files = ["items.jsonl"]
[steps.seed.mapping."items.jsonl"]
table = "messages"

[[links]]
from = "dynamodb:messages.user_uuid"
to = "postgres:users.uuid"

[entities.message]
table = "messages"
match = { pk = "MSG#{group}" }
[entities.message.attributes]
group = "string"
message = "string"
user_uuid = "uuid"

[patterns.messages]
table = "messages"
key = { pk = "MSG#{group}" }

[trace.messages]
params = { group = "string" }
pattern = "messages"
entity = "message"
where = { group = "{group}" }
ids = { dynamodb = "message" }
"""
TABLE = {
    "TableName": "messages",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    "BillingMode": "PAY_PER_REQUEST",
}


@dataclass(frozen=True)
class Timed:
    """One command: its words, exit code, seconds, and the most memory of its process (MB)."""

    words: str
    code: int
    seconds: float
    peak_mb: int
    said: str

    def __str__(self) -> str:
        return f"{self.words:<34} exit {self.code}  {self.seconds:9.2f} s  {self.peak_mb:6,} MB"


def user_of(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))


def items(number: int, rows: int) -> Iterator[dict[str, Any]]:
    for each in range(number):
        yield {
            "pk": f"MSG#{each // PER_CONVERSATION:08}",
            "sk": f"2026-01-01T00:00:{each % PER_CONVERSATION:02}#{each:08}",
            "group": f"{each // PER_CONVERSATION:08}",
            "message": f"message {each} of some length, as people write them",
            "user_uuid": user_of(each % rows),
        }


def write_project(folder: Path, number: int, rows: int) -> ProjectDir:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "devenv.toml").write_text(TOML)
    (folder / "tables.json").write_text(json.dumps(TABLE))
    (folder / "schema.sql").write_text("CREATE TABLE users (uuid uuid PRIMARY KEY, handle text NOT NULL UNIQUE);\n")
    with (folder / "rows.sql").open("w") as file:
        for first in range(0, rows, 1_000):
            values = (f"('{user_of(each)}', 'user{each}')" for each in range(first, min(rows, first + 1_000)))
            file.write(f"INSERT INTO users (uuid, handle) VALUES {', '.join(values)};\n")
    with (folder / "items.jsonl").open("w") as file:
        for item in items(number, rows):
            file.write(json.dumps(item) + "\n")
    return ProjectDir(folder)


def run(project: ProjectDir, *words: str) -> Timed:
    """Run one command and measure it, by what the system says of its ended process."""
    with tempfile.TemporaryFile() as said:
        began = time.monotonic()
        process = subprocess.Popen(
            project.command(*words), stdout=said, stderr=said, env=project.environment(), cwd=project.path
        )
        _, status, usage = os.wait4(process.pid, 0)
        spent = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode("utf-8", "replace")
    return Timed(" ".join(words), process.returncode, spent, usage.ru_maxrss // 1024, text)


def load_by_boto(project: ProjectDir, number: int, rows: int) -> float:
    """Items a second by boto3's batch_writer into another table of the same server."""
    import boto3

    env = project.env()
    resource = boto3.resource(
        "dynamodb",
        endpoint_url=env["AWS_ENDPOINT_URL_DYNAMODB"],
        region_name=env["AWS_REGION"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
    )
    table = resource.create_table(**{**TABLE, "TableName": "by-boto"})
    loaded = 0
    began = time.monotonic()
    source = items(number, rows)
    while time.monotonic() - began < BOTO_S and (lot := list(islice(source, 100))):
        with table.batch_writer() as batch:
            for item in lot:
                batch.put_item(Item=item)
        loaded += len(lot)
    spent = time.monotonic() - began
    table.delete()
    return loaded / spent


def measure(folder: Path, number: int, rows: int) -> list[Timed]:
    """Every command at this size, in the order of a day's work. The project is removed at the end."""
    project = write_project(folder, number, rows)
    try:
        first = run(project, "--timeout", "600", "up")
        print(first, flush=True)
        if first.code:
            print(first.said[-2000:])
            return [first]
        boto = load_by_boto(project, number, rows)
        up = number / first.seconds
        times = f"up is {up / boto:.1f} times as fast"
        print(f"items a second: devenv up {up:,.0f}, boto3's batch_writer {boto:,.0f}: {times}", flush=True)
        found = [first]
        for words in (
            ("up",),
            ("status",),
            ("env",),
            ("logs", "--tail", "1"),
            ("doctor",),
            ("trace", "messages", f"{number // PER_CONVERSATION // 2:08}"),
            ("verify",),
            ("snapshot", "save", "kept"),
            ("snapshot", "restore", "kept"),
            ("reset", "-y"),
        ):
            found.append(run(project, *words))
            print(found[-1], flush=True)
            if found[-1].code:
                print(found[-1].said[-1500:], flush=True)
        found.append(run(project, "down"))
        with tempfile.TemporaryDirectory(dir=folder.parent) as copies:
            copied = sum(copy_stores(project, Path(copies) / f"copy-{each}") for each in range(2))
        both = sum(each.seconds for each in found if each.words.startswith("snapshot"))
        print(f"snapshot save and restore {both:.1f} s, copying the files twice {copied:.1f} s: {both / copied:.2f}")
        return found
    finally:
        project.remove()


def main(arguments: list[str]) -> int:
    number, rows = (int(each) for each in [*arguments, *["1000000", "200000"][len(arguments) :]][:2])
    print(f"{number:,} items, {rows:,} rows")
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder) / "scale", number, rows)
    return 1 if any(each.code not in (0, 1) for each in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
