"""Variables that a project reads through a function of its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from devenv.init.variable_readers import with_read_variables, with_script_variables
from tests.unit.init.test_init_variables import env_of

PYTHON = """\
import os
def need(name):
    value = os.environ.get(name)
    if not value:
        raise RuntimeError(name)
    return value
def env(name, default=None):
    return os.getenv(name, default)
def get(name):
    return os.environ[name]
def fetch(name, path):
    return open(path).read() + name
"""


@pytest.mark.parametrize(
    ("call", "read"),
    [
        ("need('MILL_KEY')", "os.environ['MILL_KEY']"),
        ("conf.need('MILL_KEY')", "os.environ['MILL_KEY']"),
        ("env('MILL_KEY')", "os.environ.get('MILL_KEY')"),
        ("env('MILL_KEY', 'x')", "os.environ.get('MILL_KEY', 'x')"),
        ("env('MILL_KEY', default='x')", "os.environ.get('MILL_KEY', 'x')"),
        ("get('MILL_KEY')", "os.environ['MILL_KEY']"),
        ("headers.get('HOST')", "headers.get('HOST')"),
        ("need('flour')", "need('flour')"),
        ("fetch('MILL_KEY', 'a')", "fetch('MILL_KEY', 'a')"),
    ],
)
def test_a_call_of_python_is_the_variable(call: str, read: str) -> None:
    trees = {"conf.py": ast.parse(PYTHON), "app.py": ast.parse(f"x = {call}")}
    assert ast.unparse(with_read_variables(trees)["app.py"]) == f"x = {read}"


@pytest.mark.parametrize(
    "reader",
    [
        "function need(name: string): string {\n  const v = process.env[name];\n  return v;\n}",
        "export const need = (name: string): string => process.env[name] ?? '';",
        "const need = function (name) { return process.env[ name ]; };",
    ],
)
def test_a_call_of_javascript_is_the_variable(reader: str) -> None:
    text = "a = need('MILL_KEY');\nb = need(\"PORT\", '3000'); c = x.need('MILL_KEY'); d = need(other); e = kneed('A');"
    found = with_script_variables({"conf.ts": reader, "app.ts": text})
    assert found["app.ts"] == (
        "a = process.env.MILL_KEY;\nb = (process.env.PORT || '3000'); c = x.need('MILL_KEY'); d = need(other);"
        " e = kneed('A');"
    )
    assert found["conf.ts"] == reader
    assert with_script_variables({"app.ts": text}) == {"app.ts": text}


def test_such_a_variable_is_filled_in(tmp_path: Path) -> None:
    script = "const need = (name) => process.env[name];\nmodule.exports = { url: need('MILL_DATABASE_URL') };\n"
    env, text = env_of(tmp_path, {"conf.js": f"{script}const tint = need('TINT');\n", "package.json": "{}"})
    assert env["MILL_DATABASE_URL"] == "{postgres_url}"
    assert 'TINT = "…" # conf.js:3' in text
