"""Which layer breaks first, and why: a pure function over what the layers gave.

Each layer is held against the one before it: what must survive (ids, fields, order) and what may be taken away and by
what (a page that is followed, an item past its time). Nothing here knows a symptom's usual cause: a later failure is
left out only where an earlier layer's own output already implies it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from devenv.layers.difference import Change, Difference, compare, ids, in_order
from devenv.layers.observation import LAYERS, Answer, Entry, LayerName, Ran, Seen, Subject, Trouble
from devenv.model import Fix
from devenv.reads import Asked, differences, shown, shown_key, side_by_side

LayerStatus = Literal["ok", "missing", "extra", "mutated", "reordered", "truncated", "error", "wrong_target", "not_run"]
# How a layer looks from outside when it breaks in a way that is no difference between two lists.
STATUS: Final[Mapping[str, LayerStatus]] = {
    "missing_table": "missing",
    "schema_drift": "mutated",
    "missing_row": "missing",
    "near_miss": "missing",
    "missing_item": "missing",
    "half_group": "missing",
    "orphan": "missing",
    "ambiguous_row": "extra",
    "duplicate": "extra",
    "open_to_strangers": "extra",
    "nothing_returned": "missing",
    "body_changed": "mutated",
    "wrong_query": "mutated",
    "scan": "mutated",
}
# What a store answers when the request itself is wrong, as opposed to the store not being reached.
REFUSED: Final = frozenset(["ResourceNotFoundException", "ValidationException", "SerializationException"])
REFUSED_SQL: Final = ("22", "42")
OK: Final = range(200, 300)
STORES: Final = frozenset(["postgres", "dynamodb"])
FORM: Final = "its form is not the declared one"
LOG: Final = Fix("read what the application said", "devenv logs backend --tail 50")


@dataclass(frozen=True)
class Broken:
    """One fault: the layer where it first shows, its class, and what to do. `difference` is the evidence in entries."""

    layer: LayerName
    kind: str
    summary: str
    cause: str | None = None
    fix: Fix | None = None
    subjects: tuple[str, ...] = ()
    about: frozenset[str] = frozenset()
    difference: Difference | None = None
    status: LayerStatus = "error"


@dataclass(frozen=True)
class LayerVerdict:
    """One layer judged. `expected` are the entries of the layer before, `entries` its own (None: not captured)."""

    name: LayerName
    status: LayerStatus
    expected: Sequence[Entry] | None
    entries: Sequence[Entry] | None
    difference: Difference | None
    broken: tuple[Broken, ...]

    @property
    def expected_count(self) -> int | None:
        """How many entries there should be; None: nothing to compare with."""
        return None if self.expected is None else len(self.expected)

    @property
    def observed_count(self) -> int | None:
        """How many there are; None: not captured."""
        return None if self.entries is None else len(self.entries)


@dataclass(frozen=True)
class Judgement:
    """The first fault and the further ones, and how each layer stands. `unverified` are layers that could not tell."""

    first: Broken | None
    also: tuple[Broken, ...]
    layers: tuple[LayerVerdict, ...]
    unverified: tuple[str, ...]

    @property
    def status(self) -> Literal["ok", "diverged", "not_verified"]:
        """The verdict's status."""
        return "diverged" if self.first else "not_verified" if self.unverified else "ok"


def judge(subject: Subject, seen: Seen) -> Judgement:
    """Name the first layer whose output breaks the contract with the one before; further faults follow in order."""
    found: list[Broken] = []
    compared: dict[LayerName, tuple[Sequence[Entry] | None, Difference | None]] = {}
    found += judge_environment(seen)
    for layer in ("services", "postgres", "dynamodb", "cross-store"):
        found += [broken_by(layer, trouble) for trouble in seen.layer(layer).troubles]
    found = drop_shadowed(found)
    stored = reachable(seen)
    compared["pattern"] = (stored, difference(subject, stored, seen.pattern.entries))
    found += judge_pattern(subject, seen, found)
    ran = seen.library.corrected or seen.library.ran
    given = expected_of_library(subject, seen)
    compared["library"] = (given, difference(subject, given, ran.entries if ran else None))
    found += judge_library(subject, seen, given, found)
    shown = expected_of_http(seen)
    member = seen.http.member
    compared["http"] = (shown, difference(subject, shown, member.entries if member else None))
    found += judge_http(subject, seen, shown, found)
    layers = tuple(judge_layer(name, seen, found, *compared.get(name, (None, None))) for name in LAYERS)
    unverified = tuple(
        layer.name for layer in layers if seen.layer(layer.name).failure is not None and not layer.broken
    )
    return Judgement(found[0] if found else None, tuple(found[1:]), layers, unverified)


