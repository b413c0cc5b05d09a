"""Ids as the stores compare them, with [[links]] alone: doctor and verify say the same, and never that all is well."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv.core.errors import Exit
from devenv.doctor.runner import mend
from tests.conftest import Stores
from tests.integration.doctor_support import Project, project, rows
from tests.integration.verify_support import compared

ID, OTHER = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399", "94c08be3-17fa-4e26-a5d9-c3b6e0271f88"
SQL = f"CREATE TABLE users (id uuid PRIMARY KEY); INSERT INTO users VALUES ('{ID}'), ('{OTHER}');"
TABLE = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
}
Value = dict[str, Any]


@pytest.fixture(scope="module")
def module_things(stores: Stores) -> Iterator[Project]:
    mark = uuid.uuid4().hex[:10]
    table = f"truth-things-{mark}"
    links = [
        {"name": name, "from": f"dynamodb:{table}.{place}", "to": "postgres:users.id"}
        for name, place in (("owner", "pk[USER#{}]"), ("by", "by"), ("members", "members"), ("all", "all[USER#{}]"))
    ]
    settings = {"project": {"name": "things"}, "postgres": {"database": f"truth_{mark}"}, "links": links}
    with project((stores.postgres, stores.dynamodb), settings, SQL, TABLE, table) as made:
        made.put({"pk": {"S": f"USER#{ID}"}, "sk": {"S": "sound"}, "all": {"SS": [f"USER#{ID}", f"USER#{OTHER}"]}})
        yield made


@pytest.fixture
def things(module_things: Project) -> Iterator[Project]:
    sound = module_things.items()
    yield module_things
    for item in module_things.items():
        module_things.delete(item)
    module_things.put(*sound)


def item(**values: Value) -> Value:
    return {"pk": {"S": "X"}, "sk": {"S": "1"}, **values}


def test_an_id_as_its_row_has_it_is_consistent_in_every_place(things: Project, tmp_path: Path) -> None:
    things.put(item(by={"S": OTHER}, members={"L": [{"S": ID}, {"NULL": True}]}, all={"NULL": True}))
    assert rows(things.doctor()) == {}
    assert compared(things, tmp_path).verify().body["verdict"] == "consistent"


@pytest.mark.parametrize(
    ("odd", "says", "safe"),
    [
        (item(pk={"S": f"USER#{ID.upper()}"}), "written differently", True),
        (item(pk={"S": f"USER#{ID.replace('-', '')}"}), "written differently", True),
        (item(by={"S": f"{{{ID}}}"}), "written differently", True),
        (item(by={"S": f"urn:uuid:{ID}"}), "written differently", True),
        (item(by={"S": f" {ID}"}), "written differently", True),
        (item(by={"S": f"user-{ID}"}), "behind a prefix", False),
        (item(members={"SS": [ID.upper(), OTHER]}), "written differently", False),
        (item(members={"L": [{"S": OTHER}, {"S": f"USER#{ID}"}]}), "behind a prefix", False),
        (item(all={"SS": [f"USER#{ID}", f"USER#{OTHER.upper()}"]}), "written differently", False),
    ],
)
@pytest.mark.matrix(8)
def test_the_same_id_in_another_spelling_is_named(
    things: Project, tmp_path: Path, odd: Value, says: str, safe: bool
) -> None:
    things.put(odd)
    found = things.doctor()
    assert (found.body["verdict"], list(rows(found))) == ("unhealthy", ["DAT002"]), rows(found)
    assert f"is the same id, {says}" in rows(found)["DAT002"]["evidence"]
    verified = compared(things, tmp_path).verify()
    assert (verified.body["verdict"], verified.body["findings"]) == ("inconsistent", {"malformed_id": 1})
    if safe:
        assert mend(things.context).exit_code == Exit.DONE
        assert rows(things.doctor()) == {}


@pytest.mark.parametrize(
    ("unread", "attribute"),
    [
        (item(by={"B": "AAEC"}), "by"),
        (item(by={"M": {"id": {"S": ID}}}), "by"),
        (item(members={"L": [{"M": {"id": {"S": ID}}}]}), "members"),
        (item(members={"BS": ["AAEC"]}), "members"),
        (item(members={"L": [{"S": ID}, {"SS": [OTHER]}]}), "members"),
        (item(by={"BOOL": True}), "by"),
        (item(by={"S": "nobody"}), "by"),
        (item(by={"S": ID.replace("-", "\u2011")}), "by"),
        (item(by={"S": f"\uff15{ID[1:]}"}), "by"),
        (item(all={"SS": ["USER#me"]}), "all"),
    ],
)
@pytest.mark.matrix(8)
def test_a_value_in_which_no_id_can_be_read_proves_nothing(
    things: Project, tmp_path: Path, unread: Value, attribute: str
) -> None:
    things.put(unread)
    found = things.doctor()
    assert (found.body["verdict"], found.exit_code) == ("not_verified", Exit.UNCHECKED)
    assert f"link `{attribute}` finds no id in 1 item" in rows(found)["XST001"]["evidence"]
    verified = compared(things, tmp_path).verify()
    assert (verified.body["verdict"], verified.exit_code) == ("not_verified", Exit.UNCHECKED)
    assert f"a link finds no id in `{attribute}`" in verified.body["reasons"][0]
    # A fault beside it outranks it.
    things.put(item(sk={"S": "2"}, by={"S": str(uuid.uuid4())}))
    assert list(rows(things.doctor())) == ["XST001"]
    assert compared(things, tmp_path).verify().body["findings"] == {"orphan": 1}


def test_links_that_read_no_id_in_any_item_prove_nothing(things: Project, tmp_path: Path) -> None:
    """As with an attribute that the application calls by another name."""
    things.delete(things.items()[0])
    things.put(item(owner={"S": "no id at all"}))
    found = things.doctor()
    assert (found.body["verdict"], list(rows(found))) == ("not_verified", ["XST001"])
    assert "the links find no id in any of 1 item" in rows(found)["XST001"]["evidence"]
    verified = compared(things, tmp_path).verify()
    assert (verified.body["verdict"], verified.exit_code) == ("not_verified", Exit.UNCHECKED)
    assert f"link `owner` finds no id in any item of table `{things.table}`" in verified.body["reasons"]
