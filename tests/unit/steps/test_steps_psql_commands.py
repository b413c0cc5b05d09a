"""Commands of psql: each is carried out, refused, or listed with the reason why it is left out."""

from __future__ import annotations

import pytest

from devenv.core.errors import UsageError
from devenv.steps.setup.psql import PsqlReader, list_left_out
from devenv.steps.setup.psql_commands import UNKNOWN, first_command, why_left_out

# Each command of psql 18 that is neither carried out nor the end of a statement, with a part of its reason.
LEFT_OUT = {
    "only prints information": "d d+ dS dt dt+ dTS+ df dn du dp dx dconfig l l+ lx list list+ z zS sf sf+ sv sv+"
    " conninfo h help ? copyright errverbose p print",
    "how psql prints": "timing pset x a t C f H T html",
    "runs no program": "! !ls",
    "writes no files": "o out w write s",
    "editor": "e edit ef ev",
    "asks for input": "prompt password",
    "variables of the environment": "setenv getenv",
    "beside the SQL file": "cd",
    "UTF-8": "encoding",
    "large objects": "lo_import lo_export lo_list lo_unlink",
    "by itself": "close close_prepared startpipeline endpipeline syncpipeline flush flushrequest getresults",
}


def read(text: str) -> tuple[list[str], list[tuple[str, str]]]:
    """The statements of a file, and what is left out with the reason."""
    reader = PsqlReader("harbour", {"rows.sql": "SELECT 'rows';"}.get)
    found = reader.read(text, "dock.sql")
    return [each.text for each in found], [(each.what, each.why) for each in reader.left_out]


@pytest.mark.parametrize(("part", "names"), LEFT_OUT.items())
def test_each_command_has_its_reason(part: str, names: str) -> None:
    for name in names.split():
        assert part in why_left_out(name), name
        statements, left_out = read(f"SELECT 1;\n\\{name} berths\nSELECT 2;")
        assert statements == ["SELECT 1", "SELECT 2"]
        assert left_out == [(f"\\{name} berths", why_left_out(name))]


def test_a_command_that_devenv_does_not_know_is_listed() -> None:
    assert read("\\frobnicate x\nSELECT 1;") == (["SELECT 1"], [("\\frobnicate x", UNKNOWN)])


def test_printed_texts_are_shown_with_their_variables() -> None:
    reader = PsqlReader("harbour")
    text = "\\set port 'St. Malo'\n\\echo berths of :port\n\\warn -n \"two  words\"\n\\qecho `date`\n"
    assert reader.read(text, "dock.sql") == ()
    assert list_left_out(reader.left_out) == (
        "psql prints: dock.sql:2 berths of St. Malo; dock.sql:3 two  words",
        "1 line left out (devenv runs no program for it): dock.sql:4 \\qecho `date`",
    )


@pytest.mark.parametrize(
    ("text", "statements", "left_out"),
    [
        # Several commands in one line; text in quotes begins none; two backslashes end them.
        ("\\a \\t on \\i rows.sql", ["SELECT 'rows'"], ["\\a", "\\t on"]),
        ("\\if :{?berth} \\else \\set berth 7 \\endif\nSELECT :berth;", ["SELECT 7"], []),
        ("\\set path 'a\\\\b' \\\\ SELECT 1;", ["SELECT 1"], []),
        ("\\! ls \\\\ SELECT 1;", [], ["\\! ls \\\\ SELECT 1;"]),
        # A query's rows go to a file.
        ("\\copy (SELECT * FROM t) TO 'x.csv'\nSELECT 1;", ["SELECT 1"], ["\\copy (SELECT * FROM t) TO 'x.csv'"]),
        # Each of these ends the statement before it.
        ("SELECT 1 \\watch 2\nSELECT 2;", ["SELECT 2"], ["SELECT 1"]),
        ("SELECT 1 \\crosstabview\nSELECT 2;", ["SELECT 1", "SELECT 2"], []),
        ("SELECT 1 \\gdesc\nSELECT 2;", ["SELECT 2"], ["SELECT 1"]),
        ("SELECT $1 \\parse later\nSELECT 2;", ["SELECT 2"], ["SELECT $1"]),
        ("SELECT 1 \\g out.txt\nSELECT 2 \\g | cat\n", ["SELECT 1", "SELECT 2"], ["\\g out.txt", "\\g | cat"]),
        ("SELECT 1 \\g (format=csv)\n", ["SELECT 1"], []),
        ("\\encoding 'UTF-8'\n\\encoding latin1\n", [], ["\\encoding latin1"]),
        # A branch that is not read: nothing of it counts, not even the end of the file.
        ("\\if false\n\\q\n\\echo no\nSELECT 1 \\g x\n\\bind 1\n\\endif\nSELECT 2;", ["SELECT 2"], []),
        ("SELECT 1;\n\\q\nSELECT 2;", ["SELECT 1"], []),
    ],
)
def test_lines_with_commands(text: str, statements: list[str], left_out: list[str]) -> None:
    found, listed = read(text)
    assert (found, [what for what, _ in listed]) == (statements, left_out)


@pytest.mark.parametrize("command", ["bind 7", "bind_named later 7"])
def test_parameters_are_refused_with_the_place(command: str) -> None:
    with pytest.raises(UsageError, match=r"dock.sql:2: \\bind\w* gives a statement its parameters"):
        read(f"SELECT 1;\nINSERT INTO berths VALUES ($1) \\{command} \\g\n")


def test_a_command_ends_where_the_next_one_begins() -> None:
    assert first_command("\\echo 'a \\b' \\x") == ("echo", "'a \\b'", 13)
    assert first_command("\\copy t from 'C:\\x'") == ("copy", "t from 'C:\\x'", 19)
    assert first_command("\\;SELECT") == (";", "", 2)
