"""Tables that no file defines, settings that only an example shows, schemas of Prisma without migrations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devenv.init.databases import find_databases
from devenv.init.used_keys import KeyUse, derived_tables
from tests.unit.init.test_init_kinds import made

EXPRESS = {
    "scripts": {"start": "node main.js"},
    "dependencies": {"express": "4", "pg": "8", "@aws-sdk/lib-dynamodb": "3"},
}
HEAD = "const { QueryCommand, GetCommand, PutCommand, DeleteCommand } = require('@aws-sdk/lib-dynamodb');\n"


def key_use(kind: str, names: str, table: str | None = "trips", index: str | None = None) -> KeyUse:
    typed = [each.partition(":") for each in names.split()]
    return KeyUse("a.js", 7, kind, table, tuple((name, type_) for name, _, type_ in typed), index)


def shown(request: dict[str, Any]) -> tuple[Any, ...]:
    types = {each["AttributeName"]: each["AttributeType"] for each in request["AttributeDefinitions"]}
    return tuple((each["AttributeName"], types[each["AttributeName"]]) for each in request["KeySchema"])


@pytest.mark.parametrize(
    ("uses", "key"),
    [
        ([key_use("key", "id:S")], (("id", "S"),)),
        ([key_use("key", "at:N boat:S"), key_use("query", "boat")], (("boat", "S"), ("at", "N"))),
        ([key_use("query", "boat at"), key_use("item", "boat: at:N miles:N")], (("boat", "S"), ("at", "N"))),
        ([key_use("item", "PK:S SK:S name:S")], (("PK", "S"), ("SK", "S"))),
        # A hash key alone may not be the whole key.
        ([key_use("query", "boat"), key_use("item", "boat:S at:S")], None),
        ([key_use("item", "id:S name:S")], None),
        # Two keys: they are those of two tables.
        ([key_use("key", "id:S"), key_use("key", "boat:S at:S")], None),
        ([key_use("key", "id:S"), key_use("query", "boat")], None),
    ],
)
def test_the_key_that_all_requests_agree_on(uses: list[KeyUse], key: Any) -> None:
    found = [*derived_tables(uses, (), {}, ())]
    assert [shown(dict(each.request)) for each in found] == ([key] if key else [])
    assert all(each.derived == "a.js:7" for each in found)


def test_indexes_and_what_expires() -> None:
    uses = [
        key_use("key", "boat:S at:S"),
        key_use("query", "port", index="by-port"),
        key_use("query", "port at", index="by-port"),
        key_use("query", "boat miles", index="by-miles"),
        key_use("item", "boat:S at:S port:S miles:N ttl:N"),
    ]
    (found,) = derived_tables(uses, (), {}, ())
    (index,) = found.request["GlobalSecondaryIndexes"]
    (local,) = found.request["LocalSecondaryIndexes"]
    assert [each["AttributeName"] for each in index["KeySchema"]] == ["port", "at"]
    assert (local["IndexName"], shown({**found.request, **local})) == ("by-miles", (("boat", "S"), ("miles", "N")))
    assert found.request["TimeToLiveSpecification"] == {"Enabled": True, "AttributeName": "ttl"}


@pytest.mark.parametrize(
    ("variables", "read", "table"),
    [
        ({"TRIPS_TABLE": "trips-dev"}, ["PORT"], "trips-dev"),
        ({}, ["DYNAMODB_BOAT_LOGS_TABLE_NAME"], "boat-logs"),
        ({"TRIPS_TABLE": "a-1", "LOGS_TABLE": "b-1"}, [], None),
        ({}, ["PORT"], None),
    ],
)
def test_a_name_that_is_computed_is_that_of_the_only_variable(
    variables: dict[str, str], read: list[str], table: str | None
) -> None:
    found = derived_tables([key_use("key", "id:S", None)], (), variables, read)
    assert [each.table for each in found] == ([table] if table else [])


def test_a_table_that_is_defined_is_not_derived() -> None:
    uses = [key_use("key", "id:S"), key_use("key", "id:S", None), key_use("key", "x:S", "other")]
    assert [each.table for each in derived_tables(uses, ["trips"], {}, ())] == ["other"]


def test_javascript_whose_settings_are_in_a_file_that_is_not_there(tmp_path: Path) -> None:
    settings, report = made(
        tmp_path,
        {
            "package.json": json.dumps(EXPRESS),
            "boats.sql": "CREATE TABLE boats (id int PRIMARY KEY);",
            "main.js": "const settings = require('./settings.json');\n"
            "app.get('/trips/:id', require('./trips'));\napp.listen(settings.web.port);\n",
            "store.js": "const settings = require('./settings.json');\n"
            "module.exports = { table: settings.store.table };\n",
            "trips.js": f"{HEAD}const {{ table }} = require('./store');\n"
            "exports.trip = async (id) =>\n"
            "  (await doc.send(new GetCommand({ TableName: table, Key: { trip_id: id } }))).Item;\n",
            "settings.example.json": json.dumps(
                {"web": {"port": 4130}, "store": {"table": "voyages"}, "db": {"port": 5432, "database": "harbour"}}
            ),
        },
    )
    (request,) = [json.loads(path.read_text()) for path in tmp_path.rglob("tables/*.json")]
    assert (request["TableName"], shown(request)) == ("voyages", (("trip_id", "S"),))
    assert settings.backend is not None
    assert (settings.backend.port, settings.postgres.database) == (4130, "harbour")
    assert any("main.js needs settings.json, which does not exist" in each for each in report["unused"])
    assert any("No file defines table voyages" in each for each in report["edits"])


def test_go_whose_program_makes_its_tables(tmp_path: Path) -> None:
    settings, report = made(
        tmp_path,
        {
            "go.mod": "module boats\n\nrequire github.com/lib/pq v1.10.9\n",
            "names.go": 'package main\n\nconst TripsTable = "trips"\n',
            "main.go": "package main\n\n"
            'import (\n\t"net/http"\n\t"github.com/aws/aws-sdk-go-v2/service/dynamodb"\n)\n\n'
            "func remove(id string) {\n\tdb.DeleteItem(ctx, &dynamodb.DeleteItemInput{\n"
            "\t\tTableName: aws.String(TripsTable),\n"
            '\t\tKey: map[string]types.AttributeValue{"trip_id": &types.AttributeValueMemberS{Value: id}},\n\t})\n}\n\n'
            'func main() {\n\tos.Getenv("DB_NAME")\n\thttp.ListenAndServe(":4131", nil)\n}\n',
        },
    )
    (request,) = [json.loads(path.read_text()) for path in tmp_path.rglob("tables/*.json")]
    assert (request["TableName"], shown(request)) == ("trips", (("trip_id", "S"),))
    assert settings.backend is not None
    assert settings.backend.command == ["go", "run", "."]
    assert "[postgres]" in (tmp_path / "devenv.toml").read_text()
    assert report["needed"] == []


def test_a_schema_of_prisma_without_migrations_is_pushed(tmp_path: Path) -> None:
    schema = (
        'datasource db {\n  provider = "postgresql"\n  url = env("DATABASE_URL")\n}\nmodel Boat {\n  id String @id\n}\n'
    )
    settings, _ = made(tmp_path, {"api/prisma/schema.prisma": schema, "api/package.json": json.dumps(EXPRESS)})
    step = settings.steps.setup.migrations
    assert "cd api && npx --no-install prisma db push" in str(step)


def test_a_variable_for_a_table_is_no_part_of_an_address(tmp_path: Path) -> None:
    settings, _ = made(
        tmp_path,
        {
            "package.json": json.dumps(EXPRESS),
            "log.ts": "export class Log { constructor(private config: ConfigService) {}\n"
            "  add(user: string) { const name = this.config.get<string>('USER_LOGS_TABLE_NAME');\n"
            "    return doc.send(new PutItemCommand({ TableName: name, Item: { PK: { S: `USER#${user}` },\n"
            "      SK: { S: 'x' }, what: { S: 'y' } } })); } }\n",
        },
    )
    assert settings.env["USER_LOGS_TABLE_NAME"] == "user-logs"


def test_a_text_that_is_put_together_is_no_link(tmp_path: Path) -> None:
    settings, _ = made(
        tmp_path,
        {
            "boats.sql": "CREATE TABLE owners (id text PRIMARY KEY); CREATE TABLE boats (id text PRIMARY KEY);",
            "package.json": json.dumps(EXPRESS),
            "cache.js": f"{HEAD}exports.cached = async (ownerId, state) => (await doc.send(new GetCommand({{\n"
            "  TableName: 'cache', Key: { ownerId, boatId: `list-${state}` } }))).Item;\n",
        },
    )
    assert [link.source for link in settings.links] == ["dynamodb:cache.ownerId"]


def test_a_database_that_a_program_creates_by_a_name() -> None:
    text = "const name = 'harbour';\nawait client.query(`CREATE DATABASE ${name}`);"
    assert find_databases([text]) == ("harbour",)
