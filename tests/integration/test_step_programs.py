"""What a program loaded and was deleted: the findings name the commands that may load it again, and those do."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator

import pytest

from tests.support import ProjectDir, empty_project

SETTINGS = f"""
[project]
name = "programs"

[steps.setup]
command = [{json.dumps(sys.executable)}, "rows.py"]

[steps.schema-load]
files = ["tables.json"]

[steps.seed]
command = [{json.dumps(sys.executable)}, "levels.py"]

[entities.level]
table = "stock"
match = {{ pk = "PRODUCT#{{code}}" }}

[entities.level.attributes]
code = "string"

[[links]]
from = "dynamodb:stock.code"
to = "postgres:products.code"

[trace.level]
params = {{ code = "string" }}
entity = "level"
where = {{ code = "{{code}}" }}
ids = {{ dynamodb = "code" }}

[trace.product]
params = {{ code = "string" }}
sql = "SELECT * FROM products WHERE code = %(code)s"
"""
TABLE = {
    "TableName": "stock",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
ROWS = """
import os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    connection.execute("CREATE TABLE products (id integer PRIMARY KEY, code text NOT NULL UNIQUE)")
    connection.execute("INSERT INTO products VALUES (1, 'A1'), (2, 'B2')")
"""
LEVELS = """
import os, boto3
dynamodb = boto3.client("dynamodb", endpoint_url=os.environ["AWS_ENDPOINT_URL_DYNAMODB"])
for code in ("A1", "B2"):
    dynamodb.put_item(TableName="stock", Item={"pk": {"S": f"PRODUCT#{code}"}, "code": {"S": code}})
"""


@pytest.fixture
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    project = empty_project(tmp_path_factory.mktemp("programs") / "shop", SETTINGS)
    (project.path / "tables.json").write_text(json.dumps(TABLE))
    (project.path / "rows.py").write_text(ROWS)
    (project.path / "levels.py").write_text(LEVELS)
    try:
        project.ok("up")
        yield project
    finally:
        project.remove()


@pytest.mark.long
def test_the_commands_that_load_what_was_deleted_are_named(shop: ProjectDir) -> None:
    rows, levels = (f"runs `{shlex.quote(sys.executable)} {name}`" for name in ("rows.py", "levels.py"))
    shop.ok("db", "--write", "DELETE FROM products WHERE code = 'A1'")
    shop.ok("ddb", "sql", "--write", "DELETE FROM stock WHERE pk = 'PRODUCT#B2'")
    orphan = shop.json("doctor", "--only", "XST001")["checks"][0]["fix"]["text"]
    for text in (orphan, shop.json("trace", "product", "A1")["verdict"]["fix"]["text"]):
        assert f"If the row was deleted: `devenv setup` rebuilds the database and {rows}" in text
        assert "either may load it again" in text
    text = shop.json("trace", "level", "A1")["verdict"]["fix"]["text"]
    assert f"If the row was deleted: `devenv setup` rebuilds the database and {rows}" in text
    text = shop.json("trace", "level", "B2")["verdict"]["fix"]["text"]
    assert text.endswith(f"`devenv seed` empties the tables of DynamoDB and {levels}, which may load it again")
    shop.ok("setup", "-y")
    shop.ok("seed", "-y")
    assert shop.json("doctor", "--only", "XST001")["checks"][0]["status"] == "ok"
    assert shop.json("trace", "level", "B2")["verdict"].get("class") is None
