"""Splitting SQL files: what is a statement, on which line, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.core.errors import UsageError
from devenv.steps.setup.psql import PsqlReader, split_statements


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
        ("\n/* x */ rollback", "a.sql:2: ROLLBACK is not possible here"),
        ("PREPARE TRANSACTION 'x'", "a.sql:1: PREPARE is not possible here"),
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


@given(st.text(alphabet=st.sampled_from("a ;'\"$\n-/*:()EB1"), max_size=40))
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


@given(st.text(alphabet=st.sampled_from("ai ;'\"$\n:\\(){?}c."), max_size=40))
def test_any_text_with_commands_of_psql_is_read_or_refused(text: str) -> None:
    reader = PsqlReader("app", lambda name: None)
    try:
        statements = reader.read(text, "a.sql")
    except UsageError:
        return
    assert all(1 <= statement.line <= text.count("\n") + 1 for statement in statements)


def read(text: str, **files: str) -> tuple[list[str], list[str]]:
    """The statements, with their rows behind them; and what is left out."""
    reader = PsqlReader("app", {name.replace("__", "/") + ".sql": text for name, text in files.items()}.get)
    found = reader.read(text, "db/a.sql")
    return [each.text + (f" <- {each.rows.text!r}" if each.rows else "") for each in found], [
        f"{each.place} {each.what}" for each in reader.left_out
    ]


@pytest.mark.parametrize(
    ("text", "statements", "left_out"),
    [
        ("\\restrict x1\nSELECT 1;\n\\echo a; b\n\\unrestrict x1\n", ["SELECT 1"], ["db/a.sql:3 a; b"]),
        ("SELECT 1 \\g\nSELECT 2\\;SELECT 3;", ["SELECT 1", "SELECT 2", "SELECT 3"], []),
        ("\\set t users\n\\set n 'it''s'\nSELECT :'n' FROM :\"t\" WHERE a::int = :b;", None, []),
        ("COPY t (a) FROM stdin;\n1;\n2\n\\.\nSELECT 2;", ["COPY t (a) FROM stdin <- '1;\\n2\\n'", "SELECT 2"], []),
        ("\\c app\nSELECT 1;\n\\connect other me", ["SELECT 1"], ["db/a.sql:3 \\connect other me"]),
        ("CREATE DATABASE app;\n\\c app\nSELECT 1;", ["SELECT 1"], ["db/a.sql:1 CREATE DATABASE app"]),
        ("BEGIN;\nSELECT 1;\nCOMMIT;", ["SELECT 1"], ["db/a.sql:1 BEGIN", "db/a.sql:3 COMMIT"]),
        ("\\if :{?x}\nSELECT 1;\n\\else\nSELECT 2;\n\\endif\nSELECT 3;", ["SELECT 2", "SELECT 3"], []),
        ("SELECT 'x' \\gexec\n\\! rm x\nSELECT 4;", ["SELECT 4"], ["db/a.sql:1 SELECT 'x'", "db/a.sql:2 \\! rm x"]),
        ("CREATE INDEX CONCURRENTLY i ON t (a);", ["CREATE INDEX i ON t (a)"], []),
        ("SELECT 1,\n\\echo x\n2;", ["SELECT 1,\n\n2"], ["db/a.sql:2 x"]),
        # Lists print only; large objects are data.
        (
            "\\dt\n\\l\n\\lo_import x.png\nSELECT 5;",
            ["SELECT 5"],
            ["db/a.sql:1 \\dt", "db/a.sql:2 \\l", "db/a.sql:3 \\lo_import x.png"],
        ),
    ],
)
def test_files_are_read_as_psql_reads_them(text: str, statements: list[str] | None, left_out: list[str]) -> None:
    wanted = ["""SELECT 'it''s' FROM "users" WHERE a::int = :b"""] if statements is None else statements
    assert read(text) == (wanted, left_out)


def test_included_files_are_looked_for_as_psql_does() -> None:
    files = {"db__b": "SELECT 'b';\n\\ir c.sql", "db__c": "SELECT 'c' FROM :x;", "top": "SELECT 'top';"}
    found, left_out = read(
        "\\set x t\n\\ir b.sql\n\\i top.sql\n\\i db/c.sql\n\\i /docker-entrypoint-initdb.d/c.sql", **files
    )
    assert found == ["SELECT 'b'", "SELECT 'c' FROM t", "SELECT 'top'", "SELECT 'c' FROM t", "SELECT 'c' FROM t"]
    assert left_out == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT 1;\n\\ir gone.sql", "db/a.sql:2: gone.sql is not a file of the project"),
        ("\\i ../../x.sql", "db/a.sql:1: ../../x.sql is not a file of the project"),
        ("\\ir self.sql", "db/self.sql:1: files include one another in a cycle"),
    ],
)
def test_an_included_file_that_is_not_there_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(text, db__self="\\ir self.sql")
    assert caught.value.what == message
