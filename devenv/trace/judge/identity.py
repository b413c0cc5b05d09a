"""Differences that come from how devenv.toml names the id of an entry, not from the entries. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from devenv.core.late import late
from devenv.core.model import Fix
from devenv.core.templates import names_in
from devenv.core.toml import toml, toml_key
from devenv.core.value import Value
from devenv.trace.difference import ID, Difference
from devenv.trace.judge.fault import LayerFinding
from devenv.trace.observation import NO_MAPS, DeclaredIds, Entry, Subject

MOST_NAMES: Final = 8
NAMES: Final = late(r"`([\w.]+)`")
# What `answers.lists_in` adds to the description of a map.
LISTS: Final = late(r"not a list; its fields? (.*) (?:is a list|are lists)$")


class IdForm(Value, frozen=True):
    """The text around an id that one side writes and the other does not. `stored`: the items write it."""

    before: str
    after: str
    stored: bool


def explain_ids(
    found: Iterable[LayerFinding], subject: Subject, layer: str, entries: Sequence[Entry] | None, names: Sequence[str]
) -> list[LayerFinding]:
    """The findings of an answer, those that the declared id explains with that cause and the line to change.

    `names` are the fields of the answer's entries.
    """
    return [explain(finding, subject, layer, entries or (), names) for finding in found]


def explain(
    finding: LayerFinding, subject: Subject, layer: str, entries: Sequence[Entry], names: Sequence[str]
) -> LayerFinding:
    """One finding; with another cause if all entries of a kind lack the declared id, or write it in another form."""
    if finding.difference is None:
        return finding
    for kind, declared in subject.ids.items():
        mine = [entry for entry in entries if entry.kind == kind]
        template = declared.names.get(layer)
        if mine and template is None and declared.names and all(entry.id is None for entry in mine):
            return undeclared(finding, declared, layer, names)
        if not mine or template is None:
            continue
        parts = names_in(template) or {template}
        lacking = sorted(parts - set(names))
        if lacking and all(entry.id is None for entry in mine):
            listed = ", ".join(f"`{name}`" for name in names[:MOST_NAMES])
            wanted = ", ".join(f"`{name}`" for name in lacking)
            cause = f"no entry of the answer has {wanted}; its fields are {listed}" if listed else None
            text = (
                f'{declared.place} has {layer} = "{template}": name there the field that holds the id,'
                f" or return {wanted}"
            )
            return replace(finding, cause=cause, fix=Fix(text))
        form = form_of(pairs_of(finding.difference, kind), len(mine))
        if form is not None:
            other = f"`{form.before}…{form.after}`"
            where = "the items" if form.stored else "the answer"
            cause = f"the ids differ only in form: in {where} they contain the text {other}"
            return replace(
                finding, cause=cause, fix=Fix(f"in {declared.place} write {corrected(form, declared, layer)}")
            )
    return finding


def undeclared(finding: LayerFinding, declared: DeclaredIds, layer: str, names: Sequence[str]) -> LayerFinding:
    """A finding about entries whose id no line of devenv.toml names, with the line to write."""
    listed = ", ".join(f"`{name}`" for name in names[:MOST_NAMES])
    cause = f"{declared.place} names no id of layer {layer}" + (f"; the answer's fields are {listed}" if listed else "")
    likely = next((name for name in declared.names.values() if name in names), "FIELD")
    text = f'in {declared.place} add {layer} = "{likely}", the field of the answer that holds the id'
    return replace(finding, cause=cause, fix=Fix(text))


def explain_left_out(finding: LayerFinding, subject: Subject, names: Sequence[str]) -> LayerFinding:
    """A finding about fields that no entry of the API's answer has: a fault of the route, or of the declaration.

    `names` are the fields of the answer's entries.
    """
    between = finding.difference
    if between is None or between.missing or between.extra or not between.changed:
        return finding
    if any(not change.absent or change.field in names for change in between.changed):
        return finding
    found = {change.field: change.instead or "" for change in between.changed}
    listed = ", ".join(f"`{name}`" for name in found)
    line = f"write fields = {toml(found)} in [trace.{subject.name}.request]"
    text = (
        f"{line}, because the answer has the value in that field; or let the route return {listed}"
        if all(found.values())
        else f"let the route return {listed}. If its answer is not meant to, {line}"
    )
    return replace(finding, fix=Fix(text))


def place_of_list(finding: LayerFinding, subject: Subject, section: str, shape: str | None) -> LayerFinding:
    """A finding about an answer that is a map and no list, with the line that tells where in it the list is."""
    found = LISTS.search(shape or "")
    names = NAMES.findall(found[1]) if found else []
    if (shape or "").endswith(NO_MAPS):
        text = (
            f"entries are compared by an id, so each must be a map: let the answer contain maps, or remove"
            f" [trace.{subject.name}.{section}]; devenv then skips its layer"
        )
        return replace(finding, fix=Fix(text))
    if not names and (shape or "").startswith("a map with "):
        text = (
            f"if the map is the requested item, name its id field in `ids` of"
            f" [trace.{subject.name}] ({section.replace('request', 'http')} = …), and its fields in `fields`;"
            " example: section *One thing by its key* of `devenv help traces`"
        )
        return replace(finding, fix=Fix(text))
    if not names:
        return finding
    choice = f" (or {', '.join(names[1:])})" if len(names) > 1 else ""
    text = f'if the list is in it, write items = "{names[0]}"{choice} in [trace.{subject.name}.{section}]'
    return replace(finding, fix=Fix(text))


def explain_fields(
    found: Iterable[LayerFinding], subject: Subject, stored: Sequence[Entry] | None
) -> list[LayerFinding]:
    """The findings; one about fields that no item has an attribute for, with that cause and the line to change."""
    return [explain_field(finding, subject, stored or ()) for finding in found]


def explain_field(finding: LayerFinding, subject: Subject, stored: Sequence[Entry]) -> LayerFinding:
    """One finding: a field is named after an attribute that does not exist, so the items are not what differs."""
    between = finding.difference
    if between is None or between.missing or between.extra or not stored:
        return finding
    names = list(dict.fromkeys(change.field for change in between.changed))
    absent = {name: subject.sources[name] for name in names if name in subject.sources}
    if not names or len(absent) < len(names):
        return finding
    if any(entry.fields.get(name) is not None for entry in stored for name in names):
        return finding
    listed = ", ".join(f"`{name}`" for name in dict.fromkeys(absent.values()))
    given = ", ".join(f"{toml_key(name)} = {toml(there)}" for name, there in absent.items())
    text = f"in `fields` of [trace.{subject.name}], name the attribute of the items: it has {given}"
    return replace(finding, cause=f"no item has an attribute {listed}", fix=Fix(text))


def pairs_of(between: Difference, kind: str) -> list[tuple[str, str]]:
    """(expected, observed) ids of the entries that differ in their id: those of one entry, then those left over."""
    label = f"{kind} " if kind else ""
    changed = [(one.expected, one.observed) for one in between.changed if one.field == ID]
    pairs = [(old, new) for old, new in changed if old and new]
    left = [entry.id for entry in between.missing if entry.id is not None]
    for entry in between.extra:
        new = entry.id
        old = next((one for one in left if new and one != new and inner(one, new, label)), None)
        if new and old:
            left.remove(old)
            pairs.append((old, new))
    return [(old.removeprefix(label), new.removeprefix(label)) for old, new in pairs if old.startswith(label)]


def inner(one: str, other: str, label: str) -> bool:
    """Return True if one id is a part of the other."""
    one, other = one.removeprefix(label), other.removeprefix(label)
    return one in other or other in one


def form_of(pairs: Sequence[tuple[str, str]], count: int) -> IdForm | None:
    """The text that one side of all pairs has around the other; None where they differ otherwise, or are too few."""
    forms = set()
    for old, new in pairs:
        long, short = (old, new) if len(old) > len(new) else (new, old)
        if short not in long or short == long:
            return None
        at = long.index(short)
        forms.add(IdForm(long[:at], long[at + len(short) :], long == old))
    return forms.pop() if len(pairs) == count and len(forms) == 1 else None


def corrected(form: IdForm, declared: DeclaredIds, layer: str) -> str:
    """The line of `ids` that writes both ids alike."""
    place = layer if form.stored else "dynamodb"
    known = declared.names.get(place, "")
    return f'{place} = "{form.before}{known if names_in(known) else f"{{{known}}}"}{form.after}"'
