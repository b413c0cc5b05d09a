"""Item values of every type that DynamoDB has: what a seed says is what the table holds, and what every command keeps.

Compared with what boto3 reads; the expectation is made from the value itself, not by devenv.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.examples import answered, many
from tests.chaos.scenario import FULL, count, told
from tests.e2e import world
from tests.support import ProjectDir

pytestmark = pytest.mark.long

UP = ("up", "--no-backend")
ITEM = 400 * 1024
# A text in a seed: `${` begins a reference, and is written `$${` to be itself.
TEXTS = st.text(max_size=6) | st.sampled_from(
    [
        *("", "\0", "\ud7ff\ue000", "\U0001f600\u200d", "${users[handle=ines].uuid}", "$${", "'", '"'),
        *("\\u0000", "<>&", "\u2028"),
    ]
)
NAMES = st.text(min_size=1, max_size=4).filter(lambda text: not text.startswith("$")) | st.sampled_from(
    ["\0", "a.b", "#x", ":y", "a b", '"', "`", "é\U0001f600", "message", "x" * 300, "size", "N", "S"]
)
EDGES = ["9" * 38, "1E+125", f"-9.{'9' * 37}E+125", "1E-130", "-1E-130", "0", "-0.0", "1.50", "1e2", "0E+99"]
NUMBERS = st.sampled_from(EDGES).map(Decimal) | st.builds(
    lambda digits, exponent, sign: sign * Decimal(digits).scaleb(exponent - len(str(digits))),
    st.integers(0, 10**38 - 1), st.integers(-100, 120), st.sampled_from([1, -1]),
)  # fmt: skip
BINARY = st.binary(max_size=6)


def unique(values: st.SearchStrategy[Any]) -> st.SearchStrategy[set[Any]]:
    return st.sets(values, min_size=1, max_size=4)


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | TEXTS | NUMBERS | BINARY | unique(TEXTS) | unique(NUMBERS) | unique(BINARY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
ITEMS = st.lists(st.dictionaries(NAMES, VALUES, max_size=5), min_size=1, max_size=12)


def nested(levels: int, inner: Any) -> Any:
    for _ in range(levels):
        inner = [inner] if levels % 2 else {"a": inner}
    return inner


# Just as much as DynamoDB takes; names and key count too.
FULL_ITEMS: list[dict[str, Any]] = [
    {"x": "a" * (ITEM - 20)},
    {"x": bytes(ITEM - 20)},
    {"x": bytes(ITEM - 21)},
    {"x": "\U0001f600" * ((ITEM - 20) // 4)},
    {"x": nested(31, "deep"), "y": nested(30, [])},
    {f"n{number}": number for number in range(300)},
    {"x": set(map(Decimal, range(2000)))},
]


VALUED_ITEMS = [
    *FULL_ITEMS[4:],
    {"x": [Decimal(edge) for edge in EDGES]},
    {"\0": b"\0", "e": "", "b": b"", "l": [], "m": {}},
]


def seed_json(value: Any) -> str:
    """A value as a seed file has it; numbers with all their digits."""
    match value:
        case Decimal():
            return f"{value:f}" if value == value.to_integral_value() and value.adjusted() < 40 else str(value)
        case bytes():
            return seed_json({"$binary": base64.b64encode(value).decode()})
        case set():
            return '{"$set": [' + ", ".join(map(seed_json, value)) + "]}"
        case list():
            return "[" + ", ".join(map(seed_json, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{json.dumps(name)}: {seed_json(part)}" for name, part in value.items()) + "}"
        case str():
            return json.dumps(value.replace("${", "$${"))
    return json.dumps(value)


def typed(value: dict[str, Any]) -> Any:
    """An attribute value as Python has it. boto3's own reading refuses numbers with more than 38 digits, zeros too."""
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return Decimal(content)
        case "NULL":
            return None
        case "L":
            return [typed(part) for part in content]
        case "M":
            return {name: typed(part) for name, part in content.items()}
        case "SS" | "NS" | "BS":
            return {typed({kind[0]: part}) for part in content}
    return content


def plain(value: Any) -> Any:
    """A value as it should be read: numbers are Decimal."""
    match value:
        case list():
            return [plain(part) for part in value]
        case dict():
            return {name: plain(part) for name, part in value.items()}
        case int() if not isinstance(value, bool):
            return Decimal(value)
    return value