def broken_by(layer: LayerName, trouble: Trouble) -> Broken:
    """A layer's own trouble as a fault of that layer."""
    status: LayerStatus = "wrong_target" if layer == "environment" else STATUS.get(trouble.kind, "mutated")
    if layer == "services":
        status = STATUS.get(trouble.kind, "error")
    return Broken(
        layer, trouble.kind, trouble.summary, trouble.cause, trouble.fix, trouble.subjects, trouble.about, None, status
    )


def drop_shadowed(found: list[Broken]) -> list[Broken]:
    """Without what a store that does not answer, or lacks a table, makes of the data in it: they were never seen.

    Nor what a changed column makes of the rows that have it.
    """
    down = {b.about for b in found if b.kind in ("unreachable", "not_ready", "missing_table")}
    hidden = {
        layer
        for layer, service in (("postgres", "postgres"), ("cross-store", "postgres"), ("dynamodb", "dynamodb"))
        if any(service in about for about in down)
    }
    drifted = {name for b in found if b.kind == "schema_drift" for name in b.about} - STORES
    return [b for b in found if b.layer not in hidden and not (b.layer == "postgres" and b.about & drifted)]


def judge_layer(
    name: LayerName, seen: Seen, found: Iterable[Broken], expected: Sequence[Entry] | None, between: Difference | None
) -> LayerVerdict:
    """How one layer stands."""
    observation = seen.layer(name)
    mine = tuple(broken for broken in found if broken.layer == name)
    entries = observed_entries(name, seen)
    if mine:
        status = mine[0].status
    elif observation.unasked is not None:
        status = "not_run"
    elif observation.failure is not None:
        status = "error"
    else:
        status = "ok"
    evidence = mine[0].difference if mine and mine[0].difference else between if mine else None
    return LayerVerdict(name, status, expected, entries, evidence, mine)


def observed_entries(name: LayerName, seen: Seen) -> Sequence[Entry] | None:
    """The entries that a layer gave."""
    if name == "library":
        ran = seen.library.corrected or seen.library.ran
        return ran.entries if ran else None
    if name == "http":
        return seen.http.member.entries if seen.http.member else None
    return seen.layer(name).entries


def difference(
    subject: Subject, expected: Sequence[Entry] | None, observed: Sequence[Entry] | None
) -> Difference | None:
    """The difference of two lists; None when one of them was not captured."""
    if expected is None or observed is None:
        return None
    return compare(expected, observed, subject.types)


def without(found: Difference, fleeting: frozenset[str]) -> Difference:
    """A difference without entries that need not show: past their time to live, or written while we looked."""
    return replace(
        found,
        missing=tuple(entry for entry in found.missing if entry.id not in fleeting),
        extra=tuple(entry for entry in found.extra if entry.id not in fleeting),
    )


# --- environment ---


def judge_environment(seen: Seen) -> list[Broken]:
    """What the process's variables say, and where the function's calls really went."""
    proven = right_targets(seen)
    found = [broken_by("environment", t) for t in seen.environment.troubles if not (t.about & STORES) & proven]
    known = {broken.kind for broken in found}
    found += [broken_by("environment", t) for t in seen.library.diverted if t.kind not in known]
    if not any(broken.about & STORES for broken in found):
        found += judge_targets(seen)
    order = ("unset", "malformed", "wrong_endpoint", "wrong_database", "wrong_region_or_key", "wrong_table")
    return sorted(found, key=lambda broken: order.index(broken.kind) if broken.kind in order else len(order))


def right_targets(seen: Seen) -> frozenset[str]:
    """The stores that the function really reached, whatever the variables say: they decide nothing there."""
    ran = seen.library.ran
    if ran is None or ran.outcome != "returned" or not ran.asked:
        return frozenset()
    declared = seen.pattern.asked
    wrong = {one.store for one in ran.asked if one.elsewhere is not None or one.error is not None}
    if declared is not None and declared.table not in {one.table for one in ran.asked}:
        wrong.add("dynamodb")
    return frozenset({"dynamodb"} & {one.store for one in ran.asked} - wrong)


