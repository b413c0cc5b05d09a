"""Names for the parts of keys that seeds hold: the code's, then what names tell; small numbers are equal by chance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devenv.config.schema import Settings
from tests.unit.init.test_init_kinds import made
from tests.unit.init.test_init_single_table import TABLE

SQL = """\
CREATE TABLE keepers (id serial PRIMARY KEY, badge text NOT NULL UNIQUE);
CREATE TABLE hives (id serial PRIMARY KEY, site text NOT NULL UNIQUE);
INSERT INTO keepers (badge) VALUES ('K-1'), ('K-2'), ('K-3');
INSERT INTO hives (site) VALUES ('north meadow'), ('south meadow');
"""
VISITS: list[dict[str, Any]] = [
    {"PK": "HIVE#1", "SK": "VISIT#2025-04-02T08:00:00Z", "keeperId": 1, "frames": 8},
    {"PK": "HIVE#1", "SK": "VISIT#2025-04-09T08:00:00Z", "keeperId": 2, "frames": 9},
    {"PK": "HIVE#2", "SK": "VISIT#2025-04-02T10:00:00Z", "keeperId": 2, "frames": 2},
    {"PK": "HIVE#2", "SK": "HARVEST#2025-07-01", "keeperId": 2, "kilos": 11},
]
JS = """
const { QueryCommand } = require('@aws-sdk/lib-dynamodb');
exports.visits = async (hiveId) => (await doc.send(new QueryCommand({
  TableName: 'shop', KeyConditionExpression: 'PK = :p AND begins_with(SK, :s)',
  ExpressionAttributeValues: { ':p': `HIVE#${hiveId}`, ':s': 'VISIT#' },
}))).Items;
"""
PYTHON = """
import boto3
from boto3.dynamodb.conditions import Key
table = boto3.resource("dynamodb").Table("shop")

def visits(hive):
    key = Key("PK").eq("HIVE#" + str(hive)) & Key("SK").begins_with("VISIT#")
    return table.query(KeyConditionExpression=key)["Items"]
"""


def seeded(root: Path, items: list[dict[str, Any]], **code: str) -> tuple[Settings, str]:
    """The settings of a project with these items, and the text of its file."""
    files = {name.replace("_", "."): text for name, text in code.items()}
    settings, _ = made(root, {"table.json": TABLE, "s.sql": SQL, "seeds/items.json": json.dumps(items), **files})
    return settings, (root / "devenv.toml").read_text()


def matches(settings: Settings) -> dict[str, dict[str, str]]:
    return {name: dict(each.match) for name, each in settings.entities.items()}


@pytest.mark.parametrize(
    ("code", "place"),
    [({"store_js": JS}, "hiveId"), ({"store_py": PYTHON}, "hive"), ({}, "hive_id")],
    ids=["template", "concatenation", "no code"],
)
def test_small_numbers_that_coincide_name_no_part_of_a_key(tmp_path: Path, code: dict[str, str], place: str) -> None:
    """Keeper 1 visits hive 1, keeper 2 hive 2: one kind of visits, whose key is that of the hive."""
    settings, _ = seeded(tmp_path, VISITS, **code)
    assert matches(settings) == {
        "visit": {"PK": f"HIVE#{{{place}}}", "SK": "VISIT#{visit_at}"},
        "harvest": {"PK": f"HIVE#{{{place}}}", "SK": "HARVEST#{harvest_at}"},
    }
    assert settings.groups == []
    assert {link.source: link.to for link in settings.links} == {
        "dynamodb:shop.PK[HIVE#{}]": "postgres:hives.id",
        "dynamodb:shop.keeperId": "postgres:keepers.id",
    }


def test_an_attribute_that_is_called_after_the_word_names_the_part(tmp_path: Path) -> None:
    """In the plural, with another case, and beside one that has the same numbers."""
    items = [{**each, "PK": each["PK"].replace("HIVE", "HIVES"), "hiveId": int(each["PK"][-1])} for each in VISITS[:3]]
    items = [{**each, "keeperId": each["hiveId"]} for each in items]
    settings, _ = seeded(tmp_path, items)
    assert matches(settings)["visit"]["PK"] == "HIVES#{hiveId}"


def test_an_attribute_with_other_values_is_not_the_part_whatever_it_is_called(tmp_path: Path) -> None:
    """Else doctor compares the two, and blames the data."""
    items = [{**each, "hiveId": 5} for each in VISITS[:3]]
    settings, _ = seeded(tmp_path, items, store_js=JS)
    assert matches(settings)["visit"]["PK"] == "HIVE#{hive_id}"


@pytest.mark.parametrize(
    ("numbers", "place"),
    [((1, 2, 3), "box_id"), ((11, 12, 13, 14, 15), "place_in_row"), ((1048576, 1048577), "place_in_row")],
)
def test_numbers_alone_name_a_part_only_if_there_are_many_or_long_ones(
    tmp_path: Path, numbers: tuple[int, ...], place: str
) -> None:
    items = [{"PK": f"BOX#{n}", "SK": "META", "place_in_row": n, "weight": 2} for n in numbers]
    settings, _ = seeded(tmp_path, items)
    assert matches(settings)["box"]["PK"] == f"BOX#{{{place}}}"


def test_two_attributes_that_fit_equally_are_said_and_neither_is_taken(tmp_path: Path) -> None:
    items = [
        {"PK": f"BOX#{word}", "SK": "META", "wood": word, "sort": word, "weight": 2} for word in ("larch", "spruce")
    ]
    settings, text = seeded(tmp_path, items)
    assert matches(settings)["box"]["PK"] == "BOX#{box_id}"
    said = " ".join(line.removeprefix("# ") for line in text.splitlines() if line.startswith("# "))
    assert "In each item, the part {box_id} of `PK` has the same value as `wood` and as `sort`, so devenv" in said
