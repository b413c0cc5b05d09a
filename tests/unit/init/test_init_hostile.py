"""init reads files that are made to do harm."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devenv.cli.settings_report import check_settings
from devenv.config.load import load
from devenv.core.errors import UsageError
from devenv.init.command import init, project_name
from devenv.init.survey import survey
from tests.unit.init.test_init import write

# --- files that are made to do harm


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(12)
)
HOSTILE = {
    "run.py": "import pathlib\npathlib.Path('RAN').write_text('x')\nraise SystemExit(3)\n",
    "bin/seed": "#!/usr/bin/env python3\nimport os\nos.system('touch RAN')\nclient.put_item(Item={})\n",
    "deep.py": "x = " + "(" * 5000 + ")" * 5000,
    "null.py": "x = 1\0",
    "loop.py": "TableName = TableName\ncreate_table(TableName=TableName, KeySchema=TableName)\n",
    "docker-compose.yml": "services: !!python/object/apply:os.system ['touch RAN']\n",
    "template.yml": BOMB + "Resources: {T: {Type: AWS::DynamoDB::Table, Properties: {TableName: *m, KeySchema: *m}}}\n",
    "deep.yml": "AWS::DynamoDB::Table" + "[" * 20_000,
    "deep.json": '{"KeySchema": ' + "[" * 50_000,
    "odd.tf": 'resource "aws_dynamodb_table" "x" {{{ name = ',
    "deep.tf": 'resource "aws_dynamodb_table" "x" {' + "a {" * 20_000,
    "unclosed.tf": 'resource "aws_dynamodb_table" "x" {' + "/*" * 200_000,
    "blank.sql": f"CREATE TABLE blank (a b{' ' * 400_000}x);",
    ".env": f"A=x{' ' * 400_000}y\n",
    "long.py": f"import boto3\nclient.query(TableName='t', KeyConditionExpression='{'a' * 250_000}')\n",
    "odd.sql": "CREATE TABLE t (id int, 'unclosed",
    "name\nwith a break.sql": "CREATE TABLE broken (id int PRIMARY KEY);",
    "quote\"]\n[project]\nname='x'.sql": "CREATE TABLE evil (id int PRIMARY KEY);",
}


def test_hostile_files_are_read_and_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, HOSTILE)
    os.mkfifo(tmp_path / "pipe.sql")
    (tmp_path / "big.sql").write_text("CREATE TABLE big (id int);" + " " * 1_100_000)
    (tmp_path / "binary.sql").write_bytes(b"CREATE TABLE bin (id int);\0")
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    write(outside, {"secret.sql": "CREATE TABLE stolen (id int);"})
    (tmp_path / "linked").symlink_to(outside)
    (tmp_path / "linked.sql").symlink_to(outside / "secret.sql")
    with pytest.raises(UsageError, match=r"template\.yml is not read: its aliases"):
        init(tmp_path)
    assert not (tmp_path / "devenv.toml").exists()
    (tmp_path / "template.yml").unlink()
    report = init(tmp_path)
    assert not (tmp_path / "RAN").exists()
    text = (tmp_path / "devenv.toml").read_text()
    loaded = load(tmp_path, {})
    assert loaded.settings.project.name == project_name(tmp_path)
    assert "the files of step setup" in check_settings(loaded).body["checked"]
    _, broken, evil = sorted(loaded.settings.steps.setup.files)
    assert (broken, evil.startswith('quote"]\n')) == ("name\nwith a break.sql", True)
    assert not any(word in text for word in ("stolen", "big.sql", "binary.sql"))
    assert "big.sql: binary, or larger than 1000 kB" in report.body["found"]


def test_many_files_are_cut_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devenv.init.survey.MOST_FILES", 2)
    write(tmp_path, dict.fromkeys(("a.sql", "b.sql", "c.sql"), "CREATE TABLE t (id int);"))
    assert survey(tmp_path).left_out == ("more than 2 files: the rest was not read",)
