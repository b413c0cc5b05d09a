"""A random text is no id of a row that has a serial number, and numbers alone link nothing, whatever they equal."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.init.test_init_kinds import made
from tests.unit.init.test_init_single_table import TABLE

SQL = """\
CREATE TABLE kilns (id serial PRIMARY KEY, label text);
CREATE TABLE gauges (id serial PRIMARY KEY, label text);
INSERT INTO gauges (id, label) VALUES (101, 'a'), (102, 'b'), (103, 'c');
"""


def links(root: Path, files: dict[str, str]) -> list[str]:
    settings, _ = made(root, {"table.json": TABLE, "db/s.sql": SQL, **files})
    return [link.source for link in settings.links]


def test_random_texts_are_none_although_some_have_digits_only(tmp_path: Path) -> None:
    items = [{"PK": f"DAY#{n}", "SK": "META", "kiln_id": text} for n, text in enumerate(("7f3a", "1234", "c09e"))]
    assert links(tmp_path, {"items.json": json.dumps(items)}) == []


def test_numbers_that_are_ids_by_chance_link_nothing(tmp_path: Path) -> None:
    items = [{"PK": f"DAY#{n}", "SK": "META", "litres": n + 101} for n in range(3)]
    assert links(tmp_path / "a", {"items.json": json.dumps(items)}) == []
    named = [{**{n: v for n, v in each.items() if n != "litres"}, "gauge": each["litres"]} for each in items]
    assert links(tmp_path / "b", {"items.json": json.dumps(named)}) == ["dynamodb:shop.gauge"]
