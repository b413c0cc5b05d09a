"""Whom `devenv trace` proposes as the user, when an empty list proves nothing, and remedies of faults on a copy."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, cast

import pytest

from devenv.config.parse import parse
from devenv.config.schema import SeedSource
from devenv.config.writes import TraceAction
from devenv.core.model import Finding, Fix
from devenv.links.faults import Fault
from devenv.links.read import ItemRecord
from devenv.trace.action.run import ActionOutcome, add
from devenv.trace.layer import Given, Layer
from devenv.trace.layers.nothing import why_nothing
from devenv.trace.observation import Observation
from devenv.trace.question import TraceContext
from devenv.trace.subjects import named_ids, user_of

LOU, MIA, ANN = (f"c0000000-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))
PEOPLE = [{"id": LOU, "email": "lou@x"}, {"id": MIA, "email": "mia@x"}, {"id": ANN, "email": "ann@x"}]
TOML = """
[project]
name = "shop"
[person]
table = "public.users"
id = "id"
name = "email"
[token]
column = "key"
[entities.task]
table = "work"
match = { pk = "BOARD#{board}" }
attributes = { board = "string", owner = "string" }
[[links]]
from = "dynamodb:work.owner[USER#{}]"
to = "postgres:users.id"
[patterns.tasks]
table = "work"
key = { pk = "BOARD#{board}" }
[trace.tasks]
params = { board = "string" }
pattern = "tasks"
entity = "task"
where = { board = "{board}" }
ids = { dynamodb = "sk", http = "sk" }
request = { path = "/boards/{board}", headers = { X-Key = "{token}" } }
"""
ITEMS: list[dict[str, dict[str, Any]]] = [
    {"pk": {"S": "BOARD#a"}, "owner": {"S": f"USER#{LOU}"}},
    {"pk": {"S": "BOARD#b"}, "owner": {"S": f"USER#{ANN}"}},
    {"pk": {"S": "BOARD#b"}, "owner": {"S": f"USER#{MIA.upper()}"}},
    {"pk": {"S": "BOARD#b"}, "owner": {"S": f"USER#{MIA}"}},
    {"pk": {"S": "BOARD#b"}, "owner": {"S": LOU}},
]


@pytest.mark.parametrize(
    ("values", "items", "expected"),
    [
        ({"board": "b"}, ITEMS, "mia@x"),
        ({"board": "a"}, ITEMS, "lou@x"),
        ({"board": "c"}, ITEMS, "lou@x"),
        ({"board": "b", "person.email": "ann@x"}, ITEMS, "ann@x"),
        ({"board": "b", "person.id": MIA}, [], "mia@x"),
    ],
)
def test_the_proposed_user_is_the_one_whom_the_items_name(
    values: dict[str, str], items: list[dict[str, dict[str, Any]]], expected: str
) -> None:
    settings = parse(tomllib.loads(TOML), Path("devenv.toml"))
    trace = settings.trace["tasks"]
    assert user_of(settings, trace, values, PEOPLE, named_ids(settings, trace, values, items)) == expected


def record(key: str) -> ItemRecord:
    return ItemRecord("work", {"pk": {"S": key}}, ("pk",), None, None, {})


SEED = SeedSource(files=["seed.json"])


def test_an_empty_list_proves_nothing_where_no_user_can_have_items() -> None:
    one, two = record("BOARD#a"), record("BOARD#b")
    faults = [Fault("orphan", ("x",), "", one), Fault("orphan", ("y",), "", two), Fault("orphan", ("z",), "")]
    assert list(why_nothing(["task"], [], [], SEED)) == [
        "the stores hold no item of kind `task`, so an empty list was compared with nothing: run `devenv seed`, then"
        " trace again"
    ]
    (text,) = why_nothing(["task"], [one, two], faults, SeedSource())
    assert text.startswith("no id in 2 items of kind `task` matches a row")
    assert text.endswith("write one, then trace again")
    # One that names a row could be in somebody's list.
    assert list(why_nothing(["task"], [one, two], faults[1:], SEED)) == []
    assert list(why_nothing(["task"], [one], [Fault("stale_copy", ("x",), "", one)], SEED)) == []


def observed(before: tuple[Finding, ...], finding: Finding, name: str = "cross-store") -> Fix | None:
    layer = Layer(name, "?", lambda *_: Observation(findings=(finding,)))
    outcome = ActionOutcome(TraceAction(path="/", writes=[]), before=before)
    (found,) = add(layer, outcome).observe(cast(TraceContext, None), Given({})).findings
    return found.fix


def test_a_fault_that_the_action_made_on_the_copy_is_not_looked_for_in_the_own_stores() -> None:
    doctor = Fix("list them", "devenv doctor")
    made = Finding("orphan", "an id without a row", None, doctor, ("x", "y"))
    fix = observed((), made)
    assert fix is not None
    assert (fix.command, fix.text) == (
        None,
        "correct the code that writes it: the fault is on the copy, not in your stores",
    )
    # What the own stores have, too, doctor finds there.
    assert observed((Finding("orphan", "…", None, doctor, ("y",)),), made) == doctor
    assert observed((Finding("orphan", "…", None, doctor, ("z",)),), made) == fix
    assert observed((), Finding("orphan", "…", None, Fix("edit it", "edit shop.py"), ("x",))) == Fix(
        "edit it", "edit shop.py"
    )