def judge_targets(seen: Seen) -> Iterator[Broken]:
    """Calls that went elsewhere although the variables are right: the code has its own settings."""
    ran = seen.library.ran
    asked = [*(ran.asked or () if ran else ()), *(one for g, _ in seen.library.guards for one in g.asked or ())]
    told: set[str] = set()
    for one in asked:
        if one.elsewhere is None or (kind := one.elsewhere_kind or "wrong_endpoint") in told:
            continue
        told.add(kind)
        yield Broken(
            "environment",
            kind,
            f"the application's calls go to {one.target}: {one.elsewhere}",
            "the variables of its process are right, so its code, or a file that it loads, decides otherwise",
            Fix("take the address out of the code; the SDK and the driver read the variables themselves", None),
            about=frozenset([one.store]),
            status="wrong_target",
        )


# --- pattern ---


def reachable(seen: Seen) -> tuple[Entry, ...] | None:
    """What a right access pattern must return: all entries but those that their right key does not reach."""
    if seen.dynamodb.entries is None:
        return None
    return tuple(entry for entry in seen.dynamodb.entries if entry.id not in seen.dynamodb.hidden)


def judge_pattern(subject: Subject, seen: Seen, earlier: Sequence[Broken]) -> list[Broken]:
    """The declared access pattern against the items that are there."""
    pattern = seen.pattern
    asked = pattern.asked
    if asked is None or any(broken.layer == "services" and "dynamodb" in broken.about for broken in earlier):
        return []
    if pattern.refused is not None:
        kind = "wrong_index" if asked.index else "wrong_key"
        detail = pattern.failure.detail if pattern.failure else None
        summary = f"the store refuses the declared pattern: {pattern.refused}{f' ({detail})' if detail else ''}"
        return [pattern_fault(kind, summary, "it names what is not there", None)]
    expected = reachable(seen)
    between = difference(subject, expected, pattern.entries)
    if between is None or expected is None or pattern.entries is None:
        return []
    between = without(between, seen.dynamodb.fleeting)
    found = list(judge_pattern_losses(seen, between, expected))
    misplaced = {entry.id for entry in seen.dynamodb.entries or ()}
    if strange := [name for name in between.extra_ids if name not in misplaced]:
        text = f"it also returns {count(len(strange))} that {'is' if len(strange) == 1 else 'are'} not the subject's"
        found.append(pattern_fault("wrong_key", text, "its key is wider than the subject", between))
    elif pattern.strays and not found:
        text = f"it also returns {count(pattern.strays, 'item')} of another kind"
        found.append(pattern_fault("wrong_key", text, "its key is wider than the subject", between))
    if between.changed and not found:
        kind = "wrong_index" if asked.index else "narrowed"
        cause = f"index {asked.index} does not carry all attributes" if asked.index else "it projects some of them"
        found.append(pattern_fault(kind, changed_text("it returns", between.changed), cause, between))
    direction = subject.orders.get("pattern")
    if not found and direction and subject.sorted_by and not in_order(pattern.entries, subject.sorted_by, direction):
        text = f"its order is not {direction} by {subject.sorted_by}"
        cause = f"it asks for {asked.direction or 'the key'} order" + (
            f" of index {asked.index}" if asked.index else ""
        )
        found.append(pattern_fault("reordered", text, cause, between))
    if asked.operation == "Scan" and asked.key:
        text = f"it reads the whole table ({asked.scanned} items) for {len(pattern.entries)}"
        found.append(pattern_fault("scan", text, "a Scan is declared where a Query by key does", between))
    return found


def judge_pattern_losses(seen: Seen, between: Difference, expected: Sequence[Entry]) -> Iterator[Broken]:
    """Which of the pattern's own restrictions takes the missing entries away: each is lifted in turn."""
    pattern, asked = seen.pattern, seen.pattern.asked
    if not between.missing or asked is None:
        return
    names = {
        "limit": ("truncated", f"its limit of {asked.limit} ends the list, and the next page is not asked for"),
        "filter": ("filtered", f"its filter ({asked.filter}) drops them"),
        "sort": ("narrowed", f"its sort-key condition ({asked.sort}) leaves them out"),
    }
    left = set(between.missing_ids)
    losses: list[Broken] = []
    for stage, entries in pattern.stages:
        back = left & set(ids(entries))
        if back:
            kind, cause = names[stage]
            text = f"it returns {len(pattern.entries or ())} of {len(expected)}: {cause}"
            losses.append(pattern_fault(kind, text, cause, between, lost=tuple(back)))
            left -= back
    if left:
        kind = "wrong_index" if asked.index else "wrong_key"
        where = f"index {asked.index}" if asked.index else f"key {shown_key(asked)}"
        text = f"it returns {len(pattern.entries or ())} of {len(expected)}: {count(len(left))} not under {where}"
        cause = (
            f"index {asked.index} does not hold them, or is asked for another key"
            if asked.index
            else f"the key {shown_key(asked)} is not the one that they are stored under"
        )
        if pattern.strays:
            cause += f"; it finds {count(pattern.strays, 'item')} of another kind there"
        losses.append(pattern_fault(kind, text, cause, between, lost=tuple(left)))
    yield from sorted(losses, key=lambda broken: -len(broken.subjects))


