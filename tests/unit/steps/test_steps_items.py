"""Seed items as values: references in texts, numbers, sizes, normal forms; and tables compared."""

from __future__ import annotations

import base64
import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.core.errors import UsageError
from devenv.steps.ledger import Ledger
from devenv.steps.schema_load.schema_load import diff_table
from devenv.steps.seed.items import Keys, fill, key_of, normal_item, number_text, read_items, type_number, type_value
from devenv.steps.seed.references import Reference, nearest, quote, split_text, unquote
from devenv.steps.step import SourceFile
from devenv.stores.dynamodb.capacity import item_bytes
from devenv.stores.dynamodb.client import plain_value

ADA = Reference('"users"', "handle", "ada", "uuid")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("plain $x {y} $", ("plain $x {y} $",)),
        ("${users[handle=ada].uuid}", (ADA,)),
        ("GRP#${users[handle=ada].uuid}/x", ("GRP#", ADA, "/x")),
        ("${users[handle=ada].uuid}${users[handle=ada].uuid}", (ADA, ADA)),
        ("${USERS[Handle='ada'].UUID}", (ADA,)),
        ("$${users[handle=ada].uuid}", ("${", "users[handle=ada].uuid}")),
        ("$$${users[handle=ada].uuid}", ("$", "${", "users[handle=ada].uuid}")),
        ('${"My ""T"[k=v].c}', (Reference('"My ""T"', "k", "v", "c"),)),
        ("${s.t[k='it''s ]'].c}", (Reference('"s"."t"', "k", "it's ]", "c"),)),
        ("${t[k=a=b {c}].c}", (Reference('"t"', "k", "a=b {c}", "c"),)),
        ('${"a.b"."c"[k=v].c}', (Reference('"a.b"."c"', "k", "v", "c"),)),
    ],
)
def test_references_are_found_in_texts(text: str, parts: tuple[Any, ...]) -> None:
    assert split_text(text) == parts


@pytest.mark.parametrize(
    "text", ["${", "${}", "${users}", "${users.uuid}", "${users[handle].uuid}", "${users[=a].b}", "a ${1x[k=v].c}"]
)
def test_a_mark_that_begins_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a reference"):
        split_text(text)


@given(st.text())
def test_any_text_can_be_written_by_escaping(text: str) -> None:
    assert "".join(map(str, split_text(text.replace("${", "$${")))) == text


