"""Orphans whose row is there under another id: claimed where a unique value establishes it, and never by chance."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.links.judge import LinkJudgement, ReadPlan, compile_plan, judge
from devenv.links.recreated import SAMPLE, declare, find_recreated, make_probes, peers_of, with_recreated
from devenv.stores.dynamodb.client import typed_item
from devenv.stores.postgres.catalog import Catalog, Column, Constraint, Table

NOW = datetime(2025, 1, 1, tzinfo=UTC)
OLD, NEW, OTHER = (str(uuid.UUID(int=n, version=4)) for n in (1, 2, 3))
PARCELS = ("public", "parcels")
LINK = {"name": "parcel", "from": "dynamodb:events.parcel_id", "to": "postgres:parcels.id"}
RIVAL = {"name": "before", "from": "dynamodb:events.before_id", "to": "postgres:parcels.id"}
TYPES = {
    "id": "uuid",
    "tracking_code": "text",
    "number": "bigint",
    "state": "state",
    "open": "boolean",
    "api_token": "text",
    "depot": "text",
    "title": "text",
}
UNIQUE = ("tracking_code", "number", "state", "open", "api_token", "depot")
Item = dict[str, Any]


def plan_of(*links: Mapping[str, Any]) -> ReadPlan:
    return compile_plan(msgspec.convert({"project": {"name": "p"}, "links": links}, Settings), {"events": ("pk",)})


def catalog() -> Catalog:
    constraints = [Constraint("pk", "primary", "", ("id",))]
    constraints += [Constraint(name, "unique", "", (name,)) for name in UNIQUE]
    constraints.append(Constraint("depots", "foreign", "", ("depot",), ("public", "depots"), ("code",)))
    return Catalog((Table(*PARCELS, None, tuple(Column(*pair) for pair in TYPES.items()), tuple(constraints)),))


def row(id: str, code: str | None = None, **columns: Any) -> dict[str, Any]:
    return {**dict.fromkeys(TYPES), "id": uuid.UUID(id), "tracking_code": code, **columns}


def judged(items: Sequence[Item], rows: Sequence[dict[str, Any]], *links: Mapping[str, Any]) -> LinkJudgement:
    """What doctor finds, with all rows of the table instead of those that an index would find."""
    plan = plan_of(*(links or (LINK,)))
    numbered = [typed_item({"pk": str(number), **item}) for number, item in enumerate(items)]
    found = judge(plan, {"events": numbered}, {PARCELS: rows}, NOW)
    named = {}
    for probe in make_probes(plan, catalog(), found.faults, peers_of(found.named)):
        named.update(find_recreated(probe, rows))
    return with_recreated(found, named) if named else found


def claims(found: LinkJudgement) -> list[tuple[str, str, str]]:
    """(attribute, column, id of the row) of each orphan that names one."""
    return [(f.recreated.attribute, f.recreated.column, f.recreated.id) for f in found.faults if f.recreated]


CLAIM = ("tracking_code", "tracking_code", NEW)


def test_a_row_with_the_items_unique_value_is_named_and_the_natural_key_to_declare() -> None:
    found = judged([{"parcel_id": OLD, "tracking_code": "PC-1"}], [row(NEW, "PC-1"), row(OTHER, "PC-2")])
    (one,) = found.folded()
    assert (one.kind, claims(found)) == ("orphan", [CLAIM])
    assert f"; the row with `tracking_code` = 'PC-1' has another id: {NEW}" in one.examples[0]
    assert one.cause is not None
    assert one.cause.startswith("either these rows were recreated")
    assert declare(one.faults) == (
        'declare natural_key = { tracking_code = "tracking_code" } in [[links]] parcel in devenv.toml; '
        "then `devenv doctor --fix` writes the current ids"
    )


def test_with_that_declaration_it_is_a_mismatched_id_that_can_be_corrected() -> None:
    link = {**LINK, "natural_key": {"tracking_code": "tracking_code"}}
    found = judged([{"parcel_id": OLD, "tracking_code": "PC-1"}], [row(NEW, "PC-1")], link)
    assert [(f.kind, f.safe, f.expected) for f in found.faults] == [("mismatched_id", True, NEW)]


def test_the_others_keep_their_words_and_the_cause_says_how_many() -> None:
    items = [{"parcel_id": OLD, "tracking_code": "PC-1"}, {"parcel_id": OTHER, "tracking_code": "PC-9"}]
    found = judged(items, [row(NEW, "PC-1")])
    assert claims(found) == [CLAIM]
    assert found.causes["orphan"].startswith("1 of 2 ids: either these rows were recreated")
    assert "; the other ids: no id in DynamoDB matches" in found.causes["orphan"]


def peer(code: str, number: int = 7) -> tuple[Item, dict[str, Any]]:
    """An item with a good id, and its row."""
    id = str(uuid.UUID(int=number, version=4))
    return {"parcel_id": id, "tracking_code": code, "note": code}, row(id, f"PC-{number}")


@pytest.mark.parametrize(
    ("items", "rows"),
    [
        pytest.param([{"note": "PC-1"}], [row(NEW, "PC-1")], id="one match, another name"),
        pytest.param([{"tracking_code": "PC-1"}], [row(NEW, "PC-1"), row(OTHER, "PC-1")], id="two rows"),
        pytest.param([{"tracking_code": "42"}], [row(NEW, "42")], id="a short number as text"),
        pytest.param([{"number": 42}], [row(NEW, number=42)], id="a tiny number"),
        pytest.param([{"weight": 420042}], [row(NEW, number=420042)], id="a number of another name"),
        pytest.param([{"tracking_code": "true"}], [row(NEW, "true")], id="a truth value as text"),
        pytest.param([{"open": True}], [row(NEW, open=True)], id="a truth value"),
        pytest.param([{"state": "sent"}], [row(NEW, state="sent")], id="an enum"),
        pytest.param([{"title": "Books"}], [row(NEW, title="Books")], id="not unique"),
        pytest.param([{"api_token": "abcdef-12"}], [row(NEW, api_token="abcdef-12")], id="a secret"),
        pytest.param([{"depot": "D-100"}], [row(NEW, depot="D-100")], id="a reference"),
        pytest.param([{"tracking_code": "PC-1", "sent_by": NEW}], [row(NEW, "PC-1")], id="the row's id is there"),
        pytest.param(
            [{"tracking_code": "PC-1"}, {"tracking_code": "PC-2"}],
            [row(NEW, "PC-1"), row(OTHER, "PC-2")],
            id="one id, two rows",
        ),
        pytest.param(
            [{"tracking_code": "PC-1"}, {"parcel_id": OTHER, "tracking_code": "PC-1"}],
            [row(NEW, "PC-1")],
            id="two ids, one row",
        ),
        pytest.param(
            [{"tracking_code": "PC-1"}, peer("X-1")[0]], [row(NEW, "PC-1"), peer("")[1]], id="good items differ"
        ),
        pytest.param([{"tracking_code": "pc-1"}], [row(NEW, "PC-1")], id="other capitals"),
    ],
)
def test_nothing_is_claimed_by_chance(items: list[Item], rows: list[dict[str, Any]]) -> None:
    found = judged([{"parcel_id": OLD, **item} for item in items], rows)
    orphans = [fault for fault in found.faults if fault.kind == "orphan"]
    assert orphans
    assert claims(found) == []
    assert all(fault.note.endswith("matches no row of public.parcels.id") for fault in orphans)
    assert declare(orphans) == ""


@pytest.mark.parametrize(
    ("items", "rows", "claimed"),
    [
        pytest.param(
            [{"note": "PC-1"}, {"parcel_id": OTHER, "note": "PC-2"}],
            [row(NEW, "PC-1"), row(str(uuid.UUID(int=9, version=4)), "PC-2")],
            ("note", "tracking_code", NEW),
            id="several of another name",
        ),
        pytest.param(
            [{"note": "PC-1"}, peer("PC-7")[0]], [row(NEW, "PC-1"), peer("")[1]], ("note", "tracking_code", NEW)
        ),
        pytest.param(
            [{"tracking_code": "PC-1"}, {"parcel_id": OTHER, "tracking_code": "PC-1"}, peer("PC-7")[0]],
            [row(NEW, "PC-1"), peer("")[1]],
            CLAIM,
            id="inserted twice, and good items agree",
        ),
        pytest.param(
            [{"parcelTrackingCode": "PC-1"}], [row(NEW, "PC-1")], ("parcelTrackingCode", "tracking_code", NEW)
        ),
        pytest.param([{"number": 420042}], [row(NEW, number=420042)], ("number", "number", NEW), id="a long number"),
    ],
)
def test_good_items_several_rows_or_the_name_establish_it(
    items: list[Item], rows: list[dict[str, Any]], claimed: tuple[str, str, str]
) -> None:
    assert claims(judged([{"parcel_id": OLD, **item} for item in items], rows))[0] == claimed


def test_beside_another_id_of_the_same_table_only_good_items_establish_it() -> None:
    lone = {"parcel_id": OLD, "before_id": OTHER, "tracking_code": "PC-1"}
    assert claims(judged([lone], [row(NEW, "PC-1")], LINK, RIVAL)) == []
    item, good = peer("PC-7")
    assert CLAIM in claims(judged([lone, item], [row(NEW, "PC-1"), good], LINK, RIVAL))
    # A key that repeats the same id is no other id.
    same = {**lone, "before_id": OLD}
    assert claims(judged([same], [row(NEW, "PC-1")], LINK, RIVAL)) == [CLAIM, CLAIM]


def test_few_orphans_are_looked_up_however_many_there_are() -> None:
    items = [{"parcel_id": str(uuid.UUID(int=n, version=4)), "tracking_code": f"PC-{n}"} for n in range(1, 500)]
    plan = plan_of(LINK)
    raw = [typed_item({"pk": str(number), **item}) for number, item in enumerate(items)]
    found = judge(plan, {"events": raw}, {PARCELS: [row(str(uuid.uuid4()), "PC-3")]}, NOW)
    (probe,) = make_probes(plan, catalog(), found.faults, {})
    assert {column: len(texts) for column, texts in probe.values().items()} == {"id": 0, "tracking_code": SAMPLE}
