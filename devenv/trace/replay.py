"""A stream worker's function run again on a scratch copy, for items that exist: would it make other rows than stand?

The function gets the records that these items' writes gave, and what was wrong with the subject before and after is
compared. devenv only reads the user's stores. The function gets the copy's addresses; one that has another address in
its own file is not run, but an address in a module that it imports is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from devenv.config.filters import fits
from devenv.core.late import late
from devenv.core.templates import Unknown
from devenv.links.judge import ItemRecord
from devenv.services.streams.judge import Replay
from devenv.trace.question import TraceContext

if TYPE_CHECKING:
    from devenv.services.streams.handler import HandlerOutcome
    from devenv.services.streams.worker import Worker
    from devenv.stack import Stack

# Classes of faults that a function may be there to correct.
FOLLOWING: Final = frozenset(
    ["stale_preview", "missing_item", "half_group", "missing_attribute", "duplicate", "stale_copy", "unexpected_count"]
)
# Of these, what a function leaves behind that fails.
BEHIND: Final = frozenset(["stale_preview", "half_group"])
NEWEST: Final = 25
SHOWN: Final = 5
ADDRESS: Final = late(r"https?://(?:localhost|127\.0\.0\.1|\[::1\]):\d+")
FaultKey = tuple[str, tuple[str, ...]]
Replayer = Callable[[TraceContext, Sequence[str], Mapping[str, Any] | None], dict[str, Replay]]


def replay(
    stack: Stack, inquiry: TraceContext, names: Sequence[str], person: Mapping[str, Any] | None
) -> dict[str, Replay]:
    """Run these workers' functions for the subject's newest items, one after the other. DevenvError without a copy."""
    from devenv.testing.scratch import scratch_copy
    from devenv.trace.action.data import differences, read_things

    reasons = {name: not_runnable(stack, name) for name in names}
    found = {name: Replay(unrun=why) for name, why in reasons.items() if why is not None}
    runnable = [name for name, why in reasons.items() if why is None]
    if not runnable:
        return found
    with scratch_copy(stack) as scratch:
        targets = scratch.stack.engine.targets()

        def look() -> TraceContext:
            return replace(inquiry, facts=inquiry.fresh_facts(replace(inquiry.facts.context, targets=targets)))

        plan = inquiry.facts.plan
        for name in runnable:
            now = look()
            before, things = faults_of(now, person), read_things(targets, plan)
            worker = worker_on(scratch.stack, name)
            items = [record.item for record in entries_of(now, person, worker.settings.table)]
            passing, left_out = sort_records(worker, items)
            outcome = call(worker, passing or left_out)
            after = faults_of(look(), person)
            changes = differences(things, read_things(targets, plan))
            found[name] = Replay(
                given=len(passing),
                left_out=len(left_out),
                changes=tuple(sorted({describe(one) for one in changes.values()}, key=is_deletion)[:SHOWN])
                or rewritten(worker, outcome),
                error=outcome.error,
                place=outcome.place,
                corrected=frozenset(before - after),
                behind=frozenset(one for one in before if one[0] in BEHIND),
            )
    return found


def not_runnable(stack: Stack, name: str) -> str | None:
    """Why a function must not be run on a copy: it may not reach the copy."""
    from devenv.engines import stream

    own = stack.engine.own[name]
    if own.worker is None or not own.worker.handler:
        return "it is a command, and devenv does not know which stores it uses"
    folder = stack.engine.root / own.folder
    place = stream.find_handler(folder, own.worker.handler)
    if place is None:
        return f"there is no {own.worker.handler}"
    if address := ADDRESS.search((folder / place.file).read_text(errors="replace")):
        return f"{place.file} has an address of its own ({address[0]}), so it would not use the copy"
    return None


def worker_on(stack: Stack, name: str) -> Worker:
    """The worker with the settings and variables of the copy. It follows no stream."""
    from devenv.engines import own as own_processes
    from devenv.services.streams.worker import StreamSettings, Worker

    engine = stack.engine
    own = engine.own[name]
    settings = msgspec.json.decode(own_processes.worker_settings(engine, own), type=StreamSettings)
    return Worker(settings, own_processes.process_environment(engine, own, stack.environment()))


def entries_of(inquiry: TraceContext, person: Mapping[str, Any] | None, table: str) -> list[ItemRecord]:
    """The subject's newest items in a table, the oldest first; of its groups when the subject is a list of them."""
    from devenv.trace.layers.subject_items import gather_own, is_kind, meant

    facts = inquiry.facts
    judged = facts.judgement()
    gathered = gather_own(inquiry, person)
    kinds = {one.kind.name for one in gathered.entries if one.kind is not None}
    group = next((group for group in inquiry.settings.groups if group.name == inquiry.question.trace.group), None)
    found = list(gathered.entries)
    if group is not None and group.entries and group.entries not in kinds:
        entries = (one for one in judged.records if is_kind(one, group.entries))
        found += [one for one in entries if meant(one, group.id) in gathered.groups]
    mine = [one for one in found if one.table == table]
    time = (group.time if group is not None else None) or inquiry.question.trace.sorted_by or ""
    return sorted(mine, key=lambda one: one.values.get(time, ""))[-NEWEST:]