def pattern_fault(
    kind: str, summary: str, cause: str, between: Difference | None, lost: tuple[str, ...] = ()
) -> Broken:
    """A fault of the declared pattern."""
    status: LayerStatus = (
        "truncated"
        if kind == "truncated"
        else "reordered"
        if kind == "reordered"
        else "mutated"
        if kind == "scan"
        else "missing"
        if between is None or between.missing
        else "extra"
    )
    return Broken(
        "pattern",
        kind,
        f"the declared pattern: {summary}",
        cause,
        Fix("correct the pattern in devenv.toml, and the application's query with it", "devenv config check"),
        lost or (between.missing_ids if between else ()),
        frozenset(["pattern"]),
        between,
        status,
    )


# --- library ---


def expected_of_library(subject: Subject, seen: Seen) -> Sequence[Entry] | None:
    """What the application's function must return: what the declared pattern returns.

    Where the pattern itself loses entries and the function does not share that, all that is there.
    """
    given, stored = seen.pattern.entries, reachable(seen)
    if given is None or stored is None:
        return given if given is not None else stored
    ran = seen.library.corrected or seen.library.ran
    lost = set(ids(stored)) - set(ids(given))
    return stored if lost and ran and lost & set(ids(ran.entries or ())) else given


def judge_library(
    subject: Subject, seen: Seen, expected: Sequence[Entry] | None, earlier: Sequence[Broken]
) -> list[Broken]:
    """The application's function against the pattern; between them, what its own queries brought."""
    library = seen.library
    diverted = any(broken.layer == "environment" and broken.about & STORES for broken in earlier)
    ran = library.corrected if diverted else library.ran
    if ran is None or any(broken.layer == "services" and broken.about & STORES for broken in earlier):
        return []
    found = list(judge_run(subject, seen, ran, expected, earlier))
    for guard, declared in library.guards:
        found += judge_guard(seen, guard, declared, earlier)
    return found


def judge_run(
    subject: Subject, seen: Seen, ran: Ran, expected: Sequence[Entry] | None, earlier: Sequence[Broken]
) -> Iterator[Broken]:
    """One run of the function."""
    declared = seen.pattern.asked
    if ran.outcome != "returned":
        if not explains(earlier, ran.detail):
            yield judge_failure(ran, declared)
        return
    if ran.nothing:
        if expected or ran.asked:
            text = f"{ran.function} returns nothing (None){f', {count(len(ran.read))} were read' if ran.read else ''}"
            yield library_fault(ran, "nothing_returned", text, "it does not return what it made", status="missing")
        return
    if ran.shape is not None:
        yield library_fault(ran, "field_changed", f"{ran.function} returns {ran.shape}", FORM)
        return
    between = difference(subject, expected, ran.entries)
    if between is None or expected is None or ran.entries is None:
        return
    between = without(between, seen.dynamodb.fleeting)
    known = set(ids(seen.dynamodb.entries or ()))
    strange = tuple(entry for entry in between.extra if entry.id not in known or entry.id in set(ids(expected)))
    between = replace(between, extra=strange)
    if (limit := subject.limits.get("library")) and len(ran.entries) >= limit:
        between = replace(between, missing=beyond(subject, expected, between.missing, limit))
    fault = judge_content(subject, ran, declared, expected, between)
    if fault is None and not any(broken.kind == "reordered" for broken in earlier):
        fault = judge_order(subject, ran, expected, between)
    if fault is not None:
        yield fault
    if fault is None and declared is not None and (misuse := judge_query(ran, declared)):
        yield library_fault(ran, "wrong_query", misuse, side_by_side(ran.asked, declared), status="mutated")


def judge_query(ran: Ran, declared: Asked) -> str | None:
    """What is wrong with the queries although the answer is right, now: the place or the price."""
    asked = [one for one in ran.asked or () if one.store == declared.store and one.table is not None]
    scans = [one for one in asked if one.operation == "Scan" and one.table == declared.table]
    if scans and declared.operation == "Query":
        return f"{ran.function} scans the whole table ({scans[0].scanned} items read); the declared pattern is a Query"
    tables = list(dict.fromkeys(one.table for one in asked))
    if declared.table is not None and tables and declared.table not in tables:
        return f"{ran.function} reads table {tables[0]}; the declared pattern reads {declared.table}"
    return None


