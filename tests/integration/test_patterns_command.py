"""`devenv patterns` and `devenv ddb sql` as a user runs them: on the reference project, and on one of a learner.

The learner's project has other names, numbers as keys, two indexes, and a table without a sort key. All that devenv
knows about it is its devenv.toml.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv.core.model import DynamoTarget
from devenv.stores.dynamodb.client import Dynamo, typed_item
from tests.support import REPOSITORY, ProjectDir, empty_project

SETTINGS = """
[project]
name = "shop"

[steps.schema-load]
files = ["tables/*.json"]

[steps.seed]
files = ["items/*.json"]

[entities.customer]
table = "shop-customers"
attributes = { no = "number", name = "string" }

[entities.order]
table = "shop-orders"
attributes = { customer_no = "number", placed = "number", sku = "string", state = "string" }

[access.prices]
read_million = 1.0
currency = "EUR"

[patterns.greeting]
sql = "SELECT 'hello ' || %(who)s AS greeting"
params = { who = "Ines" }

[patterns.customer]
purpose = "one customer, by number"
table = "shop-customers"
operation = "get"
key = { no = "{no}" }
expected = { at_least = 1, at_most = 1 }
per_second = 2

[patterns.orders]
purpose = "the orders of a customer, newest first"
table = "shop-orders"
operation = "query"
key = { customer_no = "{no}" }
order = "newest first"
limit = 4
paging = "all"
script = ["{python}", "orders.py", "{no}"]

[patterns.june]
table = "shop-orders"
key = { customer_no = "{no}" }
sort = { between = [20260601, 20260630] }

[patterns.of_article]
table = "shop-orders"
index = "by-sku"
key = { sku = "{sku}" }
projection = ["customer_no", "placed"]

[patterns.open]
table = "shop-orders"
index = "by-state"
key = { state = "open" }
order = "oldest first"
per_month = 1000000
"""
SCRIPT = """
import json, sys
import boto3

client = boto3.client("dynamodb")
pages = client.get_paginator("query").paginate(
    TableName="shop-orders",
    KeyConditionExpression="customer_no = :no",
    ExpressionAttributeValues={":no": {"N": sys.argv[1]}},
    ScanIndexForward=False,
    PaginationConfig={"PageSize": 4},
)
print(json.dumps([item["placed"]["N"] for page in pages for item in page["Items"]]))
"""
# What learners have: one page of few, and in the other order.
CARELESS = """
import json, sys
import boto3

answer = boto3.client("dynamodb").query(
    TableName="shop-orders",
    KeyConditionExpression="customer_no = :no",
    ExpressionAttributeValues={":no": {"N": sys.argv[1]}},
    Limit=4,
)
print(json.dumps(answer["Items"]))
"""


def definition(name: str, keys: dict[str, str], **indexes: tuple[dict[str, str], Any]) -> dict[str, Any]:
    """A CreateTable request; keys are attribute -> type, an index is (keys, projection)."""

    def schema(of: dict[str, str]) -> list[dict[str, str]]:
        return [{"AttributeName": a, "KeyType": kind} for a, kind in zip(of, ("HASH", "RANGE"), strict=False)]

    types = {**keys, **{a: kind for each, _ in indexes.values() for a, kind in each.items()}}
    made: dict[str, Any] = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": schema(keys),
        "AttributeDefinitions": [{"AttributeName": a, "AttributeType": kind} for a, kind in types.items()],
    }
    if indexes:
        made["GlobalSecondaryIndexes"] = [
            {"IndexName": index.replace("_", "-"), "KeySchema": schema(of), "Projection": projection}
            for index, (of, projection) in indexes.items()
        ]
    return made


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    """The learner's project, started. Tests leave its devenv.toml and its script as they were."""
    folder = tmp_path_factory.mktemp("shop")
    made = empty_project(folder, SETTINGS)
    (folder / "orders.py").write_text(SCRIPT)
    (folder / "tables").mkdir()
    (folder / "items").mkdir()
    customers = definition("shop-customers", {"no": "N"})
    orders = definition(
        "shop-orders",
        {"customer_no": "N", "placed": "N"},
        by_sku=({"sku": "S", "placed": "N"}, {"ProjectionType": "KEYS_ONLY"}),
        by_state=({"state": "S", "placed": "N"}, {"ProjectionType": "ALL"}),
    )
    for table in (customers, orders):
        (folder / "tables" / f"{table['TableName']}.json").write_text(json.dumps(table))
    people = [{"no": number, "name": f"Customer {number}"} for number in (1, 2, 3)]
    placed = [
        {"customer_no": 1 + n % 2, "placed": 20260600 + n, "sku": f"S{n % 5}", "state": "open" if n % 3 else "done"}
        for n in range(1, 20)
    ]
    (folder / "items" / "people.json").write_text(json.dumps({"table": "shop-customers", "items": people}))
    (folder / "items" / "orders.json").write_text(json.dumps({"table": "shop-orders", "items": placed}))
    try:
        made.ok("up")
        yield made
    finally:
        made.remove()


