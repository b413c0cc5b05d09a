"""Turns the faults that `links` finds into a check's outcome: shared by the data and the cross-store checks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from devenv.core.late import late
from devenv.core.model import Fix, Outcome
from devenv.core.plural import number_of
from devenv.doctor.checks.check import failed, passed, unneeded, unverified
from devenv.doctor.checks.misdeclared import find_misdeclared
from devenv.doctor.checks.renamed_rows import undo_renaming
from devenv.doctor.checks.sources import source_line, step_files
from devenv.doctor.checks.statements import literal, name, text, word
from devenv.doctor.checks.step_programs import may_load
from devenv.doctor.checks.written_items import written_value
from devenv.doctor.context import DoctorFacts
from devenv.links.faults import EXAMPLES, id_attributes, same_faults
from devenv.links.judge import Fault, Folded, ItemRecord, LinkJudgement, ReadPlan, Relation
from devenv.links.recreated import declare
from devenv.links.renamed import renamed_rows
from devenv.links.resolve import other_id
from devenv.links.values import canonical, scalar_text
from devenv.stores.postgres.catalog import Table

# The checks that say why rows cannot be read.
ROWS: Final = ("SVC001", "SCH004")
MEND: Final = "devenv doctor --fix"
UUID: Final = late(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)
# What one fault of a class is counted as; of all others, as a fault.
COUNTED: Final[Mapping[str, str]] = {"orphan": "id", "mismatched_id": "id", "missing_row": "row"}
# Classes whose item can be deleted without making a hole in its group.
DELETABLE: Final = frozenset(
    [
        *("malformed_key", "malformed_id", "placeholder", "missing_attribute", "wrong_type"),
        *("mixed_time_format", "future_time", "duplicate", "foreign_member", "orphan"),
    ]
)
BY_HAND: Final[Mapping[str, str]] = {
    "contradiction": "find out which of the two is right; correct the other one in the item, and in the code or seed"
    " that wrote it",
    "half_group": "write the missing member item, or delete the rest of the group",
    "stale_preview": "write the newest entry's time and preview into the member item",
    "missing_item": "write the lost entry again, or write the newest entry's time and preview into the member item",
    "duplicate": "delete one of them",
    "orphan": "correct the id in the item, restore the row, or delete the items that refer to it",
    "future_time": "correct the time, or delete the item",
}


def no_entities(plan: ReadPlan) -> str:
    """Why no single item can be judged; empty when some can."""
    return "" if plan.kinds else "no [entities] are declared in devenv.toml"


def no_items(plan: ReadPlan) -> str:
    """Why neither items nor the copies in them can be judged."""
    return "" if plan.tables else "no [entities] and no [[links]] are declared in devenv.toml"


def no_groups(plan: ReadPlan) -> str:
    """Why no items can be held against each other."""
    return "" if plan.groups else "no [[groups]] are declared in devenv.toml"


def no_times(plan: ReadPlan) -> str:
    """Why no time can be judged; empty when some can."""
    declared = any(field.type == "time" for kind in plan.kinds for field in kind.fields)
    return no_entities(plan) or ("" if declared else "no [entities] declare an attribute of type time")


def no_group_times(plan: ReadPlan) -> str:
    """Why nothing tells how old a group's entries are."""
    return no_groups(plan) or ("" if any(group.time for group in plan.groups) else "no [[groups]] declare a time")


def no_entries(plan: ReadPlan) -> str:
    """Why no row can be held against a newest entry."""
    declared = any(group.time and group.entries for group in plan.groups)
    return no_groups(plan) or ("" if declared else "no [[groups]] declare entries and their time")


def no_members(plan: ReadPlan) -> str:
    """Why nothing tells who belongs to a group."""
    return no_groups(plan) or ("" if any(group.owner for group in plan.groups) else "no [[groups]] declare an owner")


def nothing_unique(plan: ReadPlan) -> str:
    """Why no two items can be the same one."""
    declared = plan.groups or any(kind.unique for kind in plan.kinds)
    return no_entities(plan) or ("" if declared else "neither `unique` of [entities] nor [[groups]] are declared")


def no_links(plan: ReadPlan) -> str:
    """Why no id can be held against a row."""
    return "" if plan.edges else "no [[links]] are declared in devenv.toml"


def not_linked(judgement: LinkJudgement) -> str:
    """The links whose rows could not be read: nothing was compared with them."""
    names = "`, `".join(judgement.unlinked)
    return f"the rows of link `{names}` could not be read, so nothing was compared with them" if names else ""


