"""Reads of a store, declared or sent: as values, in words, compared side by side, and their cost. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from devenv.core.model import DYNAMODB, POSTGRES, StoreName
from devenv.core.value import Value

Direction = Literal["ascending", "descending"]


class Cost(Value, frozen=True):
    """The cost of an answer. `units` is the store's own figure (local stores only estimate), `computed` is ours."""

    requests: int = 0
    scanned: int | None = None
    returned: int | None = None
    units: float | None = None
    computed: float | None = None


class StoreCall(Value, frozen=True):
    """One read of a store, declared or really sent. `key` is attribute -> text, conditions are readable text.

    `limit` with `followed` False ends early when there is more. `elsewhere` says why the target is not the project's
    store (None: it is, or is not known). `error` is the store's error code, or the driver's error when it was not
    reached; `detail` its words. `signed` says in what the region or the key are not the project's. `session` says of
    SQL as which role, and with which search_path, it was asked; `role` is that role alone.
    """

    operation: str
    table: str | None = None
    index: str | None = None
    key: Mapping[str, str] = {}
    sort: str | None = None
    filter: str | None = None
    projection: str | None = None
    limit: int | None = None
    direction: Direction | None = None
    followed: bool = True
    count: int | None = None
    scanned: int | None = None
    sql: str | None = None
    target: str | None = None
    session: str | None = None
    role: str | None = None
    store: StoreName = DYNAMODB
    elsewhere: str | None = None
    elsewhere_kind: str | None = None
    signed: str | None = None
    error: str | None = None
    detail: str | None = None
    times: int = 1

    @property
    def is_sql(self) -> bool:
        """Return True for a statement, False for an operation of DynamoDB."""
        return self.store == POSTGRES


def side_by_side(asked: Sequence[StoreCall] | None, declared: StoreCall | None) -> str:
    """Return what was really asked, and in what that differs from the declared pattern."""
    if asked is None:
        return "its queries were not captured"
    if not asked:
        return "it sends no query to any store"
    main = closest(asked, declared)
    text = f"it sends {shown(main)}"
    if declared is None:
        return text
    wrong = differences(main, declared)
    if not wrong:
        return f"{text}, which is the declared query"
    return f"{text}; the declared query is {shown(declared)} (differs in {', '.join(wrong)})"


def closest(asked: Sequence[StoreCall], declared: StoreCall | None) -> StoreCall:
    """The query that is most like the declared one; the first of equals."""
    if declared is None:
        return asked[0]
    return min(asked, key=lambda one: len(differences(one, declared)) + (3 if one.store != declared.store else 0))


def differences(one: StoreCall, declared: StoreCall) -> list[str]:
    """In what a query differs from the declared one, in words."""
    pairs = (
        ("table", one.table, declared.table),
        ("operation", one.operation, declared.operation),
        ("index", one.index, declared.index),
        ("key", dict(one.key), dict(declared.key)),
        ("sort-key condition", one.sort, declared.sort),
        ("filter", one.filter, declared.filter),
    )
    found = [name for name, mine, theirs in pairs if mine != theirs]
    if one.direction is not None and declared.direction not in (None, one.direction):
        found.append("order")
    if one.limit is not None and not one.followed:
        found.append(f"limit {one.limit} without the next page")
    elif not one.followed and declared.followed:
        found.append("the next page is not requested")
    return found


def shown(asked: StoreCall) -> str:
    """A query in one line."""
    if asked.sql is not None:
        return f"`{' '.join(asked.sql.split())}`"
    parts = [asked.operation, asked.table or "?", *([f"index {asked.index}"] if asked.index else [])]
    conditions = [f"{name} = {text}" for name, text in asked.key.items()]
    conditions += [asked.sort] if asked.sort else []
    if conditions:
        parts.append("where " + " and ".join(conditions))
    parts += [f"filter {asked.filter}"] if asked.filter else []
    parts += [f"only {asked.projection}"] if asked.projection else []
    parts += [asked.direction] if asked.direction == "descending" else []
    if asked.limit is not None:
        parts.append(f"limit {asked.limit}{' paged' if asked.followed else ''}")
    return " ".join(parts)


def shown_key(asked: StoreCall) -> str:
    """`pk = MSG#5ae2…`."""
    return ", ".join(f"{name} = {text}" for name, text in asked.key.items()) or "of the whole table"
