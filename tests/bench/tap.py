"""What the tap costs: `python tests/bench/tap.py [CALLS] [SECONDS]`. Prints one JSON document, then a table of clients.

Drives the same calls with and without the tap on stores of its own: call by call for the added latency at 200
requests/s, in turns for the ratio of throughput with eight clients. Every byte is compared in a third run, through
recorders on both sides. 0 CALLS or 0 SECONDS leave that part out. Ends with 1, and says why, if a client is missing,
bytes differ, a client did not do all that it is there for, or a figure is beyond its limit.

The kernel gives each busy process the same share: on a busy machine the tap, one process, has one share, and the stores
have one for each of their own. So clients, tap and stores all run at the highest priority if the user may do that.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support import empty_project
from tests.tap.support import Recorder, drive, go_program, lines, node_modules, pointed, tap

RATE = 200
CLIENTS = 8
TURNS = 5
KINDS = ("postgres", "dynamodb")
# Each client with its store, and how many calls ten rounds of its workload make.
DRIVERS = (
    ("psycopg", "postgres", 35),
    ("asyncpg", "postgres", 25),
    ("pg", "postgres", 32),
    ("boto3", "dynamodb", 22),
    ("sdk", "dynamodb", 22),
    ("pgx", "postgres", 33),
    ("go-sdk", "dynamodb", 22),
)
TITLES = {"pg": "node-postgres", "sdk": "AWS SDK v3 (Node)", "pgx": "pgx (Go)", "go-sdk": "AWS SDK v2 (Go)"}
# node-postgres itself can neither copy nor cancel.
COPY_AND_CANCEL = ("psycopg", "asyncpg", "pgx")
COLUMNS = ("calls", "recorded", "prepared", "copies", "cancelled", "errors", "bytes_sent", "bytes_received", "equal")
CANCELLED = "57014"
MEDIAN_MS, P99_MS, RATIO = 0.5, 3.0, 0.6


class Postgres:
    """One connection that sends the same simple query."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        import psycopg

        self.connection = psycopg.connect(environ["DATABASE_URL"], autocommit=True)
        self.connection.execute("SELECT 1")

    def call(self) -> None:
        self.connection.execute("SELECT g, 'some text of a row' FROM generate_series(1, 20) g").fetchall()


