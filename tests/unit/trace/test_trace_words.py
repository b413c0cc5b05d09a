"""The lines of layers, and the words of an answer that is no JSON."""

from __future__ import annotations

from typing import Any

import pytest

from devenv.trace.layers import postgres
from devenv.trace.layers.http import words_of
from devenv.trace.observation import PostgresObservation


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>x</h1>",
            "404 Not Found",
        ),
        ("<html><style>p { a: b }</style><body><h1>No &amp; way</h1><p>there</p></body></html>", "No & way there"),
        ("no such  route\n", "no such route"),
        ("<3 nothing", "<3 nothing"),
    ],
)
def test_an_error_page_is_shown_as_its_title_or_first_words(body: str, words: str) -> None:
    assert words_of(body.encode()) == words


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ({"person": {"id": "7", "name": "ines"}, "declared": None}, "one row: 7 ines"),
        (
            {"person": {"id": "7"}, "declared": {"tool_id": "a7", "label": "saw"}, "used": False},
            "sql: tool_id a7 label saw",
        ),
        ({"person": {"id": "7"}, "declared": {"tool_id": "a7"}, "used": True}, "one row: 7"),
        ({"person": None, "declared": {"tool_id": "a7"}, "used": False}, "sql: tool_id a7"),
        ({"person": None, "declared": None}, ""),
    ],
)
def test_the_line_of_postgres_shows_what_sql_found(output: dict[str, Any], line: str) -> None:
    assert postgres.summarize(PostgresObservation(output=output)) == line
