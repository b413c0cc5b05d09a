"""`devenv init` follows constants: items that scripts write, tables and keys of JavaScript, prefixes, objects."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from devenv.config.schema import Settings
from devenv.init.instances import instances_in
from devenv.init.javascript_answers import read_answer
from devenv.init.routes import read_routes
from devenv.init.source import Scope, module_scope, spelt
from devenv.init.written_items import python_items
from tests.unit.init.test_init_kinds import made

JENS, AIKO = "b2c7c9de-5a52-4f0b-8a43-6f9f6a7e2b02", "0e9b3f77-91d4-4a5c-bd0c-4f2a1c8d3c03"
HAMMER, CUTTER = "a7f30c11-2f0d-4f5e-9f10-1c2d3e4f5a11", "c93e5d22-8e1b-4b6f-a021-2d3e4f5a6b22"
SQL = f"""\
CREATE TABLE patrons (patron_id uuid PRIMARY KEY, full_name text NOT NULL);
CREATE TABLE tools (tool_id uuid PRIMARY KEY, label text NOT NULL);
INSERT INTO patrons (patron_id, full_name) VALUES ('{JENS}', 'Jens'), ('{AIKO}', 'Aiko') ON CONFLICT DO NOTHING;
INSERT INTO tools (tool_id, label) VALUES ('{HAMMER}', 'Hammer'), ('{CUTTER}', 'Cutter') ON CONFLICT DO NOTHING;
"""
NAMES = ("pk", "sk", "gsi1pk", "gsi1sk")
DEFINED = ", ".join(f'{{"AttributeName": "{name}", "AttributeType": "S"}}' for name in NAMES)
TABLE = (
    f'{{"TableName": "ledger", "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": [{DEFINED}],'
    ' "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],'
    ' "GlobalSecondaryIndexes": [{"IndexName": "by-patron", "Projection": {"ProjectionType": "ALL"}, "KeySchema":'
    ' [{"AttributeName": "gsi1pk", "KeyType": "HASH"}, {"AttributeName": "gsi1sk", "KeyType": "RANGE"}]}]}'
)
SEED = f"""\
import boto3
JENS = "{JENS}"
AIKO = "{AIKO}"
HAMMER = "{HAMMER}"
CUTTER = "{CUTTER}"

def loan(tool, patron, out, returned=None):
    item = {{"pk": f"TOOL#{{tool}}", "sk": f"LOAN#{{out}}", "gsi1pk": f"PATRON#{{patron}}", "gsi1sk": f"LOAN#{{out}}",
            "borrower": patron, "out_at": out}}
    return item

ITEMS = [loan(HAMMER, JENS, "2024-05-02T09:12:00Z"), loan(CUTTER, patron=AIKO, out="2024-06-11T10:00:00Z")]
with boto3.resource("dynamodb").Table("ledger").batch_writer() as batch:
    for item in ITEMS:
        batch.put_item(Item=item)
"""
LEDGER = """\
import boto3
from boto3.dynamodb.conditions import Key

class Ledger:
    def __init__(self, table):
        self._table = boto3.resource("dynamodb").Table(table)

    def loans_of_tool(self, tool):
        return self._table.query(
            KeyConditionExpression=Key("pk").eq(f"TOOL#{tool}") & Key("sk").begins_with("LOAN#"))["Items"]

    def of_patron(self, patron_id):
        return self._table.query(
            IndexName="by-patron", KeyConditionExpression=Key("gsi1pk").eq(f"PATRON#{patron_id}"))["Items"]
"""
FACTORY = """\
from flask import Flask
from .ledger import Ledger

def create_app():
    app = Flask(__name__)
    app.ledger = Ledger("ledger")

    @app.get("/health")
    def health():
        return {}

    return app
