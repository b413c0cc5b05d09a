"""Patched copies of the application are wrong under exactly their conditions; sound variants under none."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.faults.trace.bench import GROUP, TABLE, Bench

PAGES = frozenset(["pages-half", "pages-tenth", "pages-one", "pages-empty"])
THROTTLED = frozenset(["throttled-once", "throttled-2s"])
ALL_PAGES = 'patiently(lambda: [item for page in pages for item in page["Items"]])'
PAGINATOR = """    paginator = dynamodb().get_paginator("query")
    pages = paginator.paginate(
        TableName=settings().table, PaginationConfig={"MaxItems": limit, "PageSize": limit}, **request
    )
"""
QUERY = PAGINATOR + f"    return {ALL_PAGES}\n"
START = '    request = {"TableName": settings().table, **request, **({"Limit": limit} if limit else {})}\n'
FUNCTION = 'items = newest(f"MSG#{message_group_uuid}", before, limit)'
NODE = Path(__file__).parent / "stress" / "messages.mjs"


@dataclass(frozen=True)
class Copy:
    """A patched copy: `wrong` are the conditions under which it is, `line` occurs in the line of one of them."""

    name: str
    inject: Callable[[Bench], None]
    wrong: frozenset[str] = frozenset()
    line: str = ""


def patch(*changes: tuple[str, str], file: str = "messages.py") -> Callable[[Bench], None]:
    return lambda bench: bench.patch(file, *changes)


def several(*patches: Callable[[Bench], None]) -> Callable[[Bench], None]:
    def inject(bench: Bench) -> None:
        for each in patches:
            each(bench)

    return inject


def node(variant: str) -> Callable[[Bench], None]:
    program = Path(sys.executable).parent / "node"
    command = json.dumps([str(program), str(NODE), "{message_group_uuid}", variant])

    def inject(bench: Bench) -> None:
        toml = bench.project.path / "devenv.toml"
        text = toml.read_text("utf-8")
        begin, end = text.index('function = "chat.messages:list_messages"'), text.index("[trace.conversation.request]")
        toml.write_text(text[:begin] + f'command = {command}\norder = "oldest first"\n\n' + text[end:], "utf-8")

    return inject


NO_RETRY = several(
    patch(('"total_max_attempts": 2', '"total_max_attempts": 1'), file="stores.py"),
    patch((ALL_PAGES, ALL_PAGES.removeprefix("patiently(lambda: ").removesuffix(")"))),
    patch(
        (
            "patiently(functools.partial(dynamodb().transact_write_items, TransactItems=writes))",
            "dynamodb().transact_write_items(TransactItems=writes)",
        )
    ),
)
ONE_PAGE = START + '    return patiently(lambda: dynamodb().query(**request)["Items"])\n'
FULL_PAGES = (
    START
    + """    request.setdefault("Limit", 1000)
    items: list[Item] = []
    while True:
        page = patiently(lambda: dynamodb().query(**request))
        items += page["Items"]
        if limit or len(page["Items"]) < 1000 or "LastEvaluatedKey" not in page:
            return items
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
"""
)
BATCH = """keys = newest(f"MSG#{message_group_uuid}", before, limit)
    items = []
    for place in range(0, len(keys), 100):
        wanted = [{"pk": {"S": one["pk"]}, "sk": {"S": one["sk"]}} for one in keys[place : place + 100]]
        request = {settings().table: {"Keys": wanted}}
        answer = patiently(lambda request=request: dynamodb().batch_get_item(RequestItems=request))
        items += map(plain, answer["Responses"].get(settings().table, []))
    items.sort(key=lambda item: item["sk"], reverse=True)"""
BY_TIME = (
    START
    + """    if "#now" in str(request) or "IndexName" in request:
        return patiently(lambda: dynamodb().query(**request)["Items"])
    items: list[Item] = []
    while True:
        page = patiently(lambda: dynamodb().query(**request))
        items += page["Items"]
        if (limit and len(items) >= limit) or not page["Items"] or "LastEvaluatedKey" not in page:
            return items[:limit]
        values = {**request["ExpressionAttributeValues"], ":before": {"S": page["Items"][-1]["sk"]["S"][:10]}}
        request |= {"KeyConditionExpression": "pk = :pk AND sk < :before", "ExpressionAttributeValues": values}