@given(st.text(min_size=1, alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_name_can_be_quoted(text: str) -> None:
    assert unquote(quote(text)) == text


def test_near_misses_look_past_case_and_blanks() -> None:
    assert nearest("Ada ", ["ada", "bob"]) == "did you mean `ada`?"
    assert nearest("zzz", ["bob", "ada"]) == "known are: ada, bob"
    assert nearest("zzz", []) is None
    assert nearest("zzz", [str(number) * 5 for number in range(10)] * 2) is not None


@pytest.mark.parametrize(
    ("text", "stored"),
    [("1.50e3", "1500"), ("-0.0", "0"), ("0.10", "0.1"), ("1E2", "100"), ("9" * 38, "9" * 38), ("-1E-3", "-0.001")],
)
def test_numbers_are_exact_and_in_one_form(text: str, stored: str) -> None:
    assert type_number(Decimal(text)) == stored
    assert number_text(Decimal(stored)) == stored


@pytest.mark.parametrize("text", ["9" * 39, "1E126", "1E-131", "1." + "1" * 38, "1" * 300])
def test_numbers_that_dynamodb_cannot_keep_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"digits|range"):
        type_number(Decimal(text))


def test_trailing_zeros_are_no_digits() -> None:
    assert type_number(Decimal("1" + "0" * 60)) == "1" + "0" * 60


KEYS = Keys(("pk",), {"pk": "S"})


def read(text: str) -> Any:
    """A seed file with one item, which has a key and these further attributes."""
    return read_items([SourceFile("f.json", f'{{"table": "t", "items": [{{"pk": "a", {text}}}]}}')], {"t": KEYS})


def nested(levels: int, inner: str) -> str:
    return '"x": ' + "[" * levels + inner + "]" * levels


# What DynamoDB Local 3.3.1 takes, and what it refuses; the names too.
@pytest.mark.parametrize(
    "text", [nested(31, '"a"'), nested(31, '{"$set": [1]}'), nested(31, ""), '"' + "x" * 65_535 + '": 1']
)
def test_what_dynamodb_takes_is_taken(text: str) -> None:
    read(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (nested(32, '"a"'), "32 levels"),
        (nested(32, ""), "32 levels"),
        (nested(31, "{}"), "32 levels"),
        ('"": 1', "1 to 65535 bytes"),
        ('"x": [{"": 1}]', "1 to 65535 bytes"),
        ('"' + "x" * 65_536 + '": 1', "1 to 65535 bytes"),
        ('"\\ud800": 1', "surrogate"),
        ('"x": {"\\udfff": 1}', "surrogate"),
        ('"x": {"$set": ["\\ud800"]}', "surrogate"),
        ('"x": 1e9999999', "range"),
        ('"x": -1e-9999999', "range"),
        ('"x": 1e99999999999999999999', "can be stored"),
        ('"x": 0e99999999999999999999', "can be stored"),
    ],
)
def test_what_dynamodb_cannot_keep_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        read(text)
    assert refused.value.what.startswith("f.json: ")
    assert len(refused.value.what) < 300


@pytest.mark.parametrize("padding", ["", "=", "=="])
def test_a_binary_value_may_fill_an_item(padding: str) -> None:
    """400 KB with the names and the key: by its bytes, not by those of its base64."""
    size = 400 * 1024 - len("pkax") - {"": 0, "=": 1, "==": 2}[padding]
    text = base64.b64encode(bytes(size)).decode()
    read(f'"x": {{"$binary": "{text}"}}')
    more = base64.b64encode(bytes(400 * 1024 - len("pkax") + 1)).decode()
    with pytest.raises(UsageError, match="409601 bytes"):
        read(f'"x": {{"$binary": "{more}"}}')


def test_filling_puts_the_answers_in_their_places() -> None:
    seen: list[Reference] = []
    value = {"id": "${users[handle=ada].uuid}", "deep": [{"k": "<${users[handle=ada].uuid}>"}], "n": Decimal(1)}
    typed = {name: type_value(part, seen.append, 1) for name, part in value.items()}
    assert seen == [ADA, ADA]
    assert fill(typed, {ADA: "7f"}) == {
        "id": {"S": "7f"},
        "deep": {"L": [{"M": {"k": {"S": "<7f>"}}}]},
        "n": {"N": "1"},
    }


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=5).map(lambda text: text.replace("$", ""))
    | st.integers(-(10**30), 10**30).map(Decimal),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_json_values_keep_their_meaning(value: Any) -> None:
    typed = type_value(value, lambda reference: None, 1)
    assert plain_value(typed) == value
    assert normal_item({"v": typed}) == {"v": typed}
    assert item_bytes({"v": typed}) > 0


def test_equal_items_have_one_form_and_one_key() -> None:
    one = {"pk": {"N": "1.0"}, "s": {"NS": ["2", "1.50"]}, "t": {"SS": ["b", "a"]}, "l": {"L": [{"N": "1e1"}]}}
    two = {"l": {"L": [{"N": "10"}]}, "t": {"SS": ["a", "b"]}, "s": {"NS": ["1.5", "2.0"]}, "pk": {"N": "1"}}
    assert normal_item(one) == normal_item(two)
    assert key_of(one, ["pk"]) == key_of(two, ["pk"]) == b'{"pk":{"N":"1"}}'


# --- Tables ---