def judge_failure(ran: Ran, declared: Asked | None) -> Broken:
    """The function did not return. A query that the store refused is a wrong query; anything else is its own error."""
    if ran.outcome == "timed_out":
        waiting = f"; it was waiting for {shown(ran.asked[-1])}" if ran.asked and ran.asked[-1].count is None else ""
        return library_fault(ran, "timed_out", f"{ran.function} did not return in time{waiting}", None)
    refused = [one for one in ran.asked or () if is_refused(one)]
    words = ": ".join(filter(None, (ran.error, ran.detail)))
    place = f" ({ran.where})" if ran.where else ""
    if refused and ran.outcome == "raised":
        cause = f"{shown(refused[-1])} was refused: {refused[-1].error}; {side_by_side(ran.asked, declared)}"
        return library_fault(ran, "wrong_query", f"{ran.function} fails with {words}{place}", cause)
    texts = {
        "raised": f"{ran.function} fails with {words}{place}",
        "exited": f"{ran.function} ends its process{f': {words}' if words else ''}",
        "unstarted": f"{ran.function} cannot be called: {words}{place}",
        "unreadable": f"{ran.function} returns what cannot be read: {words}",
    }
    return library_fault(ran, "error", texts[ran.outcome], "the error is in the function itself, not in what it reads")


def is_refused(asked: Asked) -> bool:
    """Whether a store said that the request is wrong."""
    return asked.error is not None and (asked.error in REFUSED or asked.error.startswith(REFUSED_SQL))


def judge_content(
    subject: Subject, ran: Ran, declared: Asked | None, expected: Sequence[Entry], between: Difference
) -> Broken | None:
    """Entries that are missing, new or changed; the query is to blame for what it did not bring."""
    brought = difference(subject, expected, ran.read)
    head = f"{ran.function} returns {len(ran.entries or ())} of {len(expected)}"
    if between.missing:
        unread = set(between.missing_ids) & set(brought.missing_ids) if brought else set()
        if unread and ran.asked:
            text = f"{head}: its query does not bring {count(len(unread))} that the declared pattern returns"
            return library_fault(ran, "wrong_query", text, side_by_side(ran.asked, declared), between, "missing")
        if ran.asked == ():
            kind = "wrong_query" if ran.entries else "nothing_returned"
            return library_fault(ran, kind, f"{head}: it asks no store at all", None, between, "missing")
        text = f"{head}, though its query brought them" if ran.asked else head
        cause = which_part(subject, expected, between) if ran.entries else "the list is emptied after the query"
        return library_fault(ran, "items_lost", text, cause, between, "missing")
    if between.extra:
        unasked = set(between.extra_ids) & set(brought.extra_ids) if brought else set()
        text = f"{ran.function} returns {count(len(between.extra))} that the declared pattern does not"
        if unasked and ran.asked:
            return library_fault(ran, "wrong_query", text, side_by_side(ran.asked, declared), between, "extra")
        return library_fault(ran, "items_added", text, "they come from its code, not from its query", between, "extra")
    if between.changed:
        before = {(change.id, change.field) for change in brought.changed} if brought else set()
        text = changed_text(f"{ran.function} returns", between.changed)
        if all((change.id, change.field) in before for change in between.changed):
            return library_fault(ran, "wrong_query", text, side_by_side(ran.asked, declared), between, "mutated")
        return library_fault(ran, "field_changed", text, "its code renames, drops or changes it", between, "mutated")
    return None


def judge_order(subject: Subject, ran: Ran, expected: Sequence[Entry], between: Difference) -> Broken | None:
    """The order of what the function returns; the query is to blame when only its order is the other way round."""
    observed = ran.entries or ()
    direction = subject.orders.get("library")
    if direction and subject.sorted_by:
        right = in_order(observed, subject.sorted_by, direction)
    else:
        before = [entry.id for entry, _ in between.pairs]
        right = before == [entry.id for entry in expected if entry.id in set(before)]
    if right:
        return None
    text = f"{ran.function} returns them in another order" + (
        f" than {direction} by {subject.sorted_by}" if direction else " than the declared pattern"
    )
    read = [entry.id for entry in ran.read or ()]
    given = [entry.id for entry in expected]
    if ran.asked and read != given and read == given[::-1] and [entry.id for entry in observed] in (read, read[::-1]):
        return library_fault(
            ran,
            "wrong_query",
            text,
            f"its query asks the other way round; {side_by_side(ran.asked, None)}",
            between,
            "reordered",
        )
    return library_fault(ran, "reordered", text, "its code sorts or reverses them", between, "reordered")