def no_natural_keys(plan: ReadPlan) -> str:
    """Why nothing tells which row is meant when an id does not."""
    return "" if any(edge.natural for edge in plan.edges) else "no natural_key is declared in [[links]]"


def no_copies(plan: ReadPlan) -> str:
    """Why no copy can be held against a row."""
    declared = any(edge.natural or edge.copies for edge in plan.edges)
    return "" if declared else "no copies are declared in [[links]]"


def judged(
    *kinds: str,
    lacks: Callable[[ReadPlan], str] = lambda _: "",
    beside: Callable[[DoctorFacts], str] = lambda _: "",
    unread: Callable[[LinkJudgement], str] = lambda _: "",
    rows: bool = False,
    every: bool = False,
) -> Callable[[DoctorFacts], Outcome]:
    """The `run` of a check that passes when no fault of these classes was found.

    `lacks` says what is not declared, so that nothing would be compared; `beside` is what its evidence says besides how
    many items were looked at; `unread` says what could not be looked at, so that nothing found proves nothing.
    `every`: items of no declared kind are looked at, too.
    `rows`: it compares with the rows of links, too, and is skipped where those cannot be read: one of ROWS says why.
    """

    def run(facts: DoctorFacts) -> Outcome:
        if why := lacks(facts.plan):
            return unneeded(why)
        judgement = facts.judgement()
        found = judgement.folded(*kinds)
        if not found and (gap := unread(judgement)):
            return unverified(gap)
        if not found and rows and (gap := not_linked(judgement)):
            return unneeded(gap, "needs_failed")
        if not found:
            return nothing_wrong(judgement, beside(facts), every)
        faults = [fault for one in found for fault in one.faults]
        stuck = blocked(facts, [fault for fault in faults if fault.safe])
        safe = sum(fault.safe for fault in faults) - len(stuck)
        several = len(found) > 1
        evidence = [f"{one.kind + ': ' if several else ''}{count(one)}: {summary(one)}" for one in found]
        again = loaded_again(facts, faults)
        if safe == len(faults):
            fix = Fix(f"write the correct value; no data is lost{again}", MEND, safe=True)
        elif safe:
            text = f"fixes {safe} of {len(faults)}; the next run says what to do about the others{again}"
            fix = Fix(text, MEND, safe=True)
        elif stuck:
            fix = Fix(taken(stuck) + again, deletion(one) if (one := stuck[0].record) else None)
        else:
            fix = declaration(facts, faults) or remedy(facts, faults)
        causes = dict.fromkeys(one.cause for one in found if one.cause)
        subjects = [subject for one in found for subject in one.subjects]
        return failed(evidence, cause="; ".join(causes) or None, fix=fix, subjects=subjects)

    return run


def nothing_wrong(judgement: LinkJudgement, beside: str, every: bool) -> Outcome:
    """The outcome without a fault: of the items that were looked at, which are those of a declared kind."""
    items = len(judgement.records)
    strange = 0 if every else sum(record.kind is None and record.near is None for record in judgement.records)
    if strange == items > 0:
        return unverified(f"{number_of(items, 'item')} of no declared kind: nothing was compared")
    left = f"not compared: {number_of(strange, 'more item')} of no declared kind" if strange else ""
    return passed("; ".join(filter(None, (number_of(items - strange, "item"), left, beside))))


def blocked(facts: DoctorFacts, faults: Sequence[Fault]) -> list[Fault]:
    """Of faults that are safe, those in a key whose correct value another item has: --fix leaves both alone."""
    keys = facts.plan.keys
    moving = [each for each in faults if each.record is not None and each.attribute in keys.get(each.record.table, ())]
    if not moving:
        return []
    from devenv.verify.repair import plan_repairs

    planned = [write.before for write in plan_repairs(facts.judgement(), facts.known_plan()) if write.before]
    written = {id(before) for before in planned}
    return [fault for fault in moving if fault.record is not None and id(fault.record.item) not in written]


def taken(faults: Sequence[Fault]) -> str:
    """The sentence for an item whose correct key another item has."""
    first = faults[0]
    record = first.record
    place = f"{record.table} {short_key(record)}" if record is not None else "the item"
    command = f"For the first of the {len(faults)} faults, the command" if len(faults) > 1 else "The command"
    return (
        f"another item has the key {first.attribute} = {first.expected} already, so {place} cannot get it. Compare the"
        f" two and keep one. {command} deletes the item with the wrong id"
    )


def loaded_again(facts: DoctorFacts, faults: Sequence[Fault]) -> str:
    """The sentence about a seed file that has the wrong value too; "" when none has."""
    wrong = [
        each.observed
        for each in faults
        if each.kind in ("mismatched_id", "stale_copy", "malformed_id") and each.observed
    ]
    place = source_line(facts, wrong)
    return f". {place} has the wrong value, too: correct it there, or the next load writes it again" if place else ""


