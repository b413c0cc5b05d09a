"""Sample values for a pattern's parameters, taken from the stored items. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from devenv.config.schema import Pattern
from devenv.core.templates import PLACE, fill, names_in
from devenv.core.value import Value
from devenv.links.values import number_text, scalar_text
from devenv.patterns.seen import Item, Sample, TableSeen, Unsampled
from devenv.stores.dynamodb.capacity import item_bytes
from devenv.stores.dynamodb.key_schema import Place

SHOWN: Final = 3


class ItemCollection(msgspec.Struct):
    """The items that one choice of parameters would read, as far as the key says."""

    values: Mapping[str, str]
    count: int = 0
    size: int = 0
    items: list[Item] = msgspec.field(default_factory=list)


def conditions_of(pattern: Pattern, place: Place) -> dict[str, Any]:
    """The templates of the attributes that a pattern gives by equality."""
    given: dict[str, Any] = dict(pattern.key)
    if place.sort is not None and "equals" in pattern.sort:
        given[place.sort] = pattern.sort["equals"]
    return given


def sample(
    pattern: Pattern, place: Place, table: TableSeen, given: Mapping[str, str], builtin: Mapping[str, str]
) -> tuple[Sample, ...] | Unsampled:
    """The declared parameters, else the heaviest and the lightest of the data. `given` are typed by the user.

    `builtin` are parameters that have a value of their own (`year`). Unsampled as a fault: the data has no such key.
    """
    wanted = names_in([pattern.key, dict(pattern.sort), pattern.filter, pattern.values])
    own = {name: text for name, text in builtin.items() if name in wanted}
    declared = [{**own, **each, **given} for each in fixed_of(pattern)]
    if given and wanted <= set(declared[0]):
        return (Sample(declared[0], "as given"),)
    held = [item for item in table.items if place.holds(item)]
    if not held:
        if wanted <= set(declared[0]):
            return (Sample(declared[0], "as declared"),)
        return Unsampled(f"{place.name} has no item from which to take a sample value")
    found = [sample_of(pattern, place, held, known, wanted) for known in declared]
    if bad := next((each for each in found if isinstance(each, Unsampled)), None):
        return bad
    return tuple(one for each in found for one in each)  # type: ignore[union-attr]


def sample_of(
    pattern: Pattern, place: Place, held: Sequence[Item], known: Mapping[str, str], wanted: set[str]
) -> tuple[Sample, ...] | Unsampled:
    """Samples that agree with the parameters that are known."""
    templates = conditions_of(pattern, place)
    groups = group(templates, held, known)
    if not groups:
        texts = stored(held, next(iter(templates), place.hash))
        return Unsampled("no stored key has the form of this pattern's key", True, "key", texts)
    chosen = narrowed(pattern, place, groups, known)
    if not chosen:
        texts = stored(max(groups, key=weight).items, place.sort or "")
        ((operator, operand),) = pattern.sort.items()
        asked = f"{place.sort} {operator} {fill(operand, {name: f'{{{name}}}' for name in wanted} | dict(known))}"
        return Unsampled("no item with such a key matches the sort-key condition", True, "sort", texts, asked)
    if wanted <= set(known):
        return (Sample(known, "as declared", sum(each.count for each in chosen)),)
    return choices(pattern, place, chosen, wanted, known)


def choices(
    pattern: Pattern, place: Place, groups: Sequence[ItemCollection], wanted: set[str], known: Mapping[str, str]
) -> tuple[Sample, ...] | Unsampled:
    """Samples of the heaviest and the lightest group, with the parameters that are in no key filled from an item."""
    heaviest = max(groups, key=weight)
    lightest = min(groups, key=weight)
    found: list[Sample] = []
    for each, word in ((heaviest, "the value with the most to read"), (lightest, "the value with the least to read")):
        values = {**guesses(pattern, place, each), **known, **each.values}
        if missing := sorted(wanted - set(values)):
            return Unsampled(f"no value for {{{missing[0]}}} is declared in params or found in an item")
        chosen = {name: values[name] for name in sorted(wanted)}
        if not found or found[0].values != chosen:
            found.append(Sample(chosen, f"from the data: {word}", each.count))
    return tuple(found)


def fixed_of(pattern: Pattern) -> list[dict[str, str]]:
    """The declared choices of parameters, at least one; a list gives the values of several."""
    lists = {name: value if isinstance(value, list) else [value] for name, value in pattern.params.items()}
    many = max((len(values) for values in lists.values()), default=1)
    filled = {name: [str(value) for value in values if str(value)] for name, values in lists.items()}
    return [
        {name: values[min(number, len(values) - 1)] for name, values in filled.items() if values}
        for number in range(max(many, 1))
    ]


def weight(group_: ItemCollection) -> tuple[int, int, list[str]]:
    """Return what makes a group heavy; equal ones in the order of their texts, so that a sample stays the same."""
    return group_.size, group_.count, sorted(group_.values.values(), reverse=True)


def group(templates: Mapping[str, Any], items: Iterable[Item], known: Mapping[str, str]) -> list[ItemCollection]:
    """The items by the parameters that their keys give, where they fit the templates and what is known already."""
    compiled = {name: matcher(text) for name, text in templates.items()}
    found: dict[tuple[tuple[str, str], ...], ItemCollection] = {}
    for item in items:
        values = parameters(compiled, item, known)
        if values is None:
            continue
        group_ = found.setdefault(tuple(sorted(values.items())), ItemCollection(values))
        group_.count += 1
        group_.size += item_bytes(item)
        group_.items.append(item)
    return list(found.values())


class TemplateReader(Value, frozen=True):
    """A template that reads parameters out of a text: the literal parts around them. Linear, whatever the text is."""

    literals: tuple[str, ...]

    def parse(self, text: str) -> tuple[str, ...] | None:
        """The texts of the parameters in order, each as short as it can be; None when the text has another form."""
        first, *others = self.literals
        if not others:
            return () if text == first else None
        if not text.startswith(first):
            return None
        found, place = [], len(first)
        for literal in others[:-1]:
            end = text.find(literal, place)
            if end < 0:
                return None
            found.append(text[place:end])
            place = end + len(literal)
        end = len(text) - len(others[-1])
        if end < place or not text.endswith(others[-1]):
            return None
        return (*found, text[place:end])


def matcher(text: Any) -> tuple[TemplateReader, tuple[str, ...]]:
    """A template that reads parameters out of a text, and their names in order."""
    parts = PLACE.split(str(text))
    return TemplateReader(tuple(parts[::2])), tuple(parts[1::2])


def parameters(
    compiled: Mapping[str, tuple[TemplateReader, tuple[str, ...]]], item: Item, known: Mapping[str, str]
) -> dict[str, str] | None:
    """The parameters that an item's key gives; None when it does not fit."""
    values: dict[str, str] = {}
    for attribute, (template, names) in compiled.items():
        text = scalar_text(item.get(attribute)) if "B" not in item.get(attribute, {}) else str(item[attribute]["B"])
        parts = template.parse(text) if text is not None else None
        if parts is None:
            return None
        for name, part in zip(names, parts, strict=True):
            if known.get(name, part) != part or values.setdefault(name, part) != part:
                return None
    return values


