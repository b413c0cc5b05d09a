"""Which files a step reads: those of the project, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.core.errors import Exit, UsageError
from devenv.steps.step import natural_key, read_files


def test_files_come_in_the_order_of_the_patterns(tmp_path: Path) -> None:
    for name in ("b.sql", "a.sql", "z/first.sql"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    files = read_files(tmp_path, ["z/*.sql", "./*.sql"], "steps.setup")
    assert [file.text for file in files] == ["z/first.sql", "a.sql", "b.sql"]


@pytest.mark.parametrize("pattern", ["../*.sql", "x/../../*.sql", "{outside}/*.sql"])
def test_patterns_that_leave_the_project_are_refused(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "outside.sql").write_text("SELECT 1")
    project = tmp_path / "project"
    (project / "x").mkdir(parents=True)
    with pytest.raises(UsageError, match="leaves the project's folder") as caught:
        read_files(project, [pattern.replace("{outside}", str(tmp_path))], "steps.setup")
    assert caught.value.exit_code == Exit.USAGE


@pytest.mark.parametrize(
    "names",
    [
        ["V2__a.sql", "V10__b.sql"],
        ["V3__a.sql", "V3.2__b.sql", "V3.10__c.sql", "V4__d.sql"],
        ["V3__a.sql", "V3_2__b.sql", "V3_10__c.sql", "V4__d.sql"],
        ["1-tables/1-a.sql", "1-tables/10-b.sql", "2-views/1-a.sql", "10-more/1-a.sql"],
        ["20240131_a.sql", "20240201_b.sql"],
    ],
)
def test_numbers_in_names_count_as_numbers_part_by_part(names: list[str]) -> None:
    mixed = names[::-1]
    assert sorted(mixed, key=natural_key) == names
