"""Tables that JavaScript makes in loops over lists that are spelt out, and by functions that get their parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.init.entities import FoundEntity, refined
from devenv.init.javascript_code import JsFile, read_scripts
from devenv.init.survey import survey
from tests.unit.init.test_init_kinds import made

MAKE = """\
send(new CreateTableCommand({
  TableName: NAME, BillingMode: 'PAY_PER_REQUEST',
  AttributeDefinitions: [{ AttributeName: KEY, AttributeType: 'S' }],
  KeySchema: [{ AttributeName: KEY, KeyType: 'HASH' }],
}))
"""
LIST = "const tables = [{ name: 'orders', pk: 'order_id' }, { name: 'carts', pk: 'cart_id' }];\n"
PAIRS = "const tables = { orders: { pk: 'order_id' }, carts: { pk: 'cart_id' } };\n"


def make(name: str, key: str) -> str:
    return MAKE.replace("NAME", name).replace("KEY", key)


def read(text: str, **more: str) -> JsFile:
    files, _ = read_scripts({"a/tables.js": text, **{f"a/{n}.js": t for n, t in more.items()}}, {}, frozenset())
    return files["a/tables.js"]


def tables(found: JsFile) -> dict[str, str]:
    return {each.table: each.request["KeySchema"][0]["AttributeName"] for each in found.tables}


BOTH = {"orders": "order_id", "carts": "cart_id"}


@pytest.mark.parametrize(
    "text",
    [
        f"{LIST}for (const t of tables) {{ await {make('t.name', 't.pk')} }}",
        f"{LIST}for (const {{ name, pk: key }} of tables) {{ await {make('name', 'key')} }}",
        f"{LIST}await Promise.all(tables.map((t) => {make('t.name', 't.pk')}));",
        f"[['orders', 'order_id'], ['carts', 'cart_id']].forEach(([name, key]) => {make('name', 'key')});",
        f"{PAIRS}for (const [name, t] of Object.entries(tables)) {{ await {make('name', 't.pk')} }}",
        f"{PAIRS}Object.entries(tables).map(async ([name, t]) => {make('name', 't.pk')});",
        f"async function create(name, key) {{ await {make('name', 'key')} }}\n"
        "await create('orders', 'order_id');\nawait create('carts', 'cart_id');",
        f"const create = async ({{ name, pk }}) => {{ await {make('name', 'pk')} }};\n{LIST}"
        "for (const t of tables) await create(t);",
        f"{LIST}async function create(t) {{ await {make('t.name', 't.pk')} }}\n"
        "async function main() { for (const t of tables) { await create(t); } }",
    ],
)
def test_tables_of_loops_and_calls(text: str) -> None:
    found = read(text)
    assert (tables(found), found.unclear) == (BOTH, ())


def test_whole_requests_in_a_list() -> None:
    request = make("'orders'", "'order_id'").split("Command(")[1][:-3]
    found = read(f"const tables = [{request}];\nfor (const t of tables) await send(new CreateTableCommand(t));")
    assert (tables(found), found.unclear) == ({"orders": "order_id"}, ())


@pytest.mark.parametrize("listed", [f"export {LIST}", f"{LIST}module.exports = {{ tables }};"])
def test_a_list_of_another_file(listed: str) -> None:
    text = f"const {{ tables }} = require('./list');\nfor (const t of tables) {{ {make('t.name', 't.pk')} }}"
    assert tables(read(text, list=listed)) == BOTH


@pytest.mark.parametrize(
    "text",
    [
        f"for (const t of await load()) {{ await {make('t.name', 't.pk')} }}",
        f"async function create(name, key) {{ await {make('name', 'key')} }}\nmodule.exports = {{ create }};",
    ],
)
def test_what_is_not_spelt_out_is_listed(text: str) -> None:
    found = read(text)
    assert (tables(found), len(found.unclear)) == ({}, 1)


def test_of_a_list_with_a_computed_part_the_rest_is_read_and_the_line_listed() -> None:
    text = "const tables = [{ name: 'orders', pk: 'order_id' }, { name: f(), pk: 'x' }];\n"
    found = read(f"{text}for (const t of tables) {{ await {make('t.name', 't.pk')} }}")
    assert (tables(found), found.unclear) == ({"orders": "order_id"}, (2,))


def test_fields_of_an_item_that_is_taken_apart() -> None:
    found = read("const f = (out) => out.Items.map(({ isbn, stars: n, text }) => ({ id: isbn, n, text, own: 1 }));")
    (_, function) = found.code.functions
    assert dict(function.results) == {"id": "isbn", "n": "stars", "text": "text"}


def test_the_type_of_a_key_is_its_tables_where_the_code_does_not_tell_it(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text(f"{LIST}for (const t of tables) {{ {make('t.name', 't.pk')} }}\n")
    entity = FoundEntity("order", "orders", {}, {"order_id": "", "note": ""}, ("a.js:1",))
    assert refined(entity, survey(tmp_path)).attributes == {"order_id": "string"}


def test_what_a_list_is_sorted_by_is_a_field_also_if_it_is_the_id(tmp_path: Path) -> None:
    program = """\
