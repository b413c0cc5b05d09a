"""The step `seed`: DynamoDB items, from JSON files whose references are read from Postgres rows.

Items are merged three ways: what devenv wrote (the ledger), what the files say now, what is in the table. An item
that somebody else wrote, changed, moved or deleted is left alone. Before that, items follow rows whose ids changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Final, Literal

import msgspec

from devenv.core.errors import DevenvError, UsageError
from devenv.core.model import StepState
from devenv.core.plural import number_of
from devenv.links.read import compile_plan
from devenv.steps.ledger import Item, Ledger, LedgerItem
from devenv.steps.seed import since, source
from devenv.steps.seed.follow import (
    NO_ROWS,
    Followed,
    Ids,
    LinkTarget,
    find_successors,
    find_targets,
    follow,
    read_fingerprint,
    read_ids,
)
from devenv.steps.seed.items import (
    Keys,
    check_item,
    described_keys,
    fill,
    identity,
    key_of,
    normal_item,
)
from devenv.steps.seed.references import Reference, Unresolved, resolve
from devenv.steps.seed.source import Seeds, SeedSurvey, Twins
from devenv.steps.seed.strangers import count_strangers
from devenv.steps.seed.writes import (
    ahead,
    await_disk,
    delete_item,
    empty_table,
    fan_out,
    is_empty,
    put_all,
    read_by_key,
    replace_item,
)
from devenv.steps.since import LIMIT
from devenv.steps.step import Handles, Inputs, StepContext, StepOutcome, describe
from devenv.stores.dynamodb.client import Dynamo
from devenv.stores.postgres.reader import reading

TELL_EVERY: Final = 5_000
EXAMPLES: Final = 3
# So many items are held at once, and so many a killed run may have written without having noted it.
WINDOW: Final = 5_000
Verdict = Literal["put", "replace", "delete", "ours", "gone", "changed", "theirs", "forget"]


def lacks(ctx: StepContext, handles: Handles) -> str | None:
    """Return what a command should have made: an item in one of the tables that the project declares, else in any.

    None where there is no table, and none is declared.
    """
    dynamo = handles.dynamo()
    there = handles.tables()
    loads = ctx.settings.steps.schema_load
    if not there and not (loads.files or loads.command):
        return None  # A project without tables: its seed is rows of Postgres.
    declared = declared_tables(ctx)
    wanted = sorted((declared & there) or there)
    if any(not is_empty(dynamo, table) for table in wanted):
        return None
    if filled := [table for table in sorted(there - set(wanted)) if not is_empty(dynamo, table)]:
        others = ", ".join(filled[:EXAMPLES])
        return f"no declared table ({', '.join(wanted)}) has an item, only {others}"
    return f"no table of DynamoDB at {ctx.dynamodb.endpoint} has an item"


def declared_tables(ctx: StepContext) -> set[str]:
    """The names of the tables that schema-load's files define, or that items of an entity or a link are in."""
    declared = {each.table for each in ctx.settings.entities.values()}
    declared |= {edge.table for edge in compile_plan(ctx.settings, {}).edges}
    return declared | (source.read(ctx.settings, ctx.root, ()).declared or {}).keys()


def filled_tables(ctx: StepContext, dynamo: Dynamo) -> list[str]:
    """The declared tables that are there and have an item."""
    there = {name for page in dynamo.pages("ListTables") for name in page["TableNames"]}
    return [table for table in sorted(declared_tables(ctx) & there) if not is_empty(dynamo, table)]


def clear(ctx: StepContext) -> None:
    """Empty the declared tables, so that a command that runs from scratch leaves nothing of its last run there."""
    with Dynamo(ctx.dynamodb) as dynamo:
        for table in filled_tables(ctx, dynamo):
            ctx.say(f"emptying table {table}")
            empty_table(ctx.dynamodb, table, table_key(dynamo, table))


def unknown(ctx: StepContext) -> str | None:
    """Return what `clear` deletes: of what a command wrote there is no record, so it may be anybody's."""
    with Dynamo(ctx.dynamodb) as dynamo:
        tables = filled_tables(ctx, dynamo)
    if not tables:
        return None
    many = "all items of table" if len(tables) == 1 else "all items of tables"
    return f"{many} {', '.join(tables)} (a command wrote them, so devenv cannot tell which are yours)"


