"""What became of seeds since they were loaded: counted in the step's reason, and brought back only when asked."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, replace
from typing import Any

import pytest

from devenv.core.model import Report
from devenv.doctor.checks.schema import show_step
from devenv.render.text import up_text
from devenv.stores.dynamodb.client import Dynamo, typed_item
from tests.support import SEED

pytest_plugins = ("tests.integration.step_support",)

KEYS = ("ada", "bob", "cy", "dee")
SAMPLES = 5
SEQUENCES = 200


@pytest.fixture
def shop(small: Any) -> Any:
    """A table of people with a view of their number, and an item for each of them."""
    small.steps.update(
        {
            "setup": {"files": ["a.sql"]},
            "schema-load": {"files": ["t.json"]},
            "seed": {"files": ["i.json"]},
        }
    )
    table = {
        "TableName": small.table("notes"),
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    }
    small.write("t.json", json.dumps(table))
    seeds(small, dict.fromkeys(KEYS, "as seeded"), dict.fromkeys(KEYS, "as seeded"))
    return small


def seeds(small: Any, rows: dict[str, str], items: dict[str, str]) -> None:
    """Write the seed files."""
    inserts = "".join(f"INSERT INTO people VALUES ('{key}', '{text}');\n" for key, text in rows.items())
    small.write(
        "a.sql",
        "CREATE TABLE people (handle text PRIMARY KEY, name text);\n"
        "CREATE TABLE posts (id int PRIMARY KEY, handle text REFERENCES people);\n"
        f"{inserts}"
        "CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM people;\n",
    )
    listed = [{"pk": key, "text": text} for key, text in items.items()] + [{"pk": "always", "text": "here"}]
    small.write("i.json", json.dumps({"table": small.table("notes"), "items": listed}))


def put(small: Any, key: str, text: str) -> None:
    with Dynamo(small.dynamodb) as dynamo:
        item = typed_item({"pk": key, "text": text})
        dynamo.call("PutItem", {"TableName": small.table("notes"), "Item": item})


def delete(small: Any, key: str) -> None:
    with Dynamo(small.dynamodb) as dynamo:
        dynamo.call("DeleteItem", {"TableName": small.table("notes"), "Key": typed_item({"pk": key})})


def live_rows(small: Any) -> dict[str, str]:
    return dict(small.sql("SELECT handle, name FROM people"))


def live_items(small: Any) -> dict[str, str]:
    return {item["pk"]: item["text"] for item in small.items("notes") if item["pk"] != "always"}


def restore(small: Any) -> list[int]:
    return [small.step(name).restore(small.context, small.read(name)) for name in ("setup", "schema-load", "seed")]


def test_what_was_deleted_or_changed_is_counted_and_stays_so(shop: Any) -> None:
    shop.up()
    assert "since" not in shop.look("setup").reason + shop.look("seed").reason
    shop.sql("DELETE FROM people WHERE handle = 'ada'")
    shop.sql("UPDATE people SET name = 'Bo' WHERE handle IN ('bob', 'cy')")
    delete(shop, "ada")
    put(shop, "bob", "by hand")
    put(shop, "new", "somebody's")
    assert shop.up() == {}
    setup, seed = shop.look("setup"), shop.look("seed")
    assert (setup.state, seed.state) == ("done", "done")
    assert "1 of 4 rows has since been deleted: people (handle=ada)" in setup.reason
    assert "2 of 4 rows have since been changed by hand: people (handle=" in setup.reason
    assert "1 of 5 items has since been deleted: ada" in seed.reason
    assert "1 of 5 items has since been changed by hand: bob" in seed.reason


def test_deleted_seeds_come_back_when_asked_and_nothing_else_changes(shop: Any) -> None:
    shop.write("a.sql", (shop.root / "a.sql").read_text() + "INSERT INTO posts VALUES (1, 'ada');")
    shop.up()
    shop.sql("DELETE FROM posts")
    shop.sql("DELETE FROM people WHERE handle = 'ada'")
    shop.sql("UPDATE people SET name = 'Bo' WHERE handle = 'bob'")
    delete(shop, "ada")
    put(shop, "bob", "by hand")
    assert restore(shop) == [2, 0, 1]
    assert live_rows(shop) == {**dict.fromkeys(KEYS, "as seeded"), "bob": "Bo"}
    assert live_items(shop) == {**dict.fromkeys(KEYS, "as seeded"), "bob": "by hand"}
    assert shop.sql("SELECT id, handle FROM posts") == [(1, "ada")]
    assert restore(shop) == [0, 0, 0]
    assert "deleted" not in shop.look("setup").reason + shop.look("seed").reason


def test_a_row_whose_key_another_user_took_is_not_overwritten(shop: Any) -> None:
    shop.up()
    delete(shop, "ada")
    put(shop, "ada", "another")
    shop.sql("DELETE FROM people WHERE handle = 'ada'")
    shop.sql("INSERT INTO people VALUES ('ada', 'another')")
    assert restore(shop) == [0, 0, 0]
    assert live_rows(shop)["ada"] == live_items(shop)["ada"] == "another"


def test_above_a_thousand_a_look_says_that_it_did_not_compare(shop: Any) -> None:
    shop.write("a.sql", "CREATE TABLE n (id int PRIMARY KEY); INSERT INTO n SELECT generate_series(1, 1001);")
    shop.run("setup")
    shop.sql("DELETE FROM n WHERE id = 7")
    state = shop.look("setup")
    assert (state.state, "it loaded more than 1,000 rows, so they were not compared one by one" in state.reason) == (
        "done",
        True,
    )
    thorough = replace(shop.context, thorough=True)
    assert "1 of 1,001 rows has since been deleted: n (id=7)" in (
        shop.step("setup").look(thorough, shop.read("setup")).reason
    )


def test_a_table_without_a_key_and_names_that_collide(shop: Any) -> None:
    shop.write("a.sql", 'CREATE TABLE "row" ("row" int, "table" text); INSERT INTO "row" VALUES (1, \'x\'), (2, NULL);')
    shop.run("setup")
    assert "since" not in shop.look("setup").reason
    shop.sql('DELETE FROM "row" WHERE "row" = 2')
    assert "1 of 2 rows has since been deleted" in shop.look("setup").reason


@pytest.mark.parametrize(
    ("views", "wanted"),
    [
        # The case, and three further ones.
        ("CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM orders;", [("totals", 2)]),
        (
            "CREATE MATERIALIZED VIEW b AS SELECT count(*) AS n FROM orders;"
            "CREATE MATERIALIZED VIEW a AS SELECT n FROM b;",
            [("a", 2), ("b", 2)],
        ),
        (
            "CREATE VIEW v AS SELECT id FROM orders; CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM v;",
            [("m", 2)],
        ),
        ("CREATE SCHEMA other; CREATE MATERIALIZED VIEW other.m AS SELECT max(id) AS n FROM orders;", [("other.m", 2)]),
        ("CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM orders WITH NO DATA;", [("m", None)]),
    ],
)
@pytest.mark.matrix(4)
def test_a_materialized_view_is_as_fresh_as_after_a_fresh_load(
    shop: Any, views: str, wanted: list[tuple[str, int | None]]
) -> None:
    text = f"CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1);{views}"
    shop.write("a.sql", text)
    shop.run("setup")
    shop.write("a.sql", text.replace("(1)", "(1), (2)"))
    shop.run("setup")
    for view, number in wanted:
        if number is None:
            filled = shop.sql("SELECT ispopulated FROM pg_matviews WHERE matviewname = %s", view)
            assert filled == [(False,)]
        else:
            assert shop.sql(f"SELECT n FROM {view}") == [(number,)]


class Sequence:
    """Seed edits, hand edits and `up`s, with what the end must be.

    What nobody touched is as a fresh load of the present files makes it. What a hand changed or deleted stays so; a
    deleted seed that leaves the files is forgotten, and comes back with them.
    """

    def __init__(self, small: Any, number: int) -> None:
        self.small = small
        self.dice = random.Random(f"{SEED} {number}")
        self.wanted = {"rows": dict.fromkeys(KEYS, "as seeded"), "items": dict.fromkeys(KEYS, "as seeded")}
        self.hand: dict[str, dict[str, str | None]] = {"rows": {}, "items": {}}
        self.told: list[str] = []

    def edit_seed(self) -> None:
        store, key = self.dice.choice(["rows", "items"]), self.dice.choice(KEYS)
        if key in self.wanted[store] and self.dice.random() < 0.4:
            del self.wanted[store][key]
        else:
            self.wanted[store][key] = f"seed {self.dice.randrange(10**6)}"
        self.told.append(f"seed {store} {key} = {self.wanted[store].get(key)}")
        seeds(self.small, self.wanted["rows"], self.wanted["items"])

    def edit_by_hand(self) -> None:
        store, key = self.dice.choice(["rows", "items"]), self.dice.choice(KEYS)
        live = live_rows(self.small) if store == "rows" else live_items(self.small)
        if key not in live:
            return
        text = None if self.dice.random() < 0.4 else f"hand {self.dice.randrange(10**6)}"
        if store == "rows":
            self.small.sql("DELETE FROM people WHERE handle = %s", key)
            if text is not None:
                self.small.sql("INSERT INTO people VALUES (%s, %s)", key, text)
        elif text is None:
            delete(self.small, key)
        else:
            put(self.small, key, text)
        self.hand[store][key] = text
        self.told.append(f"hand {store} {key} = {text}")

    def up(self) -> None:
        ran = self.small.up()
        self.told.append(f"up {list(ran)}")
        for store, step in (("rows", "setup"), ("items", "seed")):
            if step not in ran:
                continue
            for key, text in list(self.hand[store].items()):
                if text is None and key not in self.wanted[store]:
                    del self.hand[store][key]
        self.check(setup="setup" in ran)

    def compare_with_fresh(self) -> None:
        """Load the same files into emptied stores: what no hand touched is the same before and after."""
        before = self.untouched()
        for step in ("setup", "schema-load", "seed"):
            self.small.run(step, fresh=True)
        assert before == self.untouched(), self.told
        assert {"rows": live_rows(self.small), "items": live_items(self.small)} == self.wanted, self.told

    def untouched(self) -> dict[str, dict[str, str]]:
        """Both stores, without what a hand changed or deleted."""
        live = {"rows": live_rows(self.small), "items": live_items(self.small)}
        return {store: {key: live[store][key] for key in live[store].keys() - self.hand[store]} for store in live}

    def check(self, *, setup: bool) -> None:
        for store, live in (("rows", live_rows(self.small)), ("items", live_items(self.small))):
            expected = dict(self.wanted[store])
            for key, text in self.hand[store].items():
                if text is None:
                    expected.pop(key, None)
                else:
                    expected[key] = text
            assert live == expected, (store, self.told)
        if setup:
            assert self.small.sql("SELECT n FROM totals") == [(len(live_rows(self.small)),)], self.told


@pytest.mark.parametrize(
    "number",
    [pytest.param(n, marks=() if n < SAMPLES else pytest.mark.long) for n in range(SEQUENCES)],
)
@pytest.mark.matrix(4)
def test_an_incremental_load_is_a_fresh_one_hand_edits_aside(shop: Any, number: int) -> None:
    sequence = Sequence(shop, number)
    sequence.up()
    for _ in range(sequence.dice.randrange(2, 5)):
        for _ in range(sequence.dice.randrange(1, 4)):
            sequence.dice.choice([sequence.edit_seed, sequence.edit_by_hand])()
        sequence.up()
    sequence.compare_with_fresh()


def test_the_words_reach_up_and_doctor(shop: Any) -> None:
    shop.up()
    delete(shop, "ada")
    state = shop.look("seed")
    assert state.since == "1 of 5 items has since been deleted: ada"
    assert show_step(state) == f"seed ({state.since})"
    body = {"services": [], "steps": [asdict(state)], "plan": [], "timings": {"total": 0.0}}
    lines = up_text(Report("up", "shop", 0, body), verbose=False)
    assert lines[1:] == [f"  seed: {state.since}", "  to restore deleted seeds: devenv up --restore-seeds"]
