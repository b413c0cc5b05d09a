"""The commented template of a trace that `devenv init` writes where it found no query has all names that are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.core.errors import UsageError
from devenv.stack import open_stack
from devenv.trace.subjects import list_subjects
from tests.unit.init.test_init_kinds import made
from tests.unit.init.test_init_single_table import TABLE

ITEMS = (
    '[{"PK": "REEF#7", "SK": "DIVE#2025-01-02", "depth": 12}, {"PK": "REEF#8", "SK": "DIVE#2025-01-09", "depth": 9}]'
)
APP = """\
from fastapi import FastAPI
app = FastAPI()

@app.get("/reefs/{reef_id}/dives")
def dives(reef_id: str):
    return others(reef_id)
"""
FILES = {"table.json": TABLE, "seeds/items.json": ITEMS, "main.py": APP, "db/r.sql": "CREATE TABLE reefs (id int);"}


def test_what_is_known_is_filled_in(tmp_path: Path) -> None:
    _, body = made(tmp_path, FILES)
    text = (tmp_path / "devenv.toml").read_text()
    assert '# key = { PK = "REEF#{reef_id}" }' in text
    assert '# where = { reef_id = "{reef_id}" }' in text
    assert '# ids = { dynamodb = "dive_at", library' in text
    assert '# path = "/reefs/{reef_id}/dives"' in text
    assert body["edits"] == []
    assert "Uncertain parts are marked EDIT" not in text
    assert "# EDIT: nothing was found for the names in CAPITALS." in text


def test_trace_without_a_subject_names_the_line_of_the_template(tmp_path: Path) -> None:
    made(tmp_path, FILES)
    lines = (tmp_path / "devenv.toml").read_text().splitlines()
    at = next(n for n, line in enumerate(lines, 1) if line.startswith("# [trace."))
    with pytest.raises(UsageError) as raised:
        list_subjects(open_stack(tmp_path))
    assert raised.value.detail == f"devenv.toml:{at} has a commented template: fill it in, and remove its `# `"