def judge_guard(seen: Seen, guard: Ran, declared: Asked | None, earlier: Sequence[Broken]) -> Iterator[Broken]:
    """A function that must let the one who asks pass."""
    if guard.outcome == "returned" or explains(earlier, guard.detail) or not is_member(seen) or not seen.dynamodb.found:
        return
    if any(broken.layer in ("postgres", "dynamodb", "cross-store") for broken in earlier):
        return
    fault = judge_failure(guard, declared)
    differs = declared is not None and any(differences(one, declared) for one in guard.asked or ())
    if fault.kind == "error" and differs:
        fault = replace(fault, kind="wrong_query", cause=side_by_side(guard.asked, declared))
    yield fault


def library_fault(
    ran: Ran,
    kind: str,
    summary: str,
    cause: str | None,
    between: Difference | None = None,
    status: LayerStatus = "error",
) -> Broken:
    """A fault of the application's function."""
    subjects = (between.missing_ids or between.extra_ids or tuple(c.id for c in between.changed)) if between else ()
    where = ran.where or ran.function
    return Broken(
        "library",
        kind,
        summary,
        cause,
        Fix(f"correct {where}", None),
        tuple(dict.fromkeys(subjects)),
        frozenset(["library"]),
        between,
        status,
    )


def explains(earlier: Iterable[Broken], detail: str | None) -> bool:
    """Whether an error's words name what an earlier layer found wrong: an attribute, a variable, an id."""
    words = detail or ""
    return any(
        name in words
        for broken in earlier
        if broken.layer in ("environment", "postgres", "dynamodb", "cross-store")
        for name in (*broken.about, *broken.subjects)
        if len(name) > 1
    )


def is_member(seen: Seen) -> bool:
    """Whether who asks is an owner of the group, as the ids are written (the application compares text)."""
    person, owners = seen.postgres.person, seen.dynamodb.owners
    return owners is None or person is None or bool(owners & {str(value) for value in person.values()})


# --- http ---


def expected_of_http(seen: Seen) -> Sequence[Entry] | None:
    """What the API must answer: what the function returns in the same environment; without one, the pattern's."""
    ran = seen.library.ran
    if ran is None:
        return seen.pattern.entries if seen.pattern.entries is not None else reachable(seen)
    if ran.outcome != "returned" or ran.shape is not None:
        return None
    return () if ran.nothing else ran.entries


def judge_http(
    subject: Subject, seen: Seen, expected: Sequence[Entry] | None, earlier: Sequence[Broken]
) -> list[Broken]:
    """The API's answers: to who asks against what the function returned, to others against what they may see."""
    member = seen.http.member
    if member is None:
        return []
    found = list(judge_member(subject, seen, member, expected, earlier))
    blind = any(broken.layer in ("environment", "services") for broken in earlier)
    found += judge_others(subject, seen, member, blind)
    if subject.origin and not any(broken.kind == "stale_process" for broken in earlier):
        found += judge_cors(seen, subject.origin)
    return found


def judge_member(
    subject: Subject, seen: Seen, member: Answer, expected: Sequence[Entry] | None, earlier: Sequence[Broken]
) -> Iterator[Broken]:
    """The answer to who asks."""
    failed = member.status is None or member.status not in OK
    if failed and implied(seen, earlier):
        return
    said = log_text(seen)
    if member.status is None:
        if any(broken.layer == "services" and "backend" in broken.about for broken in earlier):
            return
        kind = "timed_out" if member.problem == "timed_out" else "status"
        yield http_fault(seen, kind, f"the API does not answer: {member.detail}", said)
    elif member.status in (401, 403):
        text = f"the API answers {member.status} to {subject.person or 'who asks'}, who may read this"
        yield http_fault(seen, "not_authorised", text, reason(member, said))
    elif failed:
        where = f" to {member.location}" if member.location else ""
        yield http_fault(seen, "status", f"the API answers {member.status}{where}", reason(member, said))
    else:
        yield from judge_body(subject, seen, member, expected, earlier)


