"""The queries of a folder, read for their faults alone: as many as a whole reading finds, at a fraction of its work."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from devenv.doctor.checks.code import run_code
from devenv.doctor.context import DoctorFacts
from devenv.init.code import Function, Query, read_code, read_queries
from devenv.init.review import MOST_BYTES, review_folder
from devenv.init.survey import survey
from tests.unit.init.test_init import write
from tests.unit.init.test_init_kinds import QUERIES

MORE = """
class Store:
    def first(self, room):
        return self.table.query(KeyConditionExpression="id = :id", ExpressionAttributeValues={":id": room})

    @property
    def table(self):
        def inner():
            return client.query(TableName="b", KeyConditionExpression="id = :id")
        return inner

ONE = client \\
    .get_item(TableName="things", Key={"id": {"S": "a"}})
"""


def plain(query: Query) -> Query:
    """The query without what only a whole reading knows of its function."""
    return replace(query, function=Function(query.function.file, query.function.line, query.function.name))


def test_the_short_reading_finds_what_the_whole_one_finds() -> None:
    tree = ast.parse(QUERIES + MORE)
    whole = [plain(query) for query in read_code("app.py", tree, {}, frozenset()).queries]
    assert [query.function.name for query in whole] == ["", "colon", "short", "fixed", "sound", "Store.first"]
    assert read_queries("app.py", tree) == whole


def test_a_call_on_a_line_of_its_own_is_found(tmp_path: Path) -> None:
    text = """def all(room):
    request = {"Limit": 3, "KeyConditionExpression": "id = :id"}
    return (
        client  # of the things
        .query(**request)
    )
"""
    write(tmp_path, {"app.py": text})
    seen = review_folder(tmp_path)
    assert (seen.queries, [each.place for each in seen.faults]) == (1, ["app.py:4"])


def test_what_may_have_queries_and_cannot_be_read_is_named(tmp_path: Path) -> None:
    query = "client.query(TableName='t', KeyConditionExpression='pk = :p', ExpressionAttributeValues={':p': p})\n"
    write(tmp_path, {"good.py": query, "old.py": "print 'KeyCondition'\n" + query, "other.py": "print 'no query'\n"})
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe" + query.encode("utf-16-le"))
    (tmp_path / "large.js").write_text("// " + "x" * MOST_BYTES)
    seen = review_folder(tmp_path)
    assert (seen.queries, sorted(seen.unread), seen.unparsed) == (1, ["bytes.py", "large.js"], ("old.py",))


def test_init_names_code_that_is_too_long_to_be_read(tmp_path: Path) -> None:
    write(tmp_path, {"short.go": "package main\n", "long.js": "// x\n" * 80_000, "long.py": "# x\n" * 80_000})
    write(tmp_path, {"bin/long": "#!/usr/bin/env python3\n" + "# x\n" * 80_000, "Long.java": "// x\n" * 80_000})
    (tmp_path / "long.go").write_text("// x\n" * 80_000)
    assert [line for line in survey(tmp_path).unused if "too long" in line] == [
        "Long.java: too long to be read as code",
        "long.go: too long to be read as code",
        "long.js: too long to be read as code",
        "long.py: too long to be read as code",
        "bin/long: too long to be read as code",
    ]


def test_a_file_that_is_not_read_is_named_beside_a_fault(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text("table.query(KeyConditionExpression=x)\nprint 'two'\n")
    (tmp_path / "app.py").write_text(
        'import boto3\nt = boto3.resource("dynamodb").Table("t")\n'
        't.query(KeyConditionExpression="pk = :v", ExpressionAttributeValues={":w": "1"})\n'
    )
    outcome = run_code(cast(DoctorFacts, SimpleNamespace(context=SimpleNamespace(root=tmp_path))))
    assert outcome.status == "warn"
    assert "app.py:3" in str(outcome.evidence)
    assert "not valid in this version of Python, so not read: old.py" in str(outcome.evidence)


@pytest.mark.parametrize("file", ["long.php", "Long.java", "Long.kt", "Long.cs"])
def test_init_names_what_it_does_not_read_of_a_language_read_as_text(tmp_path: Path, file: str) -> None:
    write(tmp_path, {file: "// x\n" * 20_000})
    assert f"{file}: too long to be read as code" in survey(tmp_path).unused


def test_init_names_a_file_of_which_only_the_first_functions_are_read(tmp_path: Path) -> None:
    body = "".join(f"function f{number}($x) {{ return 1; }}\n" for number in range(201))
    write(tmp_path, {"many.php": f"<?php\n{body}", "few.php": "<?php\nfunction f($x) { return 1; }\n"})
    said = [line for line in survey(tmp_path).unused if "only its first" in line]
    assert said == ["many.php: only its first 200 functions were read"]
