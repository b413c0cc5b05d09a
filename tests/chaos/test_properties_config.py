"""Any devenv.toml: it is taken, or refused with exit 2 and the place of what is wrong. Never a traceback, never a hang.

`config show` and `config check` say the same of it; what they take, every other command that reads takes too.
"""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.examples import answered, call, many
from tests.chaos.scenario import contradictions, count
from tests.support import REPOSITORY, ProjectDir, reference_project

pytestmark = pytest.mark.long

FILE = "devenv.toml"
VALID = (REPOSITORY / FILE).read_bytes()
TREE: dict[str, Any] = tomllib.loads(VALID.decode())
# What a text with a meaning may be exchanged for: templates, names, URLs, globs, types, half and whole.
ODD = [
    *("", " ", "{", "}", "{}", "{a}{b}", "{a}{a}", "{0}", "{a.b.c}", "{a!r}", "%s", "%(a)s", "GRP#{}"),
    *(
        ".",
        "..",
        "a.b.c.d",
        "/",
        "-",
        "--",
        "*",
        "**/**/*",
        "[z-a]",
        "seeds/*",
        "http://[::1",
        "http://h:99999999/{port}",
    ),
    *("string", "string?", "uuid??", "postgres:a.b", "dynamodb:a.b[{]", "embedded", "docker", "external", "message"),
    *("\0", "\x1b[31m", "\u202e", "é" * 63, "x" * 10_000, "\ud7ff\U0001f600", "a\nb", "'", '"', "`", "$", "nan", "0"),
]
SCALARS = (
    st.sampled_from(ODD)
    | st.text(max_size=8)
    | st.booleans()
    | st.integers(-2, 3)
    | st.sampled_from([2**31, 2**63, 2**64, -(2**63) - 1, 10**400])
    | st.floats()
    | st.sampled_from([date(2024, 2, 29), datetime(1, 1, 1), time(23, 59)])  # noqa: DTZ001 - as TOML has it
)
KEYS = st.sampled_from(["", "a`b", "a.b", "name", "postgres", "é", "x y", "a\nb", "[", "env"]) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
READING = [("status",), ("env",), ("up", "--dry-run"), ("patterns", "list"), ("doctor",), ("policy",), ("verify",)]
# Pieces of TOML, some of them not.
PIECES = [
    *(b"[project]\n", b"[[links]]\n", b"[postgres]\n", b'name = "a"\n', b"name", b" = ", b"'", b'"', b'"""', b"'''"),
    *(b"[", b"]", b"{", b"}", b",", b"\n", b"\r\n", b"\r", b"#", b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"\xc3"),
    *(b"\xed\xa0\x80", b"\\u0000", b"\\ud800", b"1979-02-30", b"0x", b"1_", b"1e999", b"9" * 5000, b"inf", b"a.b.c.d"),
    *(b"[" * 5000, b"a." * 2000, b"{a=" * 500),
]
PLACED = re.compile(
    r"line \d|:\d+: |is not UTF-8|end of document|nested|digits|unknown key `|required field `|\bat `\$"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    """The reference project, never started."""
    made = reference_project(tmp_path_factory.mktemp("config") / "project")
    yield made
    made.remove()


def dump(tree: Any) -> str:
    """A tree as TOML."""
    match tree:
        case dict():
            return "{" + ", ".join(f"{dump(key)} = {dump(value)}" for key, value in tree.items()) + "}"
        case list():
            return "[" + ", ".join(map(dump, tree)) + "]"
        case bool():
            return str(tree).lower()
        case str():
            return json.dumps(tree, ensure_ascii=False).replace("\x7f", "\\u007f")
        case date() | datetime() | time():
            return tree.isoformat()
    return str(tree)


def dump_file(tree: dict[str, Any]) -> bytes:
    """A tree as a devenv.toml."""
    return "".join(f"{dump(key)} = {dump(value)}\n" for key, value in tree.items()).encode()


def places(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every key and of every entry of a list."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path for key, value in inner for path in ((*at, key), *places(value, (*at, key)))]


PLACES = places(TREE)


def value_at(path: tuple[Any, ...]) -> Any:
    """What the reference project has there."""
    node: Any = TREE
    for part in path:
        node = node[part]
    return node


def words_in(tree: Any) -> list[str]:
    """The keys and texts of a value."""
    match tree:
        case dict():
            return [word for key, value in tree.items() for word in (key, *words_in(value))]
        case list():
            return [word for value in tree for word in words_in(value)]
    return [tree] if isinstance(tree, str) and tree else []


def mutate(path: tuple[Any, ...], how: str, key: str, value: Any) -> dict[str, Any]:
    """The reference project's settings with one thing changed."""
    tree = copy.deepcopy(TREE)
    node: Any = tree
    for part in path[:-1]:
        node = node[part]
    last = path[-1]
    if how == "replace":
        node[last] = value
    elif how == "remove":
        del node[last]
    elif how == "wrap":
        node[last] = [node[last]]
    elif isinstance(node, dict):
        node[key] = node.pop(last) if how == "rename" else value
    else:
        node.append(value)
    return tree


def judge(project: ProjectDir, content: bytes) -> dict[str, Any] | None:
    """What both commands say of it: None when it is taken, else the error, which has its place."""
    (project.path / FILE).write_bytes(content)
    shown, checked = (answered(project, "config", word, codes=(0, 2)) for word in ("show", "check"))
    error: dict[str, Any] | None = shown.document.get("error")
    if error is not None:
        assert checked.document.get("error") == error
        assert FILE in error["what"]
        assert error["hint"]
    count("configurations")
    return error


def texts(error: dict[str, Any]) -> str:
    """All that an error says."""
    return " ".join(str(part) for part in error.values())


@many(100)
@given(path=st.sampled_from(PLACES), how=st.sampled_from(["replace"] * 4 + ["add", "remove", "rename", "wrap"]), key=KEYS, value=VALUES, reading=st.sampled_from(READING))  # fmt: skip # noqa: E501
def test_a_setting_is_taken_or_refused_by_its_name(
    project: ProjectDir, path: tuple[Any, ...], how: str, key: str, value: Any, reading: tuple[str, ...]
) -> None:
    error = judge(project, dump_file(mutate(path, how, key, value)))
    if error is not None:
        # The key that was changed, the one in which it is, or what it declared, which is now missing where it is used.
        keys = [part for part in (*path, key) if isinstance(part, str)][-2:]
        named = [json.dumps(part, ensure_ascii=False)[1:-1] for part in (*keys, *words_in(value_at(path)))]
        assert any(part in texts(error) for part in named), (path, how, key, value, error)
        return
    answered(project, *reading, codes=(0, 1, 2, 3))


@many(60)
@given(pieces=st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=12))
def test_any_bytes_are_read_or_refused_by_their_line(project: ProjectDir, pieces: list[bytes]) -> None:
    error = judge(project, b"".join(pieces))
    if error is not None:
        assert PLACED.search(texts(error)), error


@many(40)
@given(data=st.data())
def test_a_mutilated_file_is_taken_or_refused(project: ProjectDir, data: st.DataObject) -> None:
    """Lines twice, gone, moved, cut; other line ends and encodings: of the file as it is, with its comments."""
    lines = VALID.splitlines(keepends=True)
    start = data.draw(st.integers(0, len(lines) - 1), "first line")
    end = data.draw(st.integers(start, min(len(lines), start + 20)), "last line")
    to = data.draw(st.integers(0, len(lines)), "where to")
    changes = {
        "twice": lines[:to] + lines[start:end] + lines[to:],
        "gone": lines[:start] + lines[end:],
        "moved": lines[:start] + lines[end:] + lines[start:end],
        "cut": [VALID[: len(b"".join(lines[:start])) + to]],
        "crlf": [line.replace(b"\n", b"\r\n") for line in lines],
        "bom": [b"\xef\xbb\xbf", *lines],
        "latin-1": ["# é\n".encode("latin-1"), *lines],
        "utf-16": [VALID.decode().encode("utf-16")],
        "inserted": [*lines[:to], data.draw(st.sampled_from(PIECES) | st.binary(max_size=3), "what"), *lines[to:]],
    }
    how = data.draw(st.sampled_from(sorted(changes)), "how")
    error = judge(project, b"".join(changes[how]))
    assert error is None or PLACED.search(texts(error)), error
    assert error is None or how not in ("crlf", "bom"), error


def test_the_command_says_the_same_as_the_function(project: ProjectDir) -> None:
    """What the tests above call in their own process is what a user's shell runs."""
    for content in (VALID, b"\xff", b"[" * 5000, b"[project]\nname = 1\n", b"[project]\nname = 'a'\n'a`b' = 1\n"):
        (project.path / FILE).write_bytes(content)
        for words in (("config", "check"), ("config", "show")):
            ran, ours = project.devenv("--json", *words), call(project, "--json", *words)
            assert (ran.code, ran.document) == (ours.code, ours.document)
            assert contradictions(words[0], ran) == []
        count("configurations")