def count(one: Folded) -> str:
    """`3 faults in 2 items`; the items are left out where they are as many, or none."""
    faults = number_of(one.count, COUNTED.get(one.kind, "fault"))
    return faults if one.items in (0, one.count) else f"{faults} in {number_of(one.items, 'item')}"


def summary(one: Folded) -> str:
    """The examples in one line, each with its item, and the number of those not shown."""
    shown = [placed(note, faults) for note, faults in same_faults(one.faults)[:EXAMPLES]]
    more = one.count - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def placed(note: str, faults: Sequence[Fault]) -> str:
    """A note of faults with table and key of their item; a note that begins with the key gets the table alone.

    An id that several links read in one item is in one item.
    """
    records = list({id(fault.record): fault.record for fault in faults if fault.record is not None}.values())
    if not records:
        return note
    first = records[0]
    if note.startswith(first.key_text):
        return f"{first.table} {note}"
    more = f" and {number_of(len(records) - 1, 'more item')}" if len(records) > 1 else ""
    attributes = id_attributes(faults)
    return f"{note} (in {f'{attributes} of ' if attributes else ''}{first.table} {short_key(first)}{more})"


def short_key(record: ItemRecord) -> str:
    """`MSG#5ae290ed… 2023-06-24T…`: an item's key, of uuids the beginning."""
    return UUID.sub(r"\1…", record.key_text)


def declaration(facts: DoctorFacts, faults: list[Fault]) -> Fix | None:
    """The natural keys to declare for orphans whose rows have another id; None where there are none.

    Also None where the seed follows its rows: then `devenv up` corrects the items.
    """
    found = [fault for fault in faults if fault.recreated is not None]
    if not found or (follows(facts) and all(is_seeded(facts, fault.record) for fault in found)):
        return None
    left = len(faults) - len(found)
    more = f". Then run `devenv doctor` again for the other {number_of(left, 'fault')}" if left else ""
    return Fix(f"{declare(found)}. Delete no item: the rows exist{more}")


def is_seeded(facts: DoctorFacts, record: ItemRecord | None) -> bool:
    """Return True if a seed file made this item."""
    return record is not None and facts.context.is_seeded(record.table, record.item, tuple(record.key))


def follows(facts: DoctorFacts) -> bool:
    """Return True if the seed is stale and able to run: a reference that names no row would stop it."""
    return any(state.name == "seed" and state.follows and "${" not in state.reason for state in facts.steps())


def remedy(facts: DoctorFacts, faults: list[Fault]) -> Fix:
    """Return what a person can do about the first of these faults, which none but a person can mend."""
    if fix := row_remedy(facts, faults):
        return fix
    if wrong := find_misdeclared(facts, faults):
        told = [each.sentence(facts) for each in wrong]
        left = len(faults) - sum(len(each.faults) for each in wrong)
        more = f". Then run `devenv doctor` again for the other {number_of(left, 'fault')}" if left else ""
        return Fix("; ".join(told) + more)
    text = by_hand(facts, faults[0].kind)
    if faults[0].kind == "contradiction" and faults[0].record is not None:
        return Fix(f"{text}. The command shows the item", selection(faults[0].record))
    deletable = [fault for fault in faults if fault.kind in DELETABLE and fault.record is not None]
    records = [r for fault in deletable[:1] for r in (*fault.partners, fault.record) if r is not None and r.key]
    first = faults[0].record
    if faults[0].kind == "missing_item" and first and is_seeded(facts, first):
        again = "The item came from the seed files: `devenv seed` loads it again, and asks before it deletes other data"
        return Fix(f"{text}. {again}", "devenv seed")
    if not records:
        return Fix(text)
    if deletable[0].kind == "orphan" and (right := right_id(facts, faults, deletable[0])):
        return right
    seeded = [is_seeded(facts, record) for record in records]
    # Of two that are one too many, the one that no file holds.
    place = seeded.index(False) if False in seeded else len(records) - 1
    if seeded[place] and deletable[0].kind == "orphan" and follows(facts):
        return Fix("update the seed items to the recreated rows; no data is lost", "devenv up")
    behind = next((each.command for each in facts.steps() if each.name == "seed" and each.state == "done"), None)
    if behind and deletable[0].kind == "orphan":
        why = "setup made new rows, and the items of the old ones are still there"
        return Fix(f"{why}: empty the tables and run the command of step seed again (asks first)", behind)
    text += origin(facts, deletable[0], seeded[place])
    count = len({id(fault.record) for fault in faults if fault.record is not None})
    more = ". The command deletes this item"
    if count > 1:
        more = f". The command deletes the first of {count} items; `devenv doctor` names the next one"
    return Fix(text + more, deletion(records[place]))


