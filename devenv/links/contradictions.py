"""Contradictions inside one item: a placeholder of its key, and the attribute of the same name. Pure.

`gsi1pk = "PATRON#{borrower}"` says that the key has the value of `borrower`. A query by the key and the code that reads
the attribute then see different things, and which of both is wrong the item does not say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from devenv.links.faults import Fault
from devenv.links.read import ItemRecord
from devenv.links.values import are_uuids, scalar_text


def find_contradictions(records: Iterable[ItemRecord], faults: Iterable[Fault]) -> Iterator[Fault]:
    """`contradiction`: two uuids that differ; other texts only where items of the kind show that both are the same.

    Left out is an attribute that one of `faults` is about: that fault says which of both is wrong.
    """
    known = list(records)
    clashing = [record for record in known if record.clashes]
    if not clashing:
        return
    blamed = {(id(f.record), name) for f in faults if f.record is not None for name in (f.attribute, f.field) if name}
    doubtful = {
        (record.kind.name, attribute, name)
        for record in clashing
        if record.kind is not None
        for attribute, name, mine, other in record.clashes
        if not are_uuids(mine, other)
    }
    meant = find_agreeing(known, doubtful)
    for record in clashing:
        kind = record.kind
        for attribute, name, mine, other in record.clashes:
            if kind is None or {(id(record), attribute), (id(record), name)} & blamed:
                continue
            if not are_uuids(mine, other) and (kind.name, attribute, name) not in meant:
                continue
            form = dict(kind.matchers)[attribute].text
            note = f"{record.key_text}: `{name}` is {other}, but `{attribute}` ({form}) contains {mine}"
            yield Fault("contradiction", (other, mine), note, record, name, name, observed=other)


def find_agreeing(records: Iterable[ItemRecord], places: set[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    """Those (kind, key attribute, placeholder) of which some item has one value in both."""
    found: set[tuple[str, str, str]] = set()
    for record in records if places else ():
        kind = record.kind
        if kind is None or found == places:
            continue
        item = record.item
        for attribute, template, name in kind.beside:
            place, other = (kind.name, attribute, name), scalar_text(item.get(name))
            if place in places and place not in found and other is not None:
                parts = template.parse(scalar_text(item.get(attribute)) or "")
                if parts is not None and parts[template.names.index(name)] == other:
                    found.add(place)
    return found