class Dynamo:
    """One connection that sends the same Query, without an SDK, whose own time is not asked for."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        url = urlsplit(environ["AWS_ENDPOINT_URL_DYNAMODB"])
        self.connection = http.client.HTTPConnection(url.hostname or "", url.port or 80)
        scope = f"{environ['AWS_ACCESS_KEY_ID']}/20260101/{environ['AWS_REGION']}/dynamodb/aws4_request"
        self.headers = {
            "X-Amz-Target": "DynamoDB_20120810.Query",
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Date": "20260101T000000Z",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00",
        }
        self.body = json.dumps(
            {
                "TableName": "tap-calls",
                "KeyConditionExpression": "pk = :pk",
                "ExpressionAttributeValues": {":pk": {"S": "a"}},
                "Limit": 20,
            }
        )

    def call(self) -> None:
        self.connection.request("POST", "/", self.body, self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"DynamoDB refused: {body!r}")


def paced(calls: Sequence[Callable[[], None]], seconds: float) -> list[list[float]]:
    """Milliseconds of each call, at RATE calls a second of each kind, one kind after the other.

    Other work on the machine delays neighbours alike: what they differ in is the tap.
    """
    taken: list[list[float]] = [[] for _ in calls]
    begin = time.perf_counter()
    for number in range(int(seconds * RATE) * len(calls)):
        wait = begin + number / RATE / len(calls) - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        at = time.perf_counter()
        calls[number % len(calls)]()
        taken[number % len(calls)].append((time.perf_counter() - at) * 1000)
    return taken


def flat_out(kind: Any, environ: Mapping[str, str], seconds: float) -> float:
    """Calls a second of CLIENTS clients."""
    done = [0] * CLIENTS
    clients = [kind(environ) for _ in range(CLIENTS)]
    end = time.perf_counter() + seconds

    def work(number: int) -> None:
        while time.perf_counter() < end:
            clients[number].call()
            done[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / seconds


def cost(kind: Any, direct: Mapping[str, str], tapped: Mapping[str, str], seconds: float) -> dict[str, float]:
    """Added latency and the ratio of throughput, both ways in turns."""
    both = [kind(direct), kind(tapped)]
    for each in both:
        for _ in range(300):
            each.call()
    taken: list[list[float]] = [[], []]
    rates: list[list[float]] = [[], []]
    for _ in range(TURNS):
        for way, found in enumerate(paced([one.call for one in both], seconds)):
            taken[way] += found
        for way, environ in enumerate((direct, tapped)):
            rates[way].append(flat_out(kind, environ, seconds))
    medians = [statistics.median(each) for each in taken]
    p99 = [statistics.quantiles(each, n=100)[98] for each in taken]
    rate = [statistics.median(each) for each in rates]
    ratios = [tapped / direct for direct, tapped in zip(*rates, strict=True)]
    return {
        "added_median_ms": round(medians[1] - medians[0], 3),
        "added_p99_ms": round(p99[1] - p99[0], 3),
        "untapped_median_ms": round(medians[0], 3),
        "untapped_p99_ms": round(p99[0], 3),
        "untapped_per_second": round(rate[0]),
        "throughput_ratio": round(rate[1] / rate[0], 2),
        "mean_ratio_of_a_turn": round(statistics.mean(ratios), 2),
        "median_ratio_of_a_turn": round(statistics.median(ratios), 2),
        "tapped_median_ms": round(medians[1], 3),
    }


def equal_bytes(environ: Mapping[str, str], folder: Path, calls: int) -> dict[str, Any]:
    """For each driver: how many calls, and whether the same bytes came out that went in."""
    found: dict[str, Any] = {}
    share = -(-calls // len(DRIVERS))
    for driver, store, of_ten in DRIVERS:
        rounds = -(-share * 10 // of_ten)
        url = urlsplit(environ["AWS_ENDPOINT_URL_DYNAMODB"])
        port = int(environ["PGPORT"]) if store == "postgres" else url.port or 80
        behind = Recorder(("127.0.0.1", port))
        file = folder / f"{driver}.jsonl"
        with tap(file, {store: ("127.0.0.1", behind.port)}) as ports:
            before = Recorder(("127.0.0.1", ports[store]))
            made = drive(driver, rounds, pointed(environ, {store: before.port}), 600)
            before.close()
            outside = before.streams()
        behind.close()
        told = lines(file, "call")
        found[driver] = {
            "calls": made,
            "recorded": len(told),
            "prepared": sum(bool(call.get("parameters")) for call in told),
            "copies": sum(call["operation"] == "COPY" for call in told),
            "cancelled": sum(call.get("error") == CANCELLED for call in told),
            "errors": sum(bool(call.get("error")) for call in told),
            "bytes_sent": sum(len(sent) for sent, _ in outside),
            "bytes_received": sum(len(got) for _, got in outside),
            "equal": sorted(map(undeclined, outside)) == behind.streams(),
            "unparsed": len(lines(file, "unparsed")),
        }
    return found


def missing_clients() -> list[str]:
    """The clients that cannot run here, each with the reason."""
    missing = [
        f"{name}: not installed" for name in ("psycopg", "asyncpg", "boto3") if not importlib.util.find_spec(name)
    ]
    if not (Path(sys.executable).parent / "node").is_file():
        missing.append("node-postgres, AWS SDK v3: there is no node beside this Python")
    for names, prepare in (("node-postgres, AWS SDK v3", node_modules), ("pgx, AWS SDK for Go", go_program)):
        try:
            prepare()
        except (OSError, subprocess.SubprocessError) as error:
            missing.append(f"{names}: {error}")
    return missing


def wrong_bytes(found: Mapping[str, Mapping[str, Any]], calls: int) -> list[str]:
    """Sentences for what a client's run lacks."""
    wrong = []
    for driver, store, _ in DRIVERS:
        name, one = TITLES.get(driver, driver), found.get(driver, {})
        needed = ["calls", "errors", "bytes_sent", "bytes_received"]
        needed += ["prepared"] if store == "postgres" else []
        needed += ["copies", "cancelled"] if driver in COPY_AND_CANCEL else []
        wrong += [f"{name}: no {part}" for part in needed if not one.get(part)]
        wrong += [] if one.get("equal") else [f"{name}: the bytes differ"]
        wrong += [f"{name}: {one['unparsed']} times unparsed"] if one.get("unparsed") else []
        if one.get("recorded", 0) < one.get("calls", 0):
            wrong.append(f"{name}: {one['recorded']} of {one['calls']} calls recorded")
    made = sum(one["calls"] for one in found.values())
    return [*wrong, *([f"{made} calls in all, not {calls}"] if made < calls else [])]


