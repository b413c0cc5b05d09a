"""`sql` of a trace is the row that its route relies on: the user's only where the request depends on the user."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.config.schema import Settings
from tests.unit.init.test_init_kinds import made
from tests.unit.init.test_init_single_table import TABLE

SQL = """\
CREATE TABLE tasters (id uuid PRIMARY KEY, email text NOT NULL UNIQUE);
CREATE TABLE casks (id serial PRIMARY KEY, code text NOT NULL UNIQUE, wood text);
"""
QUERIES = """
def tastings(cask_id):
    return table.query(
        KeyConditionExpression=Key("PK").eq(f"CASK#{cask_id}") & Key("SK").begins_with("TASTING#")
    )["Items"]

def mine(taster_id):
    return table.query(KeyConditionExpression=Key("PK").eq(f"TASTER#{taster_id}"))["Items"]
"""
STORE = f"""
import boto3, psycopg
from boto3.dynamodb.conditions import Key
table = boto3.resource("dynamodb").Table("shop")

def connect():
    return psycopg.connect()

def row_of(number):
    with connect() as db:
        return db.execute("SELECT id, wood FROM casks c WHERE c.id = %s", (number,)).fetchone()

def names(ids):
    with connect() as db:
        return db.execute("SELECT id, email FROM tasters WHERE id = ANY(%s)", (list(ids),)).fetchall()
{QUERIES}
def place(cask_id, at, note):
    table.put_item(Item={{"PK": f"CASK#{{cask_id}}", "SK": f"TASTING#{{at}}", "at": at, "note": note}})

def keep(taster_id, at):
    table.put_item(Item={{"PK": f"TASTER#{{taster_id}}", "SK": f"KEPT#{{at}}", "at": at}})
"""
MAIN = """
from fastapi import FastAPI, HTTPException
from . import store
app = FastAPI()

@app.get("/casks/{cask_id}/tastings")
def list_tastings(cask_id: int):
    CHECK
    return store.tastings(cask_id)

@app.get("/tasters/{taster_id}/kept")
def list_mine(taster_id: str):
    return store.mine(taster_id)
"""
EXPRESS = """
const express = require('express');
const { QueryCommand, PutCommand } = require('@aws-sdk/lib-dynamodb');
const { Pool } = require('pg');
const pool = new Pool();
const app = express();
async function cask(id) {
  const { rows } = await pool.query('SELECT id, wood FROM casks WHERE id = $1', [id]);
  return rows[0];
}
async function tastings(caskId) {
  const { Items } = await doc.send(new QueryCommand({
    TableName: 'shop', KeyConditionExpression: 'PK = :p AND begins_with(SK, :s)',
    ExpressionAttributeValues: { ':p': `CASK#${caskId}`, ':s': 'TASTING#' },
  }));
  return Items;
}
async function place(caskId, at, note) {
  await doc.send(new PutCommand({ TableName: 'shop', Item: { PK: `CASK#${caskId}`, SK: `TASTING#${at}`, at, note } }));
}
app.get('/casks/:id/tastings', async (req, res) => {
  if (!(await cask(req.params.id))) return res.status(404).end();
  res.json(await tastings(req.params.id));
});
app.listen(process.env.PORT);
"""
FILES = {"table.json": TABLE, "db/s.sql": SQL, "requirements.txt": "fastapi\nboto3\npsycopg\n", "app/__init__.py": ""}


def drafted(root: Path, check: str, store: str = STORE) -> Settings:
    return made(root, {**FILES, "app/main.py": MAIN.replace("CHECK", check), "app/store.py": store})[0]


def test_the_row_that_a_route_looks_up_by_its_parameter(tmp_path: Path) -> None:
    settings = drafted(tmp_path, "if store.row_of(cask_id) is None: raise HTTPException(404)")
    assert settings.trace["tastings"].sql == "SELECT id FROM public.casks WHERE id = %(cask_id)s"


def test_the_row_of_a_person_belongs_to_what_depends_on_the_person(tmp_path: Path) -> None:
    settings = drafted(tmp_path, "names = store.names([])")
    assert settings.person is not None
    assert settings.trace["tastings"].sql is None
    assert settings.trace["mine"].sql == "SELECT id FROM public.tasters WHERE email = %(person.email)s"


@pytest.mark.parametrize(
    ("check", "old", "new"),
    [
        ("store.row_of(7)", "", ""),
        ("store.row_of(cask_id)", "WHERE c.id = %s", "WHERE c.id <> %s"),
        ("store.row_of(cask_id)", "WHERE c.id = %s", "WHERE c.wood = 'oak' AND c.id = %s"),
        ("store.row_of(cask_id)", "FROM casks c", "FROM casks c JOIN tasters t ON true"),
        ("store.row_of(cask_id)", "(number,)", "(number.other,)"),
        ("store.row_of(cask_id)", "FROM casks c", "FROM barrels c"),
    ],
)
def test_a_lookup_that_is_not_by_the_parameter_alone_is_none(tmp_path: Path, check: str, old: str, new: str) -> None:
    settings = drafted(tmp_path, check, STORE.replace(old, new))
    assert settings.trace["tastings"].sql is None


def test_a_route_of_express_has_its_own_name_for_the_parameter(tmp_path: Path) -> None:
    """`:id` of the path is the trace's `caskId`."""
    package = '{"dependencies": {"express": "4", "pg": "8"}, "scripts": {"start": "node server.js"}}'
    settings, _ = made(tmp_path, {**FILES, "package.json": package, "server.js": EXPRESS})
    trace = settings.trace["tastings"]
    assert (dict(trace.params), trace.sql) == (
        {"caskId": "string"},
        "SELECT id FROM public.casks WHERE id = %(caskId)s",
    )
