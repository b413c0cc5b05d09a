"""What holds of every value, number, time and statement; each function held against another way to say the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from devenv.core.model import Done, StepState
from devenv.lifecycle.plan import ORDER, UpOptions, plan_steps
from devenv.links.values import (
    attribute_for,
    canonical,
    instant,
    is_placeholder,
    number_text,
    reform,
    same_value,
    time_form,
    uuid_text,
)
from devenv.steps.ledger import LedgerItem
from devenv.steps.seed.references import Reference, quote, split_text
from devenv.steps.seed.seed import judge
from devenv.stores.dynamodb.capacity import ITEM_LIMIT, get_units, item_bytes, page_units, units_of, value_bytes
from devenv.stores.dynamodb.client import plain_value, typed
from devenv.stores.dynamodb.key_schema import Place
from devenv.stores.dynamodb.partiql import (
    UnreadableStatement,
    amount_of,
    literal,
    parse,
    quoted,
    statement_of,
    tokens_of,
)

NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40)
WORDS = st.text(max_size=20) | st.sampled_from(
    ["1e999999999", "-1e-999999999", "0e999999999", "nan", "Infinity", "²", "1_0"]
)


# --- numbers ---


@given(NUMBERS)
def test_a_number_keeps_its_value_and_has_one_spelling(number: Decimal) -> None:
    text = number_text(str(number))
    assert Decimal(text) == number
    assert number_text(text) == text
    assert number_text(f"{number:e}") == text
    assert "E" not in text.upper()


@given(WORDS)
def test_any_text_has_a_spelling_of_the_same_size(text: str) -> None:
    """`1e999999999` would be a thousand million zeros."""
    assert len(number_text(text)) <= 150_000
    assert number_text(number_text(text)) == number_text(text)
    for each in (uuid_text, is_placeholder, time_form, instant, canonical):
        each(text)


@pytest.mark.parametrize(("text", "one"), [("-0", "0"), ("0E+5", "0"), ("-0.00", "0"), ("1e9999999", "1e9999999")])
def test_zero_is_zero_and_what_no_store_holds_stays(text: str, one: str) -> None:
    assert number_text(text) == one


# --- uuids ---


@given(st.uuids(), st.sampled_from(["{}", "{{{}}}", " {} ", "urn:uuid:{}"]), st.booleans())
def test_every_spelling_of_any_uuid_is_that_uuid(uuid: UUID, form: str, upper: bool) -> None:
    text = str(uuid).upper() if upper else str(uuid)
    assert canonical(form.format(text)) == canonical(uuid) == str(uuid)
    assert uuid_text(text.replace("-", "")) == str(uuid)


# --- times ---

ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(timezones=st.none() | ZONES)


@given(MOMENTS)
def test_a_moment_is_the_same_in_every_zone_or_is_none(moment: datetime) -> None:
    """The first and the last hours of the calendar have no time in other zones."""
    found = instant(moment.isoformat())
    if found is None:
        assert moment.year in (1, 9999)
        return
    assert found == (moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    assert canonical(found) == canonical(found.astimezone(UTC))
    assert same_value({"S": moment.isoformat()}, found)


@given(MOMENTS, MOMENTS)
def test_a_time_in_another_form_is_the_same_moment(one: datetime, other: datetime) -> None:
    form = time_form(other.isoformat())
    assert form is None or str(form)
    again = reform(one.isoformat(), form) if form else None
    assert again is None or instant(again) == instant(one.isoformat())


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_times_that_utc_does_not_have_are_none(text: str) -> None:
    assert instant(text) is None
    assert time_form(text) is None
    assert not same_value({"S": text}, datetime(2024, 1, 1, tzinfo=UTC))


# --- columns and attributes ---


@given(st.none() | st.booleans() | st.text() | NUMBERS | st.integers() | st.uuids() | st.datetimes(timezones=ZONES))
def test_a_column_as_an_attribute_is_the_same_value(column: Any) -> None:
    if isinstance(column, datetime) and instant(column.isoformat()) is None:
        return
    assert same_value(attribute_for(column, None), column)


# --- items ---

ATOMS = st.none() | st.booleans() | st.text(max_size=5) | NUMBERS | st.binary(max_size=5)
ITEM_VALUES = st.recursive(
    ATOMS | st.sets(st.text(max_size=3), min_size=1) | st.sets(st.binary(max_size=3), min_size=1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(ITEM_VALUES)
def test_a_value_weighs_what_is_in_it(value: Any) -> None:
    size = value_bytes(typed(value))
    assert plain_value(typed(value)) == value
    assert value_bytes(typed([value])) == 3 + 1 + size
    assert value_bytes(typed({"ab": value})) == 3 + 1 + 2 + size
    assert item_bytes({"é": typed(value)}) == 2 + size
    if isinstance(value, bytes):
        assert size == len(value)


@given(st.lists(st.integers(0, ITEM_LIMIT), max_size=30), st.none() | st.integers(1, 5))
def test_pages_cost_at_most_what_single_reads_cost(sizes: list[int], limit: int | None) -> None:
    pages, units = page_units(sizes, limit)
    assert pages >= (len(sizes) / limit if limit else 1)
    assert units_of(sum(sizes)) <= units + 0.5
    assert units <= max(0.5, get_units(sizes))


# --- statements ---

PLACE = Place("t", None, "table", "pk", "sk")
PIECES = st.sampled_from(
    [
        *(
            "SELECT",
            "*",
            "FROM",
            '"t"',
            "WHERE",
            "pk",
            "sk",
            "=",
            "'a'",
            "1",
            "AND",
            "OR",
            "NOT",
            "IN",
        ),
        *(
            "(",
            ")",
            "[",
            "]",
            ",",
            "<",
            "{",
            "}",
            "<<",
            ">>",
            ".",
            "?",
            "BETWEEN",
            "IS",
            "MISSING",
        ),
        *(
            "begins_with",
            "ORDER",
            "BY",
            "--",
            "/*",
            "*/",
            "'",
            '"',
            "\n",
        ),
    ]
)


@given(st.lists(PIECES | st.text(max_size=3), max_size=25).map(" ".join))
def test_any_text_is_a_statement_or_unreadable(text: str) -> None:
    try:
        select = parse(text)
    except UnreadableStatement:
        return
    amount = amount_of(select, PLACE)
    # What does not pin the partition key is never called cheaper than it is.
    assert amount.operation == "Scan" or "pk" in text


@pytest.mark.parametrize(
    "text", ["(" * 5_000, "NOT " * 5_000, "a = " + "[" * 5_000, "(" * 5_000 + "pk = 1" + ")" * 5_000]
)
def test_a_statement_that_is_nested_without_end_is_unreadable(text: str) -> None:
    with pytest.raises(UnreadableStatement):
        parse(f'SELECT * FROM "t" WHERE {text}')


@given(ITEM_VALUES, st.text(min_size=1, max_size=5))
def test_what_is_written_as_a_literal_reads_as_one_constant(value: Any, name: str) -> None:
    """Quotes in names and texts end nothing: a value stays a value, a name a name."""
    texts = [token.text for token in tokens_of(literal(typed({name: "a'--"}))) if token.kind == "string"]
    assert texts == [name, "a'--"]
    assert [token.text for token in tokens_of(quoted(name))] == [name]
    if isinstance(value, str):
        request = {"TableName": name, "Key": {"pk": typed(value), "sk": typed(1)}}
        select = parse(statement_of(request))
        assert select.table == name
        assert amount_of(select, PLACE).operation == "GetItem"


# --- references ---

NAMES = st.text(min_size=1, max_size=6, alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(NAMES, NAMES, st.text(max_size=8), NAMES, st.text(max_size=5).map(lambda text: text.replace("$", "")))
def test_any_name_and_value_can_be_referred_to(table: str, where: str, value: str, column: str, around: str) -> None:
    said = value.replace("'", "''")
    text = f"{around}${{{quote(table)}[{quote(where)}='{said}'].{quote(column)}}}{around}"
    wanted = (around, Reference(quote(table), where, value, column), around)
    assert split_text(text) == tuple(part for part in wanted if part)


# --- the merge of seeded items ---

THINGS = st.none() | st.sampled_from([{"v": {"N": "1"}}, {"v": {"N": "2"}}, {"v": {"N": "3"}}])
ENTRIES = st.none() | st.builds(lambda written, intent: LedgerItem(b"k", written, intent), THINGS, THINGS | st.just({}))


@settings(max_examples=400)
@given(THINGS, ENTRIES, THINGS)
def test_only_what_is_ours_is_ever_overwritten_or_deleted(wanted: Any, entry: LedgerItem | None, stored: Any) -> None:
    assume(wanted is not None or entry is not None)  # the keys are those of the files and of the ledger
    verdict = judge(wanted, entry, stored)
    if verdict == "put":
        assert stored is None
        assert wanted is not None
    if verdict in ("replace", "delete", "ours"):
        assert entry is not None
        assert stored in (entry.written, entry.intent)
    if verdict == "delete":
        assert wanted is None
    # What is wanted and was never written or is as written comes to be.
    if wanted is not None and stored is not None and entry is not None and stored == entry.written:
        assert verdict == ("ours" if stored == wanted else "replace")


# --- the plan of the steps ---

STATES = st.tuples(
    *(st.builds(StepState, st.just(name), st.sampled_from(get_args(Done)), st.just("why")) for name in ORDER)
)
NAMED = st.none() | st.sampled_from(list(ORDER))


@given(STATES, NAMED, NAMED)
def test_no_work_is_left_out_and_none_is_done_that_no_one_needs(
    states: tuple[StepState, ...], force: str | None, first: str | None
) -> None:
    options = UpOptions(120, force=force, first=first)
    by_name = {state.name: state for state in states}
    actions = [action.action for action in plan_steps(by_name.__getitem__, options, lambda action: False)]
    skipped = ORDER.index(first) if first else 0
    asked = min(ORDER.index(name) for name in (force, first) if name) if force or first else len(ORDER)
    for number, (state, action) in enumerate(zip(states, actions, strict=True)):
        if number < skipped:
            assert action == "keep"
        elif number >= asked or state.state != "done":
            assert action == "run"
        else:
            assert action == ("check" if "run" in actions[:number] else "keep")