@pytest.fixture
def settings(shop: ProjectDir) -> Iterator[Path]:
    """The learner's devenv.toml, to be changed by a test."""
    file = shop.path / "devenv.toml"
    yield file
    file.write_text(SETTINGS)
    (shop.path / "orders.py").write_text(SCRIPT)


def test_the_reference_project_is_sound(project: ProjectDir) -> None:
    project.ok("up", "--no-backend")
    document = project.json("patterns", "check")
    assert document["schema"] == "devenv.patterns/1"
    assert document["exit_code"] == 0
    assert document["verdict"] == "sound"
    assert {check["status"] for check in document["checks"]} == {"ok"}
    assert {row["name"]: row["amounts_to"] for row in document["patterns"]} == {
        "messages": "Query",
        "conversations": "Query",
        "members": "Query",
    }
    ran = project.json("patterns", "run", "messages", "--limit", "1")
    assert ran["count"] == ran["scanned"] > 100
    assert ran["read_units"]["computed"] == ran["read_units"]["local"]
    assert ran["cost"]["per_month"] == pytest.approx(ran["cost"]["read_units_per_month"] * 0.125 / 1e6)
    assert len(ran["items"]) == 1


def test_a_learner_s_tables_are_sound(shop: ProjectDir) -> None:
    document = shop.json("patterns", "check")
    assert (document["exit_code"], document["verdict"]) == (0, "sound")
    assert {row["name"]: (row["amounts_to"], row["place"], row["items"]) for row in document["patterns"]} == {
        "customer": ("GetItem", "shop-customers", 1),
        "orders": ("Query", "shop-orders", 10),
        "june": ("Query", "shop-orders", 10),
        "of_article": ("Query", "shop-orders/by-sku", 4),
        "open": ("Query", "shop-orders/by-state", 13),
    }
    assert [row["script"] for row in document["patterns"]] == [None, False, None, None, None]
    assert document["not_judged"] == ["greeting"]
    assert document["sql"] == [{"name": "greeting", "rows": 1, "refused": None, "not_run": None}]
    assert document["not_read"] == []


def test_code_that_cannot_be_read_is_named(shop: ProjectDir) -> None:
    old = shop.path / "old.py"
    old.write_text("print 'old'\nclient.query(TableName='t', KeyConditionExpression='pk = :p')\n")
    try:
        assert shop.json("patterns", "check")["not_read"] == ["old.py"]
        assert "could not be read, so its queries were not checked: old.py" in shop.ok("patterns", "check").out
    finally:
        old.unlink()


def test_a_pattern_in_sql_without_values_is_not_verified(shop: ProjectDir, settings: Path) -> None:
    settings.write_text(SETTINGS.replace('params = { who = "Ines" }\n', ""))
    ran = shop.devenv("patterns", "check")
    assert ran.code == 3
    assert "greeting was not run: it is SQL, and `params` of [patterns.greeting] has no value for `who`" in ran.all
    assert "patterns in SQL that were not run: greeting" in ran.all
    refused = shop.devenv("patterns", "run", "greeting")
    assert (refused.code, "`greeting` needs parameter `who`" in refused.err) == (2, True)


def test_a_pattern_in_sql_that_postgres_refuses_is_found(shop: ProjectDir, settings: Path) -> None:
    settings.write_text(SETTINGS.replace("%(who)s AS greeting", "%(who)s AS greeting FROM nowhere"))
    ran = shop.devenv("patterns", "check")
    assert ran.code == 1
    assert '`greeting` is refused: relation "nowhere" does not exist' in ran.all