def examine(ctx: StepContext, inputs: Inputs, handles: Handles) -> StepState:
    """The hash, one DescribeTable and one Scan of one item per table, one query per reference group and link target."""
    seeds: Seeds = inputs.content
    ledger = handles.ledger()
    mark = ledger.mark("seed")
    if mark is None or mark.state != "done":
        return StepState("seed", "pending", "its items are not loaded yet")
    for table in ledger.known_tables() if mark.hash == inputs.hash or not seeds.is_small else seeds.survey().tables:
        described = handles.describe(table)
        if described is None:
            return StepState("seed", "pending", f"table {table} does not exist")
        if ledger.identity(table) != identity(described):
            return StepState("seed", "stale", f"table {table} was recreated")
        if is_empty(handles.dynamo(), table):
            return StepState("seed", "stale", f"table {table} is empty")
    if mark.hash != inputs.hash:
        return StepState("seed", "stale", "its files or the links changed")
    try:
        reason = examine_rows(seeds, handles)
    except Unresolved as error:
        reason = f"{error.reference.text}: {error.what}"
        return StepState("seed", "stale", reason, follows=True, stuck=True)
    if reason:
        return StepState("seed", "stale", reason, follows=True)
    found = since.compare_items(ctx, handles, None if ctx.thorough else LIMIT)
    loaded = "the items of its files are loaded, and the rows that they refer to have kept their ids"
    if absent := [target for target in find_targets(seeds.edges) if ledger.fingerprint(target.title) == NO_ROWS]:
        loaded = f"the items of its files are loaded; {not_compared(absent)}"
    return StepState("seed", "done", f"{loaded}{found.words}")


def not_compared(targets: Iterable[LinkTarget]) -> str:
    """The sentence about linked tables that were not there when the items were loaded."""
    tables = ", ".join(dict.fromkeys(".".join(target.relation) for target in targets))
    return f"[[links]]: {tables} did not exist when this step ran, so the ids that refer to it were not compared"


def examine_rows(seeds: Seeds, handles: Handles) -> str | None:
    """Why the rows that items name are no longer what they were, or None. Unresolved if one is gone."""
    ledger = handles.ledger()
    targets = find_targets(seeds.edges)
    references = [Reference(*key, written_reference(key)) for key in ledger.answers()]
    if not targets and not references:
        return None
    connection = handles.postgres()
    if connection is None:
        return "the database that the seeds refer to does not exist"
    for target in targets:
        now = read_fingerprint(connection, target)
        if now == ledger.fingerprint(target.title):
            continue
        if now == NO_ROWS:
            return f"table {'.'.join(target.relation)}, which items refer to, does not exist any more"
        known = ledger.ids(target.title)
        changed = find_successors(known, read_ids(connection, target))
        if changed:
            return f"{len(changed)} of {number_of(len(known), 'id')} in {target.title} changed"
    answers = resolve(connection, references)
    known_answers = ledger.answers()
    differ = [reference for reference, answer in answers.items() if known_answers.get(reference.key) != answer]
    if differ:
        others = number_of(len(differ), "reference now resolves", "references now resolve")
        return f"{others} to another value ({differ[0].text})"
    return None


def apply(ctx: StepContext, inputs: Inputs, fresh: bool) -> StepOutcome:
    """Load, merge and follow. DevenvError names the file, the item and what is wrong; the next run resumes."""
    seeds: Seeds = inputs.content
    survey = seeds.survey(ctx.say)
    with ExitStack() as opened:
        dynamo = opened.enter_context(Dynamo(ctx.dynamodb))
        keys = {table: read_keys(dynamo, table) for table in survey.tables}
        answers, ids = read_rows(ctx, seeds, survey)
        if answers:
            check_filled(seeds, answers, keys)
        ledger = opened.enter_context(Ledger(ctx.ledger))
        prepare_tables(ctx, dynamo, ledger, keys, fresh)
        followed = follow(ctx.dynamodb, ledger, seeds.edges, ids, ledger.tables())
        if followed.items:
            ctx.say(
                f"{number_of(followed.items, 'item follows', 'items follow')} {number_of(followed.ids, 'changed id')}"
            )
        work = Load(ctx, ledger, survey.number)
        work.begin(keys)
        # The store writes one window while the next is read.
        with closing(ahead(windows(fill_items(seeds, answers, keys)))) as lots:
            for table, wanted in lots:
                work.merge(table, keys[table].names, wanted)
        for table in ledger.tables():
            names = keys[table].names if table in keys else table_key(dynamo, table)
            if names:
                work.take_away(table, names)
        remember_rows(ledger, answers, ids)
    work.warnings += [f"left out: {each}" for each in dict.fromkeys(survey.left_out)]
    work.warnings += [not_compared([target]) for target, found in ids.items() if found.fingerprint == NO_ROWS]
    return work.outcome(followed)


