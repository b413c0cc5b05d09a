"""Faults visible in one item, or in one attribute of all items: types, blanks, times, uniqueness. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from devenv.links.expiry import end_of, is_past
from devenv.links.faults import Fault
from devenv.links.packed import Item
from devenv.links.read import Field, ItemRecord, Kind, ReadPlan
from devenv.links.resolve import record_ids
from devenv.links.values import (
    CANONICAL_UUID,
    DYNAMO_TYPES,
    TimeForm,
    instant,
    is_placeholder,
    number_text,
    reform,
    scalar_text,
    time_form,
    uuid_text,
)

# Clocks of two processes differ; more than this ahead is not a clock.
AHEAD: Final = timedelta(seconds=60)


def is_expired(kind: Kind | None, item: Mapping[str, Mapping[str, Any]], now: datetime) -> bool:
    """Return True if an item is past its TTL: DynamoDB may keep it for days, but it counts as gone."""
    if kind is None or kind.ttl is None:
        return False
    end = end_of(item, kind.ttl)
    return end is not None and is_past(end, now.timestamp())


def find_field_faults(records: Iterable[ItemRecord], groups: Mapping[str, str]) -> Iterator[Fault]:
    """Faults of single fields. `groups` maps a kind to the field that holds its group's id, for the subjects.

    Fields found bad are added to `Record.bad`: what follows from them is not reported again.
    """
    for record in records:
        if record.kind is None:
            yield from find_key_fault(record, groups)
            continue
        item, values = record.item, record.values
        for field in record.kind.fields:
            value = item.get(field.attribute)
            if value is not None and is_plain(field, value, values.get(field.name)):
                continue
            fault = judge_field(record, field, groups, item)
            if fault is not None:
                record.bad |= {field.name}
                yield fault


def is_plain(field: Field, value: Mapping[str, Any], text: str | None) -> bool:
    """Return True if an attribute is text in the field's usual form: nearly all are, so this is tested first."""
    if text is None or "S" not in value:
        return False
    if field.type == "uuid":
        return CANONICAL_UUID.fullmatch(text) is not None
    return field.type == "string" and field.template is None


def subjects_of(record: ItemRecord, groups: Mapping[str, str]) -> tuple[str, ...]:
    """An item's ids for a report: its own, then its group's; its key when it has neither."""
    kind = record.kind or record.near
    own = record_ids(record)
    group = record.id(groups[kind.name]) if kind and kind.name in groups else None
    if group is None:
        return own
    return (*own, group) if kind and kind.unique and own and own[0] != record.key_text else (group,)


def judge_field(record: ItemRecord, field: Field, groups: Mapping[str, str], item: Item) -> Fault | None:
    """The first thing wrong with one declared field of a record's `item`, or None."""
    value = item.get(field.attribute)
    if value is None or "NULL" in value:
        if field.optional:
            return None
        return field_fault("missing_attribute", record, field, groups, f"`{field.attribute}` is missing")
    text = record.values.get(field.name)
    if field.template is None and not any(kind in value for kind in DYNAMO_TYPES[field.type]):
        if text is not None and field.type != "string" and is_placeholder(text):
            note = f"`{field.attribute}` is {text!r}"
            return field_fault("placeholder", record, field, groups, note)
        is_, should = next(iter(value), "?"), DYNAMO_TYPES[field.type][0]
        note = f"`{field.attribute}` is of type {is_}, declared {field.type} ({should})"
        return field_fault("wrong_type", record, field, groups, note)
    if text is None:
        return None
    return judge_text(record, field, text, groups)


def judge_text(record: ItemRecord, field: Field, text: str, groups: Mapping[str, str]) -> Fault | None:
    """Return True if a field's text is what its type declares."""
    shown = f"`{field.name}` in `{field.attribute}`" if field.template else f"`{field.attribute}`"
    match field.type:
        case "uuid":
            if CANONICAL_UUID.fullmatch(text):
                return None
            meant = meant_id(record, field)
            known = uuid_text(text)  # `{5ae2…}` is an id in braces, not a blank to fill in
            if known is None and is_placeholder(text):
                return field_fault("placeholder", record, field, groups, f"{shown} is {text!r}", meant)
            if known is not None and field.name not in record.linked:
                record.set_id(field.name, known)
            problem = "is not in the usual form of a uuid (lower case, 8-4-4-4-12)" if known else "is not a uuid"
            in_key = field.attribute in record.key or any(a == field.attribute for a, _ in matchers(record))
            kind = "malformed_key" if in_key else "malformed_id"
            return field_fault(kind, record, field, groups, f"{shown} {text!r} {problem}", meant or known)
        case "time":
            if time_form(text) is not None:
                return None
            blank = is_placeholder(text)
            note = f"{shown} is {text!r}" if blank else f"{shown} {text!r} is not a time"
            return field_fault("placeholder" if blank else "mixed_time_format", record, field, groups, note)
        case "number":
            if field.template is None or number_text(text).lstrip("-").replace(".", "", 1).isdigit():
                return None
            blank = is_placeholder(text)
            note = f"{shown} is {text!r}, which is not a number"
            return field_fault("placeholder" if blank else "malformed_key", record, field, groups, note)
    if field.template is not None and is_placeholder(text):
        return field_fault("placeholder", record, field, groups, f"{shown} is {text!r}")
    return None