def test_a_learner_s_fault_is_found(shop: ProjectDir, settings: Path) -> None:
    settings.write_text(
        SETTINGS.replace('index = "by-sku"\n', "").replace("[20260601, 20260630]", "[20250601, 20250630]")
    )
    ran = shop.devenv("patterns", "check")
    assert ran.code == 1
    for words in (
        "PAT007 Every pattern is served by a key",
        'index by-sku of shop-orders serves it: write index = "by-sku"',
        "PAT004 Every key condition can match a stored key",
        "stored keys are 20260601, 20260603, 20260605",
        "PAT006 Every index is read by a pattern",
        "faulty",
    ):
        assert words in ran.out, ran.out


def test_a_finding_can_be_accepted_with_a_reason(shop: ProjectDir, settings: Path) -> None:
    accept = '[access]\naccept = { "PAT006 shop-orders/by-state" = "for the report" }\n\n[access.prices]'
    settings.write_text(SETTINGS.replace("[access.prices]", accept).partition("[patterns.open]")[0])
    ran = shop.ok("patterns", "check")
    assert "accepted (for the report)" in ran.out


def test_run_tells_what_a_pattern_reads_and_costs(shop: ProjectDir) -> None:
    document = shop.json("patterns", "run", "orders", "--param", "no=1", "--limit", "2")
    assert (document["count"], document["scanned"], document["pages"]) == (9, 9, 3)
    assert document["read_units"] == {"local": 1.5, "computed": 1.5}
    assert [item["placed"] for item in document["items"]] == [20260618, 20260616]
    assert document["params"] == {"no": "1"}
    assert document["partiql"] == 'SELECT * FROM "shop-orders" WHERE "customer_no" = 1 ORDER BY "placed" DESC'
    assert document["cost"]["per_month"] is None
    assert document["script"]["differs"] == []
    assert document["script"]["printed"] == document["script"]["items"] == 9
    assert shop.json("patterns", "run", "open")["cost"] == {
        "requests_per_month": 1000000,
        "read_units_per_month": 500000,
        "per_month": 0.5,
        "per_million_requests": 0.5,
        "currency": "EUR",
        "price_per_million_read_units": 1.0,
    }
    text = shop.ok("patterns", "run", "customer", "--param", "no=2").out
    assert "Customer 2" in text
    assert "read units 0.5 by the published rules, 0.5 (local)" in text
    assert "a month at 5,184,000 requests a month" in text


def test_a_pattern_of_postgres_is_run_read_only(shop: ProjectDir, settings: Path) -> None:
    document = shop.json("patterns", "run", "greeting", "--param", "who=Ines")
    assert (document["rows"], document["count"]) == ([["hello Ines"]], 1)
    assert "Result" in document["plan"]
    assert "%(who)s" in shop.ok("patterns", "list").out
    settings.write_text(SETTINGS.replace("SELECT 'hello ' || %(who)s AS greeting", "CREATE TABLE mine (a int)"))
    assert shop.devenv("patterns", "run", "greeting").code == 1
    assert shop.devenv("db", "SELECT * FROM mine").code == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "ordrs"], "did you mean `orders`?"),
        (["run", "orders", "--param", "no"], "name=value"),
        (["run", "orders", "--param", "nr=1"], "`orders` has no parameter `nr`\ndetail: its parameters: `no`"),
        (["explain", "nothing"], "devenv patterns list"),
    ],
)
def test_what_cannot_be_run_is_refused(shop: ProjectDir, words: list[str], told: str) -> None:
    ran = shop.devenv("patterns", *words)
    assert ran.code == 2
    assert told in ran.err


def test_explain_teaches_with_the_project_s_own_keys(shop: ProjectDir) -> None:
    paragraphs = shop.json("patterns", "explain", "of_article")["paragraphs"]
    assert len(paragraphs) == 2
    for words in (
        "a Query of index by-sku of shop-orders",
        "sku = {sku}",
        "a copy of the items that have sku and placed",
    ):
        assert words in paragraphs[0]
    assert "reads 4 items of 19 in 1 page" in paragraphs[1]
    assert "a GetItem of table shop-customers" in shop.json("patterns", "explain", "customer")["paragraphs"][0]


