"""The live page on a large project: pages come at once, and what it shows is all that it holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.ui import fill_file, measure, memory
from tests.support import reference_project
from tests.ui import live_page

pytestmark = pytest.mark.long
# With a million, tests/bench/ui.py takes minutes.
ITEMS = 10_000
ROWS = 200_000


def test_a_large_table_is_shown_in_little_memory(tmp_path: Path) -> None:
    project = reference_project(tmp_path / "large")
    try:
        project.ok("up", "--no-backend")
        fill_file(project, ITEMS, ROWS)
        with live_page(project) as page:
            measure(page, ITEMS, ROWS)
            assert memory(page) < 200_000_000
    finally:
        project.remove()


def test_ten_thousand_tables_are_listed_page_by_page(tmp_path: Path) -> None:
    import psycopg

    project = reference_project(tmp_path / "tables")
    try:
        project.ok("up", "--no-backend")
        with psycopg.connect(project.env()["DATABASE_URL"], autocommit=True) as connection:
            for first in range(0, 10_000, 500):
                names = range(first, first + 500)
                connection.execute("; ".join(f"CREATE TABLE t{number:05} (id int)" for number in names))
        with live_page(project) as page:
            found = page.json("/data")["postgres"]["tables"]
            assert len(found) == 60
            text = page.ask("/data").text
            assert "More tables" in text
            assert len(text) < 100_000
            assert [each["table"] for each in page.json("/data?tables=t09999")["postgres"]["tables"]] == [
                "public.t09999"
            ]
            assert memory(page) < 200_000_000
    finally:
        project.remove()