def matchers(record: ItemRecord) -> tuple[tuple[str, Any], ...]:
    """The key templates of the record's kind."""
    return record.kind.matchers if record.kind else ()


def field_fault(
    kind: str, record: ItemRecord, field: Field, groups: Mapping[str, str], note: str, right: str | None = None
) -> Fault:
    """A fault of one field; `right` is the text that belongs in it, where nothing is lost by putting it in."""
    expected = None
    if right is not None:
        values = {**record.values, field.name: right}
        expected = field.template.fill(values[name] for name in field.template.names) if field.template else right
    return Fault(
        kind,
        subjects_of(record, groups),
        f"{record.key_text}: {note}",
        record,
        field.attribute,
        field.name,
        observed=scalar_text(record.item.get(field.attribute)),
        expected=expected,
        safe=expected is not None,
    )


def meant_id(record: ItemRecord, field: Field) -> str | None:
    """The id of the row that a link says is meant by a field that holds no id; None when none says so."""
    linked = record.meant(field.name)
    return linked if linked is not None and CANONICAL_UUID.fullmatch(linked) else None


def find_key_fault(record: ItemRecord, groups: Mapping[str, str]) -> Iterator[Fault]:
    """An item of no kind whose key is nearly that of one, as `grp#…` for `GRP#…`. Other items are none of ours."""
    kind = record.near
    if kind is None:
        return
    typed = [field for field in kind.fields if field.template is not None and field.type in ("uuid", "number")]
    if not typed or not all(
        uuid_text(record.values[field.name]) or (field.type == "number" and record.values[field.name].isdigit())
        for field in typed
    ):
        record.near = None
        return
    for attribute, template in kind.matchers:
        text = scalar_text(record.item.get(attribute)) or ""
        if template.parse(text) is None:
            note = f"{record.key_text}: `{attribute}` is {text!r}, a {kind.name} has {template.text!r}"
            yield Fault("malformed_key", subjects_of(record, groups), note, record, attribute, observed=text)


def find_time_faults(records: Sequence[ItemRecord], plan: ReadPlan, now: datetime) -> Iterator[Fault]:
    """`mixed_time_format`: written otherwise than the attribute's other times. `future_time`: a group's, ahead of now.

    The right form is the one most used among those in UTC, because only one form in one zone sorts by time.
    """
    groups = group_fields(plan)
    times = {(kind, group.time) for group in plan.groups for kind in (group.rows, group.entries)}
    seen: list[tuple[ItemRecord, Kind, Field, TimeForm]] = []
    forms: dict[tuple[str, str, str], Counter[TimeForm]] = {}
    for record in records:
        kind = record.kind
        if kind is None:
            continue
        for field in kind.fields:
            if field.type == "time" and field.name not in record.bad and field.name in (values := record.values):
                form = time_form(values[field.name])
                if form is not None:
                    seen.append((record, kind, field, form))
                    forms.setdefault(sorted_with(record, field), Counter())[form] += 1
    right = {place: usual_form(counter) for place, counter in forms.items()}
    limit = now + AHEAD
    for record, kind, field, form in seen:
        text = record.values[field.name]
        usual = right[sorted_with(record, field)]
        if form != usual:
            note = f"`{field.attribute}` is {text}, the others are written {usual}"
            yield field_fault("mixed_time_format", record, field, groups, note, reform(text, usual))
        moment = instant(text)
        if (kind.name, field.name) in times and moment is not None and moment > limit:
            yield field_fault("future_time", record, field, groups, f"`{field.attribute}` {text} is in the future")


def sorted_with(record: ItemRecord, field: Field) -> tuple[str, str, str]:
    """Table, attribute and what stands before the time: `NIGHT#2026-10-04` is never sorted among `FRAME#…`."""
    before = field.template.text.partition("{")[0] if field.template is not None else ""
    return record.table, field.attribute, before


def usual_form(forms: Counter[TimeForm]) -> TimeForm:
    """The form most used among those in UTC; among all, when none is."""
    candidates = {form: count for form, count in forms.items() if form.is_utc} or forms
    return max(candidates, key=lambda form: (candidates[form], form))


def group_fields(plan: ReadPlan) -> dict[str, str]:
    """Kind -> the field with its group's id."""
    return {kind: group.id for group in plan.groups for kind in (group.rows, group.entries) if kind is not None}


def find_unique_faults(records: Iterable[ItemRecord]) -> Iterator[Fault]:
    """`duplicate`: a value that is declared to occur once per table and occurs under several keys."""
    seen: dict[tuple[str, str, str], list[ItemRecord]] = {}
    for record in records:
        if record.kind is not None:
            for name in record.kind.unique:
                if name in record.values and name not in record.bad:
                    seen.setdefault((record.table, name, record.id(name) or ""), []).append(record)
    for (table, name, value), same in seen.items():
        if len(same) > 1:
            keys = ", ".join(record.key_text for record in same[:3])
            note = f"{name} {value} occurs {len(same)} times in {table}: {keys}"
            yield Fault("duplicate", (value,), note, same[0], name, name, observed=value, partners=tuple(same[1:]))
