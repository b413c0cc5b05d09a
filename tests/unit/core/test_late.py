"""Patterns that are compiled at their first use."""

from __future__ import annotations

import re

import pytest

from devenv.core.late import late


def test_it_matches_as_the_compiled_one_does() -> None:
    pattern = late(r"(?P<word>[a-z]+)=", re.IGNORECASE)
    assert [found["word"] for found in pattern.finditer("A=1 b=2")] == ["A", "b"]
    assert pattern.sub("-", "x=1") == "-1"
    assert pattern.fullmatch("x=")
    assert pattern.fullmatch("x") is None


def test_a_mistake_shows_at_the_first_use() -> None:
    broken = late("(")
    with pytest.raises(re.error):
        broken.search("x")
