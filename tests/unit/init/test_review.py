"""The queries of a folder, read for their faults alone: as many as a whole reading finds, at a fraction of its work."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

from devenv.init.code import Function, Query, read_code, read_queries
from devenv.init.review import review_folder
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
    found, count = review_folder(tmp_path)
    assert (count, [each.place for each in found]) == (1, ["app.py:4"])
