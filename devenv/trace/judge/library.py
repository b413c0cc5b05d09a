"""The application's function, called alone, against the declared pattern."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from devenv.capture.calls import StoreCall, differences, shown, side_by_side
from devenv.core.model import Fix
from devenv.core.plural import number_of
from devenv.core.toml import toml
from devenv.trace.difference import Difference, ids
from devenv.trace.judge.fault import (
    FORM,
    STORES,
    Judged,
    LayerFinding,
    LayerStatus,
    beyond,
    changed_text,
    count,
    difference,
    is_another_list,
    reachable,
    share_of,
    shown_in,
    which_part,
    without,
    wrong_order,
)
from devenv.trace.judge.identity import explain_fields, explain_ids, place_of_list
from devenv.trace.observation import Entry, Observations, Ran, Subject

NAMED: Final = 3
# What a store answers when the request itself is wrong, as opposed to the store not being reached.
REFUSED: Final = frozenset(["ResourceNotFoundException", "ValidationException", "SerializationException"])
REFUSED_SQL: Final = ("22", "42")
# What a store answers to credentials that it does not accept.
REFUSED_CREDENTIALS: Final = frozenset(
    [
        "AccessDeniedException", "ExpiredTokenException", "IncompleteSignatureException", "InvalidSignatureException",
        "MissingAuthenticationTokenException", "UnrecognizedClientException",
    ]
)  # fmt: skip


def expected_of_library(subject: Subject, seen: Observations) -> Sequence[Entry] | None:
    """Return what the application's function must return: what the declared pattern returns.

    Where the pattern itself loses entries and the function does not share that, all that is there.
    """
    given = shown_in(subject, "library", seen.pattern.entries)
    stored = shown_in(subject, "library", reachable(seen))
    if given is None or stored is None:
        return given if given is not None else stored
    ran = seen.library.corrected or seen.library.ran
    lost = set(ids(stored)) - set(ids(given))
    return stored if lost and ran and lost & set(ids(ran.entries or ())) else given


def judge_library(subject: Subject, seen: Observations, earlier: Sequence[LayerFinding]) -> Judged:
    """The application's function against the pattern; between them, what its own queries brought."""
    ran = seen.library.corrected or seen.library.ran
    given = expected_of_library(subject, seen)
    entries = ran.entries if ran else None
    guards = (guard for guard, _ in seen.library.guards)
    return Judged(
        findings=find_library(subject, seen, given, earlier),
        expected=given,
        entries=entries,
        difference=difference(subject, given, entries),
        refused=any(run is not None and (run.outcome != "returned" or run.nothing) for run in (ran, *guards)),
        another=is_another_list(subject, seen, "library", entries) or finds_another(seen),
    )


def finds_another(seen: Observations) -> bool:
    """Return True if the application's own lookup finds another row than the user's, whoever is to blame."""
    return any(expected != observed for guard, _ in seen.library.guards for _, expected, observed in guard.returned)


def find_library(
    subject: Subject, seen: Observations, expected: Sequence[Entry] | None, earlier: Sequence[LayerFinding]
) -> list[LayerFinding]:
    """Return what is wrong with what the function and its guards gave."""
    library = seen.library
    diverted = any(broken.layer == "environment" and broken.about & STORES for broken in earlier)
    ran = library.corrected if diverted else library.ran
    if ran is None or any(broken.layer == "services" and broken.about & STORES for broken in earlier):
        return []
    judged = explain_fields(judge_run(subject, seen, ran, expected, earlier), subject, seen.dynamodb.entries)
    found = explain_ids(judged, subject, "library", ran.entries, ran.names)
    if not found and library.page is not None:
        found += judge_page(subject, seen, ran, library.page)
    for guard, declared in library.guards:
        found += judge_lookup(guard, earlier)
        found += judge_guard(seen, guard, declared, earlier)
    return found


