"""A row whose linked value was changed since setup loaded it was not deleted: its other unique values name it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from devenv.stores.dynamodb.client import typed_item
from tests.support import ProjectDir, empty_project

SETTINGS = """
[project]
name = "hardware"

[steps.setup]
files = ["products.sql"]

[entities.level]
table = "stock"
match = { pk = "PRODUCT#{code}" }

[entities.level.attributes]
code = "string"

[[links]]
from = "dynamodb:stock.code"
to = "postgres:products.code"

[trace.level]
params = { code = "string" }
entity = "level"
where = { code = "{code}" }
ids = { dynamodb = "code" }

[trace.product]
params = { code = "string" }
sql = "SELECT * FROM products WHERE code = %(code)s"
"""
SQL = """
CREATE TABLE products (id integer PRIMARY KEY, code text NOT NULL UNIQUE, title text NOT NULL, shelf text UNIQUE);
INSERT INTO products VALUES (1, 'A1', 'Hammer', 's-1'), (2, 'B2', 'Saw', 's-2'), (3, 'C3', 'Drill', NULL);
"""
TABLE = {
    "TableName": "stock",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
RENAMED = "the row of public.products with `id` = '1' now has 'A1x' in `code`; setup loaded it with 'A1'"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    project = empty_project(tmp_path_factory.mktemp("renamed") / "hardware", SETTINGS)
    (project.path / "products.sql").write_text(SQL)
    try:
        project.ok("up")
        with project.dynamodb() as dynamodb:
            dynamodb.call("CreateTable", TABLE)
            items = [{"pk": f"PRODUCT#{code}", "code": code} for code in ("A1", "B2", "C3")]
            dynamodb.write_batch("stock", [{"PutRequest": {"Item": typed_item(item)}} for item in items])
        yield project
    finally:
        project.remove()


@pytest.fixture
def shop(served: ProjectDir) -> Iterator[ProjectDir]:
    """The project with the rows that setup loaded, also afterwards."""
    yield served
    served.ok("db", "--write", "DELETE FROM products")
    served.ok("up", "--restore-seeds")


def run(project: ProjectDir, command: str) -> None:
    program, *words = shlex.split(command)
    assert program == "devenv"
    project.ok(*words)


def test_a_renamed_row_is_named_with_both_values_and_the_fix_puts_the_old_one_back(shop: ProjectDir) -> None:
    rename = "UPDATE products SET code = 'A1x' WHERE id = 1"
    shop.ok("db", "--write", rename)
    row = shop.json("doctor", "--only", "XST001")["checks"][0]
    assert (row["status"], row["cause"]) == ("fail", RENAMED)
    assert "set `code` back to 'A1'" in row["fix"]["text"]
    run(shop, row["fix"]["command"])
    assert shop.json("doctor", "--only", "XST001")["checks"][0]["status"] == "ok"
    for subject, layer in (("level", "cross-store"), ("product", "postgres")):
        shop.ok("db", "--write", rename)
        verdict = shop.json("trace", subject, "A1")["verdict"]
        assert (verdict["layer"], verdict["cause"]) == (layer, RENAMED)
        run(shop, verdict["fix"]["command"])
        assert shop.json("trace", subject, "A1")["layers"][3]["status"] != "missing"
    assert shop.json("doctor", "--only", "XST001")["checks"][0]["status"] == "ok"


@pytest.mark.long
def test_no_command_is_offered_that_postgres_would_refuse(shop: ProjectDir) -> None:
    statements = (
        "CREATE TABLE offers (code text REFERENCES products (code))",
        "UPDATE products SET code = 'A1x' WHERE id = 1",
        "INSERT INTO offers VALUES ('A1x')",
    )
    for statement in statements:
        shop.ok("db", "--write", statement)
    try:
        row = shop.json("doctor", "--only", "XST001")["checks"][0]
        assert row["cause"] == RENAMED
        assert row["fix"]["command"] is None
        assert row["fix"]["text"] == "write the row's current `code` into the items and their seed files"
    finally:
        shop.ok("db", "--write", "DROP TABLE offers")


@pytest.mark.long
def test_a_row_that_cannot_be_inserted_again_is_neither_renamed_nor_inserted(shop: ProjectDir) -> None:
    """Two rows have its unique values now: none of them is known to be it."""
    shop.ok("db", "--write", "DELETE FROM products WHERE id IN (1, 3)")
    shop.ok("db", "--write", "INSERT INTO products VALUES (1, 'X8', 'Nail', NULL), (9, 'X9', 'Glue', 's-1')")
    row = shop.json("doctor", "--only", "XST001")["checks"][0]
    assert (
        "the row that setup loaded with 'A1' in `code` is gone; the values of its other unique columns are"
        in row["cause"]
    )
    assert "a row that setup loaded has since been deleted: C3" in row["cause"]
    assert row["fix"]["command"] is None
    assert "compare them" in row["fix"]["text"]
    assert row["fix"]["text"].endswith("Then run `devenv doctor` again for the other 1 fault")


@pytest.mark.long
def test_a_row_that_is_gone_is_inserted_again(shop: ProjectDir) -> None:
    shop.ok("db", "--write", "DELETE FROM products WHERE id = 2")
    row = shop.json("doctor", "--only", "XST001")["checks"][0]
    assert row["cause"] == "a row that setup loaded has since been deleted: B2"
    run(shop, row["fix"]["command"])
    assert shop.json("doctor", "--only", "XST001")["checks"][0]["status"] == "ok"
