"""Handlers without a name in JavaScript, which query and answer themselves: the fields that they make of an item."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.init.test_init import drafted, write
from tests.unit.init.test_init_seed_data import FILES

START = "const { Items } = await db.send(new QueryCommand({"
BASE = FILES["src/app.js"]
PUSHED = """const list = [];
  for (const one of Items) {
    const { rows } = await pg.query('SELECT name FROM pickers WHERE id = $1', [one.pickerId]);
    list.push({ when: one.at, remark: one.note, picker: rows[0].name });
  }
  res.json(list);"""
MAPPED = "res.json({ checks: Items.map((one) => ({ when: one.at, remark: one.note })) });"
SPREAD = "res.json(Items.map((one) => ({ ...one, seen: true })));"


@pytest.mark.parametrize(
    ("answer", "at", "note"),
    [
        (PUSHED, "when", "remark"),
        (MAPPED, "when", "remark"),
        (SPREAD, "at", "note"),
        ("res.json(Items);", "at", "note"),
    ],
)
@pytest.mark.parametrize("inside", ["{}", "export default (app) => {{\n{}\n}};"])
def test_a_handler_of_its_own_gives_its_own_fields(
    tmp_path: Path, answer: str, at: str, note: str, inside: str
) -> None:
    assert START in BASE
    handlers = BASE.replace("  res.json(Items);", f"  {answer}").partition("const app = express();\n")
    text = handlers[0] + handlers[1] + inside.format(handlers[2])
    found = drafted(write(tmp_path, {**FILES, "src/app.js": text}))
    [trace] = [each for each in found.trace.values() if each.request]
    assert trace.ids["http"] == at
    assert note in trace.fields