def right_id(facts: DoctorFacts, faults: Sequence[Fault], orphan: Fault) -> Fix | None:
    """The remedy where a file or another attribute tells the right id of an orphan, or a file has the wrong one."""
    first = f" the first of {len(faults)} faults" if len(faults) > 1 else ""
    if written := written_value(facts, orphan):
        more = f". The command corrects{first}" if first else ""
        return Fix(written.sentence + more, f"devenv ddb sql --write {word(written.statement)}")
    if orphan.record and (beside := other_id(facts.plan, facts.judgement().named, orphan)):
        command = f"For{first}, the command" if first else "The command"
        text = f"{beside}: correct the id that is wrong, or restore the row. {command} shows the item"
        return Fix(text, selection(orphan.record))
    if line := source_line(facts, wrong_values(orphan)):
        again = "devenv up" if line.rpartition(":")[0] in step_files(facts) else "devenv seed"
        lost = may_load(facts.context.settings.steps, "row")
        return Fix(
            f"correct the id in {line}, then run the command: it loads the item again. Or restore the row{lost}", again
        )
    return correct_id(faults)


def row_remedy(facts: DoctorFacts, faults: list[Fault]) -> Fix | None:
    """The remedy where it is known what became of a row, or which row an id is of; else None."""
    if found := renamed_rows(faults, facts.renamed()):
        left = sum(fault.subjects[0] not in found for fault in faults)
        fix = undo_renaming(facts.postgres().catalog, list(found.values()))
        more = f". Then run `devenv doctor` again for the other {number_of(left, 'fault')}" if left else ""
        return Fix(fix.text + more, fix.command)
    if lost := list(lost_rows(facts, faults)):
        relation, column, ids = lost[0]
        declared = facts.postgres().catalog.table(relation)
        command = restoration(relation, column, ids, declared)
        return Fix("insert the missing rows as setup loaded them; no data is lost", command)
    rows = [fault for fault in faults if fault.kind in ("ambiguous_row", "near_miss", "missing_row")]
    if rows:
        text = (
            "insert it again"
            if rows[0].kind == "missing_row"
            else "give one row another natural key, and make it UNIQUE"
        )
        return Fix(text, look_up(facts, rows[0]))
    return None


def correct_id(faults: Sequence[Fault]) -> Fix | None:
    """The remedy where an orphan has the id of a row of another table; else None."""
    for fault in faults:
        if fault.elsewhere is None or fault.edge is None or fault.record is None or not fault.record.key:
            continue
        place = f"`{fault.attribute}` of {fault.record.table} {short_key(fault.record)}"
        left = f". Then run `devenv doctor` again for the other {number_of(len(faults) - 1, 'fault')}"
        return Fix(
            f"write the id of a row of {'.'.join(fault.edge.relation)} into {place}, and correct it in the code or "
            f"seed that wrote it. The command shows the item{left if len(faults) > 1 else ''}",
            selection(fault.record),
        )
    return None


def by_hand(facts: DoctorFacts, kind: str) -> str:
    """The remedy for a class of faults, with the programs that may load what is missing."""
    missing = {"orphan": "row", "missing_item": "item"}.get(kind)
    more = may_load(facts.context.settings.steps, missing) if missing else ""
    return BY_HAND.get(kind, "correct the item, or delete it") + more


def origin(facts: DoctorFacts, fault: Fault, seeded: bool) -> str:
    """The sentences about the file that the item came from, as far as one is known; "" without one."""
    values = wrong_values(fault)
    line = source_line(facts, values)
    again = "once the item is deleted, `devenv up --restore-seeds` loads it again"
    if not seeded:
        return f". {line} has this value, too: correct it there first, or step seed writes it again" if line else ""
    if values and not line:
        return f". The item came from the seed files, but devenv did not find its wrong value there: {again}"
    place = f" ({line})" if line else ""
    wrong = "correct it there too, or the next full load brings the fault back"
    return f". The item came from the seed files{place}: {wrong}; {again}"


def wrong_values(fault: Fault) -> list[str]:
    """The texts by which a file may have a wrong id: the id, and the whole value (`USER#21`) that it is a part of."""
    whole = fault.record.item.get(fault.edge.attribute) if fault.record and fault.edge else None
    told = scalar_text(whole) if whole else None
    return [each for each in dict.fromkeys((told, fault.observed, *fault.subjects)) if each]


