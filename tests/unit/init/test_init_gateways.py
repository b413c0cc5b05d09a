"""`devenv init` names a function behind an API gateway, which no server of the project serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made

SCRIPT = """const db = require('./db');
exports.handler = async (event) => {
  const { path, httpMethod } = event;
  if (path === '/bikes' && httpMethod === 'GET') return { statusCode: 200, body: '[]' };
};
"""
PYTHON = "import json\n\ndef lambda_handler(event, context):\n    return route(event['path'])\n"
CALLER = "const { handler } = require('../lambda/index');\nhandler({ path: '/bikes', httpMethod: 'GET' });\n"
SQL = {"schema.sql": "CREATE TABLE stations (id text PRIMARY KEY);"}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"lambda/index.js": SCRIPT, "scripts/local.js": CALLER},
            "lambda/index.js:2 handler answers the requests of an API gateway (`httpMethod`), and nothing here"
            " serves it over HTTP. scripts/local.js calls it.",
        ),
        ({"api/main.py": PYTHON}, "api/main.py:3 lambda_handler answers the requests of an API gateway"),
    ],
)
def test_a_function_behind_a_gateway_is_named(tmp_path: Path, files: dict[str, str], said: str) -> None:
    _, body = made(tmp_path, {**SQL, **files})
    lines = [str(line) for line in body["undeclared"] if str(line).startswith("[backend]")]
    assert len(lines) == 1
    assert said in lines[0]


@pytest.mark.parametrize("text", [SCRIPT.replace("path, httpMethod", "Records").replace("httpMethod", "Records")])
def test_a_function_on_a_stream_or_of_a_stream_is_not(tmp_path: Path, text: str) -> None:
    server = {"package.json": '{"scripts": {"start": "node s.js"}, "dependencies": {"express": "4"}}', "s.js": ""}
    _, body = made(tmp_path, {**SQL, "lambda/index.js": text.replace("path ===", "kind ===")})
    _, beside = made(tmp_path / "other", {**SQL, "lambda/index.js": SCRIPT, **server})
    assert not any("API gateway" in str(line) for line in (*body["undeclared"], *beside["undeclared"]))
