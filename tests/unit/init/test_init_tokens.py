"""`devenv init` on applications that sign their own tokens, and what it prints of what it cannot declare."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.init.command import init
from devenv.render.init_text import init_text
from tests.unit.init.test_init_kinds import made, write
from tests.unit.init.test_init_plain_tables import FILES, table

LIST = """\
import boto3
from boto3.dynamodb.conditions import Key
from fastapi import Depends, FastAPI
from auth import current
app = FastAPI()
orders = boto3.resource("dynamodb").Table("orders")
def orders_of(customer_id: str):
    return orders.query(KeyConditionExpression=Key("customer_id").eq(customer_id))["Items"]
@app.get("/orders")
def mine(customer_id: str = Depends(current)):
    return orders_of(customer_id)
"""
ENCODE = """\
import os
import jwt
SECRET = os.environ["JWT_SECRET"]
def make(user):
    payload = {"sub": str(user["id"]), "email": user["email"], "role": "member", "exp": 1}
    return jwt.encode(payload, SECRET, algorithm="HS512")
def current(token):
    return jwt.decode(token, SECRET, algorithms=["HS512"], audience="shop")["sub"]
"""
DECODE = """\
import os
from jose import jwt
def current(token):
    claims = jwt.decode(token, os.getenv("JWT_SECRET"), algorithms="HS256")
    return claims["customer_id"] or claims.get("email")
"""
SETTINGS = """\
import jwt
from pydantic_settings import BaseSettings
class Settings(BaseSettings):
    jwt_secret: str
settings = Settings()
def current(token):
    return jwt.decode(token, settings.jwt_secret, algorithms=["HS256"])["sub"]
"""
FIXED = ENCODE.replace('os.environ["JWT_SECRET"]', '"s3cret"')
FOREIGN = ENCODE.replace("HS512", "RS256")
SERVED = "from flask import Flask\napp = Flask(__name__)\n"
SERVER = """\
const jwt = require('jsonwebtoken');
const { QueryCommand } = require('@aws-sdk/lib-dynamodb');
function auth(req, res, next) {
  req.user = jwt.verify(req.headers.authorization.slice(7), process.env.TOKEN_SECRET, { issuer: 'shop' });
  next();
}
app.post('/login', (req, res) => res.json({ token: jwt.sign({ customerId: row.id }, process.env.TOKEN_SECRET) }));
app.get('/orders', auth, async (req, res) => {
  const out = await ddb.send(new QueryCommand({ TableName: 'orders', KeyConditionExpression: 'customer_id = :c',
    ExpressionAttributeValues: { ':c': req.user.customerId } }));
  res.json(out.Items);
});
"""


@pytest.mark.parametrize(
    ("auth", "algorithm", "claims"),
    [
        (ENCODE, "HS512", {"aud": "shop", "sub": "{person.id}", "email": "{person.email}", "role": "member"}),
        (DECODE, "HS256", {"customer_id": "{person.id}", "email": "{person.email}"}),
        (SETTINGS, "HS256", {"sub": "{person.id}"}),
    ],
    ids=["encode", "decode", "settings"],
)
def test_tokens_of_pyjwt(tmp_path: Path, auth: str, algorithm: str, claims: dict[str, str]) -> None:
    settings, body = made(tmp_path, {**FILES, "main.py": LIST, "auth.py": auth})
    token = settings.token
    assert token is not None
    assert (token.env, token.algorithm, token.claims) == ("JWT_SECRET", algorithm, claims)
    assert settings.env["JWT_SECRET"] == "{key}"
    assert settings.trace["orders_of"].title == "the orders"
    request = settings.trace["orders_of"].request
    assert request is not None
    assert request.headers == {"Authorization": "Bearer {token}"}
    assert body["undeclared"] == []


def test_tokens_of_jsonwebtoken(tmp_path: Path) -> None:
    package = '{"name": "x", "scripts": {"start": "node server.js"}, "dependencies": {"express": "4"}}'
    settings, _ = made(tmp_path, {**FILES, "package.json": package, "server.js": SERVER})
    token = settings.token
    assert token is not None
    assert (token.env, token.algorithm) == ("TOKEN_SECRET", "HS256")
    assert token.claims == {"iss": "shop", "customerId": "{person.id}"}
    assert settings.env["TOKEN_SECRET"] == "{key}"
    assert settings.trace["orders"].where == {"customer_id": "{person.id}"}


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        (FIXED, "[token]: the key of auth.py:6 is not read from a variable."),
        (FOREIGN, "[token]: auth.py:6 uses RS256, with which devenv cannot sign. Declare [token] command"),
        (
            "def current(request):\n    return look_up(request.headers.get('Authorization'))\n",
            "[token]: auth.py:2 reads the header Authorization, but how its token is made was not recognised.",
        ),
    ],
    ids=["fixed key", "other algorithm", "unknown"],
)
def test_a_token_that_cannot_be_declared_is_named_with_the_next_step(tmp_path: Path, auth: str, said: str) -> None:
    settings, body = made(tmp_path, {**FILES, "main.py": LIST, "auth.py": auth})
    assert settings.token is None
    assert [line.startswith(said) for line in body["undeclared"]] == [True]
    assert "devenv help configuration" in body["undeclared"][0]


def test_a_header_of_its_own_carries_an_opaque_token(tmp_path: Path) -> None:
    app = """\
