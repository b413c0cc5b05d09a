"""Compares a pattern's declared answer with all items: the number of items under each key, and their kinds.

No request is sent: the items that the other checks read are put together by the pattern's key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from devenv.config.schema import Pattern
from devenv.core.model import Fix, Outcome
from devenv.core.plural import number_of
from devenv.core.templates import PLACE, names_in
from devenv.doctor.checks.check import Check, failed, passed, unneeded, unverified
from devenv.doctor.context import DoctorFacts
from devenv.links.judge import Fault, ItemRecord, read_records
from devenv.links.values import scalar_text
from devenv.stores.dynamodb.key_schema import Place, place_of

SHOWN: Final = 3


def run_expected(facts: DoctorFacts) -> Outcome:
    """Every pattern that says how many items it brings, or of which kinds, by every key that occurs."""
    declared = {name: pattern for name, pattern in facts.context.settings.patterns.items() if says_more(pattern)}
    if not declared:
        return unneeded("no [patterns.*] of DynamoDB declares `expected` or `entities`")
    left_out = {name: why for name, pattern in declared.items() if (why := uncounted(pattern))}
    told = "; ".join(f"pattern `{name}` is not checked here ({why})" for name, why in left_out.items())
    if len(left_out) == len(declared):
        return unneeded(f"{told}; `devenv patterns check` runs it")
    judgement, described = facts.judgement(), facts.described()
    records = [*judgement.records, *undeclared_records(facts)]
    keys: dict[str, int] = {}
    unknown: list[str] = []
    missing: list[str] = []
    wrong: list[tuple[str, str]] = []
    for name, pattern in declared.items():
        if name in left_out:
            continue
        table = pattern.table or ""
        place = place_of(described.get(table), pattern.index)
        if place is None:
            # That a declared table or index is missing is SCH002's and SCH003's finding.
            known = place_of(facts.context.tables.get(table), pattern.index) is not None
            lost = f"has no index `{pattern.index}`" if described.get(table) else "is not known"
            (missing if known else unknown).append(f"pattern `{name}` is not checked: table `{table}` {lost}")
            continue
        found = by_key(pattern, place, records)
        keys[name] = len(found)
        wrong += [(key, f"`{name}` with {key} {text}") for key, text in judge_answers(pattern, found, judgement.faults)]
    if not wrong and unknown:
        return unverified("; ".join(unknown), fix=Fix("correct the pattern in devenv.toml", "devenv patterns check"))
    if not wrong:
        empty = "`, `".join(name for name, count in keys.items() if not count)
        none = f"no item has a key of pattern `{empty}`" if empty else ""
        told = "; ".join(filter(None, (none, *missing, told)))
        if not any(keys.values()):
            return unneeded(told)
        counted = f"{number_of(sum(keys.values()), 'key')} of {number_of(len(keys), 'pattern')}"
        return passed("; ".join(filter(None, (counted, told))))
    texts = [text for _, text in wrong]
    more = [f"and {len(texts) - SHOWN} more"] if len(texts) > SHOWN else []
    return failed(
        [*texts[:SHOWN], *more],
        cause="either the items or the pattern's `expected` and `entities` are wrong",
        fix=Fix("correct the items, or the pattern in devenv.toml", "devenv patterns check"),
        subjects=(key for key, _ in wrong),
    )


def undeclared_records(facts: DoctorFacts) -> Iterator[ItemRecord]:
    """The items of the tables that no entity and no link is about."""
    plan = facts.known_plan()
    for table, items in facts.dynamodb().items.items():
        if table not in plan.tables:
            yield from read_records(plan, table, items)


def says_more(pattern: Pattern) -> bool:
    """Return True if a pattern of DynamoDB says what its answers hold."""
    counted = pattern.expected.at_least > 0 or pattern.expected.at_most is not None
    return pattern.sql is None and (counted or bool(pattern.entities))


def uncounted(pattern: Pattern) -> str:
    """Why a pattern's answers cannot be put together from the items; empty when they can. Pure."""
    if pattern.filter is not None:
        return "it has a filter"
    if names_in(pattern.sort) or pattern.sort.keys() - {"begins_with", "equals"}:
        return "the condition on its sort key has parameters, or is a range"
    if pattern.kind == "Scan" or not pattern.key:
        return "it reads the whole table"
    return ""


def by_key(pattern: Pattern, place: Place, records: Sequence[ItemRecord]) -> dict[str, list[ItemRecord]]:
    """Key -> the records under it that the pattern asks for. Pure."""
    forms = {attribute: re.compile(as_pattern(str(text)), re.DOTALL) for attribute, text in pattern.key.items()}
    found: dict[str, list[ItemRecord]] = {}
    for record in records:
        if record.table != place.table or not place.holds(record.item):
            continue
        texts = {attribute: scalar_text(record.item.get(attribute)) for attribute in forms}
        if any(text is None or not forms[attribute].fullmatch(text) for attribute, text in texts.items()):
            continue
        if in_range(pattern.sort, scalar_text(record.item.get(place.sort or "")) or ""):
            found.setdefault(", ".join(f"{name} = {text}" for name, text in texts.items()), []).append(record)
    return found


def as_pattern(template: str) -> str:
    """`ORDER#{order_id}` as a regular expression; a parameter is any text."""
    return ".+".join(re.escape(part) for part in PLACE.split(template)[::2])


def in_range(sort: Mapping[Any, Any], text: str) -> bool:
    """Return True if a sort key meets the pattern's condition on it. Pure."""
    begin, whole = sort.get("begins_with"), sort.get("equals")
    return (begin is None or text.startswith(str(begin))) and (whole is None or text == str(whole))


def judge_answers(
    pattern: Pattern, found: Mapping[str, Sequence[ItemRecord]], faults: Sequence[Fault]
) -> Iterator[tuple[str, str]]:
    """Keys whose items are too few, too many or of another kind. Items with a fault of their own explain that. Pure."""
    known = {id(one) for fault in faults for one in (fault.record, *fault.partners) if one is not None}
    least, most = pattern.expected.at_least, pattern.expected.at_most
    for key, records in found.items():
        if any(id(record) in known for record in records):
            continue
        if len(records) < least:
            yield key, f"returns {number_of(len(records), 'item')}, expected at least {least:,}"
        elif most is not None and len(records) > most:
            yield key, f"returns {number_of(len(records), 'item')}, expected at most {most:,}"
        if not pattern.entities:
            continue
        others = {kind.name for record in records if (kind := record.kind or record.near)} - set(pattern.entities)
        if others:
            yield key, f"also returns items of kind `{'`, `'.join(sorted(others))}`"
        if unfit := sum((record.kind or record.near) is None for record in records):
            yield (
                key,
                f"also returns {number_of(unfit, 'item')} that {'match' if unfit > 1 else 'matches'} no [entities]",
            )


CHECKS = (
    Check(
        code="DAT014",
        name="pattern-answers",
        group="data",
        title="each pattern finds the number and kinds of items that it declares",
        run=run_expected,
        needs=("SVC002", "SCH002"),
        explain="""\
`expected` in [patterns.*] limits the number of items under one key, and `entities` lists their kinds. This check
counts the items of every key in the data; it sends no query. A key without items is not seen. Patterns with a
filter are checked by `devenv patterns check` only.

Common causes: an item was deleted or written twice, or a new kind of item was added under an existing key whose
readers do not expect it. Fix: correct the items, or the pattern.""",
    ),
)