def narrowed(
    pattern: Pattern, place: Place, groups: Sequence[ItemCollection], known: Mapping[str, str]
) -> list[ItemCollection]:
    """The groups without the items that the condition on the sort key leaves out, as far as it is known."""
    if place.sort is None or not pattern.sort or "equals" in pattern.sort:
        return list(groups)
    found = []
    for each in groups:
        values = {**known, **each.values}
        if names_in(dict(pattern.sort)) - set(values):
            found.append(each)
            continue
        condition = fill(dict(pattern.sort), values)
        items = [item for item in each.items if satisfies(condition, item.get(place.sort, {}))]
        if items:
            found.append(ItemCollection(each.values, len(items), sum(map(item_bytes, items)), items))
    return found


def satisfies(condition: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    """Return True if a stored sort key satisfies a condition of `sort`."""
    text = scalar_text(value)
    if text is None:
        return True
    ((operator, operand),) = condition.items()
    if operator == "begins_with":
        return "S" in value and text.startswith(str(operand))
    bounds = [comparable(str(each), value) for each in (operand if isinstance(operand, list) else [operand])]
    own = comparable(text, value)
    if None in bounds or own is None:
        return False
    tests = {
        "equals": lambda: own == bounds[0],
        "less": lambda: own < bounds[0],
        "at_most": lambda: own <= bounds[0],
        "greater": lambda: own > bounds[0],
        "at_least": lambda: own >= bounds[0],
        "between": lambda: bounds[0] <= own <= bounds[-1],
    }
    return bool(tests[operator]())


def comparable(text: str, like: Mapping[str, Any]) -> Any:
    """A text as DynamoDB compares it: numbers by value, texts by their UTF-8 bytes. None for what is no number."""
    from decimal import Decimal, InvalidOperation

    if "N" not in like:
        return text.encode()
    try:
        return Decimal(number_text(text))
    except InvalidOperation:
        return None


def guesses(pattern: Pattern, place: Place, group_: ItemCollection) -> dict[str, str]:
    """Values for the parameters of the sort condition and of the filter, from the group's own items."""
    found: dict[str, str] = {}
    for item in group_.items[:1]:
        for attribute, value in item.items():
            text = scalar_text(value)
            if text is not None:
                found.setdefault(attribute, text)
    if place.sort is None:
        return found
    texts = sorted(filter(None, (scalar_text(item.get(place.sort)) for item in group_.items)))
    for operator, operand in pattern.sort.items():
        operands = operand if isinstance(operand, list) else [operand]
        ends = {"greater": [0], "at_least": [0], "between": [0, -1]}.get(operator, [-1])
        for place_, each in zip(ends, operands, strict=False):
            template, names = matcher(each)
            parts = template.parse(texts[place_]) if texts else None
            found.update(zip(names, parts or (), strict=False))
    return found


def stored(items: Iterable[Item], attribute: str) -> tuple[str, ...]:
    """A few of the texts that are stored under an attribute."""
    texts = dict.fromkeys(scalar_text(item.get(attribute)) or "" for item in items)
    return tuple(sorted(filter(None, texts))[:SHOWN])