import boto3
from boto3.dynamodb.conditions import Key
from flask import Flask, request
app = Flask(__name__)
def who():
    return one("SELECT id FROM customers WHERE api_key = %s", request.headers.get("X-Api-Key"))
@app.get("/me/orders")
def mine():
    customer_id = who()
    return boto3.resource("dynamodb").Table("orders").query(
        KeyConditionExpression=Key("customer_id").eq(customer_id))["Items"]
"""
    settings, _ = made(tmp_path, {**FILES, "app.py": app})
    request = settings.trace["mine"].request
    assert request is not None
    assert request.headers == {"X-Api-Key": "{token}"}


def test_what_is_not_traced_is_printed_with_the_reason_and_the_next_step(tmp_path: Path) -> None:
    app = """\
import boto3
from boto3.dynamodb.conditions import Key
table = boto3.resource("dynamodb").Table("shop")
def mine(user):
    return table.query(KeyConditionExpression=Key("pk").eq(f"USER#{user}"))["Items"]
"""
    report = init(write(tmp_path, {"t.json": table("shop", "pk", "sk"), "app.py": app}))
    assert (
        "not declared: [trace.mine] (app.py:5): no entity was found for its pk. Declare the entity, then the trace:"
        " devenv help traces" in init_text(report, False)
    )


def test_the_reason_of_a_template_of_a_trace_is_printed(tmp_path: Path) -> None:
    items = '[{"pk": "ORDER#1", "sk": "LINE#1"}, {"pk": "ORDER#2", "sk": "LINE#2"}]'
    report = init(write(tmp_path, {"t.json": table("shop", "pk", "sk"), "items.json": items}))
    (name,) = [line for line in (tmp_path / "devenv.toml").read_text().splitlines() if line.startswith("# [trace.")][:1]
    assert (
        f"not declared: {name.removeprefix('# ')}: no query by key was recognised in your code."
        " Complete its template in devenv.toml" in init_text(report, False)
    )


def test_edits_come_before_the_commands_that_they_may_need_trust_for(tmp_path: Path) -> None:
    edited = {"t.json": table("shop", "pk", "sk"), "db/a.sql": "CREATE EXTENSION postgis;", "bin/app.py": SERVED}
    printed = init_text(init(write(tmp_path, edited)), False)
    steps = [line.strip("\x1b[01m ") for line in printed[printed.index("next:") + 1 :]]
    assert steps[0].startswith("review EDIT 1")
    assert "devenv up" in steps[1:]


def test_a_person_that_is_not_recognised_is_named(tmp_path: Path) -> None:
    sql = {"db/schema.sql": "CREATE TABLE things (id uuid PRIMARY KEY);"}
    _, body = made(tmp_path, {**FILES, **sql, "main.py": LIST, "auth.py": ENCODE})
    assert [line.partition(" identifies")[0] for line in body["undeclared"]] == ["[person], [token]: auth.py:6"]
