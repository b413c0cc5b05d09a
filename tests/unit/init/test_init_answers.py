"""init declares the HTTP layer of a trace only where the route's answer is seen to show the items."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made
from tests.unit.init.test_init_people import TABLE

REPO = """
import boto3
from boto3.dynamodb.conditions import Key
table = boto3.resource("dynamodb").Table("bees")


def add(code, at, note):
    table.put_item(Item={"pk": f"HIVE#{code}", "sk": f"VISIT#{at}", "at": at, "note": note})


def add_hive(code, breed):
    table.put_item(Item={"pk": f"HIVE#{code}", "sk": "PROFILE", "breed": breed})


def visits_of(code):
    return table.query(KeyConditionExpression=Key("pk").eq(f"HIVE#{code}") & Key("sk").begins_with("VISIT#"))["Items"]


def newest_first(items):
    return [{"at": i["at"], "note": i["note"]} for i in items]


def overview(code):
    return {"count": len(visits_of(code))}


def visits_by_day(code):
    return sorted(visits_of(code), key=lambda i: i["at"])
"""
APP = """
import repo
from flask import Flask, jsonify
app = Flask(__name__)


@app.get("/hives/<code>/visits")
def visits(code):
    {}
"""


def app(body: str) -> dict[str, str]:
    """A project whose one route has this body."""
    lines = "\n    ".join(body.split("\n"))
    return {
        "requirements.txt": "flask\nboto3\n",
        "tables.py": TABLE,
        "repo.py": REPO,
        "app.py": APP.replace("{}", lines),
    }


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ('found = repo.visits_of(code)\nreturn {"name": code, "visits": len(found)}', "name, visits"),
        ('return jsonify(name=code, total=sum(1 for _ in repo.visits_of(code)))', "name, total"),
        ('found = repo.visits_of(code)\nreturn {"name": code, "last": found[-1]["at"]}', "name, last"),
        ("return repo.overview(code)", ""),
        ('found = [i for i in repo.visits_of(code) if i["note"]]\nreturn {"visits": found}', "visits"),
        ('return {"name": code}', "name"),
    ],
)  # fmt: skip
def test_an_answer_that_does_not_show_the_items_is_a_question(tmp_path: Path, body: str, fields: str) -> None:
    settings, report = made(tmp_path, app(body))
    trace = settings.trace["visits_of"]
    assert trace.request is None
    assert trace.ids == {"dynamodb": "at", "library": "at"}
    (edit,) = report["edits"]
    assert "/hives/{code}/visits (app.py:8)" in edit
    assert "devenv could not see that its answer lists them" in edit
    assert (f"(an object with {fields})" in edit) == bool(fields)
    written = (tmp_path / "devenv.toml").read_text()
    assert 'path = "/hives/{code}/visits"' not in "\n".join(
        line for line in written.splitlines() if not line.startswith("#")
    )


@pytest.mark.parametrize(
    ("body", "items"),
    [
        ("return repo.visits_of(code)", ""),
        ("found = repo.visits_of(code)\nfound = sorted(found, key=str)\nreturn jsonify(found), 200", ""),
        ('return {"name": code, "visits": repo.visits_of(code)}', "visits"),
        ("out = []\nfor i in repo.visits_of(code):\n    out.append({**i})\nreturn jsonify(out)", ""),
        ("found = repo.visits_of(code)\nreturn jsonify(repo.newest_first(found))", ""),
        ("return jsonify(repo.visits_by_day(code))", ""),
        ("return jsonify([dict(i) for i in repo.visits_of(code)[:50]])", ""),
    ],
)
def test_an_answer_that_shows_the_items_is_requested(tmp_path: Path, body: str, items: str) -> None:
    settings, report = made(tmp_path, app(body))
    trace = settings.trace["visits_of"]
    assert trace.request is not None
    assert (trace.request.path, trace.request.items, trace.ids["http"]) == ("/hives/{code}/visits", items, "at")
    assert report["edits"] == []


def test_routes_that_read_only_rows_are_listed_with_the_reason(tmp_path: Path) -> None:
    files = app("return jsonify(repo.visits_of(code))")
    files["app.py"] += """

@app.get("/apiaries")
def apiaries():
    return jsonify(rows.every("SELECT slug FROM apiaries"))


@app.get("/apiaries/<slug>")
def apiary(slug):
    with rows.connect() as c:
        return {"slug": c.execute("SELECT slug FROM apiaries WHERE slug = %s", (slug,)).fetchone()[0]}


@app.get("/apiaries/<slug>/visits")
def both(slug):
    with rows.connect() as c:
        code = c.execute("SELECT code FROM hives WHERE slug = %s", (slug,)).fetchone()[0]
    return jsonify(repo.visits_of(code))


@app.get("/health")
def health():
    return {"ok": True}
"""
    files["rows.py"] = """
import psycopg
def every(sql):
    with psycopg.connect("") as c:
        return c.execute(sql).fetchall()
def slugs():
    return every("SELECT slug FROM apiaries")
"""
    _, report = made(tmp_path, files)
    (line,) = [each for each in report["undeclared"] if each.startswith("[trace.*]")]
    assert line == (
        "[trace.*]: /apiaries (app.py:13), /apiaries/{slug} (app.py:18) read Postgres only: no access pattern of"
        " DynamoDB, so nothing to trace"
    )


INDEX = """
import boto3
boto3.client("dynamodb").create_table(
    TableName="bees",
    AttributeDefinitions=[
        {"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"},
        {"AttributeName": "gpk", "AttributeType": "S"}, {"AttributeName": "gsk", "AttributeType": "S"},
    ],
    KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    GlobalSecondaryIndexes=[{"IndexName": "by_keeper", "KeySchema": [
        {"AttributeName": "gpk", "KeyType": "HASH"}, {"AttributeName": "gsk", "KeyType": "RANGE"}]}],
)
"""
KINDS = """
import boto3
from boto3.dynamodb.conditions import Key
table = boto3.resource("dynamodb").Table("bees")


def add_visit(code, at, keeper):
    table.put_item(
        Item={"pk": f"HIVE#{code}", "sk": f"VISIT#{at}", "at": at, "gpk": f"BY#{keeper}", "gsk": f"VISIT#{at}"}
    )


def add_harvest(code, at, keeper):
    table.put_item(
        Item={"pk": f"HIVE#{code}", "sk": f"HARVEST#{at}", "at": at, "gpk": f"BY#{keeper}", "gsk": f"HARVEST#{at}"}
    )


def seen_by(keeper):
    return table.query(IndexName="by_keeper", KeyConditionExpression=Key("gpk").eq(f"BY#{keeper}") NARROWED)["Items"]
"""


def test_the_sort_condition_of_an_index_leaves_one_kind(tmp_path: Path) -> None:
    narrowed = KINDS.replace("NARROWED", '& Key("gsk").begins_with("VISIT#")')
    settings, report = made(tmp_path, {"requirements.txt": "boto3\n", "tables.py": INDEX, "repo.py": narrowed})
    assert settings.trace["seen_by"].entity == "visit"
    assert not any("several kinds" in each for each in report["undeclared"])
    assert "Not traced" not in (tmp_path / "devenv.toml").read_text()


def test_an_index_without_a_sort_condition_has_both_kinds(tmp_path: Path) -> None:
    files = {"requirements.txt": "boto3\n", "tables.py": INDEX, "repo.py": KINDS.replace(" NARROWED", "")}
    settings, report = made(tmp_path, files)
    assert settings.trace == {}
    assert any("several kinds of items: visit, harvest" in each for each in report["undeclared"])
