"""A single-table project in Flask: orders and their lines under one key, traced by configuration alone."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv.stores.dynamodb.client import typed_item
from tests.e2e.world import own_ports
from tests.support import ProjectDir

HERE = Path(__file__).parents[1] / "projects" / "orders"
LAYERS = ["environment", "services", "postgres", "dynamodb", "cross-store", "pattern", "library", "http"]
Item = dict[str, Any]


class Shop:
    """The running project. `restore` takes back what a test did."""

    def __init__(self, project: ProjectDir) -> None:
        self.project = project
        self.files = {file: file.read_text() for name in ("*.py", "*.toml") for file in project.path.glob(name)}
        self.dynamodb = project.dynamodb()
        self.items = self.scan()
        self.served_anew = False

    def scan(self) -> dict[str, Item]:
        """Key -> item."""
        return {json.dumps([item["pk"], item["sk"]]): item for item in self.dynamodb.scan("shop")}

    def restore(self) -> None:
        """Items, files and the served application as they were."""
        for file, text in self.files.items():
            if file.read_text() != text:
                file.write_text(text)
        now = self.scan()
        for key, item in now.items():
            if key not in self.items:
                self.delete(item["pk"]["S"], item["sk"]["S"])
        self.dynamodb.write_batch("shop", [{"PutRequest": {"Item": item}} for item in self.items.values()])
        if self.served_anew:
            self.serve()
            self.served_anew = False

    def serve(self) -> None:
        """Serve the application anew, from its present code."""
        self.project.ok("down")
        self.project.ok("up")
        self.served_anew = True

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a file; code is served anew."""
        file = self.project.path / name
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
        if name.endswith(".py") or "[env]" in new:
            self.serve()

    def change(self, sk: str, pk: str = "ORDER#1001", **values: str | int) -> None:
        """Replace attributes of an item."""
        item = self.items[json.dumps([{"S": pk}, {"S": sk}])]
        self.dynamodb.write_batch("shop", [{"PutRequest": {"Item": {**item, **typed_item(values)}}}])

    def delete(self, pk: str, sk: str) -> None:
        """Delete an item."""
        self.dynamodb.call("DeleteItem", {"TableName": "shop", "Key": {"pk": {"S": pk}, "sk": {"S": sk}}})

    def trace(self, order: str = "1001", *words: str) -> dict[str, Any]:
        """`devenv trace order … --json`."""
        return self.project.json("trace", "order", order, *words)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("orders") / "project"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("__pycache__", ".devstate"))
    project = ProjectDir(folder, own_ports())
    try:
        project.ok("up")
        made = Shop(project)
        with made.dynamodb:
            yield made
    finally:
        project.remove()


@pytest.fixture
def shop(served: Shop) -> Iterator[Shop]:
    try:
        yield served
    finally:
        served.restore()


def test_an_order_with_its_lines_is_ok_in_eight_layers(shop: Shop) -> None:
    document = shop.trace()
    assert (document["verdict"]["status"], document["exit_code"]) == ("ok", 0), document["verdict"]
    assert [(layer["name"], layer["status"]) for layer in document["layers"]] == [(name, "ok") for name in LAYERS]
    counts = {layer["name"]: layer["observed_count"] for layer in document["layers"]}
    assert [counts[name] for name in ("dynamodb", "pattern", "library", "http")] == [4, 4, 4, 4]
    ids = [entry["id"] for entry in document["layers"][-1]["entries"]]
    assert ids == ["order 1001", "line 1", "line 2", "line 3"]
    assert not any(layer["uncovered"] for layer in document["layers"])
    assert "every layer agrees" in shop.project.ok("trace", "order", "1001").out


