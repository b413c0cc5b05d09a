"""A wrong value of devenv.toml is answered in words: what to choose from, never a regular expression."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv.config import load as reader
from devenv.config.parse import schema
from devenv.config.wording import EXPRESSIONS, choices, in_words
from devenv.core.errors import UsageError

NAMED = '[project]\nname = "shop"\n'


def expressions(part: Any) -> Iterator[str]:
    """Every regular expression of the schema."""
    if isinstance(part, dict):
        if isinstance(part.get("pattern"), str):
            yield part["pattern"]
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from expressions(each)


def test_every_expression_of_the_schema_has_words() -> None:
    assert set(expressions(schema())) == EXPRESSIONS.keys()


@pytest.mark.parametrize("expression", [each for each in EXPRESSIONS if each != r"^[^\x00]*$"])
def test_what_the_words_name_is_accepted(expression: str) -> None:
    """The words end with an example in backquotes, or list the values."""
    words = EXPRESSIONS[expression]
    listed = re.search(r"one of: ([a-z, ]+)", words)
    examples = listed[1].split(", ") if listed else [re.findall(r"`([^`]+)`", words)[-1]]
    assert [each for each in examples if not re.search(expression, each)] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (NAMED.replace("shop", "-shop"), "line 2: expected letters, digits, `_`, `.` and `-`, first a letter"),
        (NAMED + 'engine = "podman"\n', "line 3: expected one of: docker, embedded, external - at `$.project.engine`"),
        (
            NAMED + '[dynamodb]\nregion = "US East"\n',
            "expected lower-case letters, digits and `-`, such as `us-east-1`",
        ),
        (NAMED + '[services.Web]\ncommand = ["x"]\n', "expected lower-case letters, digits, `_` and `-`"),
        (NAMED + '[env]\n"a b" = "x"\n', "expected the name of a variable"),
        (NAMED + '[env]\nA = "x\\u0000"\n', "expected text without a NUL character"),
        (NAMED + '[[links]]\nfrom = "a.b"\nto = "postgres:users.uuid"\n', "expected `dynamodb:TABLE.ATTRIBUTE`"),
    ],
)
def test_a_wrong_value(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "devenv.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        reader.load(tmp_path, {})
    assert said in str(caught.value.detail)
    assert "regex" not in str(caught.value.detail)


def test_a_variable_with_a_wrong_value(tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_text(NAMED)
    with pytest.raises(UsageError) as caught:
        reader.load(tmp_path, {"DEVENV_ENGINE": "s3cret"})
    assert caught.value.detail == "expected one of: docker, embedded, external"


def test_the_choices_of_a_place() -> None:
    assert choices(schema(), ("patterns", "any", "order")) == sorted(choices(schema(), ("patterns", "any", "order")))
    assert "newest first" in choices(schema(), ("patterns", "any", "order"))
    assert choices(schema(), ("postgres", "port")) == []
    assert choices(schema(), ("nothing", "there")) == []
    # Where the schema has no list, the value is left out all the same.
    assert in_words("Invalid enum value 's3cret'", schema(), ("postgres", "port")) == "not one of the possible values"
