"""Seed files in the forms that people have them in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from devenv.config.schema import SeedFile
from devenv.core.errors import UsageError
from devenv.steps.seed.format import SeedDocuments, SeedFormat
from devenv.steps.seed.formats.registry import FORMATS
from devenv.steps.seed.forms import read_file
from devenv.steps.seed.items import Keys, read_items
from devenv.steps.step import SourceFile, read_text

TABLES = {
    "things": Keys(("id",), {"id": "S"}),
    "user-orders": Keys(("pk", "sk"), {"pk": "S", "sk": "N", "city": "S"}),
}
THING = {"id": {"S": "1"}, "n": {"N": "41"}}
ORDER = {"pk": {"S": "u"}, "sk": {"N": "7"}, "tags": {"SS": ["a", "b"]}, "deep": {"M": {"l": {"L": [{"NULL": True}]}}}}


def read(name: str, text: Any, mapping: Any = None) -> tuple[list[tuple[str, dict[str, Any]]], list[str]]:
    left_out: list[str] = []
    rules = msgspec.convert(mapping or {}, dict[str, SeedFile])
    text = text if isinstance(text, str) else json.dumps(text)
    items = read_items([SourceFile(name, text)], TABLES, rules, left_out)
    return [(item.table, item.value) for item in items], left_out


def lines(*values: Any) -> str:
    return "\n".join(json.dumps(value, separators=(",", ":")) for value in values) + "\n"


NEXT = {**ORDER, "sk": {"N": "8"}}
ORDERS = {"user-orders": [{"PutRequest": {"Item": ORDER}}]}
BOTH = [("things", THING), ("user-orders", ORDER)]


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("batch.json", {"things": [{"PutRequest": {"Item": THING}}]}, BOTH[:1]),
        ("batch.json", {"things": [{"PutRequest": {"Item": THING}}], **ORDERS}, BOTH),
        ("batch.json", {"RequestItems": ORDERS}, BOTH[1:]),
        ("scan.json", {"Items": [ORDER], "Count": 1, "ScannedCount": 1, "ConsumedCapacity": None}, BOTH[1:]),
        ("things.json", {"Items": [THING]}, BOTH[:1]),
        ("get.json", {"Item": THING}, BOTH[:1]),
        ("put.json", {"TableName": "things", "Item": THING, "ConditionExpression": "x"}, BOTH[:1]),
        ("puts.json", [{"TableName": "things", "Item": THING}, {"TableName": "user-orders", "Item": ORDER}], BOTH),
        ("transact.json", {"TransactItems": [{"Put": {"TableName": "things", "Item": THING}}]}, BOTH[:1]),
        ("requests.json", [{"PutRequest": {"Item": THING}}], BOTH[:1]),
        ("export.json", lines({"Item": ORDER}, {"Item": NEXT}), [BOTH[1], ("user-orders", NEXT)]),
        ("export.jsonl", lines({"Item": THING}), BOTH[:1]),
        ("incremental.json.gz", lines({"Metadata": {}, "Keys": {"id": {"S": "1"}}, "NewImage": THING}), BOTH[:1]),
        ("typed.json", {"table": "things", "items": [THING]}, BOTH[:1]),
        ("plain.json", {"table": "things", "items": [{"id": "1", "n": 41}]}, BOTH[:1]),
        ("list.json", [{"id": "1", "n": 41}], BOTH[:1]),
        ("lines.ndjson", lines({"id": "1", "n": 41}), BOTH[:1]),
        ("User_Orders.json", [{"pk": "u", "sk": 7}], [("user-orders", {"pk": {"S": "u"}, "sk": {"N": "7"}})]),
        ("things.csv", "id,n\n1,41\n", [("things", {"id": {"S": "1"}, "n": {"S": "41"}})]),
        ("user_orders.csv", "pk;sk;city\nu;7;\n", [("user-orders", {"pk": {"S": "u"}, "sk": {"N": "7"}})]),
    ],
)  # fmt: skip
def test_each_form_is_read(name: str, text: Any, wanted: list[Any]) -> None:
    assert read(name, text) == (wanted, [])


def test_a_csv_with_a_mapping() -> None:
    rule = {
        "data/*.csv": {
            "table": "user-orders",
            "attributes": {"pk": "USER#{user}", "sk": "{no}", "paid": "{paid}", "tags": "{tags}", "note": "{note}"},
            "types": {"paid": "BOOL", "tags": "SS", "no": "N"},
        }
    }
    found, _ = read("data/x.csv", 'user,no,paid,tags,note\n"a, b",3,true,x|y,\nc,4,0,z,"say ""hi"""\n', rule)
    assert found == [
        (
            "user-orders",
            {"pk": {"S": "USER#a, b"}, "sk": {"N": "3"}, "paid": {"BOOL": True}, "tags": {"SS": ["x", "y"]}},
        ),
        (
            "user-orders",
            {
                "pk": {"S": "USER#c"},
                "sk": {"N": "4"},
                "paid": {"BOOL": False},
                "tags": {"SS": ["z"]},
                "note": {"S": 'say "hi"'},
            },
        ),
    ]