DECLARED: dict[str, Any] = {
    "TableName": "t",
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "N"},
        {"AttributeName": "g", "AttributeType": "S"},
    ],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-g",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["b", "a"]},
        }
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "local",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "g", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}


def changed(**parts: Any) -> dict[str, Any]:
    return {**copy.deepcopy(DECLARED), "TableStatus": "ACTIVE", "ItemCount": 3, **parts}


def test_what_the_table_has_by_itself_is_no_difference() -> None:
    described = changed()
    described["KeySchema"].reverse()
    described["AttributeDefinitions"].reverse()
    described["GlobalSecondaryIndexes"][0] |= {"IndexStatus": "ACTIVE", "ItemCount": 1}
    described["GlobalSecondaryIndexes"][0]["Projection"]["NonKeyAttributes"].reverse()
    assert diff_table(DECLARED, described) == ()


@pytest.mark.parametrize(
    ("parts", "text", "updates", "losing"),
    [
        (
            {"KeySchema": DECLARED["KeySchema"][:1]},
            "its key is pk (S); declared: pk (S), sk (N)",
            [],
            True,
        ),
        ({"LocalSecondaryIndexes": []}, "it has no local index `local` (pk (S), g (S), projection ALL)", [], True),
        (
            {"GlobalSecondaryIndexes": []},
            "index `by-g` is missing (g (S), projection INCLUDE (a, b))",
            ["Create"],
            False,
        ),
        (
            {"GlobalSecondaryIndexes": [{**DECLARED["GlobalSecondaryIndexes"][0], "KeySchema": DECLARED["KeySchema"]}]},
            "index `by-g` has pk (S), sk (N), projection INCLUDE (a, b); declared: g (S), projection INCLUDE (a, b)",
            ["Delete", "Create"],
            False,
        ),
        (
            {
                "GlobalSecondaryIndexes": [
                    *DECLARED["GlobalSecondaryIndexes"],
                    {**DECLARED["GlobalSecondaryIndexes"][0], "IndexName": "more"},
                ]
            },
            "it has an index `more` that is not declared",
            [],
            False,
        ),
    ],
)
def test_each_difference_says_what_it_takes(parts: dict[str, Any], text: str, updates: list[str], losing: bool) -> None:
    (difference,) = diff_table(DECLARED, changed(**parts))
    assert str(difference) == text
    assert [kind for request in difference.mend for kind in request["GlobalSecondaryIndexUpdates"][0]] == updates
    assert difference.losing is losing


# --- The ledger ---


def test_a_missing_ledger_is_empty_and_is_not_made_by_looking(tmp_path: Any) -> None:
    path = tmp_path / "deep" / "ledger.sqlite"
    with Ledger(path, create=False) as ledger:
        assert ledger.mark("seed") is None
        assert ledger.entries("t") == {}
    assert not path.exists()


def test_the_ledger_keeps_intents_until_they_are_settled(tmp_path: Any) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.intend("t", {b"k": {"a": {"S": "1"}}})
    with Ledger(path) as ledger:
        assert ledger.entries("t")[b"k"].intent == {"a": {"S": "1"}}
        assert ledger.entries("t")[b"k"].written is None
        ledger.settle("t", {b"k": {"a": {"S": "1"}}})
        ledger.intend("t", {b"k": {}})
        entry = ledger.entries("t")[b"k"]
        assert (entry.written, entry.intent) == ({"a": {"S": "1"}}, {})
        ledger.settle("t", {b"k": None})
        assert ledger.entries("t") == {}


def test_a_broken_ledger_is_named_with_the_way_out(tmp_path: Any) -> None:
    from devenv.core.errors import DevenvError

    path = tmp_path / "ledger.sqlite"
    path.write_text("this is not a database, whatever its name says, and it is long enough to be sure")
    with pytest.raises(DevenvError) as caught:
        Ledger(path)
    assert str(path) in caught.value.what
    assert "devenv seed" in str(caught.value.hint)