def faults_of(inquiry: TraceContext, person: Mapping[str, Any] | None) -> set[FaultKey]:
    """The faults of the subject's stored items: class and subjects of each fault."""
    from devenv.trace.layers.subject_faults import own_findings
    from devenv.trace.layers.subject_items import gather_own

    found = inquiry.facts.judgement()
    try:
        gathered = gather_own(inquiry, person)
    except Unknown:
        return set()
    return {
        (one.kind, one.subjects)
        for layer in ("dynamodb", "cross-store")
        for one in own_findings(inquiry, found, gathered, layer)
    }


def sort_records(
    worker: Worker, items: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The records that writing these items gave, as the filter divides them: those that pass, those that do not."""
    passing: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    found = worker.table_keys()
    for number, item in enumerate(items):
        made = record_of("INSERT", item, found, number, worker.settings.region)
        changed = record_of("MODIFY", item, found, number, worker.settings.region)
        fitting = next((one for one in (made, changed) if fits(one, worker.settings.filters)), None)
        (left_out if fitting is None else passing).append(fitting or made)
    return passing, left_out


def record_of(name: str, item: Mapping[str, Any], keys: tuple[str, ...], number: int, region: str) -> dict[str, Any]:
    """A record of a stream with both images, as Lambda gives it to a function."""
    key = {name: item[name] for name in keys if name in item}
    told: dict[str, Any] = {"Keys": key, "NewImage": item, "SequenceNumber": f"{number:021}"}
    if name == "MODIFY":
        told["OldImage"] = item
    return {
        "eventID": f"devenv-{number}",
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": region,
        "dynamodb": {**told, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    }


def call(worker: Worker, records: Sequence[Mapping[str, Any]]) -> HandlerOutcome:
    """One call of the function, in a process that ends with it."""
    from devenv.services.streams.handler import HandlerOutcome, HandlerProcess

    if not records:
        return HandlerOutcome()
    handler = HandlerProcess(worker.call(""))
    try:
        return handler.invoke({"Records": list(records)})
    finally:
        handler.close()


def describe(change: Any) -> str:
    """`message_group GRP#… 2026-…`: what the function made, changed or deleted."""
    thing = change.after or change.before
    verb = "would make" if change.before is None else "would delete" if change.after is None else "would change"
    return f"{verb} {thing.kind or 'an item'} {thing.key}"


def rewritten(worker: Worker, outcome: HandlerOutcome) -> tuple[str, ...]:
    """The items that a function wrote although nothing changed."""
    from devenv.services.streams.loops import written_keys

    table, keys = worker.settings.table, worker.table_keys()
    found = [key for operation, body in outcome.wrote for key in written_keys(operation, body, table, keys)]
    return tuple(f"writes {key}, which is already there" for key in dict.fromkeys(found))[:SHOWN]


def is_deletion(text: str) -> tuple[bool, str]:
    """The order of changes: what would be deleted comes last."""
    return text.startswith("would delete"), text