"""
SHOP = {
    "db/schema.sql": SQL,
    "infra/ledger.json": TABLE,
    "scripts/seed_ledger.py": SEED,
    "services/api/shed/__init__.py": "",
    "services/api/shed/ledger.py": LEDGER,
    "services/api/shed/app.py": FACTORY,
}


def links_of(settings: Settings) -> set[tuple[str, str]]:
    return {(link.source, link.to) for link in settings.links}


def test_constants_that_are_handed_to_a_function_prove_links(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, SHOP)
    assert links_of(settings) == {
        ("dynamodb:ledger.pk[TOOL#{}]", "postgres:tools.tool_id"),
        ("dynamodb:ledger.gsi1pk[PATRON#{}]", "postgres:patrons.patron_id"),
        ("dynamodb:ledger.borrower", "postgres:patrons.patron_id"),
    }
    # One id that no row has, and nothing is proved; of the borrower, called a person, half of the values are likely.
    (tmp_path / "other").mkdir()
    seed = SEED.replace(f'AIKO = "{AIKO}"', 'AIKO = "00000000-0000-4000-8000-000000000009"')
    settings, _ = made(tmp_path / "other", {**SHOP, "scripts/seed_ledger.py": seed})
    assert links_of(settings) == {
        ("dynamodb:ledger.pk[TOOL#{}]", "postgres:tools.tool_id"),
        ("dynamodb:ledger.borrower", "postgres:patrons.patron_id"),
    }
    assert "1 of its 2 values in the seeds are in this column." in (tmp_path / "other" / "devenv.toml").read_text()


def test_a_method_is_called_on_the_object_that_a_factory_makes(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, SHOP)
    written = (tmp_path / "devenv.toml").read_text()
    assert 'function = "shed.app:create_app().ledger.loans_of_tool"' in written or (
        settings.trace["loans_of_tool"].library is not None
        and settings.trace["loans_of_tool"].library.function == "shed.app:create_app().ledger.loans_of_tool"
    )
    assert "Ledger()." not in written
    [listed] = [each for each in settings.trace.values() if "gsi1pk" in each.where]
    assert listed.where["gsi1pk"].startswith("PATRON#{")
    (tmp_path / "none").mkdir()
    made(tmp_path / "none", {**SHOP, "services/api/shed/app.py": "from flask import Flask\napp = Flask(__name__)\n"})
    assert "Ledger()." not in (tmp_path / "none" / "devenv.toml").read_text()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ledger = Ledger('x')", {"Ledger": "ledger"}),
        ("def create_app():\n    app = F()\n    app.x = Ledger(1)\n    return app", {"Ledger": "create_app().x"}),
        ("def create_app(name):\n    app = F()\n    app.x = Ledger(1)\n    return app", {}),
        ("def create_app():\n    other.x = Ledger(1)\n    return app", {}),
    ],
)
def test_objects_of_a_class(text: str, found: dict[str, str]) -> None:
    assert dict(instances_in(ast.parse(text))) == found


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("for a, b in [('1', '2'), ('3', '4')]:\n    put({'pk': f'A#{a}', 'sk': b})", ["A#1/2", "A#3/4"]),
        ("ROWS = [{'a': '1'}, {'a': '2'}]\nX = [{'pk': r['a'], 'sk': 'S'} for r in ROWS]", ["1/S", "2/S"]),
        ("def f(a, b):\n    return {'pk': {'S': a}, 'sk': {'S': b}}\nf('1', b='2')\nf(unknown(), '3')", ["1/2"]),
        ("def f(a):\n    return {'pk': a, 'sk': a}\nf(a)", []),
    ],
)
def test_items_of_loops_and_calls(text: str, ids: list[str]) -> None:
    items = python_items(ast.parse(text), {"t": ["pk", "sk"]}, {}, {})
    assert [f"{item['pk']}/{item['sk']}" for _, item in items] == ids


def test_a_text_is_spelt_only_if_all_of_it_is_known() -> None:
    scope = module_scope(ast.parse("A = 'x'\nB = {'c': {'d': 'y'}}\nE = E\n"), {})
    told = {
        text: spelt(ast.parse(text, mode="eval").body, scope) for text in ("A + 'z'", "B['c']['d']", "f'{A}{N}'", "E")
    }
    assert told == {"A + 'z'": "xz", "B['c']['d']": "y", "f'{A}{N}'": None, "E": None}
    assert spelt(None, Scope({})) is None


NODE = {
    "package.json": (
        '{"type": "module", "scripts": {"start": "node src/server.js"}, "dependencies": {"fastify": "4", "pg": "8"}}'
    ),
    "sql/schema.sql": SQL,
    "src/config.js": (
        "export const config = { port: Number(process.env.PORT ?? 3000),"
        ' ddb: { table: process.env.LEDGER_TABLE ?? "ledger" } };\n'
    ),
    "src/server.js": (
        'import Fastify from "fastify";\nimport tools from "./routes/tools.js";\nconst app = Fastify();\n'
        'app.register(tools, { prefix: "/v1" });\napp.get("/health", async () => ({}));\n'
    ),
    "src/routes/tools.js": (
        'import { latestLoans } from "../ledger.js";\nexport default async function tools(app) {\n'
        '  app.get("/tools/:toolId/loans", async (req) => {\n    const loans = await latestLoans(req.params.toolId);\n'
        "    return { loans: loans.map((r) => ({ no: r.loanId, at: r.createdAt })) };\n  });\n}\n"
    ),
    "src/ledger.js": (
        'import { QueryCommand } from "@aws-sdk/lib-dynamodb";\nimport { config } from "./config.js";\n'
        "export const toolKey = (id) => `TOOL#${id}`;\nexport const patronKey = (id) => `PATRON#${id}`;\n"
        "export async function latestLoans(toolId) {\n  const out = await doc.send(new QueryCommand({\n"
        '    TableName: config.ddb.table, KeyConditionExpression: "PK = :pk AND begins_with(SK, :s)",\n'
        '    ExpressionAttributeValues: { ":pk": toolKey(toolId), ":s": "LOAN#" }, ScanIndexForward: false }));\n'
        "  return out.Items;\n}\n"
    ),
    "tools/seed.js": f"""\
