"""Copies of items for any table: keys, ids and what repeats them are others; what the request names stays."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.links.read import compile_plan, read_records
from devenv.stores.dynamodb.client import plain_value, typed_item
from devenv.trace.answers import form_of_items
from devenv.trace.conditions.registry import CONDITIONS
from devenv.trace.stress.growth import Growth, key_of
from devenv.trace.stress.run import try_safely
from devenv.trace.stress.values import FreshValues

TRAIL = "aa31f0d2-1b9c-4a8e-b6d7-5f4e3d2c1b11"
HIKERS = ("11c0a8f4-52f5-4d3c-9d2e-0c7a6b5e4d01", "22d1b9e5-63a6-4e4d-8e3f-1d8b7c6f5e02")
LINK = {"from": "dynamodb:t.hiker", "to": "postgres:hikers.id"}
Item = dict[str, Any]


def grown(entity: Item, trace: Item, items: list[Item], *others: Item, steps: tuple[int, ...] = (10,)) -> Any:
    """The copies of these items as plain values, or the reasons; all keys of the table are different."""
    settings = {
        "project": {"name": "x"},
        "entities": {"thing": {"table": "t", **entity}},
        "links": [LINK],
        "trace": {"s": {"entity": "thing", **trace}},
    }
    keys = ("PK", "SK")
    plan = compile_plan(msgspec.convert(settings, Settings), {"t": keys})
    declared = msgspec.convert(settings, Settings).trace["s"]
    typed = [typed_item(item) for item in items]
    records = list(read_records(plan, "t", typed))
    growth = Growth(keys={key_of(typed_item(item), keys) for item in (*items, *others)})
    found: list[Item] = []
    for times in steps:
        copies, reasons = growth.copies(declared, plan, records, times)
        if reasons:
            return reasons
        growth.times = times
        found += copies
    assert len(found) == len(items) * (steps[-1] - 1)
    form = form_of_items(declared, plan)
    assert form is not None
    entries, strays = form.entries([*typed, *found])
    assert (strays, len({entry.id for entry in entries})) == (0, len(entries)), "each has an id of its own"
    assert len({key_of(item, keys) for item in (*found, *map(typed_item, (*items, *others)))}) == (
        len(found) + len(items) + len(others)
    )
    return [{name: plain_value(value) for name, value in item.items()} for item in found]


def report(number: str, at: str, **more: Any) -> Item:
    key = {"PK": f"TRAIL#{TRAIL}", "SK": f"REPORT#{at}#{number}", "GSI1PK": f"HIKER#{HIKERS[0]}"}
    return {**key, "GSI1SK": f"REPORT#{at}", "reportId": number, "hiker": HIKERS[0], "createdAt": at, **more}


REPORTS = [report("r-1001", "2024-05-20T10:00:00Z"), report("r-1002", "2024-06-02T08:15:00Z", note="dry")]
WHERE = {"where": {"trail": "{trail}"}, "params": {"trail": "uuid"}}


@pytest.mark.parametrize(
    ("sort", "identity"),
    [
        ("REPORT#{createdAt}#{reportId}", "reportId"),  # placeholders named like attributes
        ("REPORT#{at}#{no}", "reportId"),  # the id is an attribute, and the key repeats it
        ("REPORT#{at}#{no}", "no"),  # the id is in the key, and an attribute repeats it
        ("REPORT#{rest}", "reportId"),
        (None, "reportId"),  # the sort key is not declared at all
    ],
)
def test_every_place_that_repeats_an_id_or_a_time_changes_with_it(sort: str | None, identity: str) -> None:
    match = {"PK": "TRAIL#{trail}", **({"SK": sort} if sort else {})}
    trace = {**WHERE, "ids": {"dynamodb": identity, "library": "reportId"}, "sorted_by": "createdAt"}
    attributes = {"createdAt": "time", "reportId": "string", "hiker": "uuid"}
    for copy in grown({"match": match, "attributes": attributes}, trace, REPORTS):
        assert copy["PK"] == f"TRAIL#{TRAIL}"
        assert copy["SK"] == f"REPORT#{copy['createdAt']}#{copy['reportId']}"
        assert copy["GSI1SK"] == f"REPORT#{copy['createdAt']}"
        assert (copy["GSI1PK"], copy["hiker"]) == (f"HIKER#{HIKERS[0]}", HIKERS[0]), (
            "a copy refers to the same person as the original"
        )
        # Neither the newest nor the oldest.
        assert "2024-05-20T10:00:00Z" < copy["createdAt"] < "2024-06-02T08:15:00Z"
        assert copy["reportId"] not in ("r-1001", "r-1002")


def test_a_key_without_an_id_gets_another_time_and_misses_other_subjects_items() -> None:
    """The stranger's shop: the id is the time in the sort key, an attribute repeats it, and an index is read."""
    loans = [
        {
            "PK": f"TOOL#{tool}",
            "SK": f"LOAN#{out}",
            "GSI1PK": "PATRON#jens",
            "GSI1SK": f"LOAN#{out}",
            "out_at": out,
            "due_on": out[:10],
        }
        for tool, out in (("hammer", "2024-05-02T09:12:00Z"), ("ladder", "2024-05-02T09:13:00Z"))
    ]
    other = {"PK": "TOOL#hammer", "SK": "LOAN#2024-05-02T09:12:30Z"}
    entity = {"match": {"PK": "TOOL#{tool}", "SK": "LOAN#{out}"}, "attributes": {"out": "string", "GSI1PK": "string"}}
    trace = {"where": {"GSI1PK": "PATRON#jens"}, "ids": {"dynamodb": "out", "library": "out_at"}}
    for copy in grown(entity, trace, loans, other, steps=(10, 100)):
        assert (copy["GSI1PK"], copy["SK"]) == ("PATRON#jens", f"LOAN#{copy['out_at']}")
        assert copy["GSI1SK"] == copy["SK"]
        assert copy["PK"] in ("TOOL#hammer", "TOOL#ladder"), "one value is enough: the tool is a row elsewhere"