def windows(items: Iterable[tuple[str, bytes, Item]]) -> Iterator[tuple[str, dict[bytes, Item]]]:
    """Yield items in lots of one table, at most WINDOW of them each."""
    table = ""
    lot: dict[bytes, Item] = {}
    for name, key, item in items:
        if lot and (name != table or len(lot) == WINDOW):
            yield table, lot
            lot = {}
        table = name
        lot[key] = item
    if lot:
        yield table, lot


def read_keys(dynamo: Dynamo, table: str) -> Keys:
    """Return what the table demands of its items. DevenvError when there is no such table."""
    described = describe(dynamo, table)
    if described is None:
        raise DevenvError(f"table {table} does not exist", hint="define it in a file of [steps.schema-load]: devenv up")
    return described_keys(described)


def table_key(dynamo: Dynamo, table: str) -> tuple[str, ...]:
    """The key attributes of a table; () when there is none."""
    described = describe(dynamo, table)
    return described_keys(described).names if described else ()


def read_rows(ctx: StepContext, seeds: Seeds, survey: SeedSurvey) -> tuple[dict[Reference, str], dict[LinkTarget, Ids]]:
    """Return what the references stand for, and the ids of the linked tables. Asks nothing when there are neither."""
    targets = find_targets(seeds.edges)
    if not targets and not survey.references:
        return {}, {}
    with reading(ctx.postgres, autocommit=True) as connection:
        try:
            answers = resolve(connection, survey.references)
        except Unresolved as error:
            user = next(item for item in seeds.items() if error.reference in item.references)
            raise DevenvError(
                f"{user.place} of table {user.table}: {error.reference.text} cannot be resolved",
                detail=error.what,
                hint=error.hint or f"correct {user.file}, then: devenv up",
            ) from None
        return answers, {target: read_ids(connection, target) for target in targets}


def written_reference(key: tuple[str, str, str, str]) -> str:
    """A reference as a seed file could have it."""
    relation, where, value, column = key
    return f"${{{relation}[{where}={value}].{column}}}".replace('"', "")


def check_filled(seeds: Seeds, answers: Mapping[Reference, str], keys: Mapping[str, Keys]) -> None:
    """DevenvError if an item is wrong, or two have one key, with the references filled in."""
    twins = Twins(keys, answers)
    try:
        for seed in seeds.items():
            if seed.references:
                check_item(replace(seed, value=normal_item(fill(seed.value, answers)), references=()), keys[seed.table])
            twins.add(seed)
        twins.refuse(seeds.items)
    except UsageError as error:
        raise DevenvError(f"with its references filled in, {error.what}", detail=error.detail) from None


def fill_items(
    seeds: Seeds, answers: Mapping[Reference, str], keys: Mapping[str, Keys]
) -> Iterator[tuple[str, bytes, Item]]:
    """Yield (table, key, item), with every reference filled in."""
    for seed in seeds.items():
        value = normal_item(fill(seed.value, answers) if seed.references else seed.value)
        yield seed.table, key_of(value, keys[seed.table].names), value


def prepare_tables(ctx: StepContext, dynamo: Dynamo, ledger: Ledger, keys: Mapping[str, Keys], fresh: bool) -> None:
    """Forget what was written into tables that were made anew or emptied since; with `fresh`, empty them first."""
    for table in keys:
        described = describe(dynamo, table) or {}
        if fresh or ledger.emptying(table):
            ctx.say(f"emptying table {table}")
            ledger.set_emptying(table)
            empty_table(ctx.dynamodb, table, keys[table].names)
            ledger.forget(table, identity(described))
        elif ledger.identity(table) != identity(described) or is_empty(dynamo, table):
            ledger.forget(table, identity(described))