import {{ PutCommand }} from "@aws-sdk/lib-dynamodb";
import {{ config }} from "../src/config.js";
import {{ patronKey, toolKey }} from "../src/ledger.js";
const loans = [
  ["l1", "{HAMMER}", "{JENS}", "2024-05-20T10:00:00Z"],
  ["l2", "{CUTTER}", "{AIKO}", "2024-06-02T08:00:00Z"],
];
for (const [loanId, toolId, patronId, createdAt] of loans) {{
  await doc.send(new PutCommand({{ TableName: config.ddb.table, Item: {{
    PK: toolKey(toolId), SK: `LOAN#${{createdAt}}#${{loanId}}`,
    GSI1PK: patronKey(patronId), GSI1SK: `LOAN#${{createdAt}}`,
    type: "loan", loanId, patronId, createdAt }} }}));
}}
await doc.send(new PutCommand({{ TableName: config.ddb.table, Item: {{
  PK: toolKey("{HAMMER}"), SK: "WATCH#{JENS}", GSI1PK: patronKey("{JENS}"), GSI1SK: "WATCH", type: "watch" }} }}));
""",
}
CREATE = """\
import { CreateTableCommand } from "@aws-sdk/client-dynamodb";
import { config } from "../src/config.js";
await client.send(new CreateTableCommand({ TableName: config.ddb.table, BillingMode: "PAY_PER_REQUEST",
  AttributeDefinitions: [{ AttributeName: "PK", AttributeType: "S" }, { AttributeName: "SK", AttributeType: "S" }],
  KeySchema: [{ AttributeName: "PK", KeyType: "HASH" }, { AttributeName: "SK", KeyType: "RANGE" }] }));
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return made(tmp_path_factory.mktemp("node"), {**NODE, "tools/create-table.js": CREATE})[0]


def test_a_member_of_an_imported_object_names_the_table(node: Settings) -> None:
    assert {entity.table for entity in node.entities.values()} == {"ledger"}
    assert node.steps.schema_load.files == ["seeds/dynamodb/tables/ledger.json"]
    assert node.env["LEDGER_TABLE"] == "ledger"


def test_imported_functions_that_return_a_text_are_keys(node: Settings) -> None:
    assert node.entities["loan"].match == {"PK": "TOOL#{toolId}", "SK": "LOAN#{createdAt}#{loanId}"}
    # A key with an id itself has a place for it; no kind is without a key.
    assert node.entities["watch"].match == {"PK": "TOOL#{toolId}", "SK": "WATCH#{watch_id}"}
    assert node.patterns["latest_loans"].key == {"PK": "TOOL#{toolId}"}


def test_a_name_that_sounds_like_a_time_is_checked_against_the_values(node: Settings) -> None:
    assert node.entities["loan"].attributes["GSI1SK"] == "string"