def wrong_cost(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Sentences for figures beyond their limits."""
    wrong = []
    for kind, one in found.items():
        for name, limit in (("added_median_ms", MEDIAN_MS), ("added_p99_ms", P99_MS)):
            wrong += [f"{kind}: {name} {one[name]} > {limit}"] if one[name] > limit else []
        ratio = one["throughput_ratio"]
        wrong += [f"{kind}: throughput_ratio {ratio} < {RATIO}"] if ratio < RATIO else []
    return wrong


def table(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A line for each client."""
    yield f"{'client':<18}" + "".join(f"{name:>15}" for name in COLUMNS)
    for driver, one in found.items():
        yield f"{TITLES.get(driver, driver):<18}" + "".join(f"{one[name]!s:>15}" for name in COLUMNS)
    yield f"{'all':<18}" + "".join(f"{sum(one[name] for one in found.values()):>15}" for name in COLUMNS[:-1])


def undeclined(stream: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """Both directions without the requests for encryption and what declines them."""
    sent, got = stream
    while sent[:8] in (struct.pack("!II", 8, 80877103), struct.pack("!II", 8, 80877104)):
        sent, got = sent[8:], got[1:]
    return sent, got


def hurry() -> int:
    """Take the highest priority, for this process and all that it starts; the priority it has then."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    return os.getpriority(os.PRIO_PROCESS, 0)


def main() -> None:
    """Print the document and the table."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5.0
    document: dict[str, Any] = {}
    if calls and (missing := missing_clients()):
        sys.exit("\n".join(["clients are missing:", *missing]))
    if seconds:
        document |= {"priority": hurry(), "load": round(os.getloadavg()[0], 1)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = empty_project(folder / "project")
        try:
            project.ok("up")
            environ = project.env()
            drive("boto3", 100, environ)
            routes = {
                "postgres": ("127.0.0.1", int(environ["PGPORT"])),
                "dynamodb": ("127.0.0.1", urlsplit(environ["AWS_ENDPOINT_URL_DYNAMODB"]).port or 80),
            }
            if seconds:
                with tap(folder / "cost.jsonl", routes) as ports:
                    ways = environ, pointed(environ, ports)
                    both = zip(KINDS, (Postgres, Dynamo), strict=True)
                    document["cost"] = {name: cost(kind, *ways, seconds) for name, kind in both}
            if calls:
                document["bytes"] = equal_bytes(environ, folder, calls)
        finally:
            project.remove()
    print(json.dumps(document, indent=2))
    if calls:
        print("", *table(document["bytes"]), sep="\n")
    wrong = [
        *(wrong_bytes(document["bytes"], calls) if calls else ()),
        *(wrong_cost(document["cost"]) if seconds else ()),
    ]
    if wrong:
        sys.exit("\n".join(["", *wrong]))


if __name__ == "__main__":
    main()
