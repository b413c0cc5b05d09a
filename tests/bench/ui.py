"""How fast the live page shows a large project, and in how much memory: `python tests/bench/ui.py [--items N]`.

Stores are started here: N items of a messaging table (1 million unless said otherwise), 200,000 rows. Printed are the
time until a fault shows where it is asked for, the slowest of a few loads of each kind of page, and the page's memory
at the end. The items are written into DynamoDB Local's file: through its interface a million takes an hour. Their hash
values are not the server's own, so that a Scan beyond its first page is in another order; the page's queries do not use
them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import psutil
import psycopg

from devenv.config.load import data_home
from devenv.core.model import DynamoTarget
from devenv.engines.embedded import dynamodb_file
from devenv.stores.dynamodb.client import Dynamo
from tests.support import ProjectDir, reference_project, unwind_on_sigterm
from tests.ui import LivePage, live_page

TABLE = "cruddur-messages"
WRITERS = 4
LOADS = 5
HANG_S = 60.0
CONVERSATION = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
NOBODY = "00000000-1111-4222-8333-444444444444"
ASKED = {"p.message_group_uuid": CONVERSATION}
USERS = """
INSERT INTO users (uuid, display_name, handle, email, cognito_user_id)
SELECT (lpad(to_hex(n), 8, '0') || '-2222-4222-8222-000000000000')::uuid, 'Person ' || n, 'user' || n,
  'user' || n || '@example.com', 'sub' || n FROM generate_series(1, %s) n
"""


def user(number: int) -> str:
    """The id of a person."""
    return f"{number:08x}-2222-4222-8222-000000000000"


def fill(project: ProjectDir, items: int, people: int) -> None:
    """Write the rows and the items."""
    env = project.env()
    with psycopg.connect(env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(USERS, (people,))
        connection.execute("ANALYZE users")
    names = ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    target = DynamoTarget(*(env[name] for name in names))

    def write(part: int) -> None:
        with Dynamo(target, timeout=60) as store:
            batch = []
            for number in range(part, items, WRITERS):
                batch.append({"PutRequest": {"Item": item(number, people)}})
                if len(batch) == 500:
                    store.write_batch(TABLE, batch, deadline_s=120)
                    batch = []
            store.write_batch(TABLE, batch, deadline_s=120)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))


def fill_file(project: ProjectDir, items: int, people: int) -> None:
    """Write the rows, and the items into DynamoDB Local's file while it waits."""
    fill(project, 0, people)
    file = data_home(project.path.resolve()) / "dynamodb" / dynamodb_file.NAME
    with closing(sqlite3.connect(file, timeout=60)) as store:
        store.execute("PRAGMA synchronous = OFF")
        rows = (row_of(item(number, people)) for number in range(items))
        store.executemany(f'INSERT INTO "{TABLE}" VALUES (?, ?, ?, ?, ?, ?, ?, NULL)', rows)
        store.commit()
    owner = file.parent.stat()
    for written in file.parent.iterdir():
        os.chown(written, owner.st_uid, owner.st_gid)


def row_of(item: Mapping[str, Mapping[str, str]]) -> tuple[bytes, bytes, bytes, bytes, int, bytes, bytes]:
    """A row of DynamoDB Local's table for an item that is in none of its indexes."""
    part, sort = (item[name]["S"].encode() for name in ("pk", "sk"))
    size = sum(len(name) + len(value["S"]) for name, value in item.items())
    hashes = [hashlib.sha1(text, usedforsecurity=False).digest() for text in (part, sort, part + sort)]
    return part, sort, hashes[0], hashes[1], size, json.dumps(item).encode(), hashes[2]


def item(number: int, people: int) -> dict[str, Mapping[str, str]]:
    """One message."""
    person = number % people + 1
    return {
        "pk": {"S": f"MSG#{number // 50:08x}-3333-4333-8333-000000000000"},
        "sk": {"S": f"2023-01-01T00:00:00.{number % 1_000_000:06}+00:00"},
        "message_uuid": {"S": f"{number:08x}-1111-4111-8111-000000000000"},
        "message": {"S": f"message {number}"},
        "user_uuid": {"S": user(person)},
        "user_handle": {"S": f"user{person}"},
        "user_display_name": {"S": f"Person {person}"},
    }


