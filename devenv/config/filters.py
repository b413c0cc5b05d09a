"""Event filter patterns of AWS Lambda: which records of a stream a function gets. Pure.

Rules: "Filter rule syntax" in AWS Lambda's developer guide. A pattern names fields of the record; each has a list of
values or conditions, of which one must hold. Numbers in an item are text in DynamoDB's JSON, so `numeric` does not fit
them, there as here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ABSENT: Final = object()


def prefix(wanted: Any, value: Any) -> bool:
    """Of texts only."""
    return isinstance(value, str) and value.startswith(wanted)


def suffix(wanted: Any, value: Any) -> bool:
    """Of texts only."""
    return isinstance(value, str) and value.endswith(wanted)


def ignore_case(wanted: Any, value: Any) -> bool:
    """Of texts only."""
    return isinstance(value, str) and value.casefold() == wanted.casefold()


def exists(wanted: Any, value: Any) -> bool:
    """Only a leaf exists: a map does not, in Lambda's filters."""
    return bool((value is not ABSENT and not isinstance(value, Mapping)) == wanted)


def numeric(wanted: Any, value: Any) -> bool:
    """`[">", 0, "<=", 5]`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return all(COMPARISONS[wanted[place]](value, wanted[place + 1]) for place in range(0, len(wanted), 2))


def anything_but(wanted: Any, value: Any) -> bool:
    """A value, a list of values, or `{"prefix": …}`. An absent field fits nothing, not even this."""
    if value is ABSENT:
        return False
    if isinstance(wanted, Mapping):
        return not any(CONDITIONS[name](inner, value) for name, inner in wanted.items())
    return value not in (wanted if isinstance(wanted, list) else [wanted])


CONDITIONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "prefix": prefix,
    "suffix": suffix,
    "equals-ignore-case": ignore_case,
    "exists": exists,
    "numeric": numeric,
    "anything-but": anything_but,
}


def fits(record: Mapping[str, Any], patterns: Sequence[Mapping[str, Any]]) -> bool:
    """Return True if one of the patterns fits the record, or there are none."""
    return not patterns or any(fits_one(record, pattern) for pattern in patterns)


def fits_one(value: Any, pattern: Mapping[str, Any]) -> bool:
    """Return True if every field of the pattern fits."""
    for name, wanted in pattern.items():
        if name == "$or":
            if not any(fits_one(value, one) for one in wanted):
                return False
            continue
        inner = value.get(name, ABSENT) if isinstance(value, Mapping) else ABSENT
        if isinstance(wanted, Mapping):
            if not fits_one(inner, wanted):
                return False
        elif not any(fits_value(inner, one) for one in wanted):
            return False
    return True


def fits_value(value: Any, wanted: Any) -> bool:
    """Return True if a field has this value, or holds this condition. Of a list, one entry is enough."""
    if isinstance(value, list):
        return any(fits_value(one, wanted) for one in value)
    if isinstance(wanted, Mapping):
        return all(CONDITIONS[name](inner, value) for name, inner in wanted.items())
    return type(value) is type(wanted) and bool(value == wanted)


def problem(pattern: Any, place: str = "filter") -> str | None:
    """The first thing that is wrong with a pattern, in words; None when it is one."""
    if not isinstance(pattern, Mapping):
        return f"{place} is not a table of fields"
    for name, wanted in pattern.items():
        here = f"{place}.{name}"
        if name == "$or":
            if not isinstance(wanted, list) or len(wanted) < 2:
                return f"{here} needs a list of at least two patterns"
            found = next(filter(None, (problem(one, here) for one in wanted)), None)
        elif isinstance(wanted, Mapping):
            found = problem(wanted, here)
        elif not isinstance(wanted, list) or not wanted:
            found = f'{here} needs a list of values, such as {name} = ["…"]'
        else:
            found = next(filter(None, (value_problem(one, here) for one in wanted)), None)
        if found:
            return found
    return None


def value_problem(wanted: Any, place: str) -> str | None:
    """The first thing that is wrong with a value or condition; None when it is one."""
    if not isinstance(wanted, Mapping):
        return f"{place} contains a list inside a list" if isinstance(wanted, list) else None
    if len(wanted) != 1 or next(iter(wanted)) not in CONDITIONS:
        return f"{place} needs one condition of {', '.join(CONDITIONS)}"
    name, inner = next(iter(wanted.items()))
    if name in ("prefix", "suffix", "equals-ignore-case") and not isinstance(inner, str):
        return f"{place}: `{name}` needs a text"
    if name == "exists" and not isinstance(inner, bool):
        return f"{place}: `exists` must be true or false"
    if name == "numeric" and not is_comparison(inner):
        return f'{place}: `numeric` needs a list such as [">", 0, "<=", 5]'
    if name == "anything-but" and isinstance(inner, Mapping):
        return value_problem(inner, place)
    return None


def is_comparison(wanted: Any) -> bool:
    """Return True for one or two pairs of an operator and a number."""
    return (
        isinstance(wanted, list)
        and len(wanted) in (2, 4)
        and all(sign in COMPARISONS for sign in wanted[::2])
        and all(isinstance(number, int | float) and not isinstance(number, bool) for number in wanted[1::2])
    )
