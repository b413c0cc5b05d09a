"""Compares what a request must write with what it wrote, field by field. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from devenv.config.writes import TraceAction, Written
from devenv.core.model import Finding
from devenv.core.plural import number_of
from devenv.core.templates import Unknown, fill
from devenv.trace.action.data import Thing, ThingChange
from devenv.trace.difference import moment, same

NOW: Final = "{now}"
SLACK: Final = timedelta(seconds=2)
CAUSES: Final = {
    "not_written": "the write was not sent, or it failed and the error was ignored",
    "half_group": "one of several writes that belong together is missing, or they are not in one transaction",
    "wrong_value": "the application writes a different value than the action declares",
    "duplicate": "the same write was sent more than once",
    "written_elsewhere": "the application writes to another table",
    "unexpected_write": "the application makes a change that the action does not declare",
    "not_deleted": "the delete was not sent, or it named another key",
}
Places = Mapping[tuple[str, str], Thing]


@dataclass(frozen=True)
class FieldResult:
    """One field of one thing: what it should be afterwards, and what it is."""

    name: str
    expected: str | None
    observed: str | None
    right: bool


@dataclass(frozen=True)
class ThingResult:
    """One thing that was to be written: its key as it is now, and its fields. `problem` None: all of it is right."""

    key: str | None
    problem: str | None
    fields: tuple[FieldResult, ...] = ()


@dataclass(frozen=True)
class DeclaredResult:
    """One declared write and the things that it is about."""

    store: str
    what: str
    change: str
    count: int
    things: tuple[ThingResult, ...]

    @property
    def right(self) -> bool:
        """True if exactly the declared number was written, each of them right."""
        return len(self.things) == self.count and all(thing.problem is None for thing in self.things)


@dataclass
class WriteLedger:
    """The changes that no declared write has claimed yet, and the values that templates may use."""

    before: Places
    after: Places
    changes: dict[tuple[str, str], ThingChange]
    values: dict[str, str]
    types: Mapping[str, Mapping[str, str]]
    began: datetime
    ended: datetime
    findings: list[tuple[str, Finding]] = field(default_factory=list)

    def claim(self, *things: Thing | None) -> None:
        """Take changes away that a declared write explains."""
        for thing in things:
            if thing is not None:
                self.changes.pop(thing.place, None)

    def find(self, store: str, kind: str, summary: str, subjects: Iterable[str | None] = ()) -> None:
        """Note a fault."""
        self.findings.append(
            (store, Finding(kind, summary, CAUSES[kind], subjects=tuple(text for text in subjects if text)))
        )


@dataclass(frozen=True)
class JudgedWrites:
    """The result: each declared write, and the faults by store."""

    results: tuple[DeclaredResult, ...]
    findings: tuple[tuple[str, Finding], ...]
    new: Mapping[str, Thing]


def judge_writes(action: TraceAction, ledger: WriteLedger) -> JudgedWrites:
    """Hold every declared write against the changes. New things first: other values may refer to them."""
    order = sorted(enumerate(action.writes), key=lambda one: one[1].change != "new")
    results: dict[int, DeclaredResult] = {}
    new: dict[str, Thing] = {}
    moved = moved_places(action, ledger)
    for number, declared in order:
        if declared.change == "new":
            results[number] = judge_new(declared, ledger, new, moved)
        elif declared.change == "changed":
            results[number] = judge_changed(declared, ledger)
        else:
            results[number] = judge_deleted(declared, ledger)
    for change in ledger.changes.values():
        thing = change.after or change.before
        assert thing is not None  # noqa: S101 - a change is of something
        verb = "was written" if change.before is None else "was deleted" if change.after is None else "was changed"
        ledger.find(
            thing.store, "unexpected_write", f"{name_of(thing)} {verb}, which the action does not declare", [thing.key]
        )
    return JudgedWrites(tuple(results[number] for number in sorted(results)), tuple(ledger.findings), new)


def moved_places(action: TraceAction, ledger: WriteLedger) -> set[tuple[str, str]]:
    """Places of what is new only because its key changed."""
    found: set[tuple[str, str]] = set()
    for declared in action.writes:
        if declared.change == "changed":
            for before in targets(declared, ledger):
                if before.place not in ledger.after and (after := successor(declared, before, ledger, found)):
                    found.add(after.place)
    return found


def kind_of(declared: Written) -> str:
    """The entity, or the table with its schema."""
    if declared.entity is not None:
        return declared.entity
    table = declared.table or ""
    return table if "." in table else f"public.{table}"


def store_of(declared: Written) -> str:
    return "dynamodb" if declared.entity is not None else "postgres"


def name_of(thing: Thing) -> str:
    noun = "an item" if thing.store == "dynamodb" else "a row"
    return f"{noun} of {thing.table}" + (f" ({thing.kind})" if thing.kind and thing.kind != thing.table else "")


def known(template: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """The templates that can be filled in; `{now}` stays."""
    found = {}
    for name, text in template.items():
        try:
            found[name] = text if text == NOW else str(fill(text, values))
        except Unknown:
            continue
    return found


def chosen(declared: Written, ledger: WriteLedger, things: Iterable[Thing]) -> list[Thing]:
    """Those of the declared kind that `where` means."""
    where = known(declared.where, ledger.values)
    types = ledger.types.get(kind_of(declared), {})
    return [
        thing
        for thing in things
        if thing.kind == kind_of(declared)
        and all(same(text, thing.values.get(name), types.get(name)) for name, text in where.items())
    ]


def targets(declared: Written, ledger: WriteLedger) -> list[Thing]:
    """The targets of a `changed` or `deleted` write, as they were before."""
    return chosen(declared, ledger, ledger.before.values())


def check(declared: Written, ledger: WriteLedger, thing: Thing, before: Thing | None = None) -> Iterator[FieldResult]:
    """Each field of a thing that was written; what is not declared stays as it was."""
    types = ledger.types.get(kind_of(declared), {})
    wanted: dict[str, str | None] = dict(known(declared.fields, ledger.values))
    for name in declared.fields.keys() - wanted.keys():
        wanted[name] = None
    for name, expected in wanted.items():
        observed = thing.values.get(name)
        yield FieldResult(
            name, expected, observed, is_right(name, expected, observed, types, ledger, written=before is not None)
        )
    if before is None:
        return
    for name in dict.fromkeys([*before.values, *thing.values]):
        if name not in wanted and not same(before.values.get(name), thing.values.get(name), types.get(name)):
            yield FieldResult(name, before.values.get(name), thing.values.get(name), right=False)


def is_right(
    name: str,
    expected: str | None,
    observed: str | None,
    types: Mapping[str, str],
    ledger: WriteLedger,
    *,
    written: bool,
) -> bool:
    """Return True if a field has its value; `{now}` is a moment between the beginning and the end of the request."""
    if expected != NOW:
        # A field of the entity's key is compared as it is written: 12:00Z and 12:00+00:00 sort differently.
        return expected == observed if written else same(expected, observed, types.get(name))
    found = moment(observed or "")
    if found is None:
        return False
    return ledger.began - SLACK <= found.astimezone(UTC) <= ledger.ended + SLACK


def judge_new(
    declared: Written, ledger: WriteLedger, new: dict[str, Thing], moved: set[tuple[str, str]]
) -> DeclaredResult:
    """New things of one kind."""
    kind, store = kind_of(declared), store_of(declared)
    created = [c.after for c in ledger.changes.values() if c.before is None and c.after and c.after.place not in moved]
    mine = chosen(declared, ledger, created)
    if not mine and len([thing for thing in created if thing.kind == kind]) == declared.count:
        # Written under another conversation, say: its fields say what is wrong.
        mine = [thing for thing in created if thing.kind == kind]
    complain_of_count(declared, ledger, len(mine))
    home = {thing.table for thing in ledger.before.values() if thing.kind == kind}
    things = []
    for thing in mine:
        ledger.claim(thing)
        elsewhere = store == "dynamodb" and home and thing.table not in home
        if elsewhere:
            things.append(ThingResult(thing.key, "written_elsewhere", tuple(check(declared, ledger, thing))))
            ledger.find(
                store, "written_elsewhere", f"the new {kind} is in {thing.table}, not in {min(home)}", [thing.key]
            )
            continue
        new.setdefault(kind, thing)
        for name, text in thing.values.items():
            if text is not None:
                ledger.values.setdefault(f"{kind}.{name}", text)
        things.append(judged(declared, ledger, thing, None))
    return DeclaredResult(store, kind, "new", declared.count, tuple(things))


def judged(declared: Written, ledger: WriteLedger, thing: Thing, before: Thing | None) -> ThingResult:
    """One thing that was written, with a finding for what is wrong in it."""
    results = tuple(check(declared, ledger, thing, before))
    wrong = [one for one in results if not one.right]
    if wrong:
        names = ", ".join(f"`{one.name}`" for one in wrong)
        head = "the new" if before is None else "the changed"
        ledger.find(
            store_of(declared), "wrong_value", f"{head} {kind_of(declared)} has a different {names}", [thing.key]
        )
    return ThingResult(thing.key, "wrong_value" if wrong else None, results)


def complain_of_count(declared: Written, ledger: WriteLedger, found: int) -> None:
    """A finding when not exactly the declared number is new."""
    kind, store = kind_of(declared), store_of(declared)
    if found < declared.count:
        text = f"{found} of {number_of(declared.count, f'new {kind}', f'new {kind}s')} written"
        ledger.find(store, "not_written", text if found else f"no new {kind} was written")
    elif found > declared.count:
        ledger.find(store, "duplicate", f"{found} new {kind}s were written, expected {declared.count}")


def successor(
    declared: Written, before: Thing, ledger: WriteLedger, taken: Iterable[tuple[str, str]] = ()
) -> Thing | None:
    """Find the successor of a thing whose key changed: the new one of its kind that is most like it."""
    created = [c.after for c in ledger.changes.values() if c.before is None and c.after is not None]
    kind = [thing for thing in created if thing.kind == before.kind and thing.place not in taken]
    stays = [name for name in before.values if name not in declared.fields]
    likeness = [(sum(before.values[name] == thing.values.get(name) for name in stays), thing) for thing in kind]
    best = max(likeness, key=lambda one: one[0], default=None)
    return best[1] if best is not None and best[0] > len(stays) / 2 else None


def judge_changed(declared: Written, ledger: WriteLedger) -> DeclaredResult:
    """Things that were there, with other values now; an item whose key changes too has moved."""
    kind, store = kind_of(declared), store_of(declared)
    things: list[ThingResult] = []
    left: list[Thing] = []
    for before in targets(declared, ledger):
        after = ledger.after.get(before.place)
        if after == before:
            left.append(before)
            things.append(ThingResult(before.key, "not_written", tuple(check(declared, ledger, before, before))))
            continue
        after = after or successor(declared, before, ledger)
        ledger.claim(before, after)
        if after is None:
            things.append(ThingResult(before.key, "half_group"))
            ledger.find(store, "half_group", f"a {kind} was deleted and not written again", [before.key])
            continue
        things.append(judged(declared, ledger, after, before))
    if left:
        some = len(left) < len(things)
        text = f"{len(left)} of {number_of(len(things), kind, f'{kind}s')} stayed as before"
        ledger.find(store, "half_group" if some else "not_written", text, [thing.key for thing in left])
        extra_copies(left, ledger)
    return DeclaredResult(store, kind, "changed", declared.count, tuple(things))


def extra_copies(left: Sequence[Thing], ledger: WriteLedger) -> None:
    """A thing that was written again under its new key and not deleted under the old one: one fault, not two."""
    for before in left:
        for change in list(ledger.changes.values()):
            if change.before is None and change.after and change.after.kind == before.kind:
                ledger.claim(change.after)


def judge_deleted(declared: Written, ledger: WriteLedger) -> DeclaredResult:
    """Things that were there and must be gone."""
    kind, store = kind_of(declared), store_of(declared)
    things = []
    for before in targets(declared, ledger):
        gone = before.place not in ledger.after
        ledger.claim(before if gone else None)
        things.append(ThingResult(before.key, None if gone else "not_deleted"))
    if still := [thing.key for thing in things if thing.problem]:
        ledger.find(store, "not_deleted", f"{number_of(len(still), kind, f'{kind}s')} still there", still)
    return DeclaredResult(store, kind, "deleted", declared.count, tuple(things))
