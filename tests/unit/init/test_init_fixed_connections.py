"""`devenv init` names connections to a server in the net that are fixed in the code, without their password."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made

HOST = "shop.abc123.eu-west-1.rds.amazonaws.com"
POOL = "const { Pool } = require('pg');\nmodule.exports = new Pool({\n  host: 'HOST',\n  password: 'S3cret!',\n});\n"
SOURCE = "export default new DataSource({ type: 'postgres', \n host: 'HOST', password: 'S3cret!' });\n"
PYTHON = 'import psycopg2\ndb = psycopg2.connect(dbname="x",\n  host="HOST", password="S3cret!")\n'
ADDRESS = 'package main\n\nconst at = "postgres://me:S3cret!@HOST:5432/shop"\n'
WORDS = 'package main\nvar at = "host=HOST user=me password=S3cret! dbname=shop"\n'


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [("db.js", POOL, 3), ("db.ts", SOURCE, 2), ("db.py", PYTHON, 3), ("db.go", ADDRESS, 3), ("db.go", WORDS, 2)],
)
def test_a_fixed_server_in_the_net_is_named(tmp_path: Path, file: str, text: str, line: int) -> None:
    _, body = made(tmp_path, {"schema.sql": "CREATE TABLE t (id int);", file: text.replace("HOST", HOST)})
    said = [str(each) for each in body["unused"] if HOST in str(each)]
    assert len(said) == 1
    assert said[0].startswith(f"{file}:{line}: connects to {HOST}, which is fixed in the code")
    assert "S3cret" not in "".join(map(str, body.values())) + (tmp_path / "devenv.toml").read_text()


@pytest.mark.parametrize(
    "text",
    [
        POOL.replace("HOST", "localhost"),
        POOL.replace("'HOST'", f"process.env.PGHOST || '{HOST}'"),
        f"// postgres://me@{HOST}/shop\nconst at = process.env.X ?? 'postgres://me@{HOST}/shop';\n",
        "const { Pool } = require('pg');\nconst mail = { host: 'smtp.mail.com' };\n",
    ],
)
def test_an_address_that_a_variable_changes_is_none(tmp_path: Path, text: str) -> None:
    _, body = made(tmp_path, {"schema.sql": "CREATE TABLE t (id int);", "db.js": text})
    assert not any("fixed in the code" in str(each) for each in body["unused"])