def judge_run(
    subject: Subject, seen: Observations, ran: Ran, expected: Sequence[Entry] | None, earlier: Sequence[LayerFinding]
) -> Iterator[LayerFinding]:
    declared = seen.pattern.asked
    if ran.outcome != "returned":
        if not explains(earlier, ran.detail):
            yield judge_failure(ran, declared)
        return
    if ran.nothing:
        yield from judge_nothing(subject, seen, ran, expected, earlier)
        return
    if ran.shape is not None:
        formless = library_fault(ran, "field_changed", f"{ran.function} returns {ran.shape}", FORM)
        yield place_of_list(formless, subject, "library", ran.shape)
        return
    between = difference(subject, expected, ran.entries)
    if between is None or expected is None or ran.entries is None:
        return
    between = without(between, seen.dynamodb.fleeting)
    stored = set(ids(seen.dynamodb.entries or ())) - set(ids(expected))
    strange = tuple(entry for entry in between.extra if entry.id not in stored)
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


def judge_nothing(
    subject: Subject, seen: Observations, ran: Ran, expected: Sequence[Entry] | None, earlier: Sequence[LayerFinding]
) -> Iterator[LayerFinding]:
    """The function returned None: because of what its query brought, or although it brought something.

    None for a subject that is not there, or of which an earlier layer finds nothing either, follows from that.
    """
    if not expected and not ran.read and (earlier or not seen.dynamodb.found):
        return
    text = f"{ran.function} returns nothing (None){f', having read {count(len(ran.read))}' if ran.read else ''}"
    between = difference(subject, expected, ())
    brought = difference(subject, expected, shown_in(subject, "library", ran.read))
    if brought is not None and brought.missing and ran.asked:
        text += f": its query does not return {count(len(brought.missing))} that the declared pattern returns"
        declared = seen.pattern.asked
        yield library_fault(ran, "wrong_query", text, side_by_side(ran.asked, declared), between, "missing")
    elif ran.asked == () and expected:
        yield library_fault(ran, "nothing_returned", text, "it sends no query to any store", between, "missing")
    elif expected or ran.asked:
        cause = (
            "its query returned them, but the function returned None"
            if ran.read
            else "it returned None instead of an empty list"
        )
        yield library_fault(ran, "nothing_returned", text, cause, between, "missing")


def judge_query(ran: Ran, declared: StoreCall) -> str | None:
    """Return what is wrong with the queries although the answer is right, now: the place or the price."""
    asked = [one for one in ran.asked or () if one.store == declared.store and one.table is not None]
    scans = [one for one in asked if one.operation == "Scan" and one.table == declared.table]
    if scans and declared.operation == "Query":
        read = number_of(scans[0].scanned or 0, "item")
        return f"{ran.function} scans the whole table ({read} read); the declared pattern is a Query"
    tables = list(dict.fromkeys(one.table for one in asked))
    if declared.table is not None and tables and declared.table not in tables:
        return f"{ran.function} reads table {tables[0]}; the declared pattern reads {declared.table}"
    return None