def test_the_matrix_sets_both_layouts_against_each_other(shop: ProjectDir, settings: Path, tmp_path: Path) -> None:
    page = tmp_path / "matrix.html"
    ran = shop.devenv("patterns", "matrix", "--json", "--html", str(page))
    entities = {row["entity"]: row for row in ran.document["entities"]}
    assert entities["order"]["places"] == {"shop-orders": 19, "shop-orders/by-sku": 19, "shop-orders/by-state": 19}
    assert (entities["order"]["read_units"], entities["order"]["write_units"]) == (0.5, 3.0)
    assert ran.document["totals"]["one_table"] == ran.document["totals"]["table_per_entity"]
    html = page.read_text()
    assert "shop-orders/by-state" in html
    assert "<script" not in html
    assert "http" not in html.replace('http-equiv', "")  # fmt: skip
    # Read with the orders of one kind only: two requests where one table needs one.
    text = SETTINGS.replace(
        '[entities.order]\ntable = "shop-orders"\n',
        '[entities.order]\ntable = "shop-orders"\nmatch = { state = "open" }\n',
    )
    settings.write_text(text + '\n[entities.past]\ntable = "shop-orders"\nmatch = { state = "done" }\n')
    totals = shop.json("patterns", "matrix")["totals"]
    assert totals["table_per_entity"]["requests"] > totals["one_table"]["requests"]
    assert totals["table_per_entity"]["bytes"] == totals["one_table"]["bytes"]
    assert totals["conclusion"].startswith("one table is cheaper")


def test_a_script_that_asks_otherwise_is_reported(shop: ProjectDir, settings: Path) -> None:
    assert shop.devenv("patterns", "check", "--scripts").code == 0
    (shop.path / "orders.py").write_text(CARELESS)
    assert shop.devenv("patterns", "check").code == 0
    document = shop.json("patterns", "check", "--scripts")
    assert document["exit_code"] == 1
    [found] = [check for check in document["checks"] if check["status"] == "fail"]
    assert (found["code"], found["subjects"]) == ("PAT025", ["orders"])
    for words in (
        "differs in",
        "limit 4 without the next page",
        "did not return 6 of 10 items",
        "printed 4 of 10 items",
    ):
        assert words in found["evidence"]
    ran = shop.devenv("patterns", "run", "orders")
    assert ran.code == 1
    assert "differs: it sends Query shop-orders where customer_no = 2" in ran.out


def test_a_script_that_fails_is_reported(shop: ProjectDir, settings: Path) -> None:
    (shop.path / "orders.py").write_text("raise SystemExit('no such customer')")
    ran = shop.devenv("patterns", "run", "orders")
    assert ran.code == 1
    assert "it ended with status 1: no such customer" in ran.out


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("import time; time.sleep(600)", "it did not end within 1 s"),
        ("while True: print('x' * 1_000_000)", "it printed more than 100,000,000 bytes"),
    ],
)
def test_a_script_that_does_not_end_is_ended(shop: ProjectDir, settings: Path, script: str, told: str) -> None:
    (shop.path / "orders.py").write_text(script)
    seconds = 1 if "sleep" in script else 60
    settings.write_text(SETTINGS.replace('script = ["{python}"', f'seconds = {seconds}\nscript = ["{{python}}"'))
    ran = shop.devenv("patterns", "run", "orders")
    assert ran.code == 1
    assert told in ran.out


