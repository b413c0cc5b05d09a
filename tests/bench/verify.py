"""How fast `devenv verify` reads and compares, and in how much memory: `python tests/bench/verify.py [--items N]`.

Part 1, on DynamoDB Local and Postgres (started here): 200,000 items, 50,000 people; beside verify, in the same run,
(a) a boto3 paginator and a Python set, and (b) the same with one SELECT per id. These two only look for orphans;
verify also compares copies, groups and values that occur once. Each is measured ROUNDS times on the same server, after
a whole scan that is not, every second round in the other order; the medians are compared. How long the server itself
takes for verify's requests is shown too. Part 2, with pages from a stand-in server (page_server.py), whose work takes
its share of the same cores: 10 million items without a difference, with 1, 10, 0.1 % and 30 % of them wrong. Part 3,
--join N: the join of N ids with N, by our own partitions, by Postgres, and by DuckDB where it is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import msgspec
import psycopg

from devenv.config.schema import Settings
from devenv.core.events import Watch
from devenv.core.model import DynamoTarget, PostgresTarget, Targets
from devenv.links.judge import compile_plan
from devenv.stores.dynamodb.client import Dynamo
from devenv.verify.candidate_filter import Sieve
from devenv.verify.compare import verify
from devenv.verify.context import Context, VerifyOptions
from devenv.verify.scan import read_segments
from devenv.verify.tasks import plan_tasks
from tests.bench.page_server import NAMES, World, raw
from tests.integration.dynamodb_support import find_parts, serving
from tests.shapes import MESSAGING_TABLE, messaging_settings
from tests.support import empty_project, unwind_on_sigterm

ROUNDS = 2
PAGE_SERVER = Path(__file__).with_name("page_server.py")
USERS_SQL = """
CREATE TABLE public.users (uuid uuid PRIMARY KEY, display_name text NOT NULL, handle text NOT NULL UNIQUE);
INSERT INTO public.users SELECT (lpad(to_hex(n), 8, '0') || '-2222-4222-8222-000000000000')::uuid, 'Person ' || n,
  'user' || n FROM generate_series(0, %s) AS n;
ANALYZE public.users;
"""


def main() -> None:
    """Start stores, measure, print."""
    unwind_on_sigterm()
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=10_000_000, help="items of part 2")
    parser.add_argument("--skip", default="", help="parts not to run: 1, 2, 12")
    parser.add_argument("--join", type=int, metavar="N", default=0, help="also compare ways to join N ids with N")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        child()
        return
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        project = empty_project(Path(folder) / "bench")
        try:
            project.ok("up", timeout=600)
            env = project.env()
            postgres = PostgresTarget(
                "127.0.0.1", int(env["PGPORT"]), env["PGUSER"], env["PGPASSWORD"], env["PGDATABASE"]
            )
            users = 50_000
            with connect(postgres) as connection:
                connection.execute(USERS_SQL % (users - 1))  # type: ignore[arg-type]
            if "1" not in chosen.skip:
                # On disk it takes ten minutes to load; the same server on a folder in memory, one.
                memory = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(folder)
                with (
                    tempfile.TemporaryDirectory(dir=memory) as data,
                    serving(*find_parts(), Path(data) / "d") as started,
                ):
                    measure_local(postgres, started[0], users)
            if "2" not in chosen.skip:
                measure_large(postgres, users, chosen.items // 100)
            if chosen.join:
                measure_joins(postgres, chosen.join)
        finally:
            project.remove()


def connect(target: PostgresTarget) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=target.host, port=target.port, user=target.user, password=target.password, dbname=target.database
    )


def compare(postgres: PostgresTarget, dynamodb: DynamoTarget, table: str) -> tuple[dict[str, Any], float]:
    """One comparison in a process of its own, as it is when typed: the report's body, and its seconds.

    `cpu` is added to the body: processor seconds of verify and its workers, which a busy machine changes less.
    """
    told = Told(messaging_settings(table, postgres.database), postgres, dynamodb)
    began = time.perf_counter()
    command = [sys.executable, __file__, "--child"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, input=msgspec.json.encode(told), stdout=subprocess.PIPE, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**msgspec.json.decode(done.stdout), "cpu": cpu}, time.perf_counter() - began


class Told(msgspec.Struct):
    """What the process that compares is told."""

    settings: dict[str, Any]
    postgres: PostgresTarget
    dynamodb: DynamoTarget


def child() -> None:
    """Compare what the input says, and print the report's body."""
    told = msgspec.json.decode(sys.stdin.buffer.read(), type=Told)
    targets = Targets.of(told.postgres, told.dynamodb)
    with tempfile.TemporaryDirectory() as folder:
        context = Context(msgspec.convert(told.settings, Settings), targets, Path(folder))
        print(json.dumps(verify(context, VerifyOptions(), Watch()).body))


