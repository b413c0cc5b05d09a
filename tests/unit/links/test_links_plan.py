"""What is compiled from `[entities]`, `[[links]]` and `[[groups]]`, and a project with numbers as keys."""

from __future__ import annotations

import copy
import random
import uuid
from typing import Any

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.core.errors import UsageError
from devenv.links.judge import LinkJudgement, compile_plan, judge
from devenv.links.read import compile_template
from devenv.stores.dynamodb.client import typed_item
from tests.shapes import NOW, SETTINGS, USERS, World, orders_settings


@pytest.fixture
def world() -> World:
    return World()


def seen(judgement: LinkJudgement) -> dict[str, set[str]]:
    """Class -> subjects."""
    return {one.kind: set(one.subjects) for one in judgement.folded()}


# --- the other project: numbers as keys, two links, no groups


ORDERS = compile_plan(msgspec.convert(orders_settings("orders", "shop"), Settings), {"orders": ("order_no",)})
CUSTOMERS = ("shop", "customers")
PRODUCTS = ("shop", "products")


def order(number: int, customer: int, code: str, sku: str, **more: Any) -> dict[str, Any]:
    return typed_item({"order_no": number, "customer": customer, "customer_code": code, "sku": sku, **more})


def shop(*items: dict[str, Any]) -> LinkJudgement:
    rows = {
        CUSTOMERS: [{"id": 1001, "code": "C-ONE"}, {"id": 1002, "code": "C-TWO"}],
        PRODUCTS: [{"sku": "apple", "label": "Apple"}, {"sku": "pear", "label": None}],
    }
    return judge(ORDERS, {"orders": items}, rows, NOW)


def test_numbers_as_ids_are_compared_as_numbers() -> None:
    assert seen(shop(order(1, 1001, "C-ONE", "apple"), order(2, 1002, "C-TWO", "pear"))) == {}


def test_a_customer_with_another_number_is_mismatched() -> None:
    judgement = shop(order(1, 7, "C-ONE", "apple", label="Apple"))
    assert seen(judgement) == {"mismatched_id": {"1001", "7"}}
    assert judgement.faults[0].expected == "1001"


def test_an_unknown_product_is_an_orphan_and_its_label_no_stale_copy() -> None:
    assert seen(shop(order(1, 1001, "C-ONE", "plum", label="Plum"))) == {"orphan": {"plum"}}


def test_a_copy_of_null_is_stale() -> None:
    assert seen(shop(order(1, 1001, "C-ONE", "pear", label="Pear"))) == {"stale_copy": {"pear"}}


def test_a_number_stored_as_text_is_of_the_wrong_type() -> None:
    item = order(1, 1001, "C-ONE", "apple")
    item["customer"] = {"S": "1001"}
    assert set(seen(shop(item))) == {"wrong_type"}


# --- the plan


@pytest.mark.parametrize(
    ("template", "text", "values"),
    [
        ("GRP#{a}", "GRP#x", ("x",)),
        ("GRP#{a}", "MSG#x", None),
        ("{a}#{b}", "x#y", ("x", "y")),
        ("A{}B", "A-1-B", ("-1-",)),
        ("{a}", "anything#at all", ("anything#at all",)),
        ("USER", "USER", ()),
    ],
)
def test_templates_read_and_write(template: str, text: str, values: tuple[str, ...] | None) -> None:
    compiled = compile_template(template)
    assert compiled.parse(text) == values
    if values is not None:
        assert compiled.fill(values) == text


def test_a_group_of_unknown_items_is_refused() -> None:
    settings = copy.deepcopy(SETTINGS)
    settings["groups"][0]["entries"] = "leters"
    with pytest.raises(UsageError, match="leters"):
        compile_plan(msgspec.convert(settings, Settings), {})


def test_a_link_that_names_no_column_is_refused() -> None:
    settings = copy.deepcopy(SETTINGS)
    settings["links"][0]["to"] = "postgres:a.b.c.d"
    with pytest.raises(UsageError, match=r"postgres:a\.b\.c\.d"):
        compile_plan(msgspec.convert(settings, Settings), {})


def test_the_most_specific_kind_wins_whatever_the_order() -> None:
    entities = {
        "any": {"table": "t", "attributes": {"pk": "string"}},
        "user": {"table": "t", "match": {"pk": "USER#{id}"}, "attributes": {"id": "uuid"}},
    }
    plan = compile_plan(msgspec.convert({"project": {"name": "p"}, "entities": entities}, Settings), {"t": ("pk",)})
    items = [typed_item({"pk": "USER#nobody"}), typed_item({"pk": "else"})]
    kinds = [record.kind.name if record.kind else None for record in judge(plan, {"t": items}, {}, NOW).records]
    assert kinds == ["user", "any"]


def test_lists_and_sets_of_ids_are_each_looked_up() -> None:
    settings = {
        "project": {"name": "p"},
        "links": [{"from": "dynamodb:t.members", "to": "postgres:users.uuid"}],
    }
    plan = compile_plan(msgspec.convert(settings, Settings), {"t": ("pk",)})
    known, lost = uuid.uuid4(), str(uuid.uuid4())
    items = [
        {"pk": {"S": "a"}, "members": {"SS": [str(known), lost]}},
        {"pk": {"S": "b"}, "members": {"L": [{"S": lost}]}},
    ]
    judgement = judge(plan, {"t": items}, {USERS: [{"uuid": known}]}, NOW)
    assert seen(judgement) == {"orphan": {lost}}
    assert judgement.folded()[0].items == 2


def test_order_of_items_does_not_matter(world: World) -> None:
    world.row("bo")["uuid"] = uuid.uuid4()
    world.items.remove(world.heads(world.second)[0])
    expected = seen(world.judge())
    random.Random(7).shuffle(world.items)
    assert seen(world.judge()) == expected