def test_a_sitecustomize_of_the_project_still_runs(tmp_path: Path) -> None:
    watch = REPOSITORY / "devenv" / "capture" / "site"
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.own = 'ran'")
    environ = {"PYTHONPATH": f"{watch}{os.pathsep}{tmp_path}", "DEVENV_TELL": "99"}
    done = subprocess.run(
        [sys.executable, "-c", "import sys; print(sys.own)"], env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ran\n", "")


def test_only_run_and_check_with_scripts_run_code_of_the_file(shop: ProjectDir, settings: Path) -> None:
    trap = shop.path / "trap"
    settings.write_text(SETTINGS.replace('["{python}", "orders.py", "{no}"]', '["sh", "-c", "echo [] && touch trap"]'))
    for words in (["list"], ["check"], ["explain", "orders"], ["matrix"], ["run", "june"]):
        shop.ok("patterns", *words)
        assert not trap.exists(), words
    assert shop.devenv("patterns", "run", "orders").code == 1
    assert trap.exists()
    trap.unlink()


def test_list_needs_no_store(tmp_path: Path) -> None:
    stopped = empty_project(tmp_path / "stopped", SETTINGS)
    assert "customer_no = {no} and sort between" in stopped.ok("patterns", "list").out
    assert [row["name"] for row in stopped.json("patterns", "list")["patterns"]][:2] == ["greeting", "customer"]
    ran = stopped.devenv("patterns", "check")
    assert (ran.code, "devenv up" in ran.err) == (3, True)


# --- devenv ddb sql ---


def test_a_scan_is_refused_until_it_is_asked_for(shop: ProjectDir) -> None:
    statement = "SELECT * FROM \"shop-orders\" WHERE sku = 'S1'"
    ran = shop.devenv("ddb", "sql", statement)
    assert (ran.code, ran.out) == (2, "")
    assert "reads a whole table (a Scan)" in ran.err
    assert "does not name the partition key `customer_no`" in ran.err
    assert 'devenv ddb sql --scan "…"' in ran.err
    document = shop.json("ddb", "sql", "--scan", statement)
    assert document["exit_code"] == 0
    assert len(document["rows"]) == 4
    assert document["amounts_to"]["operation"] == "Scan"


def test_what_a_statement_amounts_to_is_reported(shop: ProjectDir) -> None:
    told = shop.ok("ddb", "sql", 'SELECT * FROM "shop-orders" WHERE customer_no = 1 AND placed > 20260610').out
    assert told.startswith(
        "amounts to a Query of 1 partition: it pins the partition key `customer_no`, and narrows the sort key"
    )
    assert told.endswith("(4 items)\n")
    by_index = 'SELECT placed FROM "shop-orders"."by-sku" WHERE sku = \'S1\''
    assert shop.json("ddb", "sql", by_index)["amounts_to"]["operation"] == "Query"
    only = shop.json("ddb", "sql", "--dry-run", 'SELECT * FROM "shop-customers"')
    assert (only["amounts_to"]["operation"], only["rows"], only["requests"]) == ("Scan", [], 0)
    assert shop.devenv("ddb", "sql", 'SELECT * FROM "shop-orders"."by-name" WHERE a = 1').code == 2


def test_a_descending_order_has_the_command_that_gives_it(shop: ProjectDir) -> None:
    chosen = 'SELECT placed FROM "shop-orders" WHERE customer_no = 1 ORDER BY placed DESC'
    ran = shop.devenv("ddb", "sql", chosen)
    assert "InternalFailure" in ran.err
    assert (
        "hint: DynamoDB Local cannot sort in descending order if SELECT names attributes: write SELECT *, or use devenv"
        in ran.err
    )
    rows = shop.json("ddb", "sql", chosen.replace("placed FROM", "* FROM"))
    days = [row[rows["columns"].index("placed")] for row in rows["rows"]]
    assert days == sorted(days, reverse=True) != sorted(days)


def test_a_statement_that_dynamodb_refuses_has_its_own_words(shop: ProjectDir) -> None:
    ran = shop.devenv("ddb", "sql", "SELECT * FROM shop-orders WHERE customer_no = 1")
    assert ran.code == 1
    assert "ValidationException" in ran.err
    assert "quote table names" in ran.err


def test_an_answer_of_several_pages_is_followed(shop: ProjectDir) -> None:
    env = shop.env()
    target = DynamoTarget(env["AWS_ENDPOINT_URL_DYNAMODB"], env["AWS_REGION"], env["AWS_ACCESS_KEY_ID"], "x")
    with Dynamo(target) as dynamodb:
        dynamodb.call("CreateTable", definition("long", {"pk": "S", "sk": "N"}))
        items = [typed_item({"pk": "a", "sk": number, "text": "x" * 100_000}) for number in range(24)]
        dynamodb.write_batch("long", [{"PutRequest": {"Item": item}} for item in items])
        document = shop.json("ddb", "sql", "SELECT sk FROM \"long\" WHERE pk = 'a'")
        assert [row[0] for row in document["rows"]] == list(range(24))
        assert document["requests"] == 3
        few = shop.json("ddb", "sql", "--limit", "5", "SELECT sk FROM \"long\" WHERE pk = 'a'")
        assert (len(few["rows"]), few["requests"]) == (5, 1)
        assert "there are more: --limit 50" in few["summary"]
        dynamodb.call("DeleteTable", {"TableName": "long"})