def implied(seen: Seen, earlier: Sequence[Broken]) -> bool:
    """Whether a refusal or a failure of the API follows from what earlier layers gave."""
    ran = seen.library.ran
    failing = [
        g for g in (ran, *(guard for guard, _ in seen.library.guards)) if g is not None and g.outcome != "returned"
    ]
    blind = [b for b in earlier if b.layer in ("environment", "services", "postgres", "library")]
    bad = [b for b in earlier if b.kind in ("missing_attribute", "wrong_type", "placeholder", "malformed_key")]
    return bool(failing or blind or bad) or not seen.dynamodb.found or not is_member(seen)


def judge_body(
    subject: Subject, seen: Seen, member: Answer, expected: Sequence[Entry] | None, earlier: Sequence[Broken]
) -> Iterator[Broken]:
    """A 2xx answer."""
    said = log_text(seen)
    ran = seen.library.ran
    if member.empty and (expected or (ran is not None and ran.outcome != "returned")):
        text = f"the API answers {member.status} with nothing in it"
        yield http_fault(seen, "status", text, f"an error is answered as success{f'; {said}' if said else ''}")
    elif member.problem == "not_json":
        yield http_fault(seen, "not_json", f"the API answers {member.media or 'no media type'}: {member.detail}", said)
    elif member.problem is not None:
        yield http_fault(seen, "body_changed", f"the API's answer cannot be read: {member.detail}", said)
    elif member.shape is not None:
        yield http_fault(seen, "body_changed", f"the API answers {member.shape}", FORM)
    elif expected is None:
        if ran is not None and ran.outcome == "raised" and not member.entries:
            text = f"{ran.function} fails, and the API answers {member.status} with an empty list"
            yield http_fault(seen, "status", text, "an error is answered as success")
    elif member.entries is not None:
        between = compare(expected, member.entries, subject.types)
        if any(broken.layer in ("pattern", "library") for broken in earlier):
            # Pages are cut from a list that is already wrong: what is missing or out of order follows from that.
            known = {entry.id for entry in seen.dynamodb.entries or ()}
            between = replace(between, missing=(), extra=tuple(e for e in between.extra if e.id not in known))
            subject = replace(subject, orders={**subject.orders, "http": None})
            expected = [entry for entry, _ in between.pairs]
        yield from judge_list(subject, seen, member, expected, between)


def judge_list(
    subject: Subject, seen: Seen, member: Answer, expected: Sequence[Entry], between: Difference
) -> Iterator[Broken]:
    """The entries of an answer."""
    between = without(between, seen.dynamodb.fleeting)
    entries = member.entries or ()
    said = log_text(seen)
    if member.more and (limit := subject.limits.get("http") or len(entries)):
        between = replace(between, missing=beyond(subject, expected, between.missing, min(limit, len(entries))))
    if between.extra and not between.pairs:
        text = f"the API answers {count(len(entries))}, none of which the function returns"
        yield http_fault(seen, "body_changed", text, said, between, "mutated")
    elif between.missing:
        logged = any(is_error_line(line) for line in seen.http.log or ())
        head = f"the API answers {len(entries)} of {len(expected)}"
        if not entries and logged:
            yield http_fault(seen, "status", f"{head}: an error is answered as {member.status}", said, between)
        else:
            part = which_part(subject, expected, between) if entries else "the list is lost between function and answer"
            yield http_fault(seen, "items_lost", head, part, between, "missing")
    elif between.extra:
        text = f"the API answers {count(len(between.extra))} that the function does not return"
        yield http_fault(seen, "body_changed", text, said, between, "extra")
    elif between.changed:
        yield http_fault(
            seen, "body_changed", changed_text("the API answers", between.changed), said, between, "mutated"
        )
    else:
        direction = subject.orders.get("http")
        if direction and subject.sorted_by:
            right = in_order(entries, subject.sorted_by, direction)
        else:
            before = [entry.id for entry, _ in between.pairs]
            right = before == [entry.id for entry in expected if entry.id in set(before)]
        if not right:
            text = "the API answers them in another order" + (
                f" than {direction} by {subject.sorted_by}" if direction else " than the function"
            )
            yield http_fault(seen, "body_changed", text, said, between, "reordered")


def judge_others(subject: Subject, seen: Seen, member: Answer, blind: bool) -> Iterator[Broken]:
    """Whether somebody who may not read this can. An empty answer counts where the member's is empty too, unless the
    application is `blind`, as it then has nothing to show to anybody.
    """
    for who, answer, right in (
        ("somebody without a token", seen.http.anonymous, subject.anonymous),
        ("somebody who does not belong to it", seen.http.stranger, subject.stranger),
    ):
        if answer is None or not right or answer.status is None or answer.status in right:
            continue
        leaks = bool(answer.entries) or not (member.entries or blind)
        if answer.status in OK and leaks:
            text = f"the API answers {answer.status} to {who}, with {count(len(answer.entries or ()))}"
            expected = " or ".join(map(str, right))
            yield http_fault(
                seen, "open_to_strangers", text, f"{expected} is right: nothing checks who asks", status="extra"
            )