def test_an_id_that_lines_share_is_not_verified(shop: Shop) -> None:
    for item in shop.items.values():
        if "LINE#" in item["sk"]["S"]:
            shop.dynamodb.write_batch("shop", [{"PutRequest": {"Item": {**item, "product": {"S": "one for all"}}}}])
    shop.edit("devenv.toml", 'ids = { dynamodb = "number"', 'ids = { dynamodb = "product"')
    document = shop.trace()
    [gap] = next(layer["uncovered"] for layer in document["layers"] if layer["name"] == "dynamodb")
    assert gap == "3 entries have the same id (`line one for all`); devenv can compare entries only by unique ids"
    assert document["verdict"]["status"] != "ok"


def test_an_order_without_lines_is_healthy(shop: Shop) -> None:
    document = shop.trace("1002")
    assert document["verdict"]["status"] == "ok", document["verdict"]
    assert document["layers"][-1]["observed_count"] == 1


def test_doctor_agrees(shop: Shop) -> None:
    document = shop.project.json("doctor")
    assert document["verdict"] == "healthy", [c for c in document["checks"] if c["status"] not in ("ok", "skip")]


def lose_the_head(shop: Shop) -> None:
    shop.delete("ORDER#1001", "HEAD")


def make_a_line_stale(shop: Shop) -> None:
    shop.change("LINE#2", packer_uuid="11111111-2222-4333-8444-555555555555")


def make_the_head_stale(shop: Shop) -> None:
    shop.change("HEAD", customer_uuid="11111111-2222-4333-8444-555555555555")


def edit(name: str, old: str, new: str) -> Callable[[Shop], None]:
    return lambda shop: shop.edit(name, old, new)


