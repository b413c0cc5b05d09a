"""What a PartiQL statement does, told from its text."""

from __future__ import annotations

import pytest

from devenv.query.queries import verb


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM t",
        " sELECT * FROM t",
        "select* from t",
        "-- all of them\nSELECT * FROM t",
        "/* all\nof them */ (select * from t)",
        "--\r\n/**/SELECT 1",
    ],
)
def test_a_select_is_one_however_it_is_written(statement: str) -> None:
    assert verb(statement) == "SELECT"


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM t",
        "(insert INTO t VALUE {})",
        "-- SELECT\nDELETE FROM t",
        "--\rSELECT 1\nDELETE FROM t",
        "/* /* */ SELECT 1 */ DELETE FROM t",
        "/* SELECT */ UPDATE t SET a = 1",
        "SELECTED",
        "",
        "--",
    ],
)
def test_nothing_else_is(statement: str) -> None:
    assert verb(statement) != "SELECT"
