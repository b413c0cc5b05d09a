"""Splitting SQL files: what is a statement, on which line, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.core.errors import UsageError
from devenv.steps.setup.sql import split_statements


def texts(text: str) -> list[str]:
    return [statement.text for statement in split_statements(text, "a.sql")]


def test_statements_end_at_semicolons_outside_of_everything_quoted() -> None:
    assert texts("""SELECT ';', ";", $$;$$, $x$ $$ ; $x$, E'\\';' /* ; /* ; */ ; */ -- ;
    ; SELECT (1; 2);""") == [
        """SELECT ';', ";", $$;$$, $x$ $$ ; $x$, E'\\';' /* ; /* ; */ ; */ -- ;""",
        "SELECT (1; 2)",
    ]


def test_the_last_statement_needs_no_semicolon_and_blank_ones_are_left_out() -> None:
    assert texts(";;\n -- nothing\n;SELECT 1;\n\n/* end */ SELECT 2") == ["SELECT 1", "SELECT 2"]


def test_lines_count_from_the_first_word_of_the_statement() -> None:
    first, second = split_statements("-- a\n\nSELECT 1;\n/* b\n*/ SELECT\n  nope", "a.sql")
    assert (first.line, second.line) == (3, 5)
    assert second.line_at(None) == 5
    assert second.line_at(second.text.index("nope") + 1) == 6


def test_a_body_in_standard_sql_is_one_statement() -> None:
    body = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 ELSE 2 END; SELECT 2; END"
    assert texts(f"{body}; SELECT 3;") == [body, "SELECT 3"]


def test_dollar_signs_in_names_and_parameters_begin_no_quote() -> None:
    assert texts("SELECT a$b$c, d$ FROM t; SELECT $1") == ["SELECT a$b$c, d$ FROM t", "SELECT $1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT 1;\n\\i other.sql\n", "a.sql:2: \\i is a command of psql, not SQL"),
        ("\\connect cruddur", "a.sql:1: \\connect is a command of psql, not SQL"),
        ("CREATE TABLE t ();\nCOMMIT;", "a.sql:2: COMMIT is not possible here"),
        ("begin;\nSELECT 1;", "a.sql:1: BEGIN is not possible here"),
        ("\n/* x */ rollback", "a.sql:2: ROLLBACK is not possible here"),
        ("START TRANSACTION", "a.sql:1: START is not possible here"),
        ("PREPARE TRANSACTION 'x'", "a.sql:1: PREPARE is not possible here"),
        ("CREATE DATABASE cruddur;", "a.sql:1: CREATE DATABASE is devenv's own work"),
        ("drop database cruddur", "a.sql:1: DROP DATABASE is devenv's own work"),
        ("COPY t FROM stdin;\n1\n\\.\n", "a.sql:1: COPY … FROM stdin carries its rows in psql's own format"),
        ("SELECT 1;\nSELECT 'it", "a.sql:2: the quote ' is never closed"),
        ("SELECT $a$ x", "a.sql:1: the quote $a$ is never closed"),
        ("SELECT 1 /* x", "a.sql:1: the comment /* is never closed"),
    ],
)
def test_what_cannot_run_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        split_statements(text, "a.sql")
    assert caught.value.what.startswith(message)
    assert caught.value.exit_code == 2


def test_rolling_back_to_a_savepoint_is_fine() -> None:
    assert len(texts("SAVEPOINT a; ROLLBACK TO a; PREPARE p AS SELECT 1")) == 3


def test_a_long_statement_is_shortened_for_messages() -> None:
    (statement,) = split_statements("INSERT INTO t\n  VALUES " + ", ".join(["(1)"] * 200), "a.sql")
    assert statement.excerpt.startswith("INSERT INTO t VALUES (1), (1)")
    assert len(statement.excerpt) == 200


@given(st.text(alphabet=st.sampled_from("a ;'\"$\n-/*\\()EB1"), max_size=40))
def test_any_text_is_either_split_without_loss_or_refused(text: str) -> None:
    try:
        statements = split_statements(text, "a.sql")
    except UsageError:
        return
    at = 0
    for statement in statements:
        at = text.index(statement.text, at)
        assert text.count("\n", 0, at) + 1 == statement.line
        at += len(statement.text)