def measure(page: LivePage, items: int, people: int) -> dict[str, float]:
    """Seconds: the slowest of a few loads of each kind of page. The first load of all warms the process."""
    conversation = f"MSG#{items // 100:08x}-3333-4333-8333-000000000000"
    row = json.dumps({"uuid": user(people // 2)})
    addresses = {
        "both lists": {},
        "first page of a table": {"table": "public.users"},
        "first page of items": {"items": TABLE},
        "one partition": {"items": TABLE, "hash": conversation},
        "an id followed to its row": {"table": "public.users", "row": row},
        "a row followed to its items": {"items": TABLE, "hash": f"GRP#{user(people // 2)}"},
        "a condition by key": {"table": "public.users", "where": f"uuid = '{user(7)}'"},
    }
    page.ask("/data")
    found = {}
    for name, address in addresses.items():
        times = []
        for _ in range(LOADS):
            began = time.perf_counter()
            answer = page.ask(f"/data?{urlencode(address)}")
            times.append(time.perf_counter() - began)
            assert answer.status == 200
            assert 'class="failure"' not in answer.text, name
            assert ("message " in answer.text) is (name in ("first page of items", "one partition")), name
        found[name] = max(times)
    return found


def measure_counting(page: LivePage) -> dict[str, float]:
    """Seconds until a count is there, and the slowest load of a page of the same table meanwhile."""
    counting = threading.Thread(target=lambda: list(page.events(f"/stream/tables?table={TABLE}")))
    slowest = 0.0
    start = time.perf_counter()
    counting.start()
    while counting.is_alive():
        began = time.perf_counter()
        page.ask(f"/data?{urlencode({'items': TABLE})}")
        slowest = max(slowest, time.perf_counter() - began)
    return {"a count, behind its page": time.perf_counter() - start, "a page during the count": slowest}


def measure_fault(page: LivePage) -> dict[str, float]:
    """Seconds from asking until a person's wrong uuid shows on Data, Doctor and Trace."""
    values = {":h": {"S": f"MSG#{CONVERSATION}"}}
    query = {"TableName": TABLE, "KeyConditionExpression": "pk = :h", "ExpressionAttributeValues": values}
    found = {}
    with page.project.dynamodb() as store:
        item = store.call("Query", query)["Items"][0]
        store.call("PutItem", {"TableName": TABLE, "Item": {**item, "user_uuid": {"S": NOBODY}}})
        for name, begin, sign in (
            ("data", lambda: f"/data?{urlencode({'items': TABLE, 'hash': f'MSG#{CONVERSATION}'})}", "entry-marks"),
            ("doctor", lambda: page.do("/doctor/run"), 'id="check-XST002" class="check was-fail'),
            ("trace", lambda: page.do("/trace/ask", subject="conversation", **ASKED), "mismatched_id"),
        ):
            began = time.perf_counter()
            path = begin()
            while sign not in page.ask(path).text:
                assert time.perf_counter() - began < HANG_S, f"{name} does not show it"
                time.sleep(0.02)
            found[f"a fault on {name}"] = time.perf_counter() - began
        store.call("PutItem", {"TableName": TABLE, "Item": item})
    return found


def memory(page: LivePage) -> int:
    """Bytes that the page's process holds."""
    return int(psutil.Process(page.process.pid).memory_info().rss)


def show(found: Mapping[str, float]) -> None:
    """Print seconds as milliseconds."""
    for name, seconds in found.items():
        print(f"{name:30} {seconds * 1000:6.0f} ms", flush=True)


def main() -> None:
    """Fill the stores, measure, print."""
    unwind_on_sigterm()
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=200_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        project = reference_project(Path(folder) / "bench")
        try:
            project.ok("up", timeout=600)
            with live_page(project) as page:
                show(measure_fault(page))
            began = time.perf_counter()
            fill_file(project, chosen.items, chosen.rows)
            spent = time.perf_counter() - began
            print(f"{chosen.items:,} items, {chosen.rows:,} rows written in {spent:.0f} s", flush=True)
            with live_page(project) as page:
                show({**measure(page, chosen.items, chosen.rows), **measure_counting(page)})
                print(f"{'memory of the page':30} {memory(page) / 1e6:6.0f} MB", flush=True)
        finally:
            project.remove()


if __name__ == "__main__":
    main()