def test_texts_of_a_dump_are_no_references() -> None:
    assert read("things.json", {"Items": [{"id": {"S": "${users[1].id}"}}]})[0] == [
        ("things", {"id": {"S": "${users[1].id}"}})
    ]


def test_what_is_not_loaded_is_listed() -> None:
    batch = {"things": [{"DeleteRequest": {"Key": {"id": {"S": "2"}}}}, {"PutRequest": {"Item": THING}}]}
    assert read("b.json", batch)[1] == ["b.json: a deletion in things"]
    page = {"Items": [THING], "Count": 1, "LastEvaluatedKey": {"id": {"S": "1"}}}
    assert "one page of a longer answer" in read("things.json", page)[1][0]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.json", {"a": 1}, "x.json is not a seed file"),
        ("x.json", [{"who": "knows"}], "x.json does not name the table of its items"),
        ("x.json", [{"id": "1", "pk": "p", "sk": 1}], "x.json does not name the table of its items"),
        ("x.json", {"things": [{"PutRequest": {"Item": {"id": {"S": 1}}}}]}, "x.json: item 1, attribute id: S is not"),
        ("x.json", {"things": [{"PutRequest": {"Item": {"id": {"S": "1"}, "n": {"N": "x"}}}}]}, "x.json: item 1, attr"),
        ("x.jsonl", '{"Item":{"id":{"S":"1"}}}\n{"Item":\n', "x.jsonl:2:1:9 is not valid JSON"),
        ("things.csv", "id,n\n1\n", "things.csv: row 1 has a different number of cells"),
    ],
)
def test_what_is_unclear_is_refused_with_its_place(name: str, text: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(name, text)
    assert caught.value.what.startswith(message)


def test_the_hint_names_the_setting() -> None:
    with pytest.raises(UsageError) as caught:
        read("data/x.json", [{"who": "knows"}])
    assert '[steps.seed.mapping."data/x.json"] table = "…"' in str(caught.value.hint)


def test_a_gz_file_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b'{"Item":{}}\n'))
    assert read_text(tmp_path / "a.json.gz", "a.json.gz") == '{"Item":{}}\n'
    (tmp_path / "b.json.gz").write_bytes(b"not packed")
    with pytest.raises(UsageError, match="cannot be read"):
        read_text(tmp_path / "b.json.gz", "b.json.gz")


def test_another_form_is_a_record_in_the_registry() -> None:
    def read_pairs(tree: Any, file: str, found: SeedDocuments, whole: bool) -> bool:
        if not (isinstance(tree, dict) and "pairs" in tree):
            return False
        for key, value in tree["pairs"]:
            found.add(tree["of"], {"id": key, "n": value}, False)
        return True

    file = SourceFile("x.json", json.dumps({"of": "things", "pairs": [["1", 41]]}))
    with pytest.raises(UsageError) as caught:
        read_file(file, {})
    assert "CSV" in str(caught.value.detail)
    (document,) = read_file(file, {}, (*FORMATS, SeedFormat("pairs", read_pairs))).documents
    assert (document.table, document.items) == ("things", [{"id": "1", "n": 41}])
