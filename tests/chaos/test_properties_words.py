"""Any text where a uuid, a handle, a statement or a name is typed: a true code, one document, no traceback, no hang."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.examples import answered, call, many
from tests.chaos.scenario import contradictions, count, told
from tests.e2e import world
from tests.support import ProjectDir

pytestmark = pytest.mark.long

# What a shell can hand over: no NUL; bytes that are not UTF-8 arrive as halves of surrogate pairs.
BYTES = st.binary(max_size=8).map(lambda raw: raw.replace(b"\0", b"").decode("utf-8", "surrogateescape"))
TYPED = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
UUIDS = st.uuids().map(str) | st.sampled_from(
    [world.TELESCOPE, world.TELESCOPE.upper(), "{" + world.TELESCOPE + "}", f" {world.TELESCOPE}", world.TELESCOPE[:-1]]
)
ODD = st.sampled_from(
    [
        *("", " ", "-", "--", "--json", "@", "@ines", "ines ", "INES", "ines\n", "%", "%s", "%(a)s", "{", "{}"),
        *("{person.uuid}", "\\", "'", '"', "x" * 3_000, "\u202e", "\U0001f600", "é", "e\u0301", "\udcff", "\r\n"),
        *("\x1b[31m", "0", "null", "SELECT 1", "*", "a=b", "${users[handle=ines].uuid}", "1e999999999"),
    ]
)
TEXTS = ODD | TYPED | UUIDS | BYTES
# Pieces of statements, in both languages.
PIECES = st.sampled_from(
    [
        *(
            "SELECT",
            "*",
            "FROM",
            "users",
            '"cruddur-messages"',
            "WHERE",
            "pk",
            "=",
            "'a'",
            "'",
            '"',
            "(",
        ),
        *(
            ")",
            "<<",
            ">>",
            "[",
            "]",
            "{",
            "}",
            ",",
            ";",
            "--",
            "/*",
            "*/",
            "$1",
            "?",
            ":a",
            "%s",
            "1",
        ),
        *(
            "1e999",
            "NOT",
            "AND",
            "OR",
            "IN",
            "BETWEEN",
            "IS",
            "MISSING",
            "begins_with(",
            "DELETE",
        ),
        *(
            "UPDATE",
            "SET",
            "INSERT",
            "VALUE",
            "EXISTS(",
            "ORDER",
            "COMMIT",
            "COPY",
            "\\d",
            "(" * 3_000,
        ),
        *("NOT " * 3_000,),
    ]
)
SQL = st.lists(PIECES | TEXTS, max_size=8).map(" ".join)
ASKED: dict[str, tuple[st.SearchStrategy[str], Callable[[str], tuple[str, ...]]]] = {
    "trace by uuid": (TEXTS, lambda text: ("trace", "conversation", "--", text)),
    "trace by handle": (TEXTS, lambda text: ("trace", "conversation", world.TELESCOPE, f"--user={text}")),
    "trace a list": (TEXTS, lambda text: ("trace", "conversations", f"--user={text}")),
    "trace a subject": (TEXTS, lambda text: ("trace", "--", text)),
    "token": (TEXTS, lambda text: ("env", f"--token={text}")),
    "doctor --only": (TEXTS, lambda text: ("doctor", f"--only={text}")),
    "doctor --explain": (TEXTS, lambda text: ("doctor", f"--explain={text}")),
    "scan": (TEXTS, lambda text: ("ddb", "scan", "--", text)),
    "pattern": (TEXTS, lambda text: ("patterns", "run", "--", text)),
    "parameter": (TEXTS, lambda text: ("patterns", "run", "messages", f"--param=message_group_uuid={text}")),
    "half a parameter": (TEXTS, lambda text: ("patterns", "run", "messages", f"--param={text}")),
    "snapshot": (TEXTS, lambda text: ("snapshot", "restore", "--", text)),
    "log": (TEXTS, lambda text: ("logs", "--", text)),
    "policy": (TEXTS, lambda text: ("policy", f"--table={text}", f"--region={text}", f"--account={text}")),
    "SQL": (SQL, lambda text: ("db", "--", text)),
    "PartiQL": (SQL, lambda text: ("ddb", "sql", "--", text)),
    "PartiQL, dry": (SQL, lambda text: ("ddb", "sql", "--dry-run", "--", text)),
}
SLOW = {"trace by handle", "trace a list", "trace by uuid"}


@pytest.mark.parametrize("name", ASKED)
def test_any_text_gets_an_answer(shared: ProjectDir, name: str) -> None:
    texts, words = ASKED[name]

    @given(text=texts)
    def property_(text: str) -> None:
        # The application does not run: a trace of whom there is, is not verified.
        answered(shared, *words(text), codes=(0, 1, 2, 3) if name.startswith("trace") else (0, 1, 2))
        count("texts typed for uuids, handles, names and statements")

    property_.__name__ = name
    many(6 if name in SLOW else 25)(property_)()


def test_the_command_answers_as_the_function(shared: ProjectDir) -> None:
    """What the tests above call in their own process is what a shell runs; and nothing of it changed the data."""
    for text in ("", "\udcff", "é'\"", "--json", "x" * 3_000):
        for name in ("token", "scan", "SQL", "PartiQL"):
            words = ASKED[name][1](text)
            ran, ours = shared.devenv("--json", *words), call(shared, "--json", *words)
            assert (ran.code, ran.document) == (ours.code, ours.document), words
            assert contradictions(words[0], ran) == [], words
    before = world.data(shared)
    told(shared, "up", "--no-backend")
    told(shared, "verify")
    assert world.data(shared) == before