def test_numbers_uuids_and_composed_ids() -> None:
    lines = [{"PK": "ORDER#7", "SK": f"LINE#{n:03}", "line": n, "amount": 3} for n in (1, 3)]
    entity = {"match": {"PK": "ORDER#{order}", "SK": "LINE#{no}"}, "attributes": {"line": "number"}}
    trace = {"where": {"order": "7"}, "ids": {"dynamodb": "{order}-{no}"}}
    copies = grown(entity, trace, lines)
    assert copies[0]["SK"] == "LINE#002"
    assert all(copy["PK"] == "ORDER#7" and copy["amount"] == 3 for copy in copies)
    messages = [{"PK": "GROUP#1", "SK": f"MSG#{each}", "at": "2024-05-02"} for each in HIKERS]
    entity = {"match": {"PK": "GROUP#{group}", "SK": "MSG#{message}"}, "attributes": {"at": "time"}}
    trace = {"where": {"group": "1"}, "ids": {"dynamodb": "message"}, "sorted_by": "at"}
    assert all(copy["at"] < "2024-05-02" for copy in grown(entity, trace, messages)), "no room: before all"


@pytest.mark.parametrize(
    ("match", "trace", "says"),
    [
        (
            {"PK": "TRAIL#{trail}", "SK": "HIKER#{hiker}"},
            {**WHERE, "ids": {"dynamodb": "hiker"}},
            "its id `hiker` is the id of a row in Postgres",
        ),
        (
            {"PK": "TRAIL#{trail}", "SK": "REPORT#{at}#{no}"},
            {"where": {"no": "r-1001"}, "ids": {"dynamodb": "reportId"}},
            "the request names its id `reportId`",
        ),
        ({"PK": "TRAIL#{trail}", "SK": "REPORT#{at}#{no}"}, {**WHERE, "ids": {"dynamodb": "nix"}}, "it has no `nix`"),
        (
            {"PK": "TRAIL#{trail}", "SK": "PROFILE"},
            {**WHERE, "ids": {"dynamodb": "note"}},
            "`PK` and `SK` hold only what the request names",
        ),
    ],
)
def test_where_a_copy_cannot_be_valid_the_reason_is_given(match: Item, trace: Item, says: str) -> None:
    item = report("r-1001", "2024-05-20T10:00:00Z", note="a text")
    if "HIKER" in match["SK"]:
        item |= {"SK": f"HIKER#{HIKERS[0]}"}
    if match["SK"] == "PROFILE":
        item |= {"SK": "PROFILE"}
    entity = {"match": match, "attributes": {"hiker": "uuid"}}
    assert any(says in reason for reason in grown(entity, trace, [item])), grown(entity, trace, [item])


@pytest.mark.parametrize(
    ("texts", "low", "high"),
    [
        (["2024-01-01T00:00:00Z", "2024-01-03T00:00:00Z"], "2024-01-01T00:00:00Z", "2024-01-03T00:00:00Z"),
        (["2024-01-01T00:00:00.000+02:00", "2024-01-01T00:00:10.000+02:00"], "2024-01-01T00:00:00.000+02:00", "2025"),
        (["2024-01-01 00:00", "2024-01-09 00:00"], "2024-01-01 00:00", "2024-01-09 00:00"),
        (["1700000000", "1700009999"], "1700000000", "1700009999"),
        (["0001", "2000"], "0001", "2000"),
        (["1.50", "99.25"], "1.50", "99.25"),
        (["b", "d"], "b", "d"),
    ],
)
def test_fresh_values_lie_between_those_that_are_there_and_come_once(texts: list[str], low: str, high: str) -> None:
    fresh = FreshValues(texts)
    found = [fresh.new(texts[n % 2]) for n in range(900)]
    assert len({*found, *texts}) == 902
    if texts[0] == "1.50":
        assert all(1.5 < float(each) < 99.25 for each in found)
    else:
        assert all(low < each < high for each in found)


def test_an_error_of_one_condition_is_its_own_result() -> None:
    condition = next(one for one in CONDITIONS if one.name == "ten-times")
    result = try_safely(object(), condition, (), {})  # type: ignore[arg-type]
    assert (result.status, result.text.startswith("not run: an error in devenv: AttributeError")) == ("not_run", True)