def show(name: str, items: int, seconds: float, more: str = "") -> None:
    """One line of the table."""
    print(f"{name:<46} {seconds:9.2f} s {items / seconds:12,.0f} items/s  {more}", flush=True)


def measure_local(postgres: PostgresTarget, local: DynamoTarget, users: int) -> None:
    """Part 1."""
    world = World(f"bench-{uuid.uuid4().hex[:8]}", 2_000, users)
    with Dynamo(local) as dynamodb:
        dynamodb.call("CreateTable", {"TableName": world.table, **MESSAGING_TABLE})
    load(world, local)
    names = [
        "verify, 200,000 items in DynamoDB Local",
        "(a) boto3 paginator, Python set",
        "(b) the same, a SELECT per id",
        "(c) verify's requests, answers thrown away",
    ]
    spent: dict[str, list[float]] = {name: [] for name in names}

    def run_verify() -> str:
        report, _ = compare(postgres, local, world.table)
        assert report["findings"] == {}, report
        assert report["verdict"] == "consistent", report
        return f"{report['peak_memory_mb']:.0f} MB, {spent_text(report)}"

    def run_set() -> str:
        return paginator_and_set(postgres, local, world.table)

    def run_select() -> str:
        return paginator_and_select(postgres, local, world.table)

    def run_requests() -> str:
        return requests_alone(local, world.table)

    ways = dict(zip(names, (run_verify, run_set, run_select, run_requests), strict=True))
    # The server grows faster while it runs.
    run_set()
    for turn in range(ROUNDS):
        for name in reversed(names) if turn % 2 else names:
            began = time.perf_counter()
            more = ways[name]()
            spent[name].append(time.perf_counter() - began)
            show(name, world.items, spent[name][-1], more)
    ours, *others = (median(spent[name]) for name in names)
    for name, theirs in zip(names[1:], others, strict=True):
        print(f"verify takes 1/{theirs / ours:.1f} of the time of {name}", flush=True)


