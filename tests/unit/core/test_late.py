"""Patterns that are compiled, and modules that are imported, at their first use."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from devenv.core.late import LateModule, late


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


def test_a_module_is_imported_with_its_package_at_the_first_use() -> None:
    code = (
        "import sys; from devenv.core.late import LateModule\n"
        "part = LateModule('xml', 'dom'); before = 'xml' in sys.modules\n"
        "import xml.dom as real\n"
        "print(before, part.Node is real.Node)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True"]


def test_a_name_that_a_module_lacks_is_an_error() -> None:
    with pytest.raises(AttributeError):
        LateModule("json").no_such_name  # noqa: B018 - it is looked up