FAULTS = {
    "the application has another table": (
        edit("devenv.toml", '"--port", "{port}"]', '"--port", "{port}"]\nenv = { SHOP_TABLE = "shop-old" }\n# [env]'),
        ("environment", "wrong_table"),
        "shop-old",
    ),
    "the head is gone": (lose_the_head, ("dynamodb", "missing_item"), "no item of kind `order`"),
    "a line has the id of nobody": (make_a_line_stale, ("cross-store", "mismatched_id"), "handle=cy is"),
    "the head has the id of nobody": (make_the_head_stale, ("cross-store", "mismatched_id"), "handle=ada is"),
    "the declared pattern wants lines only": (
        edit("devenv.toml", '{order_id}" }\nentities', '{order_id}" }\nsort = { begins_with = "LINE#" }\nentities'),
        ("pattern", "narrowed"),
        "begins_with(sk, LINE#)",
    ),
    "the function's query wants lines only": (
        edit("shop.py", '{order_id}")\n', '{order_id}") & Key("sk").begins_with("H")\n'),
        ("library", "wrong_query"),
        "begins_with(sk, H)",
    ),
    "the function drops a field of the lines": (
        edit("shop.py", '"pieces": item["pieces"]}', '"number_of_pieces": item["pieces"]}'),
        ("library", "field_changed"),
        "`pieces`",
    ),
    "the function loses a line": (
        edit("shop.py", '"lines": lines,', '"lines": lines[:-1],'),
        ("library", "items_lost"),
        "1 of `line`",
    ),
    "the route answers without lines": (
        edit("app.py", '"lines": lines,', '"lines": [],'),
        ("http", "items_lost"),
        "3 of `line`",
    ),
    "the route renames the list": (
        edit("app.py", '"lines": lines,', '"positions": lines,'),
        ("http", "body_changed"),
        "without `order.lines`",
    ),
    "the route changes a field of the head": (
        edit("app.py", '"status": order["status"]', '"status": order["status"].upper()'),
        ("http", "body_changed"),
        "`status`",
    ),
    "the route reverses the lines": (
        edit("app.py", '"lines": lines,', '"lines": lines[::-1],'),
        ("http", "body_changed"),
        "for `line`",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.matrix(4)
def test_a_fault_is_named_at_its_layer(shop: Shop, name: str) -> None:
    inject, named, says = FAULTS[name]
    inject(shop)
    document = shop.trace()
    verdict = document["verdict"]
    assert (verdict["layer"], verdict["class"]) == named, verdict
    assert document["exit_code"] == 1
    assert says in json.dumps(verdict), verdict


def test_an_order_that_does_not_exist(shop: Shop) -> None:
    document = shop.trace("1009")
    assert (document["verdict"]["layer"], document["verdict"]["class"]) == ("dynamodb", "missing_item")
    assert document["verdict"]["fix"]["command"].startswith("devenv trace order 100")


def test_more_items_than_the_pattern_expects(shop: Shop) -> None:
    shop.edit("devenv.toml", "at_most = 50", "at_most = 4")
    verdict = shop.trace()["verdict"]
    assert (verdict["layer"], verdict["class"]) == ("pattern", "unexpected_count")
    assert "it returns 5 items; at most 4 are expected" in verdict["summary"]


def test_an_item_of_a_kind_that_the_pattern_does_not_declare(shop: Shop) -> None:
    shop.edit("devenv.toml", '["order", "line", "note"]', '["order", "line"]')
    verdict = shop.trace()["verdict"]
    assert (verdict["layer"], verdict["class"]) == ("pattern", "wrong_key")
    assert "1 item of another kind" in verdict["summary"]


def test_doctor_counts_what_a_pattern_declares(shop: Shop) -> None:
    assert checked(shop)["evidence"] == "3 keys of 1 pattern"
    shop.edit("devenv.toml", "at_least = 1, at_most = 50", "at_least = 2, at_most = 4")
    found = checked(shop)
    assert found["status"] == "fail"
    assert "`order` with pk = ORDER#1001 returns 5 items, expected at most 4" in found["evidence"]
    assert "`order` with pk = ORDER#1002 returns 1 item, expected at least 2" in found["evidence"]
    shop.edit("devenv.toml", "at_least = 2, at_most = 4", "at_least = 1")
    shop.edit("devenv.toml", '"line", "note"]', '"line"]')
    assert "`order` with pk = ORDER#1001 also returns items of kind `note`" in checked(shop)["evidence"]
    shop.edit("devenv.toml", "[patterns.order]", '[patterns.order]\nfilter = "pieces > :p"\nvalues = { p = 0 }')
    found = checked(shop)
    assert (found["status"], "it has a filter" in found["evidence"]) == ("skip", True)


def checked(shop: Shop) -> dict[str, Any]:
    """What doctor's check of patterns says."""
    document = shop.project.json("doctor", "--only", "DAT014")
    return next(check for check in document["checks"] if check["code"] == "DAT014")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('entity = "line"', 'entity = "lines"', "there is no entity `lines`; did you mean `line`?"),
        ('dynamodb = "number"', 'dynamodb = "nummer"', "[entities.line] has no field `nummer`"),
        ('["order", "line", "note"]', '["order"]', "pattern `order` does not return `line`, only `order`"),
        ('{ customer = "customer.handle" }', '{ custommer = "customer.handle" }', "there is no field `custommer`"),
    ],
)
def test_config_check_refuses_what_does_not_fit(shop: Shop, old: str, new: str, says: str) -> None:
    shop.edit("devenv.toml", old, new)
    ran = shop.project.devenv("config", "check")
    assert ran.code == 2
    assert says in " ".join(ran.all.split())


# --- what can be done about it ---


@pytest.mark.long
def test_an_object_that_needs_arguments_and_a_field_that_no_item_has_are_mistakes_of_devenv_toml(shop: Shop) -> None:
    needy = "class Shop:\n    def __init__(self, table):\n        pass\n"
    shop.edit("shop.py", "import boto3\n", f"import boto3\n\n\n{needy}")
    shop.edit("devenv.toml", '"shop:find_order"', '"shop:Shop().find_order"')
    document = shop.trace()
    assert (document["verdict"]["status"], document["exit_code"]) == ("not_verified", 3), document["verdict"]
    library = next(layer for layer in document["layers"] if layer["name"] == "library")
    assert library["status"] == "not_run"
    assert "calls it without arguments (missing a required argument: 'table'); " in library["unasked"]
    assert "`module:factory().attribute.method`" in library["unasked"]
    shop.edit("devenv.toml", '"shop:Shop().find_order"', '"shop:find_order"')
    shop.edit("devenv.toml", 'product = "product", pieces', 'product = "wares", pieces')
    document = shop.trace()
    finding = document["layers"][6]["findings"][0]
    assert finding["cause"] == "no item has an attribute `wares`", finding


