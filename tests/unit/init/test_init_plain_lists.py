"""Objects of a list that no client of DynamoDB gets are no items, though a table's key is called as one of theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made

TABLE = """
{"TableName": "visits", "BillingMode": "PAY_PER_REQUEST",
 "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
 "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}
"""
ROWS = "[{ id: 'h1', title: 'North', frames: 10 }, { id: 'h2', title: 'South', frames: 8 }]"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("src/seed.ts", f"export async function seed() {{ await getRepository('Hive').save({ROWS}); }}"),
        (
            "src/seed.ts",
            f"async function seed() {{ const rows = {ROWS}; await prisma.hive.createMany({{ data: rows }}); }}",
        ),
        ("src/app.js", f"function list() {{ return {ROWS}; }}\napp.get('/plans', (q, s) => s.json(list()));"),
        (
            "src/hives.ts",
            f"@Controller('hives')\nexport class Hives {{ list() {{ const all = {ROWS}; return all; }} }}",
        ),
    ],
)
def test_rows_and_answers_are_no_items(tmp_path: Path, name: str, text: str) -> None:
    settings, _ = made(tmp_path, {"package.json": '{"name": "bees"}', "visits.json": TABLE, name: text})
    assert list(settings.entities) == []


@pytest.mark.parametrize(
    "text",
    [
        f"async function seed() {{ for (const row of {ROWS}) await client.send(new PutCommand({{ Item: row }})); }}",
        f"function seed() {{ const rows = {ROWS}; return rows.map((row) => putVisit(row)); }}\napp.get('/', seed);",
    ],
)
def test_what_a_client_gets_is_an_item(tmp_path: Path, text: str) -> None:
    files = {"package.json": '{"name": "bees"}', "visits.json": TABLE, "src/seed.js": text}
    settings, _ = made(tmp_path, files)
    assert {each.table for each in settings.entities.values()} == {"visits"}
