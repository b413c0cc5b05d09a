"""The variables that JavaScript, TypeScript and Prisma hand to the stores' clients and to jsonwebtoken."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.init.javascript_code import read_scripts
from devenv.init.survey import survey

CLIENT = "import { DynamoDBClient } from '@aws-sdk/client-dynamodb';\n"
PG = "import { Pool } from 'pg';\n"


def uses(text: str, **more: str) -> dict[str, str]:
    files, _ = read_scripts({"src/db.ts": text, **{f"src/{n}.ts": t for n, t in more.items()}}, {}, frozenset())
    return dict(files["src/db.ts"].code.uses)


@pytest.mark.parametrize(
    "text",
    [
        "const ddb = new DynamoDBClient({ endpoint: process.env.DYNAMO });",
        "const ddb = new DynamoDBClient({ region: 'x', endpoint: process.env.DYNAMO ?? 'http://localhost:8000' });",
        "const ddb = new DynamoDBClient({ endpoint: process.env.DYNAMO || undefined });",
        "const ddb = new DynamoDBClient({ endpoint: process.env.DYNAMO! });",
        "const ddb = new AWS.DynamoDB.DocumentClient({ endpoint: process.env['DYNAMO'] });",
        "const endpoint = process.env.DYNAMO;\nconst ddb = new DynamoDBClient({ ...(endpoint ? { endpoint } : {}) });",
        "const options = { endpoint: process.env.DYNAMO };\nconst ddb = new DynamoDBClient(options);",
    ],
)
def test_the_endpoint_of_dynamodb(text: str) -> None:
    assert uses(CLIENT + text) == {"DYNAMO": "{dynamodb_url}"}


def test_the_endpoint_of_another_client_is_none_of_dynamodb() -> None:
    assert uses("const s3 = new S3Client({ endpoint: process.env.STORE });") == {}


@pytest.mark.parametrize(
    ("config", "imported"),
    [
        ("export const config = { dynamo: process.env.DYNAMO };", "import { config } from './config';"),
        ("export default { dynamo: process.env.DYNAMO };", "import config from './config';"),
        ("export const dynamo = process.env.DYNAMO;", "import * as config from './config';"),
        ("const dynamo = process.env.DYNAMO;\nmodule.exports = { dynamo };", "const config = require('./config');"),
    ],
)
def test_settings_of_another_file(config: str, imported: str) -> None:
    text = f"{imported}\nconst ddb = new DynamoDBClient({{ endpoint: config.dynamo }});"
    assert uses(text, config=config) == {"DYNAMO": "{dynamodb_url}"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{PG}new Pool({{ connectionString: process.env.SHOP_DB }});", {"SHOP_DB": "{postgres_url}"}),
        ("import postgres from 'postgres';\nconst db = postgres(process.env.SHOP_DB!);", {"SHOP_DB": "{postgres_url}"}),
        ("module.exports = { client: 'pg', connection: process.env.SHOP_DB };", {"SHOP_DB": "{postgres_url}"}),
        (
            f"{PG}new Pool({{ host: process.env.DB_H, port: Number(process.env.DB_P), database: process.env.DB_N }});",
            {"DB_H": "{postgres_host}", "DB_P": "{postgres_port}", "DB_N": "{postgres_database}"},
        ),
        ("new Client({ host: process.env.MAIL_HOST });", {}),
    ],
)
def test_the_address_of_postgres(text: str, found: dict[str, str]) -> None:
    assert uses(text) == found


SCHEMA = """\
generator client { provider = "prisma-client-js" }
datasource db {
  provider = "PROVIDER"
  url      = env("COURSES_DB")
}
"""


@pytest.mark.parametrize(("provider", "found"), [("postgresql", {"COURSES_DB": "{postgres_url}"}), ("mysql", {})])
def test_the_schema_of_prisma(tmp_path: Path, provider: str, found: dict[str, str]) -> None:
    (tmp_path / "schema.prisma").write_text(SCHEMA.replace("PROVIDER", provider))
    (code,) = survey(tmp_path).code
    assert (dict(code.uses), dict(code.variables)) == (found, dict.fromkeys(found, 4))


@pytest.mark.parametrize(
    "config",
    [
        "export const config = { jwtSecret: process.env.JWT_SECRET };",
        "export const config = { jwtSecret: process.env.JWT_SECRET ?? 'dev' };",
        "function need(name: string) { return process.env[name]!; }\n"
        "export const config = { jwtSecret: need('JWT_SECRET') };",
    ],
)
def test_the_key_of_a_token_in_the_settings_of_another_file(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.ts").write_text(config)
    (tmp_path / "auth.ts").write_text(
        "import jwt from 'jsonwebtoken';\nimport { config } from './config';\n"
        "export const sign = (id: string) => jwt.sign({ sub: id }, config.jwtSecret);\n"
    )
    (use,) = survey(tmp_path).jwt
    assert (use.variable, use.makes) == ("JWT_SECRET", True)
