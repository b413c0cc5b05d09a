"""One read of a store in words, and in what it differs from the declared one. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from devenv.layers.observation import Asked


def side_by_side(asked: Sequence[Asked] | None, declared: Asked | None) -> str:
    """What was really asked, and in what that differs from the declared pattern."""
    if asked is None:
        return "its queries were not captured"
    if not asked:
        return "it asks no store at all"
    main = closest(asked, declared)
    text = f"it asks {shown(main)}"
    if declared is None:
        return text
    wrong = differences(main, declared)
    return f"{text}; declared is {shown(declared)}" + (f" (differs in {', '.join(wrong)})" if wrong else "")


def closest(asked: Sequence[Asked], declared: Asked | None) -> Asked:
    """The query that is most like the declared one; the first of equals."""
    if declared is None:
        return asked[0]
    return min(asked, key=lambda one: len(differences(one, declared)) + (3 if one.store != declared.store else 0))


def differences(one: Asked, declared: Asked) -> list[str]:
    """In what a query differs from the declared one, in words."""
    pairs = (
        ("table", one.table, declared.table),
        ("operation", one.operation, declared.operation),
        ("index", one.index, declared.index),
        ("key", dict(one.key), dict(declared.key)),
        ("sort-key condition", one.sort, declared.sort),
        ("filter", one.filter, declared.filter),
        ("order", one.direction, declared.direction),
    )
    found = [name for name, mine, theirs in pairs if mine != theirs and (mine or name not in ("order",))]
    if one.limit is not None and not one.followed:
        found.append(f"limit {one.limit} without the next page")
    elif not one.followed and declared.followed:
        found.append("the next page is not asked for")
    return found


def shown(asked: Asked) -> str:
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


def shown_key(asked: Asked) -> str:
    """`pk = MSG#5ae2…`."""
    return ", ".join(f"{name} = {text}" for name, text in asked.key.items()) or "of the whole table"
