"""Declared patterns without a store: contradictions, parameters taken from items, the order of texts, their places."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from devenv.config.parse import parse
from devenv.config.references import find_mistakes
from devenv.config.schema import Settings
from devenv.core.errors import UsageError
from devenv.patterns.declared import prepare, request_of
from devenv.patterns.order import find_inversion
from devenv.patterns.samples import matcher, sample
from devenv.patterns.seen import Sample, TableSeen, Unsampled
from devenv.stores.dynamodb.client import typed_item
from devenv.stores.dynamodb.key_schema import places_of

TABLE: dict[str, Any] = {
    "TableName": "chats",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "n", "AttributeType": "N"},
        {"AttributeName": "who", "AttributeType": "S"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-who",
            "KeySchema": [{"AttributeName": "who", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["text"]},
        }
    ],
    "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
}
ITEMS = [
    *({"pk": "ROOM#a", "n": n, "who": "ines"} for n in (1, 2, 3)),
    {"pk": "ROOM#b", "n": 20, "who": "noor"},
    {"pk": "USER#c", "n": 1},
]


def settings_of(text: str) -> Settings:
    return parse(tomllib.loads('[project]\nname = "x"\n' + text), Path("devenv.toml"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[patterns.p]\ntable = "t"\nsql = "SELECT 1"', "either `table` or `sql`"),
        ("[patterns.p]", "either `table` or `sql`"),
        ('[patterns.p]\ntable = "t"\noperation = "get"\nlimit = 1', "operation `get` reads one item"),
        (
            '[patterns.p]\ntable = "t"\nentities = ["mesage"]\n[entities.message]\ntable = "t"',
            "no entity `mesage`; did you mean `message`",
        ),
    ],
)
def test_a_declaration_that_contradicts_itself(text: str, told: str) -> None:
    assert any(told in mistake.sentence for mistake in find_mistakes(settings_of(text)))


@pytest.mark.parametrize(
    "text",
    ['operation = "skan"', "limit = 0", "per_second = 0", 'accept = { PAT1 = "x" }', 'paging = "some"', "lmit = 1"],
)
def test_what_no_pattern_can_say(text: str) -> None:
    with pytest.raises(UsageError):
        settings_of(f'[patterns.p]\ntable = "t"\n{text}')


def taken(text: str, **given: str) -> Any:
    settings = settings_of(f'[patterns.p]\ntable = "chats"\n{text}')
    pattern = settings.patterns["p"]
    table = TableSeen("chats", TABLE, list(map(typed_item, ITEMS)))
    place = table.place(pattern.index)
    assert place is not None
    return sample(pattern, place, table, given, {"year": "2026"})


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('key = { pk = "ROOM#{room}" }', [{"room": "a"}, {"room": "b"}]),
        ('key = { pk = "{kind}#{id}" }', [{"kind": "ROOM", "id": "a"}, {"kind": "USER", "id": "c"}]),
        ('key = { pk = "ROOM#{room}", n = "{n}" }', [{"room": "b", "n": "20"}, {"room": "a", "n": "1"}]),
        ('index = "by-who"\nkey = { who = "{person.handle}" }', [{"person.handle": "ines"}, {"person.handle": "noor"}]),
        ('key = { pk = "ROOM#{room}" }\nparams = { room = "b" }', [{"room": "b"}]),
        ('key = { pk = "ROOM#{room}" }\nparams = { room = ["b", "a"] }', [{"room": "b"}, {"room": "a"}]),
        ('key = { pk = "ROOM#{room}" }\nsort = { between = [10, 30] }', [{"room": "b"}]),
        (
            'key = { pk = "ROOM#{room}" }\nsort = { at_least = "{since}" }\nparams = { room = "a" }',
            [{"room": "a", "since": "1"}],
        ),
        (
            'key = { pk = "ROOM#{room}" }\nfilter = "who = :w"\nvalues = { w = "{who}" }\nparams = { room = "b" }',
            [{"room": "b", "who": "noor"}],
        ),
        ('key = { pk = "ROOM#a" }', [{}]),
    ],
)
def test_parameters_are_taken_from_the_items(text: str, values: list[dict[str, str]]) -> None:
    found = taken(text)
    assert not isinstance(found, Unsampled), found
    assert [dict(each.values) for each in found] == values


@pytest.mark.parametrize(
    ("text", "part", "stored"),
    [
        ('key = { pk = "room#{room}" }', "key", ("ROOM#a", "ROOM#b", "USER#c")),
        ('key = { pk = "ROOM#z" }', "key", ("ROOM#a", "ROOM#b", "USER#c")),
        ('key = { pk = "ROOM#{x}", who = "{x}" }', "key", ("ROOM#a", "ROOM#b", "USER#c")),
        ('key = { pk = "ROOM#{room}" }\nsort = { greater = 100 }', "sort", ("1", "2", "3")),
    ],
)
def test_what_no_item_fits_is_a_fault(text: str, part: str, stored: tuple[str, ...]) -> None:
    found = taken(text)
    assert isinstance(found, Unsampled)
    assert (found.fault, found.part, found.stored) == (True, part, stored)


@pytest.mark.parametrize(
    ("template", "text", "values"),
    [
        ("ROOM#{room}", "ROOM#a#b", ("a#b",)),
        ("{a}#{b}", "x#y#z", ("x", "y#z")),
        ("{a}#{b}!", "x#y!#z!", ("x", "y!#z")),
        ("{a}{b}", "xy", ("", "xy")),
        ("A#{a}#B", "A##B", ("",)),
        ("A#{a}#B", "A#B", None),
        ("A", "A", ()),
        ("A", "AB", None),
        ("{a}#{b}#{c}#{d}#{e}!", "#" * 2000, None),
    ],
)
def test_parameters_are_read_out_of_a_text(template: str, text: str, values: tuple[str, ...] | None) -> None:
    assert matcher(template)[0].parse(text) == values


def test_what_the_user_types_wins() -> None:
    assert taken('key = { pk = "ROOM#{room}" }', room="z") == (Sample({"room": "z"}, "as given"),)


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["2023-06-24T20:57:02.000000+00:00", "2023-06-24T20:57:03.000000+00:00"], None),
        (["2023-06-24T20:57:02+00:00", "2023-06-24T20:57:03+02:00"], "time"),
        (["2023-06-24 20:57:02", "2023-06-24T10:57:03Z"], "time"),
        (["24.06.2023", "01.07.2023"], "time"),
        (["06/24/2022 10:00", "01/07/2023 09:00"], "time"),
        (["1/7/2023, 2:00 PM", "1/7/2023, 10:00 PM"], "time"),
        (["Jun 24, 2023", "Aug 1, 2023"], "time"),
        (["Fri, 24 Jun 2022 10:00:00 GMT", "Sat, 23 Jun 2023 10:00:00 GMT", "Fri, 25 Aug 2023 10:00:00 GMT"], "time"),
        (["2023-6-24", "2023-10-1"], "time"),
        (["2023-06-24T10:00:00Z", "2023-06-24T11:00:00.5Z"], "mixed"),
        (["ORDER#2023-01-02", "ORDER#2023-01-10", "PROFILE"], None),
        (["9", "10"], "number"),
        (["009", "010", "100"], None),
        (["1687640222", "999999999"], "number"),
        (["a", "b10", "b9c"], None),
        (["5ae290ed-55d1-47a0-bc6d-fe2bc2700399", "94c08be3-17fa-4e26-a5d9-c3b6e0271f88"], None),
        ([], None),
    ],
)
def test_whether_texts_sort_by_what_they_mean(texts: list[str], kind: str | None) -> None:
    found = find_inversion(texts)
    assert (found.kind if found else None) == kind


def test_places_hold_what_has_their_keys() -> None:
    table, index = places_of(TABLE)
    assert (table.name, index.name, index.subject) == ("table chats", "index by-who of chats", "chats/by-who")
    assert (table.reads, index.kind, index.sort) == (None, "global", None)
    assert index.lacks(["text", "photo", "pk", "who"]) == ["photo"]
    with_who, without, mistyped = (typed_item(each) for each in (ITEMS[0], ITEMS[-1], {"pk": "a", "n": 1, "who": 5}))
    assert [index.holds(each) for each in (with_who, without, mistyped)] == [True, False, False]
    assert set(index.entry({**with_who, "photo": {"S": "x"}})) == {"pk", "n", "who"}


def test_a_get_is_a_request_of_its_own() -> None:
    text = 'operation = "get"\nconsistent = true\nkey = { pk = "ROOM#{room}" }\nsort = { equals = "{n}" }\n'
    text += 'projection = ["who"]'
    pattern = settings_of(f'[patterns.p]\ntable = "chats"\n{text}').patterns["p"]
    assert request_of(prepare(pattern, {"room": "a", "n": "2"}, TABLE)) == {
        "TableName": "chats",
        "Key": {"pk": {"S": "ROOM#a"}, "n": {"N": "2"}},
        "ConsistentRead": True,
        "ProjectionExpression": "#n0",
        "ExpressionAttributeNames": {"#n0": "who"},
        "ReturnConsumedCapacity": "TOTAL",
    }
