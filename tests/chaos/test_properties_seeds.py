"""Any seed file: it is loaded, or refused, before anything is written (2) or as a whole in the step (8).

Nothing is half done: with the files as they were, the next `up` brings both stores to what they were.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.examples import answered, many
from tests.chaos.scenario import count, told
from tests.e2e import world
from tests.support import ProjectDir

pytestmark = pytest.mark.long

UP = ("up", "--no-backend")
ITEMS = "seeds/dynamodb/items/choir.json"
SQL = ["seeds/postgres/users.sql", "seeds/postgres/activities.sql"]


@dataclass(frozen=True)
class Running:
    """The started project, what its environment is, and its files as they were in the beginning."""

    project: ProjectDir
    env: dict[str, str]
    whole: dict[str, bytes]

    def data(self) -> tuple[list[str], list[Any]]:
        """Both stores; a user's generated uuid shows as the handle."""
        users = {
            str(uuid): handle
            for uuid, handle in world.query(self.env["DATABASE_URL"], "SELECT uuid, handle FROM users")
        }
        found = sorted(str(sorted(item.items())) for item in world.scan(self.env))
        rows = world.query(self.env["DATABASE_URL"], "SELECT * FROM users ORDER BY handle")
        rows += world.query(self.env["DATABASE_URL"], "SELECT * FROM activities ORDER BY uuid")

        def named(text: str) -> str:
            return world.UUID.sub(lambda uuid: users.get(uuid[0], uuid[0]), text)

        return sorted(map(named, found)), [named(str(row)) for row in rows]

    def begin(self) -> tuple[list[str], list[Any]]:
        """Both stores, with the files as they were: an example that failed leaves its own, and is tried again."""
        if any((self.project.path / file).read_bytes() != text for file, text in self.whole.items()):
            self.restore()
            told(self.project, "reset", "-y")
        return self.data()

    def restore(self) -> None:
        """Put the files back as they were."""
        for file, text in self.whole.items():
            (self.project.path / file).write_bytes(text)

    def mends(self, fresh: tuple[list[str], list[Any]]) -> None:
        """With the files as they were, `up` brings everything back."""
        self.restore()
        answered(self.project, *UP, codes=(0,))
        assert self.data() == fresh


@pytest.fixture
def running(shared: ProjectDir) -> Iterator[Running]:
    """The shared project, and its files as they were."""
    kept = {file: (shared.path / file).read_bytes() for file in (ITEMS, *SQL)}
    told(shared, *UP)
    made = Running(shared, shared.env(), kept)
    yield made
    made.restore()
    told(shared, *UP)


def attempt(running: Running, file: str, content: bytes, fresh: tuple[list[str], list[Any]]) -> int:
    """`up` with this content in the file; how it ended. Refused before the step, nothing has changed."""
    (running.project.path / file).write_bytes(content)
    ran = answered(running.project, *UP, codes=(0, 2, 8))
    if ran.code:
        error = ran.document["error"]
        assert error["hint"]
        # A row that one file no longer makes is missed where the next one refers to it.
        blamed = SQL if file in SQL else [file]
        assert any(each.split("/")[-1] in " ".join(map(str, error.values())) for each in blamed), error
    if ran.code == 2:
        assert running.data() == fresh
    count("seed files")
    return ran.code


HANDLES = st.sampled_from(["ines", "Ines", "ines ", "nobody", "'ines'", "''", "a]b", "ines].uuid}", "", "%", "1"])
TEXT = HANDLES | st.text(max_size=6)
REFERENCES = st.builds(
    "${{{}[{}={}].{}}}".format,
    st.sampled_from(["users", '"users"', "nothing", "public.users"]),
    st.sampled_from(["handle", "handle", "uuid", "nothing", "display_name"]),
    TEXT,
    st.sampled_from(["uuid", "uuid", "nothing", "handle"]),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | REFERENCES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | st.just("$set"), inner, max_size=3),
    max_leaves=5,
)
DOCUMENTS = (
    JSON
    | st.fixed_dictionaries({"table": st.just(world.TABLE) | TEXT, "items": st.lists(JSON, max_size=2)})
    | st.fixed_dictionaries(
        {
            "table": st.just(world.TABLE),
            "items": st.lists(
                st.fixed_dictionaries({"pk": REFERENCES | TEXT, "sk": st.just("a"), "x": JSON}), min_size=1, max_size=3
            ),
        }
    )
)


@many(30)
@given(document=DOCUMENTS)
def test_any_json_is_loaded_or_refused(running: Running, document: Any) -> None:
    fresh = running.begin()
    code = attempt(running, ITEMS, json.dumps(document).encode(), fresh)
    if code == 0:
        loaded = {(item["pk"], item["sk"]) for item in world.scan(running.env)}
        assert len(loaded & {(each["pk"], each["sk"]) for each in document["items"] if "${" not in each["pk"]}) == len(
            {each["pk"] for each in document["items"] if "${" not in each["pk"]}
        )
    running.mends(fresh)


@many(8)
@given(data=st.data())
def test_a_part_of_a_file_of_items_is_loaded_or_refused(running: Running, data: st.DataObject) -> None:
    whole = running.whole[ITEMS]
    fresh = running.begin()
    end = data.draw(st.integers(0, len(whole)), "end")
    more = data.draw(st.sampled_from([b"", b"\xff", b"]}", b"\0", b"//"]), "more")
    code = attempt(running, ITEMS, whole[:end] + more, fresh)
    # What is left may be whole again, as a list without items is.
    assert code == 2 or msgspec.json.decode(whole[:end] + more)
    running.mends(fresh)


STATEMENTS = [
    *("SELECT 1;", "'", '"', "$$", "/*", "*/", "--", ";", "(", "\\d", "COMMIT;", "INSERT INTO nothing VALUES (1);"),
    *(
        "UPDATE users SET nothing = 1;",
        "DELETE FROM users;",
        "SELECT 1/0;",
        "\0",
        "\ufeff",
        "é",
        "SELECT pg_sleep('x');",
    ),
    *(
        "UPDATE users SET handle = 'x' WHERE handle = 'ines';",
        "DO $$ BEGIN RAISE 'no'; END $$;",
        "SET search_path TO x;",
    ),
]


@many(12)
@given(data=st.data())
def test_any_sql_is_loaded_or_refused_as_a_whole(running: Running, data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(SQL), "file")
    lines = running.whole[file].splitlines(keepends=True)
    fresh = running.begin()
    start = data.draw(st.integers(0, len(lines)), "from")
    end = data.draw(st.integers(start, len(lines)), "to")
    more = data.draw(st.sampled_from(STATEMENTS) | st.text(max_size=4), "more")
    content = b"".join(lines[:start]) + more.encode("utf-8", "replace") + b"\n" + b"".join(lines[end:])
    code = attempt(running, file, content, fresh)
    if code == 8:
        assert running.data()[1] == fresh[1], "all files are one transaction"
    running.mends(fresh)
