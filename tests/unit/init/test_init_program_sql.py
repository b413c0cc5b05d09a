"""Programs that make tables, demand TLS, only write; one item that a handler gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devenv.init.golang_code import read_go
from devenv.init.javascript import parse_script
from devenv.init.jwt_code import scripts_jwt
from devenv.init.program_sql import done_by_programs, program_tables, tls_demanded
from tests.unit.init.test_init_kinds import made

GO = 'package main\n\nimport "net/http"\n\nfunc main() {\n\thttp.HandleFunc("/trips", %s)\n}\n\n%s\n'


def test_tables_that_a_program_makes_are_named_and_known() -> None:
    texts = {
        "db.go": "package main\n\nfunc make() {\n"
        "\tdb.Exec(`\n\tCREATE TABLE IF NOT EXISTS boats (id TEXT PRIMARY KEY);\n\t`)\n"
        '\tdb.Exec("CREATE TABLE ports (id int)")\n}\n',
        "tests/db.go": "db.Exec(`CREATE TABLE other (id int)`)",
        "migrations/1.js": "knex.raw(`CREATE TABLE crews (id int)`)",
        "known.js": "pool.query('CREATE TABLE users (id int)')",
    }
    found = program_tables(texts)
    assert [table.name for each in found for table in each.tables] == ["boats", "ports", "crews", "users"]
    assert done_by_programs(texts, found, {"users"}) == [
        "db.go:4: this program creates tables `boats`, `ports` when it runs. No SQL file does, so neither does"
        " [steps.setup]"
    ]


@pytest.mark.parametrize(
    ("file", "text", "is_told"),
    [
        ("db.go", 'dsn := "host=%s sslmode=require"', True),
        ("db.go", 'dsn := "host=%s sslmode=disable"', False),
        ("db.js", "const { Pool } = require('pg');\nnew Pool({ ssl: { rejectUnauthorized: false } })", True),
        (
            "db.js",
            "const { Pool } = require('pg');\nnew Pool({ ssl: prod ? { rejectUnauthorized: false } : false })",
            False,
        ),
        ("db.js", "new Mailer({ ssl: true })", False),
    ],
)
def test_tls_that_no_variable_switches_off(file: str, text: str, is_told: bool) -> None:
    assert bool(tls_demanded({file: text})) is is_told


@pytest.mark.parametrize(
    ("name", "body", "is_route"),
    [
        ("listTrips", "json.NewEncoder(w).Encode(trips)", True),
        ("handle", "json.NewDecoder(r.Body).Decode(&trip)", False),
        ("deleteTrip", "remove(r)", False),
        ("handle", "db.DeleteItem(ctx, in)", False),
        ("handle", "if r.Method != http.MethodPost { return }", False),
        ("handle", "if r.Method == http.MethodPost { add(r.Body); return }; list(r)", True),
        ("handle", "if r.Method == http.MethodPost { add(r.Body); return }; w.WriteHeader(405)", False),
        ("addresses", "list(r)", True),
        ("handle", "switch r.Method { case http.MethodGet: list(); case http.MethodPost: add(r.Body) }", True),
    ],
)
def test_a_function_for_every_method_that_only_writes_is_no_route(name: str, body: str, is_route: bool) -> None:
    text = GO % (name, f"func {name}(w http.ResponseWriter, r *http.Request) {{ {body} }}")
    assert [r.path for r in read_go({"main.go": text}, {}, frozenset())["main.go"].code.routes] == ["/trips"] * is_route


def test_the_key_of_a_readme_and_one_item_that_a_handler_gets(tmp_path: Path) -> None:
    package = {"scripts": {"start": "node main.js"}, "dependencies": {"express": "4", "pg": "8"}}
    settings, report = made(
        tmp_path,
        {
            "README.md": "Run\n\n```\naws dynamodb create-table --table-name trips \\\n"
            "  --attribute-definitions AttributeName=trip_id,AttributeType=S \\\n"
            "  --key-schema AttributeName=trip_id,KeyType=HASH --billing-mode PAY_PER_REQUEST\n```\n",
            "package.json": json.dumps(package),
            "main.js": "app.use('/trips', require('./trips'));\napp.listen(4140);\n",
            "trips.js": "const { GetCommand, PutCommand } = require('@aws-sdk/lib-dynamodb');\n"
            "router.post('/', async (req, res) => {\n  const { trip_id, name } = req.body;\n"
            "  await doc.send(new PutCommand({ TableName: 'trips', Item: { trip_id, name, port: 'x' } }));\n});\n"
            "router.get('/:id', async (req, res) => {\n"
            "  const found = await doc.send(new GetCommand({ TableName: 'trips', Key: { trip_id: req.params.id } }));\n"
            "  res.json(found.Item || {});\n});\nmodule.exports = router;\n",
        },
    )
    assert "README.md:4: the definition of table trips" in report["found"]
    (trace,) = settings.trace.values()
    assert trace.request is not None
    assert (trace.request.path, trace.ids, trace.where) == (
        "/trips/{id}",
        {"dynamodb": "trip_id", "http": "trip_id"},
        {"trip_id": "{id}"},
    )


def test_a_key_with_the_word_of_a_table_leads_to_its_rows(tmp_path: Path) -> None:
    settings, _ = made(
        tmp_path,
        {
            "boats.sql": "CREATE TABLE boats (id serial PRIMARY KEY); CREATE TABLE ports (id serial PRIMARY KEY);",
            "log.js": "const { PutItemCommand } = require('@aws-sdk/client-dynamodb');\n"
            "exports.write = (entry) => db.send(new PutItemCommand({ TableName: 'log', Item: {\n"
            "  PK: { S: `BOAT#${entry.about}` },\n  SK: { S: `${entry.what}#${timestamp}` },\n"
            "  what: { S: entry.what } } }));\n",
        },
    )
    assert [(link.source, link.to) for link in settings.links] == [("dynamodb:log.PK[BOAT#{}]", "postgres:boats.id")]
    assert settings.entities["boat"].attributes["SK"] == "string"


def test_the_claims_of_a_token_whose_content_has_a_type() -> None:
    text = (
        "import jwt from 'jsonwebtoken';\nexport interface Content {\n  userId: string;\n  email?: string;\n}\n"
        "export const sign = (content: Content): string => jwt.sign(content, process.env.JWT_KEY);\n"
    )
    script = parse_script(text)
    assert script is not None
    (use,) = scripts_jwt({"token.ts": script})
    assert (use.variable, [*use.claims]) == ("JWT_KEY", ["userId", "email"])


def test_the_type_of_a_value_that_a_condition_chooses(tmp_path: Path) -> None:
    settings, _ = made(
        tmp_path,
        {
            "db.sql": "CREATE TABLE ports (id int PRIMARY KEY);",
            "trips.js": "const { GetCommand, PutCommand } = require('@aws-sdk/lib-dynamodb');\n"
            "exports.one = (id) => doc.send(new GetCommand({ TableName: 'trips', Key: { trip_id: id } }));\n"
            "exports.add = async (trip_id, crew, note, fee) => doc.send(new PutCommand({ TableName: 'trips', Item: {\n"
            "  trip_id, crew: crew ? parseInt(crew) : 0, fee: fee ? parseFloat(fee) : null,\n"
            "  at: 'x', open: true } }));\n",
        },
    )
    (entity,) = settings.entities.values()
    assert entity.attributes["crew"] == "number"
    assert {"at", "open"} <= set(entity.attributes)
    assert entity.attributes.get("fee") in (None, "number")