def load(world: World, local: DynamoTarget) -> None:
    """Write a world's items."""

    def write(part: range) -> None:
        with Dynamo(local, timeout=60) as dynamodb:
            for number in part:
                requests = [{"PutRequest": {"Item": raw(item, NAMES)}} for item in world.conversation(number)]
                dynamodb.write_batch(world.table, requests)

    threads = [threading.Thread(target=write, args=(range(n, world.conversations, 6),)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def boto_pages(local: DynamoTarget, table: str) -> Iterator[Any]:
    import boto3

    client = boto3.client(
        "dynamodb",
        endpoint_url=local.endpoint,
        region_name=local.region,
        aws_access_key_id=local.access_key,
        aws_secret_access_key=local.secret_key,
    )
    for page in client.get_paginator("scan").paginate(TableName=table):
        yield from page["Items"]


def user_ids(item: Any) -> Iterator[str]:
    """Every id of a person that an item holds: a conversation's row has its owner's in its key."""
    yield item["user_uuid"]["S"]
    if item["pk"]["S"].startswith("GRP#"):
        yield item["pk"]["S"].removeprefix("GRP#")


def paginator_and_set(postgres: PostgresTarget, local: DynamoTarget, table: str) -> str:
    """What people write: all ids in a set, every id of every item looked up in it. How many."""
    with connect(postgres) as connection:
        known = {str(row[0]) for row in connection.execute("SELECT uuid FROM users")}
    found = [one in known for item in boto_pages(local, table) for one in user_ids(item)]
    assert all(found)
    return f"{len(found):,} ids"


def paginator_and_select(postgres: PostgresTarget, local: DynamoTarget, table: str) -> str:
    """What people write first: a query for every id of every item, on one connection. How many."""
    query = "SELECT 1 FROM users WHERE uuid = %s"
    with connect(postgres) as connection:
        found = [
            connection.execute(query, [one]).fetchone() is not None
            for item in boto_pages(local, table)
            for one in user_ids(item)
        ]
    assert all(found)
    return f"{len(found):,} ids"


def ask_page(dynamodb: Dynamo, sieve: Sieve, request: dict[str, Any]) -> Any:
    """One page, decoded: its last key is needed."""
    return sieve.decoder.decode(dynamodb.answer("Scan", request))


def requests_alone(local: DynamoTarget, table: str) -> str:
    """The requests of verify's scan, from two threads, as fast as the server answers them: nobody can scan faster."""
    with Dynamo(local) as dynamodb:
        description = dynamodb.call("DescribeTable", {"TableName": table})["Table"]
    keys = {table: tuple(key["AttributeName"] for key in description["KeySchema"])}
    settings = msgspec.convert(messaging_settings(table, "postgres"), Settings)
    sieve = Sieve(compile_plan(settings, keys), table, {})
    tasks = iter(plan_tasks({table: description}, None))

    def read() -> None:
        with Dynamo(local, timeout=60) as dynamodb:
            for task in tasks:
                ask = partial(ask_page, dynamodb, sieve)
                deque(read_segments(ask, sieve, task), maxlen=0)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "the server's part"


@contextmanager
def page_server(world: World) -> Iterator[DynamoTarget]:
    """The stand-in in a process of its own."""
    numbers = map(str, (world.conversations, world.users, world.damaged, world.halved))
    command = [sys.executable, str(PAGE_SERVER), world.table, *numbers]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            yield DynamoTarget(f"http://127.0.0.1:{port}", "us-east-1", "bench", "bench")
        finally:
            process.kill()


def measure_large(postgres: PostgresTarget, users: int, conversations: int) -> None:
    """Part 2."""
    items = conversations * 100
    for damaged, halved in ((0, 0), (1, 0), (9, 1), (items // 1000 - 10, 10), (items * 3 // 10 - 100, 100)):
        world = World("bench", conversations, users, damaged, halved)
        with page_server(world) as target:
            report, spent = compare(postgres, target, world.table)
        right = report["findings"] == world.expected
        verdict = "all found, none invented" if right else f"WRONG: {report['findings']} not {world.expected}"
        memory = f"{report['peak_memory_mb']:.0f} MB; {verdict}; {spent_text(report)}"
        show(f"verify, {world.items:,} items, {damaged + halved:,} wrong", world.items, spent, memory)


def spent_text(report: dict[str, Any]) -> str:
    """Where the time went."""
    parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in report["rates"]["seconds"].items())
    return f"{parts}; {report['cpu']:.0f} processor seconds"


def measure_joins(postgres: PostgresTarget, count: int) -> None:
    """Part 3: which of `count` 16-byte ids are not among `count` others; one in a thousand is not."""
    with tempfile.TemporaryDirectory() as folder:
        left, right = Path(folder) / "left", Path(folder) / "right"
        write_ids(left, count, every=1000)
        write_ids(right, count, every=0)
        for name, join in (("own partitions", own_join), ("Postgres", postgres_join), ("DuckDB", duckdb_join)):
            process = subprocess.run(
                [
                    sys.executable,
                    "-c",
                    CHILD.format(name=join.__name__),
                    str(left),
                    str(right),
                    msgspec.json.encode(postgres),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            print(f"join of {count:,} ids, {name:<16} {process.stdout.strip() or process.stderr[-300:]}", flush=True)


CHILD = f"""
import sys; sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r})
from pathlib import Path
import msgspec
from devenv.core.model import PostgresTarget
from tests.bench import verify as bench
target = msgspec.json.decode(sys.argv[3], type=PostgresTarget)
print(bench.timed(lambda: bench.{{name}}(Path(sys.argv[1]), Path(sys.argv[2]), target)))
"""


def timed(join: Any) -> str:
    """Its seconds, its result, and the memory of this process."""
    began = time.perf_counter()
    lost = join()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return f"{time.perf_counter() - began:6.1f} s, {peak:6.0f} MB, {lost:,} lost"


def write_ids(path: Path, count: int, every: int) -> None:
    """`count` ids of 16 bytes in a mixed order; each `every`th is one that no other file has."""
    with path.open("wb") as file:
        for number in range(count):
            mixed = number * 0x9E3779B97F4A7C15 % (1 << 64)
            mark = 1 if every and number % every == 0 else 0
            file.write(mixed.to_bytes(8, "big") + mark.to_bytes(8, "big"))


def ids_of(path: Path) -> Iterator[list[bytes]]:
    with path.open("rb") as file:
        while part := file.read(16 * 10_000):
            yield [part[at : at + 16] for at in range(0, len(part), 16)]


def own_join(left: Path, right: Path, target: PostgresTarget) -> int:
    """Spill to partitions, then a set for each."""
    from zlib import crc32

    partitions = 128
    for path in (left, right):
        files = [path.with_name(f"{path.name}-{n}").open("wb") for n in range(partitions)]
        for block in ids_of(path):
            parts: list[list[bytes]] = [[] for _ in range(partitions)]
            for one in block:
                parts[crc32(one) % partitions].append(one)
            for file, part in zip(files, parts, strict=True):
                file.write(b"".join(part))
        for file in files:
            file.close()
    lost = 0
    for n in range(partitions):
        known = {one for block in ids_of(right.with_name(f"right-{n}")) for one in block}
        lost += sum(len(set(block) - known) for block in ids_of(left.with_name(f"left-{n}")))
    return lost


def postgres_join(left: Path, right: Path, target: PostgresTarget) -> int:
    """COPY both into temporary tables, and let Postgres find what has no partner."""
    with connect(target) as connection, connection.cursor() as cursor:
        for path in (left, right):
            cursor.execute(f"CREATE TEMP TABLE {path.name}_ids (id uuid)")  # type: ignore[arg-type]
            with cursor.copy(f"COPY {path.name}_ids FROM STDIN (FORMAT BINARY)") as copy:  # type: ignore[arg-type]
                copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
                for block in ids_of(path):
                    copy.write(b"".join(b"\0\1\0\0\0\x10" + one for one in block))
                copy.write(b"\xff\xff")
        cursor.execute("SELECT count(*) FROM left_ids l WHERE NOT EXISTS (SELECT FROM right_ids r WHERE r.id = l.id)")
        row = cursor.fetchone()
        return int(row[0]) if row else 0


def duckdb_join(left: Path, right: Path, target: PostgresTarget) -> int:
    """CSV files of hexadecimal ids into DuckDB, with a limit of memory."""
    import duckdb

    for path in (left, right):
        with path.with_suffix(".csv").open("w") as file:
            for block in ids_of(path):
                file.writelines(f"{one.hex()}\n" for one in block)
    engine = duckdb.connect(str(left.with_name("join.duckdb")), config={"memory_limit": "150MB", "threads": 1})
    engine.execute("SET enable_progress_bar = false")
    for path in (left, right):
        read = f"read_csv('{path.with_suffix('.csv')}', header=false, columns={{'id': 'VARCHAR'}})"
        engine.execute(f"CREATE TABLE {path.name}_ids AS SELECT CAST(id AS UUID) AS id FROM {read}")
    found = engine.execute("SELECT count(*) FROM left_ids ANTI JOIN right_ids USING (id)").fetchone()
    return int(found[0]) if found else 0


if __name__ == "__main__":
    main()
