"""What the tap costs: `python tests/bench/tap.py [CALLS] [SECONDS]`. Prints one JSON document.

Drives the same calls with and without the tap on stores of its own: call by call for the added latency at 200
requests/s, in turns for the ratio of throughput with eight clients. Every byte is compared in a third run, through
recorders on both sides. 0 CALLS or 0 SECONDS leave that part out.

The kernel gives each busy process the same share: on a busy machine the tap, one process, has one share, and the stores
have one for each of their own. So clients, tap and stores all run at the highest priority if the user may do that.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import statistics
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support import empty_project
from tests.tap.support import Recorder, drive, lines, pointed, tap

RATE = 200
CLIENTS = 8
TURNS = 5
KINDS = ("postgres", "dynamodb")


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
    share = calls // 7
    for driver, store, rounds in (
        ("psycopg", "postgres", share * 10 // 35),
        ("asyncpg", "postgres", share * 10 // 25),
        ("pg", "postgres", share * 10 // 32),
        ("boto3", "dynamodb", share * 10 // 22),
        ("sdk", "dynamodb", share * 10 // 22),
        ("pgx", "postgres", share * 10 // 33),
        ("go-sdk", "dynamodb", share * 10 // 22),
    ):
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
        found[driver] = {
            "calls": made,
            "recorded": len(lines(file, "call")),
            "equal": sorted(map(undeclined, outside)) == behind.streams(),
            "unparsed": len(lines(file, "unparsed")),
        }
    return found


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
    """Print the document."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5.0
    document: dict[str, Any] = {}
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


if __name__ == "__main__":
    main()