def dynamodb(env: dict[str, str]) -> Any:
    """A client that gives and takes attribute values in DynamoDB's own form."""
    return boto3.client(
        "dynamodb",
        endpoint_url=env["AWS_ENDPOINT_URL_DYNAMODB"],
        region_name=env["AWS_REGION"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
    )


def stored(env: dict[str, str], start: str = "VALUE#") -> list[dict[str, Any]]:
    """What the table holds of these tests' items, in order."""
    pages = dynamodb(env).get_paginator("scan").paginate(TableName=world.TABLE)
    found = [typed({"M": item}) for page in pages for item in page["Items"] if item["pk"]["S"].startswith(start)]
    return sorted(found, key=lambda item: (item["pk"], item["sk"]))


def seed(project: ProjectDir, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write a seed file with these items, each with a key; what has to be in the table then."""
    keyed = [{**item, "pk": f"VALUE#{number:04}", "sk": "s"} for number, item in enumerate(items)]
    file = project.path / "seeds" / "dynamodb" / "items" / "values.json"
    file.write_text(f'{{"table": "{world.TABLE}", "items": [{", ".join(map(seed_json, keyed))}]}}')
    return [plain(item) for item in keyed]


@pytest.fixture
def running(shared: ProjectDir) -> Iterator[ProjectDir]:
    """The shared project without any of these items."""
    told(shared, *UP)
    yield shared
    (shared.path / "seeds" / "dynamodb" / "items" / "values.json").unlink(missing_ok=True)
    told(shared, *UP)


@pytest.fixture
def env(running: ProjectDir) -> dict[str, str]:
    """What the project's own processes get."""
    return running.env()


def shown(value: Any) -> Any:
    """A value as `ddb scan --json` shows it: numbers that JSON may not hold exactly are text, bytes are hexadecimal."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() and abs(value) < 2**53 else value
        case bytes():
            return value.hex()
        case list():
            return [shown(part) for part in value]
        case set():
            return sorted(str(shown(part)) for part in value)
        case dict():
            return {name: shown(part) for name, part in value.items()}
    return value


def same(seen: Any, value: Any) -> bool:
    """Whether `ddb scan --json` shows this value."""
    wanted = shown(value)
    if isinstance(value, set) and seen is not None:
        numbers = isinstance(next(iter(value)), Decimal)
        members = sorted(Decimal(str(each)) for each in seen) if numbers else sorted(seen)
        return members == (sorted(value) if isinstance(members[0], Decimal) else wanted)
    if isinstance(wanted, Decimal):
        # A fraction that JSON keeps is a number of it.
        return isinstance(seen, str | float) and Decimal(str(seen)) == wanted
    if isinstance(value, list):
        return len(seen) == len(value) and all(map(same, seen, value))
    if isinstance(value, dict):
        return seen.keys() == value.keys() and all(same(seen[name], value[name]) for name in value)
    return bool(seen == wanted)


@many(8)
@given(items=ITEMS)
def test_what_a_seed_says_is_what_is_stored(
    running: ProjectDir, env: dict[str, str], items: list[dict[str, Any]]
) -> None:
    wanted = seed(running, items)
    answered(running, *UP, codes=(0,))
    assert stored(env) == wanted
    scanned = answered(running, "ddb", "scan", world.TABLE, "--limit", "1000", codes=(0,)).document
    rows = [dict(zip(scanned["columns"], row, strict=True)) for row in scanned["rows"]]
    seen = {row["pk"]: {name: row[name] for name in row if row[name] is not None} for row in rows}
    for item in wanted:
        assert same(seen[item["pk"]], {name: value for name, value in item.items() if value is not None})
    answered(running, "verify", codes=(0,))
    # Nothing changed: a number or a set that comes back in another form is no other value.
    again = answered(running, *UP, codes=(0,)).document
    assert [line["action"] for line in again["plan"] if line["target"] == "seed"] in ([], ["keep"]), again["plan"]
    assert stored(env) == wanted
    count("items whose values were followed", len(items))


def test_snapshots_keep_every_value(running: ProjectDir, env: dict[str, str]) -> None:
    """Saved and restored; at full size also as one file, to another name."""
    wanted = seed(running, FULL_ITEMS)
    told(running, *UP)
    assert stored(env) == wanted
    told(running, "snapshot", "save", "values")
    names = ["values"]
    if FULL:
        file = str(running.path.parent / "values.devenv")
        told(running, "snapshot", "export", "values", file)
        told(running, "snapshot", "import", file, "--as", "again")
        names.append("again")
    for name in names:
        seed(running, [])
        told(running, *UP)
        assert stored(env) == []
        told(running, "snapshot", "restore", name)
        assert stored(env) == wanted
    count("items whose values were followed", len(FULL_ITEMS))


def test_a_repair_keeps_every_other_value(running: ProjectDir, env: dict[str, str]) -> None:
    """A copy that is out of date, in items that also hold values of every kind: only it is changed, and put back."""
    seed(running, VALUED_ITEMS)
    told(running, *UP)
    client = dynamodb(env)
    key = {":pk": {"S": f"MSG#{world.TELESCOPE}"}}
    asked = {"TableName": world.TABLE, "KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": key}
    messages = client.query(**asked)["Items"][: len(VALUED_ITEMS)]
    for number, message in enumerate(messages):
        more = client.get_item(TableName=world.TABLE, Key={"pk": {"S": f"VALUE#{number:04}"}, "sk": {"S": "s"}})["Item"]
        client.put_item(TableName=world.TABLE, Item={**more, **message, "user_handle": {"S": "old"}})
    wrong = stored(env, "")
    plan = str(running.path / "plan")
    told(running, "verify", "--plan", plan, codes=(1,))
    told(running, "repair", "apply", plan)
    right = stored(env, "")
    assert [item["user_handle"] for item in right if "user_handle" in item].count("old") == 0
    assert [{**item, "user_handle": ""} for item in right] == [{**item, "user_handle": ""} for item in wrong]
    told(running, "repair", "undo", plan, codes=(0, 1))
    assert stored(env, "") == wrong
    for message in messages:
        client.put_item(TableName=world.TABLE, Item=message)
    count("items whose values were followed", len(messages))
