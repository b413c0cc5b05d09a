"""Repairs that lose nothing: planned purely from faults, applied with conditions on what was there before.

A plan is a list of writes, each with the item as it was and as it shall be, so it can be shown, checked and undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from devenv.config.schema import Group
from devenv.core.errors import StoreError
from devenv.core.value import Value
from devenv.links.judge import Edge, Fault, Item, ItemRecord, LinkJudgement, ReadPlan, Row
from devenv.links.resolve import field_of
from devenv.links.values import attribute_for, canonical

if TYPE_CHECKING:
    from devenv.stores.dynamodb.client import Dynamo

State = Literal["applied", "changed_meanwhile", "failed"]
# What a condition that does not hold is called, alone and in a transaction.
REFUSED: Final = frozenset(["ConditionalCheckFailedException", "TransactionCanceledException"])
# Attributes in one condition.
COMPARED: Final = 100


class Write(Value, frozen=True):
    """One item of `table` from `before` to `after`, in DynamoDB's JSON; None: it is not there. `reasons`: classes."""

    table: str
    keys: tuple[str, ...]
    before: Item | None
    after: Item | None
    reasons: tuple[str, ...]

    @property
    def changes(self) -> dict[str, tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]]:
        """Attribute -> (value before, value after), of those that differ; None: not there."""
        before, after = self.before or {}, self.after or {}
        names = dict.fromkeys([*before, *after])
        return {n: (before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)}

    @property
    def moves(self) -> bool:
        """True if the item gets another key: it is deleted and put in one transaction."""
        return self.before is not None and self.after is not None and bool(set(self.keys) & set(self.changes))

    def undone(self) -> Write:
        """The write that takes this one back."""
        return Write(self.table, self.keys, self.after, self.before, self.reasons)


class WriteResult(msgspec.Struct, frozen=True):
    """The outcome of a write. `changed_meanwhile`: the item was not as planned any more, and was left alone.

    `failed`: DynamoDB does not take the write, as when the item would be too large.
    """

    write: Write
    state: State


def plan_repairs(judgement: LinkJudgement, plan: ReadPlan) -> tuple[Write, ...]:
    """The writes that mend every fault that is safe to mend. Pure; what two faults want of one attribute waits."""
    safe: dict[int, list[Fault]] = {}
    records: dict[int, ItemRecord] = {}
    for fault in judgement.faults:
        if fault.safe and fault.record is not None:
            safe.setdefault(id(fault.record), []).append(fault)
            records[id(fault.record)] = fault.record
    taken = {(r.table, identity(plan, r.table, r.item)) for r in judgement.records}
    writes: list[Write] = []
    for mark, faults in safe.items():
        record = records[mark]
        keys = plan.keys[record.table]
        after = mended(plan, record, faults)
        if after != record.item:
            write = Write(record.table, keys, record.item, after, reasons(faults, "half_group"))
            writes += claim(write, plan, taken)
        for fault in faults:
            if fault.kind == "half_group":
                half = other_half(plan, fault, after)
                writes += claim(Write(record.table, keys, None, half, ("half_group",)), plan, taken)
    return tuple(writes)


def claim(write: Write, plan: ReadPlan, taken: set[tuple[str, tuple[str, ...]]]) -> Iterator[Write]:
    """The write, unless another item has the key that it needs: then nothing that loses nothing can be done."""
    if write.after is None:
        return
    place = (write.table, identity(plan, write.table, write.after))
    if write.before is None or write.moves:
        if place in taken:
            return
        taken.add(place)
    yield write


def identity(plan: ReadPlan, table: str, item: Item) -> tuple[str, ...]:
    """An item's key as text."""
    return tuple(str(item.get(name)) for name in plan.keys[table])


def reasons(faults: Iterable[Fault], *without: str) -> tuple[str, ...]:
    """The classes of these faults, each once."""
    return tuple(dict.fromkeys(fault.kind for fault in faults if fault.kind not in without))


def mended(plan: ReadPlan, record: ItemRecord, faults: Iterable[Fault]) -> Item:
    """The item with what belongs in it."""
    after: dict[str, Any] = dict(record.item)
    for fault in faults:
        if fault.kind == "half_group":
            continue
        changes = preview(plan, record, fault) if fault.kind == "stale_preview" else correction(record, fault)
        for name, value in changes.items():
            if after.get(name) == record.item.get(name):
                after[name] = value
    return after


def correction(record: ItemRecord, fault: Fault) -> dict[str, Any]:
    """The one attribute that a fault is about, with its expected value, in the type that it has."""
    if fault.attribute is None or fault.expected is None:
        return {}
    present = record.item.get(fault.attribute)
    if fault.kind == "stale_copy" and fault.edge is not None and fault.row is not None:
        column = dict([*fault.edge.natural, *fault.edge.copies])[fault.attribute]
        return {fault.attribute: attribute_for(fault.row[column], present)}
    kind = "N" if present is not None and "N" in present else "S"
    return {fault.attribute: {kind: fault.expected}}


def preview(plan: ReadPlan, record: ItemRecord, fault: Fault) -> dict[str, Any]:
    """A group row's time and preview fields, as its newest entry has them."""
    group = group_named(plan, fault.group)
    entry = fault.partners[0]
    if record.kind is None or entry.kind is None or group.time is None:
        return {}
    pairs = {group.time: group.time, **group.preview}
    changes: dict[str, Any] = {}
    for mine, theirs in pairs.items():
        value = entry.item.get(entry.kind.attribute_of(theirs))
        if value is not None:
            changes[record.kind.attribute_of(mine)] = value
    return changes


def group_named(plan: ReadPlan, name: str | None) -> Group:
    """The declared group of that name; StopIteration cannot happen for a fault of this plan."""
    return next(group for group in plan.groups if group.name == name)