def test_the_items_of_a_loop_prove_links(node: Settings) -> None:
    assert {
        ("dynamodb:ledger.PK[TOOL#{}]", "postgres:tools.tool_id"),
        ("dynamodb:ledger.GSI1PK[PATRON#{}]", "postgres:patrons.patron_id"),
        ("dynamodb:ledger.patronId", "postgres:patrons.patron_id"),
    } <= links_of(node)


def test_the_prefix_of_fastify_is_part_of_the_path(node: Settings) -> None:
    request = node.trace["latest_loans"].request
    assert request is not None
    assert request.path == "/v1/tools/{toolId}/loans"


def test_what_a_route_picks_of_an_answer_is_read(node: Settings) -> None:
    trace = node.trace["latest_loans"]
    assert trace.request is not None
    assert trace.ids == {"dynamodb": "loanId", "library": "loanId", "http": "no"}
    assert (trace.request.items, trace.fields, trace.request.fields) == (
        "loans",
        {"createdAt": "createdAt"},
        {"createdAt": "at"},
    )


def test_a_route_that_leaves_the_id_out_is_a_note(tmp_path: Path) -> None:
    route = NODE["src/routes/tools.js"].replace("no: r.loanId, ", "")
    settings, body = made(tmp_path, {**NODE, "src/routes/tools.js": route, "tools/create-table.js": CREATE})
    assert settings.trace["latest_loans"].request is None
    assert "http" not in settings.trace["latest_loans"].ids
    assert any("`loanId`, the item's id, is not among" in each for each in body["edits"])


@pytest.mark.parametrize(
    ("text", "wraps", "fields"),
    [
        ("rows = lib.loans(t)\n    return jsonify(loans=[{'at': i['out'], 'b': i.get('by')} for i in rows])",
         {"loans": "loans"}, {"loans": {"at": "out", "b": "by"}}),
        ("rows = loans(t)\n    return {'data': rows}", {"loans": "data"}, {}),
        ("rows = loans(t)\n    rows = more(rows)\n    return {'data': rows}", {}, {}),
    ],
)  # fmt: skip
def test_answers_of_routes_in_python(text: str, wraps: dict[str, str], fields: dict[str, dict[str, str]]) -> None:
    (route,) = read_routes("a.py", ast.parse(f"@app.get('/x/<t>')\ndef x(t):\n    {text}\n"))
    assert {name: field for name, field in route.wraps.items() if name == "loans"} == wraps
    assert dict(route.answers) == fields


@pytest.mark.parametrize(
    ("text", "wraps", "fields"),
    [
        ("const a = await lib.list(x); res.json({ data: a.map((r) => ({ id: r.no })) })",
         {"list": "data"}, {"list": {"id": "no"}}),
        ("const a = list(x); return a.map(r => ({ id: r.no, t: names.get(r.by) }));", {}, {"list": {"id": "no"}}),
        ("const a = await list(x); return { total: 1, a };", {"list": "a"}, {}),
        ("const a = await list(x); return a.filter(f);", {}, {}),
    ],
)  # fmt: skip
def test_answers_of_routes_in_javascript(text: str, wraps: dict[str, str], fields: dict[str, dict[str, str]]) -> None:
    told = read_answer(text)
    assert ({name: field for name, field in told[0].items() if name == "list"}, told[1]) == (wraps, fields)


def test_a_script_that_computes_its_table_is_proposed_as_the_step(tmp_path: Path) -> None:
    script = CREATE.replace('KeySchema: [{ AttributeName: "PK", KeyType: "HASH" }', "KeySchema: [...keys()")
    settings, body = made(tmp_path, {**NODE, "tools/create-table.js": script})
    assert settings.steps.schema_load.command == ["node", "tools/create-table.js"]
    assert settings.steps.schema_load.files == ["tools/create-table.js"]
    assert not any(each.startswith("tools/create-table.js") for each in body["unused"])
    written = (tmp_path / "devenv.toml").read_text()
    assert "MODULE:FUNCTION" not in written
    assert '# command = ["node", "scripts/list.js", "{group_id}"]' in written


def test_the_line_that_traces_has_an_id_of_the_items(tmp_path: Path) -> None:
    _, body = made(tmp_path, {**NODE, "tools/create-table.js": CREATE})
    assert f"devenv trace latest_loans {HAMMER}" in body["lines"]
