"""config check refuses the names in capitals that `devenv init` writes where it found nothing."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from devenv.config.parse import parse
from devenv.config.references import find_mistakes

BASE = """
[project]
name = "bees"
[entities.visit]
table = "bees"
match = { pk = "HIVE#{code}" }
[entities.visit.attributes]
code = "string"
at = "string"
[patterns.visits]
table = "bees"
key = { pk = "HIVE#{code}" }
[trace.visits]
params = { code = "string" }
pattern = "visits"
entity = "visit"
where = { code = "{code}" }
"""
REAL = """ids = { dynamodb = "at", library = "at", http = "at" }
[trace.visits.library]
function = "repo:visits_of"
arguments = { code = "{code}" }
[trace.visits.request]
path = "/hives/{code}/visits"
"""


def test_a_trace_with_real_names_is_accepted() -> None:
    assert find_mistakes(parse(tomllib.loads(BASE + REAL), Path("devenv.toml"))) == []


@pytest.mark.parametrize(
    ("real", "left", "word"),
    [
        ("repo:visits_of", "MODULE:FUNCTION", "MODULE:FUNCTION"),
        ("repo:visits_of", "MODULE:FUNCTION().visits_of", "MODULE:FUNCTION"),
        ("/hives/{code}/visits", "/PATH/{code}", "/PATH/"),
        ('http = "at"', 'http = "FIELD_OF_THE_ANSWER"', "FIELD_OF_THE_ANSWER"),
        (
            'function = "repo:visits_of"\narguments = { code = "{code}" }',
            'command = ["node", "SCRIPT_THAT_PRINTS_JSON.js"]',
            "SCRIPT_THAT_PRINTS_JSON.js",
        ),
    ],
)
def test_a_name_that_was_not_filled_in_is_refused(real: str, left: str, word: str) -> None:
    assert real in REAL
    (mistake,) = find_mistakes(parse(tomllib.loads(BASE + REAL.replace(real, left)), Path("devenv.toml")))
    assert mistake.sentence == f"`{word}` is a placeholder: `devenv init` found no name. Replace it with yours"
    assert mistake.keys[:2] == ("trace", "visits")