"""
)
YEAR = (
    '    condition, values = "pk = :pk", {":pk": {"S": pk}}\n',
    '    condition, values = "pk = :pk AND sk > :year", {":pk": '
    '{"S": pk}, ":year": {"S": str(datetime.now(UTC).year - YEARS)}}\n'
    '    if before is not None:\n        condition, values = "pk = :pk", {":pk": {"S": pk}}\n',
)
POOL = (
    (
        "    for last in (False, True):\n        connection = postgres()\n",
        "    for last in (True,):\n        connection = kept()\n",
    ),
    (
        "            with connection:\n                return connection.execute(query, values).fetchall()",
        "            return connection.execute(query, values).fetchall()",
    ),
    (
        "        except psycopg.OperationalError:\n            if last or not connection.broken:\n",
        "        except psycopg.OperationalError:\n            kept.cache_clear()\n"
        "            if last or not connection.broken:\n",
    ),
    (
        "def read(query",
        "@functools.cache\ndef kept() -> psycopg.Connection[DictRow]:\n    connection = postgres()\n"
        "    connection.autocommit = True\n    return connection\n\n\ndef read(query",
    ),
)
CHECKED = (
    *POOL[:2],
    (
        "@functools.cache\ndef dynamodb()",
        "@functools.cache\ndef made() -> psycopg.Connection[DictRow]:\n    connection = postgres()\n"
        "    connection.autocommit = True\n    return connection\n"
        "\n\ndef kept() -> psycopg.Connection[DictRow]:\n    try:\n"
        '        made().execute("SELECT 1")\n    except psycopg.OperationalError:\n'
        "        made.cache_clear()\n    return made()\n\n\n"
        "@functools.cache\ndef dynamodb()",
    ),
)
TAKEN_FOR_DONE = (
    "            if not reasons or reasons - RETRY_REASONS:\n                raise\n",
    "            if not reasons or reasons - RETRY_REASONS:\n                raise\n            return sent\n",
)
SWALLOWED = (
    QUERY,
    PAGINATOR + '    try:\n        return [item for page in pages for item in page["Items"]]\n'
    "    except ClientError:\n        return []\n",
)
N_PLUS_1 = (
    '    return [line(item, item["message_uuid"]) for item in reversed(items)]\n',
    "    for last in (False, True):\n"
    "        try:\n"
    "            with postgres() as connection:\n"
    "                for item in [*items, *items, *items]:\n"
    '                    connection.execute("SELECT handle FROM '
    'public.users WHERE uuid::text = %s", [item["user_uuid"]])\n'
    "            break\n"
    "        except Exception:\n"
    "            if last:\n"
    "                raise\n"
    '    return [line(item, item["message_uuid"]) for item in reversed(items)]\n',
)
CACHED = ("def list_messages(", "@functools.cache\ndef list_messages(")
RESOURCE = (
    START
    + """    items: list[Item] = []
    start: dict[str, Any] = {}
    while True:
        page = patiently(lambda: dynamodb().query(**request, **start))
        items += page["Items"]
        if "LastEvaluatedKey" not in page or (limit and len(items) >= limit):
            return items[:limit]
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
"""
)
AGAIN = BATCH.replace(
    'items += map(plain, answer["Responses"].get(settings().table, []))',
    'items += map(plain, answer["Responses"].get(settings().table, []))\n'
    '        while answer.get("UnprocessedKeys"):\n'
    '            answer = dynamodb().batch_get_item(RequestItems=answer["UnprocessedKeys"])\n'
    '            items += map(plain, answer["Responses"].get(settings().table, []))',
)
YEARS = f"{datetime.now(UTC).year - 2023}"

WRONG = (
    Copy("no next page", patch((QUERY, ONE_PAGE)), PAGES | {"hundred-times"}, "requests no next page"),
    Copy("a short page is taken for the end", patch((QUERY, FULL_PAGES)), PAGES, "requests no next page"),
    Copy(
        "nothing is sent again of a batch",
        patch((FUNCTION, BATCH)),
        frozenset(["unprocessed-keys"]),
        "unprocessed items",
    ),
    Copy("no retry", NO_RETRY, THROTTLED, "is not retried"),
    Copy("the cursor is a time", patch((QUERY, BY_TIME)), PAGES | {"hundred-times"}, "messages.py:"),
    Copy(
        "the key has the year", patch((YEAR[0], YEAR[1].replace("YEARS", YEARS))), frozenset(["new-year"]), "127 of 127"
    ),
    Copy("a pool without a check", patch(*POOL, file="stores.py"), frozenset(["connection-idle"]), "error 503"),
    Copy(
        "a conflict is taken for done",
        patch(TAKEN_FOR_DONE),
        frozenset(["conflict", "conditional-failure"]),
        "new message",
    ),
    Copy(
        "a time-out that is too short",
        patch(("read_timeout=3", "read_timeout=0.8"), file="stores.py"),
        frozenset(["slow"]),
        "error",
    ),
    Copy(
        "an error becomes an empty list",
        several(patch(SWALLOWED), patch(('"total_max_attempts": 2', '"total_max_attempts": 1'), file="stores.py")),
        THROTTLED,
        "404: there is no such conversation",
    ),
    Copy("a query for each message", patch(N_PLUS_1), frozenset(["slow", "hundred-times"]), "no answer within"),
    Copy("a cache that never expires", patch(CACHED), frozenset(["ten-times", "hundred-times"]), "lost"),
    Copy("node: no next page", node("one-page"), PAGES | {"hundred-times"}, f"`Query {TABLE}` requests no next page"),
    Copy("node: no retry", node("no-retry"), THROTTLED, f"`Query {TABLE}` is not retried"),
    Copy("node: an error becomes an empty list", node("swallowed"), THROTTLED, "127 of 127"),
)
SOUND = (
    Copy("as it is", lambda bench: None),
    Copy("own loop over the pages", patch((QUERY, RESOURCE))),
    Copy("a batch that is sent again", patch((FUNCTION, AGAIN))),
    Copy("a kept connection that is checked", patch(*CHECKED, file="stores.py")),
    Copy("more attempts by the SDK", patch(('"total_max_attempts": 2', '"total_max_attempts": 8'), file="stores.py")),
    Copy("node", node("sound")),
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench.open(tmp_path_factory.mktemp("stress") / "project")
    toml = made.project.path / "devenv.toml"
    made.settings = toml.read_text("utf-8").replace("seconds = 4\n", "seconds = 15\n")
    toml.write_text(made.settings, "utf-8")
    yield made
    made.close()


def stressed(bench: Bench, *options: str) -> dict[str, Any]:
    words = ("trace", "conversation", GROUP, "--user", "ines", "--stress", "--budget", "250")
    return bench.project.json(*words, *options, timeout=300)


def run(bench: Bench, copy: Copy, *options: str) -> dict[str, str]:
    """The lines of the conditions under which a copy is wrong."""
    try:
        copy.inject(bench)
        # The application that is tried is one of its own; the running one stays as it is.
        bench.restart_needed = False
        document = stressed(bench, *options)
    finally:
        bench.restore()
    conditions = document["stress"]["conditions"]
    wrong = {one["name"]: one["text"] for one in conditions if one["status"] in ("wrong", "error")}
    assert document["exit_code"] == (1 if wrong else 0)
    assert {one["name"] for one in conditions if one["status"] == "not_run"} <= {
        *("unprocessed-keys", "unprocessed-items", "connection-idle", "connection-transaction", "new-year", "conflict"),
        *(PAGES if copy.name.startswith("a cache") else ()),
    }, conditions
    return wrong


def test_the_first_copy_is_wrong_where_pages_end(bench: Bench) -> None:
    copy = WRONG[0]
    wrong = run(bench, copy, "--only", "pages-half", "--only", "throttled-once")
    assert set(wrong) == {"pages-half"}
    # Chance decides which of the two group rows is lost, as their sort keys are the same: perhaps the user's.
    line, _, request = wrong["pages-half"].partition("; request: ")
    assert re.fullmatch(rf"function: wrong: 63 of 127 entries lost; `chat/messages\.py:\d+` {copy.line}", line)
    assert request == "wrong: 101 of 127 entries lost" or request.startswith("error 403: ")


@pytest.mark.long
@pytest.mark.parametrize("copy", WRONG, ids=lambda copy: copy.name)
def test_a_patched_copy_is_wrong_under_exactly_its_conditions(bench: Bench, copy: Copy) -> None:
    wrong = run(bench, copy)
    assert set(wrong) == copy.wrong, wrong
    assert any(copy.line in text for text in wrong.values()), wrong


@pytest.mark.long
@pytest.mark.parametrize("copy", SOUND, ids=lambda copy: copy.name)
def test_nothing_is_said_of_a_sound_variant(bench: Bench, copy: Copy) -> None:
    assert run(bench, copy) == {}


def checksum(bench: Bench) -> str:
    rows = [bench.sql(f"SELECT to_jsonb(t) FROM {name} t ORDER BY 1") for name in ("users", "activities")]
    items = sorted(json.dumps(item, sort_keys=True) for item in bench.scan(TABLE))
    return hashlib.sha256(json.dumps([rows, items], default=str).encode()).hexdigest()


def leftovers() -> list[str]:
    """Folders of scratch pairs, and processes that run on one."""
    folders = [str(found) for place in ("/dev/shm", "/tmp") for found in Path(place).glob("devenv-scratch-*")]
    for process in psutil.process_iter(["cmdline"]):
        folders += [word for word in process.info["cmdline"] or [] if "devenv-scratch-" in word]
    return folders


@pytest.mark.parametrize("how", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.long)])
def test_the_users_stores_stay_and_the_copy_goes(bench: Bench, how: signal.Signals, tmp_path: Path) -> None:
    before, others = checksum(bench), set(leftovers())
    command = bench.project.command(
        "trace", "conversation", GROUP, "--stress", "--only", "slow", "--only", "pages", "--json"
    )
    with open(tmp_path / "out", "w+b") as out, open(tmp_path / "err", "w+b") as err:
        child = subprocess.Popen(command, stdout=out, stderr=err, env=bench.project.environment())
        end = time.monotonic() + 60
        while b"\nslow" not in (tmp_path / "err").read_bytes() and child.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        assert set(leftovers()) - others, "the copy is there while it runs"
        os.kill(child.pid, how)
        code = child.wait(60)
    if how is signal.SIGINT:
        assert code == 130
        document = json.loads((tmp_path / "out").read_text("utf-8"))
        found = {one["name"]: one["status"] for one in document["stress"]["conditions"]}
        assert found["pages-half"] in ("holds", "slower")
        assert (found["slow"], document["stress"]["interrupted"]) == ("not_run", True)
    end = time.monotonic() + 30
    while set(leftovers()) - others and time.monotonic() < end:
        time.sleep(0.1)
    assert set(leftovers()) - others == set()
    bench.project.ok("up")
    assert checksum(bench) == before
