"""COPY … FROM 'FILE' in SQL files: the project's file is read, as psql's \\copy would, and no file of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.config.schema import Project, Settings
from devenv.core.errors import UsageError
from devenv.steps.setup.acting import find_acting
from devenv.steps.setup.mounts import mounts_in
from devenv.steps.setup.psql import split_statements
from devenv.steps.setup.script import Script, parse
from devenv.steps.step import SourceFile

COMPOSE = """
services:
  db:
    image: postgres:16
    volumes:
      - ./db:/docker-entrypoint-initdb.d:ro
      - {type: bind, source: ./exports, target: /data/}
      - named:/var/lib/postgresql/data
      - ../other:/other
"""


def parsed(root: Path, statement: str, files: dict[str, str]) -> Script:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return parse(Settings(project=Project(name="x")), root, (SourceFile("db/init.sql", statement),))


@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("/docker-entrypoint-initdb.d/s.csv", "db/s.csv"),
        ("/docker-entrypoint-initdb.d/more/s.csv", "db/more/s.csv"),
        ("/data/s.csv", "exports/s.csv"),
        ("/elsewhere/s.csv", "db/s.csv"),
        ("/elsewhere/s.csv", "s.csv"),
        ("/elsewhere/more/s.csv", "db/more/s.csv"),
        ("s.csv", "db/s.csv"),
        ("it''s.csv", "db/it's.csv"),
    ],
)
def test_the_file_of_the_project_is_read(tmp_path: Path, source: str, file: str) -> None:
    files = {"docker-compose.yml": COMPOSE, file: "code\nHAM\n"}
    script = parsed(tmp_path, f"COPY public.s (code) FROM '{source}' WITH (FORMAT csv, HEADER true);", files)
    [statement] = script.statements
    assert statement.text == "COPY public.s (code) FROM STDIN WITH (FORMAT csv, HEADER true)"
    assert statement.rows is not None
    assert (statement.rows.file, statement.rows.text) == (file, "code\nHAM\n")
    assert not find_acting(script.statements)


def test_what_is_mounted_comes_before_what_has_the_same_name(tmp_path: Path) -> None:
    files = {"compose.yaml": COMPOSE, "exports/s.csv": "right\n", "db/s.csv": "wrong\n"}
    [statement] = parsed(tmp_path, "COPY s FROM '/data/s.csv'", files).statements
    assert statement.rows is not None
    assert statement.rows.text == "right\n"


def test_an_absolute_name_inside_the_project(tmp_path: Path) -> None:
    [statement] = parsed(tmp_path, f"COPY s FROM '{tmp_path}/in/s.csv' CSV", {"in/s.csv": "1\n"}).statements
    assert statement.rows is not None
    assert (statement.text, statement.rows.file) == ("COPY s FROM STDIN CSV", "in/s.csv")


@pytest.mark.parametrize("source", ["/etc/passwd", "../outside.csv", "/other/outside.csv", "link.csv", "/x/../../a"])
def test_a_file_outside_the_project_is_refused(tmp_path: Path, source: str) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "outside.csv").write_text("1\n")
    project = tmp_path / "project"
    (project / "db").mkdir(parents=True)
    (project / "db" / "link.csv").symlink_to(tmp_path / "other" / "outside.csv")
    with pytest.raises(UsageError, match=r"db/init\.sql:2: .*, which COPY reads, is not a file of the project"):
        parsed(project, f"SELECT 1;\nCOPY s FROM '{source}';", {"compose.yml": COMPOSE})


def test_the_hash_of_the_step_changes_with_the_file(tmp_path: Path) -> None:
    text = "COPY s FROM '/data/s.csv'"
    first = parsed(tmp_path, text, {"compose.yaml": COMPOSE, "exports/s.csv": "1\n"}).seal
    assert parsed(tmp_path, text, {"exports/s.csv": "2\n"}).seal != first


@pytest.mark.parametrize(
    "text", ["COPY (SELECT 1) TO '/tmp/x'", "COPY s FROM PROGRAM 'ls'", "COPY s FROM E'/etc\\x2fpasswd'"]
)
def test_other_statements_that_act_outside_stay_as_they_are(tmp_path: Path, text: str) -> None:
    statements = parsed(tmp_path, text, {}).statements
    assert [each.text for each in find_acting(statements)] == [text]


def test_statements_alone_are_not_looked_up() -> None:
    assert [each.text for each in split_statements("COPY s FROM '/a.csv';", "a.sql")] == ["COPY s FROM '/a.csv'"]


@pytest.mark.parametrize("text", ["- 1", "services: [1]", "services: {a: {volumes: x}}", "a: [", "services: {a: 1}"])
def test_what_is_no_compose_file_mounts_nothing(text: str) -> None:
    assert list(mounts_in(text, ".")) == []