def judge(wanted: Item | None, entry: LedgerItem | None, stored: Item | None) -> Verdict:
    """Return what is to be done about one key. Pure; the heart of the merge.

    `entry` is what devenv wrote or was about to write; `stored` is what is there.
    """
    if entry is None:
        return "put" if stored is None else "theirs"
    if stored is None:
        deleted_by_us = entry.intent == {} or entry.written is None
        if wanted is None:
            return "forget"
        return "put" if deleted_by_us else "gone"
    if stored not in (entry.written, entry.intent):
        if entry.written is None:
            return "forget" if wanted is None else "theirs"
        return "forget" if wanted is None else "changed"
    if wanted is None:
        return "delete"
    return "ours" if stored == wanted else "replace"


class Load(msgspec.Struct):
    """One merge at work, window by window. `total` is the number of items in the files."""

    ctx: StepContext
    ledger: Ledger
    total: int = 0
    counts: dict[str, int] = msgspec.field(
        default_factory=lambda: dict.fromkeys(
            [
                "items loaded",
                "items updated",
                "items deleted",
                "items changed after loading (kept)",
                "items deleted after loading (not loaded again)",
            ],
            0,
        )
    )
    warnings: list[str] = msgspec.field(default_factory=list)
    # Tables in which nothing was when the merge began, so that nothing needs to be read there.
    empty: frozenset[str] = frozenset()
    merges: bool = True
    merged: int = 0
    theirs: dict[str, list[bytes]] = msgspec.field(default_factory=dict)

    def begin(self, tables: Iterable[str]) -> None:
        """Look at what is there before the first item is written."""
        with Dynamo(self.ctx.dynamodb) as dynamo:
            self.empty = frozenset(table for table in tables if is_empty(dynamo, table))
        self.merges = bool(self.ledger.tables())
        if self.merges:
            self.ledger.begin_wanted()

    def merge(self, table: str, names: tuple[str, ...], wanted: Mapping[bytes, Item]) -> None:
        """Bring these items of one table to what the files say."""
        entries: Mapping[bytes, LedgerItem] = {}
        if self.merges:
            self.ledger.want(table, wanted)
            entries = self.ledger.entries_of(table, list(wanted))
        self._settle(table, names, wanted, entries)
        self.merged += len(wanted)
        if self.total > TELL_EVERY:
            self.ctx.say(f"table {table}: {self.merged:,} of {number_of(self.total, 'item')}")

    def take_away(self, table: str, names: tuple[str, ...]) -> None:
        """Delete the items that devenv wrote and the files have no longer."""
        if self.merges:
            for entries in self.ledger.unwanted(table):
                self._settle(table, names, {}, entries)

    def _settle(
        self,
        table: str,
        names: tuple[str, ...],
        wanted: Mapping[bytes, Item],
        entries: Mapping[bytes, LedgerItem],
    ) -> None:
        open_keys = [key for key in {**wanted, **entries} if not is_settled(wanted.get(key), entries.get(key))]
        stored = {} if table in self.empty else read_by_key(self.ctx.dynamodb, table, names, open_keys)
        verdicts: dict[Verdict, list[bytes]] = {}
        for key in open_keys:
            verdicts.setdefault(judge(wanted.get(key), entries.get(key), stored.get(key)), []).append(key)
        self.theirs.setdefault(table, []).extend(verdicts.get("theirs", []))
        self.counts["items changed after loading (kept)"] += len(verdicts.get("changed", []))
        self.counts["items deleted after loading (not loaded again)"] += len(verdicts.get("gone", []))
        self._settle_unwritten(table, verdicts, entries, wanted)
        self._write(table, names, verdicts, stored, wanted)

    def _tell_theirs(self, table: str, keys: list[bytes]) -> None:
        if keys:
            shown = "; ".join(key.decode() for key in keys[:EXAMPLES])
            self.warnings.append(
                f"table {table}: left unchanged {number_of(len(keys), 'item')} that devenv did not write ({shown})"
            )

    def _settle_unwritten(
        self,
        table: str,
        verdicts: Mapping[Verdict, list[bytes]],
        entries: Mapping[bytes, LedgerItem],
        wanted: Mapping[bytes, Item],
    ) -> None:
        """Bring the ledger up to date where the store needs no write: a killed run may have left intents."""
        settled: dict[bytes, Item | None] = {key: wanted[key] for key in verdicts.get("ours", [])}
        settled |= dict.fromkeys(verdicts.get("forget", []))
        for key in (*verdicts.get("gone", []), *verdicts.get("changed", []), *verdicts.get("theirs", [])):
            entry = entries.get(key)
            if entry is not None and entry.intent is not None:
                settled[key] = entry.written
        self.ledger.settle(table, settled)

    def _write(
        self,
        table: str,
        names: tuple[str, ...],
        verdicts: Mapping[Verdict, list[bytes]],
        stored: Mapping[bytes, Item],
        wanted: Mapping[bytes, Item],
    ) -> None:
        """Write the intents, then the items, then settle them once they are on the disk."""
        puts = {key: wanted[key] for key in verdicts.get("put", [])}
        changes: dict[bytes, Item] = {key: wanted[key] for key in verdicts.get("replace", [])}
        changes |= {key: {} for key in verdicts.get("delete", [])}
        self.ledger.intend(table, {**puts, **changes})
        last: Item | None = None
        for batch in put_all(self.ctx.dynamodb, table, names, puts):
            self.counts["items loaded"] += len(batch)
            last = next(iter(batch.values()))
        if last is not None:
            await_disk(self.ctx.dynamodb, table, names, last)
            self.ledger.settle(table, puts)

        def change(dynamo: Dynamo, key: bytes) -> bool:
            if changes[key]:
                return replace_item(dynamo, table, stored[key], changes[key])
            return delete_item(dynamo, table, names, stored[key])

        for key, done in fan_out(self.ctx.dynamodb, changes, change):
            if not done:
                # Somebody changed it in this very moment: then it is theirs, as it would be had they come before.
                self.ledger.settle(table, {key: stored[key] if changes[key] else None})
                self.counts["items changed after loading (kept)"] += 1
            else:
                self.ledger.settle(table, {key: changes[key] or None})
                self.counts["items updated" if changes[key] else "items deleted"] += 1

    def outcome(self, followed: Followed) -> StepOutcome:
        """Return what was done, as the user reads it."""
        for table, keys in self.theirs.items():
            self._tell_theirs(table, keys)
        counts = {"items updated because ids changed": followed.items, **self.counts}
        return StepOutcome(counts, (*followed.warnings, *self.warnings))