def judge_cors(seen: Seen, origin: str) -> Iterator[Broken]:
    """Whether a page of the declared origin may read the answers, errors too."""
    answers = {
        "to a member": seen.http.member,
        "without a token": seen.http.anonymous,
        "to a stranger": seen.http.stranger,
        "to the browser's question before": seen.http.preflight,
    }
    told = {name: answer for name, answer in answers.items() if answer is not None and answer.status is not None}
    closed = {name: answer for name, answer in told.items() if answer.cors not in (origin, "*")}
    if closed:
        shown_answers = ", ".join(f"{answer.status} {name}" for name, answer in closed.items())
        which = "no answer" if len(closed) == len(told) else "not every answer"
        text = f"{which} lets a page of {origin} read it: no Access-Control-Allow-Origin with {shown_answers}"
        cause = "the browser then reports a CORS error, whatever the answer says"
        yield http_fault(seen, "cors", text, cause, status="mutated")


def http_fault(
    seen: Seen,
    kind: str,
    summary: str,
    cause: str | None,
    between: Difference | None = None,
    status: LayerStatus = "error",
) -> Broken:
    """A fault of the API. An application older than its code explains much, so that is said."""
    old = seen.library.code_changed
    if old and kind not in ("cors", "open_to_strangers"):
        stale = f"{old} was changed after the application was started"
        cause = f"{cause}; {stale}" if cause else stale
        fix = Fix("start the application again", "devenv down && devenv up")
    else:
        fix = LOG
    subjects = (between.missing_ids or between.extra_ids or tuple(c.id for c in between.changed)) if between else ()
    return Broken(
        "http", kind, summary, cause, fix, tuple(dict.fromkeys(subjects)), frozenset(["http"]), between, status
    )


# --- words ---


def beyond(subject: Subject, expected: Sequence[Entry], missing: Sequence[Entry], limit: int) -> tuple[Entry, ...]:
    """What is missing besides what a page of `limit` may leave out: the newest ones must be there."""
    if subject.sorted_by is None:
        return () if len(expected) - len(missing) >= limit else tuple(missing)
    newest = sorted(expected, key=lambda entry: entry.fields.get(subject.sorted_by or "") or "", reverse=True)[:limit]
    wanted = {entry.id for entry in newest}
    return tuple(entry for entry in missing if entry.id in wanted)


def which_part(subject: Subject, expected: Sequence[Entry], between: Difference) -> str:
    """Which entries are lost, as far as their place tells: the oldest, the newest, or some in between."""
    missing = {entry.id for entry in between.missing}
    if subject.sorted_by is None:
        return f"{count(len(missing))} are lost"
    ordered = sorted(expected, key=lambda entry: entry.fields.get(subject.sorted_by or "") or "")
    lost = [entry.id in missing for entry in ordered]
    number = sum(lost)
    if all(lost[:number]):
        return f"the oldest {number} are lost: a list that ends after {len(ordered) - number}, as a page does"
    if all(lost[-number:]):
        return f"the newest {number} are lost"
    return f"{count(number)} in between are lost"


def changed_text(head: str, changed: Sequence[Change]) -> str:
    """Which fields changed, on how many entries. No values: they may be people's own words."""
    fields = dict.fromkeys(change.field for change in changed)
    entries = len({change.id for change in changed})
    absent = [name for name in fields if all(c.observed is None for c in changed if c.field == name)]
    names = ", ".join(f"no `{name}`" if name in absent else f"another `{name}`" for name in fields)
    return f"{head} {names} on {count(entries)}"


def count(number: int, noun: str = "entry") -> str:
    """`1 entry`, `2 entries`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def reason(answer: Answer, said: str | None) -> str | None:
    """What the answer says of itself, and what the application logged."""
    return "; ".join(filter(None, (answer.detail, said))) or None


def log_text(seen: Seen) -> str | None:
    """The last error that the application logged meanwhile."""
    lines = [line for line in seen.http.log or () if is_error_line(line)]
    return f"the application logged: {lines[-1].strip()}" if lines else None


def is_error_line(line: str) -> bool:
    """Whether a log line tells of an error."""
    words = line.lower()
    return any(word in words for word in ("error", "exception", "traceback", "critical", "fatal"))