@pytest.mark.long
def test_ten_times_as_many_lines(shop: Shop) -> None:
    """The copies are lines of the same order; the order itself, whose id the request names, stays the only one."""
    document = shop.trace("1001", "--stress", "--only", "ten-times")
    (found,) = document["stress"]["conditions"]
    assert (found["status"] in ("holds", "slower"), [one["part"] for one in found["parts"]]) == (
        True,
        ["function", "request"],
    ), found
    shop.edit("shop.py", "KeyConditionExpression=condition", "KeyConditionExpression=condition, Limit=20")
    document = shop.trace("1001", "--stress", "--only", "ten-times", "--only", "slow")
    found, slow = sorted(document["stress"]["conditions"], key=lambda one: one["name"] != "ten-times")
    assert found["text"].startswith("function: wrong: ") or found["text"].startswith("wrong: "), found
    assert re.search(r"1[0-9] of 31 entries lost; `shop\.py:\d+` requests no next page", found["text"]), found
    assert slow["status"] in ("holds", "slower")


def test_a_fix_is_shown_kept_and_taken_back(shop: Shop) -> None:
    make_a_line_stale(shop)
    broken = shop.scan()
    fixed = shop.project.ok("doctor", "--fix").out
    assert "packer_uuid 11111111-2222-4333-8444-555555555555 -> " in fixed
    assert "undo: devenv repair undo" in fixed
    assert shop.scan() == shop.items
    undone = shop.project.json("repair", "undo")
    assert (undone["exit_code"], undone["applied"], undone["skipped"]) == (0, 1, [])
    assert shop.scan() == broken
    again = shop.project.devenv("repair", "undo")
    assert (again.code, "there is no `doctor --fix`" in again.err) == (2, True)
    kept = list((shop.project.path / ".devstate" / "repairs").glob("fix-*.undone"))
    assert len(kept) == 1


def test_an_item_that_was_changed_since_is_not_taken_back(shop: Shop) -> None:
    make_a_line_stale(shop)
    shop.project.ok("doctor", "--fix")
    shop.change("LINE#2", product="quince")
    now = shop.scan()
    undone = shop.project.json("repair", "undo")
    assert (undone["exit_code"], undone["changed_meanwhile"]) == (1, 1)
    assert shop.scan() == now


def test_a_deleted_seed_row_is_named_as_deleted_and_brought_back_by_one_command(shop: Shop) -> None:
    shop.project.ok("db", "--write", "DELETE FROM people WHERE handle = 'cy'")
    verdict = shop.trace()["verdict"]
    assert (verdict["layer"], verdict["class"]) == ("cross-store", "orphan")
    assert verdict["cause"].startswith("a row that setup loaded has since been deleted: ")
    assert verdict["fix"]["command"] == "devenv up --restore-seeds"
    shop.project.ok(*verdict["fix"]["command"].split()[1:])
    assert shop.trace()["verdict"]["status"] == "ok"


def test_a_view_that_a_link_names_is_no_missing_table(shop: Shop) -> None:
    shop.project.ok("db", "--write", "CREATE VIEW persons AS SELECT uuid, handle FROM people")
    try:
        shop.edit("devenv.toml", 'to = "postgres:people.uuid"', 'to = "postgres:persons.uuid"')
        verdict = shop.trace()["verdict"]
        assert verdict["status"] == "ok", verdict
        checks = {check["code"]: check["status"] for check in shop.project.json("doctor")["checks"]}
        assert (checks["SCH004"], checks["XST001"], checks["XST002"]) == ("ok", "ok", "ok")
    finally:
        shop.project.ok("db", "--write", "DROP VIEW persons")