def other_half(plan: ReadPlan, fault: Fault, half: Item) -> Item:
    """The missing row of a group of two, from the one that is there: owner and other change places."""
    group = group_named(plan, fault.group)
    kind = plan.kind(group.rows)
    record, owner_row = fault.record, fault.row
    if record is None or owner_row is None or fault.expected is None or not group.owner or not group.other:
        raise ValueError("only a safe half_group has another half")
    # What is declared is the group's; anything else, as how much is unread, is the half's own.
    declared = {*plan.keys[kind.table], *(field.attribute for field in kind.fields), kind.ttl}
    declared |= {kind.attribute_of(name) for name in (group.time, *group.preview) if name}
    after: dict[str, Any] = {name: value for name, value in half.items() if name in declared}
    own = kind.field(group.owner)
    values = {**record.values, group.owner: fault.expected}
    filled = own.template.fill(values[name] for name in own.template.names) if own.template else fault.expected
    after[own.attribute] = like(half.get(own.attribute), filled)
    for edge in plan.edges:
        if edge.table == kind.table and field_of(kind, edge) == group.other:
            after.update(about(edge, owner_row, half))
    return after


def about(edge: Edge, row: Row, present: Item) -> dict[str, Any]:
    """The attributes of a link, as they name `row` and copy it; those that the item has not stay away."""
    found = {edge.attribute: like(present.get(edge.attribute), canonical(row[edge.column]))}
    for attribute, column in dict([*edge.natural, *edge.copies]).items():
        if attribute in present:
            found[attribute] = attribute_for(row[column], present[attribute])
    return found


def like(present: Mapping[str, Any] | None, text: str) -> dict[str, Any]:
    """A text in the attribute type that `present` has."""
    return {"N" if present is not None and "N" in present else "S": text}


def apply_writes(dynamodb: Dynamo, writes: Iterable[Write]) -> Iterator[WriteResult]:
    """Carry out each write where the item still is what the plan saw. StoreError when the store cannot be used."""
    for write in writes:
        try:
            dynamodb.call(*request(write))
        except StoreError as error:
            if error.code not in (*REFUSED, "ValidationException"):
                raise
            yield WriteResult(write, "changed_meanwhile" if error.code in REFUSED else "failed")
        else:
            yield WriteResult(write, "applied")


def request(write: Write) -> tuple[str, dict[str, Any]]:
    """The one DynamoDB call of a write: (operation, body). The condition holds every value that was there before."""
    if write.before is None and write.after is not None:
        return "PutItem", put(write, write.after)
    if write.before is not None and write.after is None:
        return "DeleteItem", delete(write, write.before)
    if write.before is None or write.after is None:
        raise ValueError("a write from nothing to nothing")
    if write.moves:
        actions = [{"Delete": delete(write, write.before)}, {"Put": put(write, write.after)}]
        return "TransactWriteItems", {"TransactItems": actions}
    return "UpdateItem", update(write, write.before)


def put(write: Write, item: Item) -> dict[str, Any]:
    """A put where nothing may be."""
    return {
        "TableName": write.table,
        "Item": item,
        "ConditionExpression": "attribute_not_exists(#k)",
        "ExpressionAttributeNames": {"#k": write.keys[0]},
    }


def delete(write: Write, item: Item) -> dict[str, Any]:
    """A delete of exactly this item."""
    return {
        "TableName": write.table,
        "Key": {name: item[name] for name in write.keys},
        **unchanged(item, write.changes),
    }


def update(write: Write, before: Item) -> dict[str, Any]:
    """An update of the attributes that differ, where all others are as before; unknown new ones stay."""
    body = {
        "TableName": write.table,
        "Key": {name: before[name] for name in write.keys},
        **unchanged(before, write.changes),
    }
    sets, removes = [], []
    for number, (name, (_, after)) in enumerate(write.changes.items()):
        body["ExpressionAttributeNames"][f"#n{number}"] = name
        if after is None:
            removes.append(f"#n{number}")
        else:
            body["ExpressionAttributeValues"][f":n{number}"] = after
            sets.append(f"#n{number} = :n{number}")
    parts = [f"SET {', '.join(sets)}" if sets else "", f"REMOVE {', '.join(removes)}" if removes else ""]
    body["UpdateExpression"] = " ".join(filter(None, parts))
    return body


def unchanged(item: Item, first: Iterable[str] = ()) -> dict[str, Any]:
    """The condition that the attributes of `item` still have their values.

    An expression holds at most 4 KB: of an item with more than COMPARED attributes, those in `first` are compared,
    then the others in their order.
    """
    names = list(item)
    if len(names) > COMPARED:
        names = list(dict.fromkeys([*(name for name in first if name in item), *item]))[:COMPARED]
    return {
        "ConditionExpression": " AND ".join(f"#o{number} = :o{number}" for number, _ in enumerate(names)),
        "ExpressionAttributeNames": {f"#o{number}": name for number, name in enumerate(names)},
        "ExpressionAttributeValues": {f":o{number}": item[name] for number, name in enumerate(names)},
    }


def describe_write(write: Write, state: str) -> dict[str, Any]:
    """A write for a report: `{table, key, reasons, state, changes: [{attribute, before, after}]}`."""
    item = write.before or write.after or {}
    return {
        "table": write.table,
        "key": {name: shown(item.get(name)) for name in write.keys},
        "reasons": list(write.reasons),
        "state": state,
        "changes": [
            {"attribute": name, "before": shown(before), "after": shown(after)}
            for name, (before, after) in write.changes.items()
        ],
    }


def shown(value: Mapping[str, Any] | None) -> Any:
    """An attribute value for people: its content, None when there is none."""
    return None if value is None else next(iter(value.values()))
