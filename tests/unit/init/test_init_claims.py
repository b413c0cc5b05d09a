"""The claims of `[token]` are those that the code reads of a checked token, with the columns that it looks up by."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.init.jwt_claims import script_claims
from tests.unit.init.test_init_kinds import made
from tests.unit.init.test_init_plain_tables import FILES
from tests.unit.init.test_init_tokens import LIST

PACKAGE = '{"name": "x", "scripts": {"start": "node server.js"}, "dependencies": {"express": "4"}}'
SERVER = """\
const jwt = require('jsonwebtoken');
const { byMail } = require('./people');
const { QueryCommand } = require('@aws-sdk/lib-dynamodb');
async function auth(req, res, next) {
  TOKEN
  next();
}
app.get('/orders', auth, async (req, res) => {
  const out = await ddb.send(new QueryCommand({ TableName: 'orders', KeyConditionExpression: 'customer_id = :c',
    ExpressionAttributeValues: { ':c': req.user.id } }));
  res.json(out.Items);
});
"""
LOOKUP = """\
function one(id) {
  return db.query('SELECT * FROM customers WHERE id = $1', [id]);
}
async function byMail(mail) {
  return (await db.query('SELECT * FROM customers c WHERE c.email = $1', [mail])).rows[0];
}
module.exports = { one, byMail };
"""


@pytest.mark.parametrize(
    ("token", "claims"),
    [
        ("const who = jwt.verify(t, process.env.KEY); req.user = await byMail(who.email);", "email"),
        ("const { mail } = jwt.verify(t, process.env.KEY); req.user = await byMail(mail);", "mail"),
        ("const who = jwt.verify(t, process.env.KEY); req.user = await byMail(who['m']);", "m"),
        ("jwt.verify(t, process.env.KEY, async (err, who) => { req.user = await byMail(who.login); });", "login"),
    ],
)
def test_what_a_script_reads(tmp_path: Path, token: str, claims: str) -> None:
    files = {"package.json": PACKAGE, "server.js": SERVER.replace("TOKEN", token), "people.js": LOOKUP}
    settings, body = made(tmp_path, {**FILES, **files})
    assert settings.token is not None
    assert settings.token.claims == {claims: "{person.email}"}
    assert not [edit for edit in body["edits"] if "claim" in edit]


def test_what_python_compares_with_a_column(tmp_path: Path) -> None:
    auth = (
        "import os\nimport jwt\n"
        "def find(login):\n    return run('SELECT id FROM customers WHERE email = %s', (login,))\n"
        "def current(token):\n    seen = jwt.decode(token, os.environ['KEY'], algorithms=['HS256'])\n"
        "    return find(seen.get('login'))\n"
    )
    settings, _ = made(tmp_path, {**FILES, "main.py": LIST, "auth.py": auth})
    assert settings.token is not None
    assert settings.token.claims == {"login": "{person.email}"}


def test_claims_that_are_not_recognised_are_asked_for(tmp_path: Path) -> None:
    files = {
        "package.json": PACKAGE,
        "server.js": SERVER.replace("TOKEN", "load(req, jwt.verify(t, process.env.KEY));"),
        "people.js": LOOKUP,
    }
    settings, body = made(tmp_path, {**FILES, **files})
    assert settings.token is not None
    assert settings.token.claims == {"sub": "{person.id}"}
    assert [edit for edit in body["edits"] if "Which claims server.js:5 reads was not recognised" in edit]


def test_an_alias_and_a_method() -> None:
    text = "const who = jwt.verify(t, k);\nreq.user = who;\nlog(req.user.tenant, who.toString());\n"
    text += "const { a, b: c } = who;"
    assert set(script_claims(text)) == {"tenant", "a", "b"}