send(new CreateTableCommand({ TableName: 'rides', BillingMode: 'PAY_PER_REQUEST',
  AttributeDefinitions: [{ AttributeName: 'car', AttributeType: 'S' },
    { AttributeName: 'started_at', AttributeType: 'S' }],
  KeySchema: [{ AttributeName: 'car', KeyType: 'HASH' }, { AttributeName: 'started_at', KeyType: 'RANGE' }] }));
const put = (car, started_at, km) => send(new PutCommand({ TableName: 'rides', Item: { car, started_at, km } }));
async function ridesOf(car) {
  const out = await send(new QueryCommand({ TableName: 'rides', ScanIndexForward: false,
    KeyConditionExpression: 'car = :c', ExpressionAttributeValues: { ':c': car } }));
  return out.Items;
}
"""
    settings, _ = made(tmp_path, {"package.json": '{"name": "rides"}', "a.js": f"// dynamodb\n{program}"})
    (trace,) = settings.trace.values()
    assert (trace.ids["dynamodb"], trace.sorted_by) == ("started_at", "started_at")
    assert trace.fields["started_at"] == "started_at"


def test_the_name_that_code_sends_is_that_of_the_table_with_a_computed_one(tmp_path: Path) -> None:
    stack = """
import * as cdk from 'aws-cdk-lib';
import { AttributeType, Table } from 'aws-cdk-lib/aws-dynamodb';
export class Stack extends cdk.Stack {
  constructor(app: cdk.App, stage: string) {
    super(app, 'Stack');
    new Table(this, 'Walks', { tableName: stage === 'prod' ? 'WalksProd' : 'WalksDev',
      partitionKey: { name: 'dog', type: AttributeType.STRING } });
  }
}
"""
    files = {
        "package.json": "{}",
        ".env.example": "WALKS=WalksDev\nOTHER=x\n",
        "cdk/stack.ts": stack,
        "src/put.mjs": "await client.send(new PutCommand({ TableName: process.env.WALKS, Item: { dog: 'a' } }));\n",
        "db/schema.sql": "CREATE TABLE dogs (id text PRIMARY KEY);",
    }
    settings, _ = made(tmp_path, files)
    assert settings.steps.schema_load.files == ["seeds/dynamodb/tables/WalksDev.json"]
    assert settings.env["WALKS"] == "WalksDev"


@pytest.mark.parametrize("name", ["SHADOW_DATABASE_URL", "TEST_DATABASE_URL", "DATABASE_URL_TEST"])
def test_a_second_database_is_not_devenvs(tmp_path: Path, name: str) -> None:
    """Prisma and test runners empty it."""
    files = {
        ".env.example": f"DATABASE_URL=postgresql://a:b@localhost/kennel\n{name}=postgresql://a:b@localhost/other\n",
        "db/schema.sql": "CREATE TABLE dogs (id text PRIMARY KEY);",
        "app.py": f"import os\nos.environ['DATABASE_URL'], os.environ['{name}']\n",
    }
    settings, _ = made(tmp_path, files)
    assert name not in settings.env
    assert "DATABASE_URL" not in settings.env or settings.env["DATABASE_URL"] == "{postgres_url}"
    assert name in (tmp_path / "devenv.toml").read_text()