def is_settled(wanted: Item | None, entry: LedgerItem | None) -> bool:
    """Return True if the ledger alone tells that there is nothing to do."""
    return entry is not None and entry.intent is None and entry.written == wanted


def remember_rows(ledger: Ledger, answers: Mapping[Reference, str], ids: Mapping[LinkTarget, Ids]) -> None:
    """Remember which rows the items name now. A natural key that is gone keeps its id: it may come back."""
    ledger.set_answers({reference.key: answer for reference, answer in answers.items()})
    for target, now in ids.items():
        kept = {
            (natural, id)
            for natural, known in ledger.ids(target.title).items()
            if natural not in now.by_natural
            for id in known
        }
        ledger.set_ids(target.title, kept | set(now.by_natural.items()), now.fingerprint)


def restore(ctx: StepContext, inputs: Inputs) -> int:
    """Bring back items that were deleted since they were loaded. The number of items."""
    return since.restore_items(ctx)


def strangers(ctx: StepContext, inputs: Inputs) -> str | None:
    """Tables of the files with items that are not exactly as devenv wrote them."""
    return count_strangers(ctx, loaded_tables(ctx, inputs) or inputs.content.survey().tables)


def loaded_tables(ctx: StepContext, inputs: Inputs) -> list[str]:
    """The tables of the files, as the ledger knows them; empty if it does not know for sure.

    A known table without an entry may be one of the files, all of whose items are somebody else's, or of older files.
    """
    with Ledger(ctx.ledger, create=False) as ledger:
        mark = ledger.mark("seed")
        if mark is None or mark.state != "done" or mark.hash != inputs.hash:
            return []
        known = ledger.known_tables()
        return known if all(ledger.has_entries(table) for table in known) else []