def judge_failure(ran: Ran, declared: StoreCall | None) -> LayerFinding:
    """The function did not return. A query that the store refused is a wrong query; anything else is its own error."""
    if ran.outcome == "timed_out":
        waiting = f"; it was waiting for {shown(ran.asked[-1])}" if ran.asked and ran.asked[-1].count is None else ""
        return library_fault(ran, "timed_out", f"{ran.function} did not return in time{waiting}", None)
    refused = [one for one in ran.asked or () if is_refused(one)]
    words = ": ".join(filter(None, (ran.error, ran.detail)))
    place = f" ({ran.where})" if ran.where else ""
    if refused and ran.outcome == "raised":
        cause = f"{shown(refused[-1])} was refused: {refused[-1].error}; {side_by_side(ran.asked, declared)}"
        fault = library_fault(ran, "wrong_query", f"{ran.function} fails with {words}{place}", cause)
        return with_denied(fault, ran, f"{shown(refused[-1])} was refused: {refused[-1].error}")
    texts = {
        "raised": f"{ran.function} fails with {words}{place}",
        "exited": f"{ran.function} ends its process{f': {words}' if words else ''}",
        "unstarted": f"{ran.function} cannot be called: {words}{place}",
        "unreadable": f"{ran.function} returns a value that cannot be read: {words}",
    }
    turned_away = next((one for one in reversed(ran.asked or ()) if one.error in REFUSED_CREDENTIALS), None)
    other = next((one for one in reversed(ran.asked or ()) if one.error is not None), None)
    cause = "possibly an error in the function itself: no store refused a request"
    if ran.asked is None:
        cause = "possibly an error in the function itself: its requests were not captured"
    elif turned_away is not None:
        where = f" at {turned_away.target}" if turned_away.target else ""
        cause = (
            f"DynamoDB{where} refused the credentials with which `{shown(turned_away)}` was sent: {turned_away.error}"
        )
    elif other is not None:
        cause = f"{shown(other)} was not answered: {other.error}"
    fault = library_fault(ran, "error", texts[ran.outcome], cause)
    return replace(fault, cause=ran.unfound.cause, fix=Fix(ran.unfound.text)) if ran.unfound else fault


def is_refused(asked: StoreCall) -> bool:
    """Return True if a store said that the request is wrong."""
    return asked.error is not None and (asked.error in REFUSED or asked.error.startswith(REFUSED_SQL))


def judge_content(
    subject: Subject, ran: Ran, declared: StoreCall | None, expected: Sequence[Entry], between: Difference
) -> LayerFinding | None:
    """Entries that are missing, new or changed; the query is to blame for what it did not bring."""
    brought = difference(subject, expected, shown_in(subject, "library", ran.read))
    share = share_of(len(ran.entries or ()), len(expected), between, "the declared pattern does not")
    head = f"{ran.function} returns {share}"
    if between.missing:
        unread = set(between.missing_ids) & set(brought.missing_ids) if brought else set()
        if unread and ran.asked:
            text = f"{head}: its query does not return {count(len(unread))} that the declared pattern returns"
            return library_fault(ran, "wrong_query", text, side_by_side(ran.asked, declared), between, "missing")
        if ran.asked == ():
            kind = "wrong_query" if ran.entries else "nothing_returned"
            return library_fault(ran, kind, f"{head}: it sends no query to any store", None, between, "missing")
        text = f"{head}, although its query returned them" if ran.asked else head
        cause = which_part(subject, expected, between) if ran.entries else "its code empties the list after the query"
        return library_fault(ran, "items_lost", text, cause, between, "missing")
    if between.extra:
        unasked = set(between.extra_ids) & set(brought.extra_ids) if brought else set()
        text = f"{ran.function} returns {count(len(between.extra))} that the declared pattern does not"
        if unasked and ran.asked:
            return library_fault(ran, "wrong_query", text, side_by_side(ran.asked, declared), between, "extra")
        return library_fault(ran, "items_added", text, "they come from its code, not from its query", between, "extra")
    if between.changed:
        before = {(change.id, change.field) for change in brought.changed} if brought else set()
        text = changed_text(subject, f"{ran.function} returns", between.changed)
        if all((change.id, change.field) in before for change in between.changed):
            return library_fault(ran, "wrong_query", text, side_by_side(ran.asked, declared), between, "mutated")
        if all(subject.linked_place(change.id, change.field) for change in between.changed):
            return linked_fault(subject, ran, text, between)
        return library_fault(ran, "field_changed", text, "its code renames, drops or changes it", between, "mutated")
    return None