def deletion(record: ItemRecord) -> str:
    """The command that deletes exactly this item."""
    statement = f"DELETE FROM {one_item(record)}"  # noqa: S608 (all quoted, and only shown)
    return f"devenv ddb sql --write {word(statement)}"


def selection(record: ItemRecord) -> str:
    """The command that shows exactly this item."""
    statement = f"SELECT * FROM {one_item(record)}"  # noqa: S608 (all quoted, and only shown)
    return f"devenv ddb sql {word(statement)}"


def one_item(record: ItemRecord) -> str:
    """The end of a PartiQL statement about exactly this item."""
    conditions = " AND ".join(f"{name(attribute)}={literal(value)}" for attribute, value in record.key.items())
    return f"{name(record.table)} WHERE {conditions}"


def lost_rows(facts: DoctorFacts, faults: Sequence[Fault]) -> Iterator[tuple[Relation, str, dict[str, str]]]:
    """(relation, column, id at its loading -> id that items name) of rows that faults miss and that setup once loaded.

    A row whose id was changed since it was loaded is found by its natural key, which the items carry.
    """
    wanted = [fault for fault in faults if fault.kind in ("orphan", "missing_row") and fault.subjects]
    if not wanted:
        return
    found = facts.postgres()
    for edge in {(edge.relation, edge.column): edge for edge in facts.plan.edges}.values():
        place = (edge.relation, edge.column)
        missing = {f.subjects[0] for f in wanted if f.edge is None or (f.edge.relation, f.edge.column) == place}
        loaded = {canonical(row.get(edge.column) or ""): row for row in found.seeded.get(edge.relation, ())}
        here = {canonical(row[edge.column]) for row in found.rows.get(edge.relation, ())}
        here |= facts.renamed().get((edge.relation, edge.column), {}).keys()
        lost = {id: id for id in missing & loaded.keys() - here}
        for fault in faults:
            if fault.kind != "orphan" or fault.record is None or fault.edge is None or fault.subjects[0] in lost:
                continue
            if (fault.edge.relation, fault.edge.column) != (edge.relation, edge.column) or not fault.edge.natural:
                continue
            texts = {column: scalar_text(fault.record.item.get(each)) for each, column in fault.edge.natural}
            named = [id for id, row in loaded.items() if all(row.get(column) == texts[column] for column in texts)]
            if len(named) == 1 and named[0] not in here:
                lost[fault.subjects[0]] = named[0]
        if lost:
            yield edge.relation, edge.column, {old: new for new, old in sorted(lost.items())}


def restoration(relation: Relation, column: str, ids: Mapping[str, str], declared: Table | None = None) -> str:
    """The command that inserts rows as setup recorded them, by old id, under the new one. Those that are there stay.

    Postgres refuses values for the generated columns of the `declared` table; those of identity columns it takes with
    OVERRIDING SYSTEM VALUE only.
    """
    columns = declared.columns if declared else ()
    own = [name(each.name) for each in columns if not each.computed]
    into, chosen = "", "made.*"
    if len(own) < len(columns):
        into, chosen = f" ({', '.join(own)})", ", ".join(f"made.{each}" for each in own)
    if any(each.made == "identity" for each in columns):
        into += " OVERRIDING SYSTEM VALUE"
    schema, table = relation
    title = f"{name(schema)}.{name(table)}"
    wanted = ", ".join(f"({text(old)}, {text(new)})" for old, new in ids.items())
    recorded = f'devenv.seeded AS s JOIN (VALUES {wanted}) AS w (old, new) ON s."row"->>{text(column)} = w.old'
    made = f'jsonb_populate_record(NULL::{title}, s."row" || jsonb_build_object({text(column)}, w.new)) AS made'
    here = f's."schema"={text(schema)} AND s."table"={text(table)}'
    statement = f"INSERT INTO {title}{into} SELECT {chosen} FROM {recorded}, {made} WHERE {here} ON CONFLICT DO NOTHING"  # noqa: S608
    return f"devenv db --write {word(statement)}"


def look_up(facts: DoctorFacts, fault: Fault) -> str | None:
    """The command that shows the rows of a fault; None when it is not known whose they are."""
    wanted = set(fault.subjects)
    for edge in facts.plan.edges:
        rows = facts.postgres().rows.get(edge.relation, ())
        if ids := sorted(wanted & {canonical(row[edge.column]) for row in rows}):
            title = ".".join(map(name, edge.relation))
            shown = ", ".join(text(each) for each in ids)
            statement = f"SELECT * FROM {title} WHERE {name(edge.column)}::text IN ({shown})"  # noqa: S608 (only shown)
            return f"devenv db {word(statement)}"
    return None
