"""Texts that a person reads use the field's words: no homely ones in literals, help pages and the README."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import REPOSITORY

BANNED = re.compile(
    r"\b(mend(s|ed|ing)?|told|besides|meanwhile|who asks|somebody|nobody|not to be had|answers rightly|answer rightly"
    r"|not waited for|goes? on|looked at again|so already|what belongs there|(called|named) alike|told apart"
    r"|whoever|anew|demand(s|ed)|ended well|as good as|and the like"
    r"|stand(s|ing) still|any doubt|no longer here|settings of before)\b",
    re.IGNORECASE,
)
# A literal that is no text for a person, with the reason.
EXCEPTIONS = {
    ("devenv/host/processes.py", "nobody"): "the system account of this name",
    ("devenv/render/trace_html.py", '<span class="told">'): "a CSS class",
}
MODULES = sorted((REPOSITORY / "devenv").rglob("*.py"))
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "devenv/help").glob("*.md"))]


QUESTION = re.compile(r"(What|Whatever|Whether|Who|Whoever|Whom|Whose)\b")


def docstrings(source: str) -> Iterator[str]:
    """The docstrings of a module, its classes and functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def literals(source: str) -> Iterator[str]:
    """The string literals of a module, with the pieces of f-strings, without docstrings."""
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


@pytest.mark.parametrize("text", ["mend it, then", "who asks", "was not waited for", "it goes on", "Nobody can"])
def test_the_guard_finds_what_it_forbids(text: str) -> None:
    assert BANNED.search(text)
    assert [text] == [each for each in literals(f'"""Mend."""\nx = {text!r}\n') if BANNED.search(each)]


def test_no_literal_has_a_banned_word() -> None:
    found = {
        (path.relative_to(REPOSITORY).as_posix(), text)
        for path in MODULES
        for text in literals(path.read_text())
        if BANNED.search(text)
    }
    assert found - EXCEPTIONS.keys() == set()
    assert EXCEPTIONS.keys() <= found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_no_page_has_a_banned_word(page: Path) -> None:
    # In backquotes are names, such as the account `nobody`.
    lines = [line for line in page.read_text().splitlines() if BANNED.search(re.sub(r"`[^`]*`", "", line))]
    assert lines == []


def test_no_name_of_a_test_has_a_banned_word() -> None:
    names = {
        name
        for file in (REPOSITORY / "tests").rglob("*.py")
        for name in re.findall(r"def (test_\w+)", file.read_text())
    }
    assert len(names) > 1000
    assert [name for name in sorted(names) if BANNED.search(name.replace("_", " "))] == []


def test_docstrings_say_what_the_caller_gets() -> None:
    """An imperative or a noun phrase, not a question."""
    assert QUESTION.match(next(docstrings('"""Whether it runs."""')))
    begun = [(path.name, text) for path in MODULES for text in docstrings(path.read_text()) if QUESTION.match(text)]
    assert begun == []