def linked_fault(subject: Subject, ran: Ran, text: str, between: Difference) -> LayerFinding:
    """Only columns of linked rows differ: the queries that the function sent to Postgres are the evidence."""
    asked = [one for one in ran.asked or () if one.sql is not None]
    cause = "; ".join(f"{shown(one)} returned {number_of(one.count or 0, 'row')}" for one in asked)
    if not asked:
        cause = "it sends no query to Postgres" if ran.asked is not None else "its code or its query is wrong"
    fault = library_fault(ran, "field_changed", text, cause, between, "mutated")
    if asked or (ran.asked is None and any(change.observed is not None for change in between.changed)):
        return fault
    names = toml(dict.fromkeys(sorted({change.field for change in between.changed}), ""))
    only = f"if only the route adds it, write in [trace.{subject.name}.library]: fields = {names}"
    return replace(fault, fix=Fix(f"return it from {ran.where or ran.function}; {only}"))


def judge_order(subject: Subject, ran: Ran, expected: Sequence[Entry], between: Difference) -> LayerFinding | None:
    """The order of what the function returns; the query is to blame when only its order is the other way round."""
    observed = ran.entries or ()
    wanted = wrong_order(subject, "library", observed, expected, between, "the declared pattern")
    if wanted is None:
        return None
    text = f"{ran.function} returns them in a different order than {wanted}"
    read = [entry.id for entry in ran.read or ()]
    given = [entry.id for entry in expected]
    if ran.asked and read != given and read == given[::-1] and [entry.id for entry in observed] in (read, read[::-1]):
        return library_fault(
            ran,
            "wrong_query",
            text,
            f"its query requests the opposite order; {side_by_side(ran.asked, None)}",
            between,
            "reordered",
        )
    return library_fault(ran, "reordered", text, "its code sorts or reverses them", between, "reordered")


def judge_page(subject: Subject, seen: Observations, ran: Ran, page: Ran) -> Iterator[LayerFinding]:
    """The function called as the route calls it: the first entries of its own whole list, in the same order."""
    if page.outcome != "returned":
        fault = judge_failure(page, None)
        yield replace(fault, summary=f"called with the route's page arguments, {fault.summary}")
        return
    if ran.entries is None or page.entries is None or subject.sorted_by is None:
        return
    # What was written since the first call is in one of the two lists only.
    whole = [entry for entry in ran.entries if entry.id not in seen.dynamodb.fleeting]
    found = [entry for entry in page.entries if entry.id not in seen.dynamodb.fleeting]
    wanted = first_ones(subject, whole, len(found))
    said = f"called with the route's page arguments, {ran.function} returns"
    size = subject.limits.get("page")
    known, shown_ids = set(ids(whole)), ids(found)
    named = set(shown_ids)
    if size is not None and not min(size, len(whole)) <= len(page.entries) <= size:
        text = f"{said} {count(len(page.entries))}, not the {min(size, len(whole))} that the route requests"
    elif ages(subject, wanted) != ages(subject, found) or not named <= known:
        text = f"{said} {other_ones(ids(wanted), shown_ids, len(found))}"
    elif tuple(one for one in ids(whole) if one in named) != shown_ids:
        text = f"{said} them in a different order than in the whole list"
    else:
        return
    yield library_fault(page, "wrong_page", text, side_by_side(page.asked, None), status="mutated")


def other_ones(wanted: Sequence[str], found: Sequence[str], size: int) -> str:
    """`2 entries that are not among the first 51 of the whole list; missing: a, b`."""
    others, missing = len(set(found) - set(wanted)), [name for name in wanted if name not in set(found)]
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    lost = f"; missing: {', '.join(missing[:NAMED])}{more}" if missing else ""
    if not others:
        return f"an entry more than once{lost}"
    return f"{count(others)} that {'is' if others == 1 else 'are'} not among the first {size} of the whole list{lost}"


def ages(subject: Subject, entries: Sequence[Entry]) -> list[str]:
    """The values of the sorted field, in order: of two entries with the same one, a page may hold either."""
    return sorted(entry.fields.get(subject.sorted_by or "") or "" for entry in entries)


def first_ones(subject: Subject, entries: Sequence[Entry], size: int) -> Sequence[Entry]:
    """The entries that a page of this size holds: the newest, or the first ones of an ascending list."""
    name = subject.sorted_by or ""
    ascending = subject.orders.get("pattern") == "ascending"
    return sorted(entries, key=lambda entry: entry.fields.get(name) or "", reverse=not ascending)[:size]


def judge_lookup(guard: Ran, earlier: Sequence[LayerFinding]) -> Iterator[LayerFinding]:
    """The application's own lookup of the user: the declared row, field by field."""
    wrong = [(name, expected, observed) for name, expected, observed in guard.returned if expected != observed]
    if not wrong or any(broken.layer in ("environment", "services", "postgres") for broken in earlier):
        return
    if all(observed is None for _, _, observed in guard.returned):
        text = f"{guard.function} does not find the user"
    else:
        differing = "; ".join(
            f"`{name}` is {observed} instead of {wanted}" if observed else f"`{name}` is missing (expected {wanted})"
            for name, wanted, observed in wrong
        )
        text = f"{guard.function} finds a different row than the user's: {differing}"
    cause = "; ".join(filter(None, (lookup_text(guard), namesake_text(guard)))) or None
    fault = library_fault(guard, "wrong_row", text, cause, status="mutated")
    yield with_denied(fault, guard, fault.cause)


def namesake_text(guard: Ran) -> str | None:
    """The table that the row is from, and that the session's search_path is not what the driver reports."""
    if guard.namesake is None:
        return None
    schema = guard.namesake.partition(".")[0]
    sessions = [one.session for one in guard.asked or () if one.session and "search_path" in one.session]
    hidden = sessions and not any(schema in session for session in sessions)
    why = ": the driver reports another search_path, so a connection pool in between may have changed it"
    return f"this row is in {guard.namesake}{why if hidden else ''}"


def with_denied(fault: LayerFinding, ran: Ran, head: str | None) -> LayerFinding:
    """The fault; with the policy or the missing right that hides the row from the application's role."""
    if ran.denied is None:
        return fault
    cause = f"{head}; {ran.denied.text}" if head else ran.denied.text
    if ran.denied.grant is None:
        return replace(fault, cause=cause, fix=Fix("correct the policy, or the role that the code takes"))
    command = shlex.join(["devenv", "db", "--write", ran.denied.grant])
    return replace(fault, cause=cause, fix=Fix("let the role read the table, or connect as another role", command))


def lookup_text(guard: Ran) -> str | None:
    """The statements of a lookup: where, as which role, and how many rows each brought."""
    asked = [one for one in guard.asked or () if one.sql is not None]
    if guard.asked is None:
        return None
    if not asked:
        return "it sends no query to any store"
    return "; ".join(
        f"{shown(one)} returns {number_of(one.count or 0, 'row')} from {one.target or 'Postgres'}"
        f"{f' {one.session}' if one.session else ''}"
        for one in asked
    )


def judge_guard(
    seen: Observations, guard: Ran, declared: StoreCall | None, earlier: Sequence[LayerFinding]
) -> Iterator[LayerFinding]:
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
) -> LayerFinding:
    """A fault of the application's function."""
    subjects = (between.missing_ids or between.extra_ids or tuple(c.id for c in between.changed)) if between else ()
    where = ran.where or ran.function
    return LayerFinding(
        kind,
        summary,
        cause,
        Fix(f"correct {where}", None),
        tuple(dict.fromkeys(subjects)),
        frozenset(["library"]),
        layer="library",
        difference=between,
        status=status,
    )


def explains(earlier: Iterable[LayerFinding], detail: str | None) -> bool:
    """Return True if an error's words name what an earlier layer found wrong: an attribute, a variable, an id."""
    words = detail or ""
    return any(
        name in words
        for broken in earlier
        if broken.layer in ("environment", "postgres", "dynamodb", "cross-store")
        for name in (*broken.about, *broken.subjects)
        if len(name) > 1
    )


def is_member(seen: Observations) -> bool:
    """Return True if who asks is an owner of the group, as the ids are written (the application compares text)."""
    person, owners = seen.postgres.person, seen.dynamodb.owners
    return owners is None or person is None or bool(owners & {str(value) for value in person.values()})
